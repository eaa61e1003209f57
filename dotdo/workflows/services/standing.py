"""How far a request has come: what its steps gave, which failed, how long each took. Pure.

A result stays what its step returned. The result of a condition is what its branch returned, readable as the sources read it:
`results["verify"].verified` for a branch that returned {"verified": True}, and `.branch` says which it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dotdo.workflows.course import State, shown
from dotdo.workflows.pricing import Usage
from dotdo.workflows.services.definition import ServiceDefinition, ServiceStep


class Standing:
    """One request, so far."""

    def __init__(
        self, definition: ServiceDefinition, request_id: str, inputs: Any, customer_id: str | None, began: datetime,
        places: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.definition = definition
        self.places = places
        """Where functions can be imported from."""
        self.request_id = request_id
        self.inputs = inputs
        self.customer_id = customer_id
        self.began = began
        self.results: dict[str, Any] = {}
        self.completed: list[str] = []
        """Steps of the definition's list, in the order they completed."""
        self.completed_all: list[str] = []
        """Those within others too."""
        self.failed: list[str] = []
        self.skipped: list[str] = []
        self.path: list[str] = []
        self.compensations: list[dict[str, Any]] = []
        self.errors: dict[str, BaseException] = {}
        self.durations_s: dict[str, float] = {}
        self.is_parallel = False
        self.is_reviewed = False
        self.current: str | None = None

    # -- what happened ------------------------------------------------------------------------------------------------

    def did(self, step: ServiceStep, seconds: float) -> None:
        """A step, or one within another, completed."""
        self.completed_all.append(step.id)
        self.durations_s[step.id] = seconds
        self.is_parallel |= step.type == "parallel" and bool(step.steps)
        self.is_reviewed |= step.type == "human-task"

    def completes(self, step_id: str, result: Any) -> None:
        """A step of the list completed."""
        self.results[step_id] = result
        self.completed.append(step_id)

    def fails(self, step_id: str, error: BaseException) -> None:
        """A step of the list failed."""
        self.failed.append(step_id)
        self.errors[step_id] = error

    # -- what follows from it -------------------------------------------------------------------------------------------

    @property
    def scope(self) -> dict[str, Any]:
        """What the names of a condition mean."""
        done = list(self.completed)
        return {"inputs": self.inputs, "results": self.results, "completedSteps": done, "completed_steps": done}

    @property
    def context(self) -> dict[str, Any]:
        """The inputs and what steps returned, in one dict. What is there already stays: a result overwrites nothing."""
        merged = dict(self.inputs) if isinstance(self.inputs, Mapping) else {}
        for step_id in self.completed:
            result = self.results.get(step_id)
            if isinstance(result, Mapping):
                merged = {**result, **merged}
        return merged

    def state(self, step_id: str) -> State:
        """What the function of a step gets beside the inputs: a copy, items and attributes alike."""
        state: State = shown({
            "request_id": self.request_id, "service_id": self.definition.id, "customer_id": self.customer_id, "current_step": step_id,
            "inputs": self.inputs, "results": self.results, "context": self.context, "completed_steps": self.completed,
            "failed_steps": self.failed, "path": self.path,
        })  # fmt: skip
        return state

    def progress(self) -> dict[str, Any]:
        """How far it is: steps that failed or were skipped are behind it too, so it reaches 1."""
        total = len(self.definition.steps)
        ended = len(self.completed) + len(self.failed) + len(self.skipped)
        titles = {step.id: step.title for step in self.definition.steps}
        return {
            "request_id": self.request_id, "current_step": self.current, "current_step_name": titles.get(self.current or ""),
            "completed_steps": list(self.completed), "failed_steps": list(self.failed), "total_steps": total,
            "progress": 1.0 if total == 0 else ended / total, "estimated_time_remaining": self._seconds_left(total - ended),
        }  # fmt: skip

    def _seconds_left(self, steps_left: int) -> float | None:
        """The average of the steps that have ended, times those that are left; None while none has."""
        known = [self.durations_s[step] for step in self.completed if step in self.durations_s]
        return None if not known else sum(known) / len(known) * steps_left

    def usage(self, now: datetime, volume: Any) -> Usage:
        """What there is to pay for."""
        return Usage(
            tuple(self.completed_all), tuple(self.failed), volume, (now - self.began).total_seconds(), dict(self.durations_s),
            self.is_parallel, self.is_reviewed,
        )  # fmt: skip


def branch_result(branch: str, value: Any) -> dict[str, Any]:
    """The result of a condition step: what the branch gave, which branch, and the fields of what it gave."""
    fields = {str(key): part for key, part in value.items()} if isinstance(value, Mapping) else {}
    return {"result": value, **fields, "branch": branch}
