"""The two durable things a declared step does: wait, and call its action.

They are a sleep and a step of the engine below, with what only a declared workflow knows added: a failure that the
definition has an answer to is kept by a retry of the run, and once the run is failing nothing waits for its time any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable.step import StepOperation
from dotdo.durable.waits import SleepOperation
from dotdo.errors import DefinitionError, WaitTimeout
from dotdo.workflows import actions, course

if TYPE_CHECKING:
    from dotdo.durable.run import Run
    from dotdo.workflows.course import Course, PlannedStep

WAIT_MARK = "#wait"
"""After the id of a step: its wait. No id of a step has a #."""

DEADLINE = "#deadline"
"""The name of the wait that ends a run that takes too long."""

Find = Callable[[str], Callable[..., Any]]
"""The action of a name. Raises NoSuchAction."""


class WaitOperation(SleepOperation):
    """The wait before a step's action."""

    __slots__ = ("_course", "was_given_up")

    def __init__(self, run: Run, key: str, step: PlannedStep, course: Course) -> None:
        super().__init__(run, key, step.wait_s or 0.0)
        self.name = f"{step.id}{WAIT_MARK}"
        self.waiting_for = f"step '{step.id}'"
        self._course = course
        self.was_given_up = False

    def _park(self) -> None:
        if self._course.is_failing:
            self.give_up()
        else:
            super()._park()

    def give_up(self) -> None:
        """The run is failing: whoever waits is told."""
        self.was_given_up = True
        if self.future is not None:
            self.future.cancel()


class DeadlineOperation(SleepOperation):
    """The end of the time a run may take; a failure, so that a retry begins with a new one."""

    __slots__ = ("_text",)

    def __init__(self, run: Run, key: str, seconds: float, workflow_id: str) -> None:
        super().__init__(run, key, seconds)
        self.name = self.waiting_for = DEADLINE
        self._text = f"workflow {workflow_id!r} did not end within its timeout of {seconds:g} s"

    def at_deadline(self) -> tuple[bool, bytes]:
        return False, codec.encode(WaitTimeout(self._text))


class Named:
    """Stands for an action until it is looked up: each attempt looks anew, for the class may have been changed meanwhile."""

    __slots__ = ("__name__",)

    def __init__(self, action: str) -> None:
        self.__name__ = actions.snake(action)

    def __call__(self) -> None:
        raise AssertionError(f"{self.__name__} is not called by this name")


class ActionOperation(StepOperation):
    """The call of a step's action, with its attempts."""

    __slots__ = ("_course", "_find", "_step", "was_given_up")

    def __init__(self, run: Run, key: str, step: PlannedStep, course: Course, find: Find) -> None:
        super().__init__(run, key, step.id, Named(step.action), (), policy=step.policy, is_chosen=True, timeout_s=step.timeout_s, undo=None)
        self._step = step
        self._course = course
        self._find = find
        self.was_given_up = False

    async def coroutine(self) -> Any:
        """One attempt: each gets params and state of its own, so that what it does to them is not seen by the next."""
        step, progress = self._step, self._course
        try:
            action = self._find(step.action)
        except actions.NoSuchAction as error:
            raise DefinitionError(f"step {step.id!r} cannot run: {error}") from None
        action = self.run.ledger.body_of(step.id, self.key, action)
        count = actions.arity(action)
        arguments: list[Any] = []
        if count:
            arguments.append(course.shown(progress.params_of(step)))
        if count > 1:
            arguments.append(course.shown(progress.state))
        result = action(*arguments)
        if inspect.isawaitable(result):
            result = await result
        return course.plain(result)

    @property
    def is_failure_kept(self) -> bool:
        return self._course.survives(self._step.id)

    def _failed(self, error: BaseException, *, is_final: bool = False) -> Callable[[], None]:
        return super()._failed(error, is_final=is_final or self._course.is_failing)

    def _park(self, next_at: float) -> None:
        if self._course.is_failing:
            self.give_up()
        else:
            super()._park(next_at)

    def give_up(self) -> None:
        """The run is failing: there is no further attempt."""
        self.was_given_up = True
        if self.future is not None:
            self.future.cancel()
