"""Running a plan: steps begin as soon as they may, side by side, each a durable step of one execution.

A replay is handed the recorded outcomes in their order and walks the same course. When a step fails the run, nothing new
begins; what runs is let end and recorded, what only waits for its time is given up.

A step that runs alone runs in the execution's own task: the tasks of steps that run side by side cost a few passes of the
loop each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotdo.workflows.course import Course, PlannedStep, plain
from dotdo.workflows.operations import DEADLINE, WAIT_MARK, ActionOperation, DeadlineOperation, Find, WaitOperation

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run
    from dotdo.entity.turn import Branch

RUNNING_MAX = 1000
"""Steps of one run that run side by side; the others begin as these end."""

Ended = tuple[PlannedStep, bool, Any]
"""A step, whether it did what it should, and what it returned or raised."""


async def run(ledger: Ledger, course: Course, find: Find) -> dict[str, Any]:
    """Run to the end: the final state. Raises the error of the step that fails the run, or WaitTimeout."""
    return await _Runner(ledger, course, find).to_the_end()


class _Runner:
    def __init__(self, ledger: Ledger, course: Course, find: Find) -> None:
        self._run: Run
        self._run, task = ledger.current_run("a workflow")
        self._main: Branch = task.branch
        self._ledger = ledger
        self._course = course
        self._find = find
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[Ended] = []

    async def to_the_end(self) -> dict[str, Any]:
        timeout_s = self._course.plan.timeout_s
        deadline = None if timeout_s is None else asyncio.create_task(self._deadline(timeout_s))
        begun = self._course.advance()
        while begun or self._tasks:
            if len(begun) == 1 and not self._tasks and deadline is None:
                self._ended.append(await self._step(begun.pop(), self._main))
            else:
                while begun and len(self._tasks) < RUNNING_MAX:
                    self._begin(begun.pop(0))
                waited: set[asyncio.Task[None]] = self._tasks if deadline is None else {*self._tasks, deadline}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
                if deadline is not None and deadline.done():
                    deadline.result()
            begun += self._take_ended()
            if self._course.is_failing:
                begun.clear()
                self._give_up_waiting()
        failure = self._course.failure
        if self._course.is_failing:
            raise failure if failure is not None else RuntimeError(f"step {self._course.progress.failed_step!r} was skipped")
        return {key: plain(value) for key, value in self._course.state.items()}

    async def _deadline(self, seconds: float) -> None:
        await DeadlineOperation(self._run, self._main.key(DEADLINE), seconds, self._course.plan.definition.id).outcome()

    # -- steps ------------------------------------------------------------------------------------------------------

    def _begin(self, step: PlannedStep) -> None:
        async def go() -> None:
            branch = self._ledger.current_run("a step")[1].branch
            ended = await self._step(step, branch)
            self._ended.append(ended)

        task = asyncio.create_task(go(), name=step.id)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _step(self, step: PlannedStep, branch: Branch) -> Ended:
        """Wait, then act: the step with its outcome; given up, with an outcome that counts no more."""
        operation: WaitOperation | ActionOperation | None = None
        try:
            if step.wait_s is not None:
                operation = WaitOperation(self._run, branch.key(f"{step.id}{WAIT_MARK}"), step, self._course)
                await operation.outcome()
                if step.action == "noop" and not self._course.has_noop:
                    return step, True, None
            operation = ActionOperation(self._run, branch.key(step.id), step, self._course, self._find)
            return step, True, await operation.outcome()
        except asyncio.CancelledError as error:
            if operation is not None and operation.was_given_up:
                return step, False, error
            raise
        except Exception as error:  # what that means for the run is for the course to say
            return step, False, error

    def _take_ended(self) -> list[PlannedStep]:
        """Tell the course what has ended, one after the other; the steps that begin by it."""
        begun = []
        ended, self._ended = self._ended, []
        for step, ok, value in ended:
            if ok:
                self._course.completed(step.id, value)
            elif isinstance(value, asyncio.CancelledError):
                self._course.given_up(step.id)
            else:
                self._course.failed(step.id, value)
            begun += self._course.advance()
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()
        return begun

    def _give_up_waiting(self) -> None:
        self._run.source_changed = True  # from here on the record may hold the end of a wait that nobody asks for
        for operation in list(self._run.operations.values()):
            if isinstance(operation, (WaitOperation, ActionOperation)) and operation.is_parked:
                operation.give_up()
