"""Doing the steps of a request: which begin when is the planner's to say (`workflows.graph`), what a failure means is here.

on_error             when a step has failed for good, its attempts used up
fail, retry          the request fails, if the step is required
continue,
log-and-continue     the request goes on, and so do the steps that depend on it; required or not
branch               the step `error_branch` is done in its place
human-review         a person decides: "retry" does it again, a yes counts as done, a no is a failure
notify-manager       the manager is told; the request fails, if the step is required
rollback             the request fails, required or not
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotdo.errors import ConditionError, StepFailed, StepRejected
from dotdo.workflows import expressions
from dotdo.workflows.graph import Outcome, Progress
from dotdo.workflows.services import reading, steps
from dotdo.workflows.services.definition import ServiceStep
from dotdo.workflows.services.standing import Standing

if TYPE_CHECKING:
    from dotdo.workflows.services.request_entity import RequestEntity

RETRY_WORDS = frozenset({"retry", "again"})


class Walk:
    """One request on its way."""

    def __init__(self, entity: RequestEntity, standing: Standing) -> None:
        self._entity = entity
        self._standing = standing
        self._steps = {step.id: step for step in standing.definition.steps}
        graph = reading.graph_of(standing.definition.steps)
        self._missing = {standing.definition.steps[flaw.index].id: flaw.message for flaw in graph.flaws() if flaw.part == "depends_on"}
        self._progress: Progress = graph.walk()
        self._running: dict[asyncio.Task[None], ServiceStep] = {}
        self._ended: list[tuple[ServiceStep, bool, Any]] = []
        self.failed_all: list[ServiceStep] = []
        """Every step that failed, those within others too."""

    async def to_the_end(self) -> BaseException | None:
        """Do what can be done; the error that fails the request, or None."""
        try:
            while True:
                self._begin_ready()
                if not self._running:
                    break
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                self._take_ended()
                if self._progress.is_failing:
                    self._call_off_tasks()
        finally:
            for task in self._running:
                task.cancel()
        self._standing.current = None
        return self._failure()

    @property
    def failed_step(self) -> str | None:
        """The step that fails the request."""
        return self._progress.failed_step

    def _begin_ready(self) -> None:
        while ready := self._progress.take_ready():
            for step_id in ready:
                step = self._steps[step_id]
                try:
                    if step_id in self._missing:
                        raise StepFailed(f"Dependencies not met for step: {step_id}: {self._missing[step_id]}")
                    is_wanted = step.type == "condition" or step.condition is None or self._holds(step.condition)
                except (ConditionError, StepFailed) as error:
                    self._fail(step, error)
                    continue
                if is_wanted:
                    task = asyncio.create_task(self._step(step), name=step_id)
                    self._running[task] = step
                else:
                    self._progress.skip(step_id)
                self._note_skipped()

    def _holds(self, condition: str) -> bool:
        return expressions.parse(condition).holds(self._standing.scope)

    async def _step(self, step: ServiceStep) -> None:
        self._standing.current = step.id
        self._entity.tell_progress(self._standing)
        try:
            ok, value = True, await self.perform(step)
        except Exception as error:  # what that means for the request is for the planner to say
            ok, value = False, error
        self._ended.append((step, ok, value))

    def _take_ended(self) -> None:
        ended, self._ended = self._ended, []
        for step, ok, value in ended:
            if ok:
                self._standing.completes(step.id, value)
                self._entity.keep_result(step.id, value)
                self._progress.complete(step.id)
            else:
                self._fail(step, value)
        for task in [task for task in self._running if task.done()]:
            step = self._running.pop(task)
            if task.cancelled() and step.id in self._progress.running:
                self._progress.abandon(step.id)
        self._note_skipped()

    def _fail(self, step: ServiceStep, error: BaseException) -> None:
        self._standing.fails(step.id, error)
        self._progress.fail(step.id)
        if step.on_error in ("continue", "log-and-continue"):
            self._entity.log.warning("step %s of request %s failed, which goes on: %s", step.id, self._standing.request_id, error)

    def _note_skipped(self) -> None:
        skipped = [step_id for step_id, outcome in self._progress.outcomes.items() if outcome is Outcome.SKIPPED]
        self._standing.skipped[:] = skipped

    def _call_off_tasks(self) -> None:
        """The request fails: nobody need decide anything for it any more. What else runs is let end."""
        for task, step in self._running.items():
            if step.type == "human-task" and not task.done():
                task.cancel()

    def _failure(self) -> BaseException | None:
        failed = self._progress.failed_step
        if failed is None:
            return None
        error = self._standing.errors.get(failed)
        if error is not None:
            return error
        unmet = [one for one in self._steps[failed].depends_on if one in self._standing.errors or one in self._standing.skipped]
        if unmet:
            return StepFailed(f"Dependencies not met for step: {failed} (needs {', '.join(unmet)})")
        return StepFailed(f"Required step skipped: {failed}")

    # -- one step -----------------------------------------------------------------------------------------------------

    async def perform(self, step: ServiceStep) -> Any:
        """Do a step, or one within another, with what its onError says; what it gives. Raises what it failed by."""
        entity, standing = self._entity, self._standing
        began = entity.now()
        review = 0
        while True:
            try:
                result = await steps.do_step(entity, standing, step, self.perform)
            except Exception as error:
                if step.on_error == "human-review" and not isinstance(error, StepRejected):
                    review += 1
                    verdict = await self._review(step, error, review)
                    if verdict == "retry":
                        continue
                    if verdict is not None:
                        result = verdict
                        break
                elif step.on_error == "notify-manager":
                    entity.notify(standing, "manager", "step-failed", step_id=step.id, error=str(error))
                self.failed_all.append(step)
                raise
            break
        standing.did(step, (entity.now() - began).total_seconds())
        return result

    async def _review(self, step: ServiceStep, error: BaseException, number: int) -> Any:
        """A person looks at a failure: "retry", the answer if it is a yes, None if it is a no."""
        why = f"{type(error).__name__}: {error}"
        try:
            return await steps.ask(
                self._entity, self._standing, step, f"Review: {step.title}", f"{step.id}/review-{number}", why=why
            )  # fmt: skip
        except StepRejected as rejected:
            word = rejected.answer.get("decision")
            if isinstance(word, str) and word.lower() in RETRY_WORDS:
                return "retry"
            error.add_note(f"reviewed: {rejected}")
            return None
