"""The course of one run of a definition: what its steps returned so far, and which begin next.

Like the planner under it, a pure fold over outcomes in the order they were recorded. The run that goes on feeds it what
happens; whoever asks for a run's state feeds it the journal and comes to the same state, without running anything. What
takes no time is decided here as well and needs no record: conditions, skipping, steps that do nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from dotdo import codec, durations
from dotdo.durable.retry import RetryPolicy
from dotdo.errors import ConditionError, DefinitionError
from dotdo.workflows import checking, expressions
from dotdo.workflows.actions import NOOP
from dotdo.workflows.definition import WorkflowDefinition, WorkflowStep
from dotdo.workflows.graph import Outcome

_MISTAKES = (DefinitionError, ConditionError)
"""Errors of the definition: no attempt can help."""


class Plan:
    """A definition, read for running: made once, walked by many runs."""

    def __init__(self, definition: WorkflowDefinition) -> None:
        self.definition = definition
        self.graph = checking.graph_of(definition.steps)
        self.steps = {step.id: PlannedStep(step) for step in definition.steps}
        self.timeout_s = None if definition.timeout is None else durations.seconds(definition.timeout)
        for flaw in self.graph.flaws():
            step = self.steps[definition.steps[flaw.index].id]
            if flaw.part == "depends_on":
                step.flaw = f"depends_on: {flaw.message}"


class PlannedStep:
    """A step, with its texts read."""

    def __init__(self, step: WorkflowStep) -> None:
        self.id = step.id
        self.action = step.action
        self.params = step.params
        self.condition = step.condition
        self.wait_s = None if step.wait is None else durations.seconds(step.wait)
        self.timeout_s = None if step.timeout is None else durations.seconds(step.timeout)
        self.policy = _policy(step)
        self.on_error = step.on_error
        self.error_branch = step.error_branch
        self.flaw: str | None = None
        """What was wrong and let pass: the step fails when it is reached."""
        self.takes_no_time = step.action == NOOP and step.wait is None


def _policy(step: WorkflowStep) -> RetryPolicy:
    if step.retry_delay is None:
        return RetryPolicy(step.attempts_max, non_retryable=_MISTAKES)
    return RetryPolicy(
        step.attempts_max, backoff="constant", initial_delay=step.retry_delay, max_delay=step.retry_delay, non_retryable=_MISTAKES
    )


class Course:
    """One run of a plan."""

    def __init__(self, plan: Plan, input: Any, *, has_noop: bool = False) -> None:
        self.plan = plan
        self.input = input
        self.has_noop = has_noop
        """True if the class has an action of its own called noop."""
        self.state: dict[str, Any] = {**plan.definition.context, **_fields_of(input)}
        self.outputs: dict[str, Any] = {}
        self.errors: dict[str, BaseException | str] = {}
        """Of steps that failed, and of those that were skipped why."""
        self.progress = plan.graph.walk()

    @property
    def is_failing(self) -> bool:
        """True once nothing new may begin, because a step failed the run."""
        return self.progress.is_failing

    def advance(self) -> list[PlannedStep]:
        """The steps that begin now; steps that take no time begin and end in here."""
        begun = []
        while ready := self.progress.take_ready():
            for step_id in ready:
                step = self.plan.steps[step_id]
                if self._may_begin(step):
                    if step.takes_no_time and not self.has_noop:
                        self.completed(step_id, None)
                    else:
                        begun.append(step)
        return begun

    def _may_begin(self, step: PlannedStep) -> bool:
        try:
            if step.flaw is not None:
                raise DefinitionError(f"step {step.id!r} cannot run: {step.flaw}")
            if step.condition is None or expressions.parse(step.condition).holds(self.scope):
                return True
        except (ConditionError, DefinitionError) as error:
            self.failed(step.id, error)
            return False
        self.errors[step.id] = f"its condition does not hold: {step.condition}"
        self.progress.skip(step.id)
        return False

    @property
    def scope(self) -> Scope:
        """What the names of a condition mean now."""
        return Scope(self)

    def params_of(self, step: PlannedStep) -> Any:
        """What the step's action gets: its `params`, or the input. Raises ConditionError."""
        if step.params is None:
            return self.input
        return expressions.Expr.resolve(step.params, self.scope)

    def completed(self, step_id: str, output: Any) -> None:
        """The step returned this."""
        self.outputs[step_id] = self.state[step_id] = output
        self.progress.complete(step_id)

    def failed(self, step_id: str, error: BaseException) -> Outcome:
        """The step failed for good; what that means for the run."""
        self.errors[step_id] = error
        outcome = self.progress.fail(step_id)
        step = self.plan.steps[step_id]
        if step.on_error == "branch" and outcome is Outcome.FAILED:
            error.add_note(f"step {step_id!r} branches to {step.error_branch!r}, which is no step of {self.plan.definition.id!r}")
        return outcome

    def given_up(self, step_id: str) -> None:
        """The run is failing, and the step only waited for its time."""
        self.progress.abandon(step_id)

    def survives(self, step_id: str) -> bool:
        """True if the run goes on when this step fails."""
        step = self.plan.steps[step_id]
        return step.on_error == "continue" or (step.on_error == "branch" and step.error_branch in self.plan.steps)

    @property
    def failure(self) -> BaseException | None:
        """Why the run fails."""
        error = self.errors.get(self.progress.failed_step or "")
        return error if isinstance(error, BaseException) else None


class Scope(Mapping[str, Any]):
    """The state at the root; where the state has nothing of the name, `input`, and `steps` by id, for ids that are no names."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def __getitem__(self, name: str) -> Any:
        state = self._course.state
        if name in state:
            return state[name]
        if name in ("input", "inputs"):
            return self._course.input
        if name == "steps":
            return self._course.outputs
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._course.state)

    def __len__(self) -> int:
        return len(self._course.state)


class State(dict[str, Any]):
    """What an action gets as its state and params: a copy, whose parts are items and attributes, `state.validate.total`.

    A key that is also the name of a method of dict (`items`, `get`) is reached as an item.
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name!r} is not there; there are: {', '.join(map(str, self)) or 'none'}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def shown(value: Any) -> Any:
    """A copy of data whose dicts are `State`s: what an action does to it changes nothing but its copy."""
    if type(value) is dict or type(value) is State:
        return State({key: shown(part) for key, part in value.items()})
    if type(value) is list:
        return [shown(part) for part in value]
    if value is None or isinstance(value, (str, int, float, bytes)):
        return value
    return codec.copy(value)


def plain(value: Any) -> Any:
    """Data with dicts in the place of `State`s, as it is recorded."""
    if isinstance(value, State):
        return {key: plain(part) for key, part in value.items()}
    if type(value) is dict:
        return {key: plain(part) for key, part in value.items()}
    if type(value) is list:
        return [plain(part) for part in value]
    return value


def _fields_of(input: Any) -> dict[str, Any]:
    """What of an input is in the state."""
    if isinstance(input, Mapping):
        return {str(key): value for key, value in input.items()}
    if isinstance(input, pydantic.BaseModel):
        return {**{name: getattr(input, name) for name in type(input).model_fields}, **(input.model_extra or {})}
    if dataclasses.is_dataclass(input) and not isinstance(input, type):
        return {field.name: getattr(input, field.name) for field in dataclasses.fields(input)}
    return {}
