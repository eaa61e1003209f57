"""The task that runs an entity's coroutine turn by turn.

It is asyncio's own pure-Python task with one method replaced: the step. Replacing it is how the runtime knows when a
turn begins and ends, also for tasks that user code starts (`gather`, `TaskGroup`, `create_task`), and how a turn can
run straight from a socket callback. Everything else, cancellation, `asyncio.timeout`, anyio, is asyncio's.

What a turn's end means is not decided here but by the `TurnKeeper`, the entity's activation. It may settle the task
later (the commit of a new file runs on a worker thread), hence the split into `_Task__step` and `settle`.
"""

from __future__ import annotations

import asyncio
from asyncio import futures, tasks
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Protocol

from dotdo.entity.turn import Branch, Ending, Turn

TURNS_AT_ONCE_MAX = 16
"""So many turns of a task may follow one another, each finding its answer there, before the loop sees to others."""

_PENDING, _FINISHED = futures._PENDING, futures._FINISHED  # type: ignore[attr-defined]


class TurnKeeper(Protocol):
    """Who says whether a task may run now, and what the end of its turn does."""

    def begin_turn(self, task: EntityTask) -> Turn | None:
        """The task's next turn; None if the input gate keeps it out for now."""

    def wait_turn(self, task: EntityTask, error: BaseException | None) -> None: ...
    def end_turn(self, turn: Turn, ending: Ending, outcome: Any) -> None: ...
    def task_started(self, task: EntityTask) -> None: ...
    def task_ended(self, task: EntityTask) -> None: ...


class EntityTask(tasks._PyTask):  # type: ignore[name-defined,misc]  # the pure-Python task is asyncio's, but unnamed in typeshed
    """One task of an entity. Created by the runtime for a call, by the task factory for what user code starts."""

    _state: str
    _result: Any
    _num_cancels_requested = 0
    _must_cancel = False
    _fut_waiter: Any = None
    _is_stepping = False
    _arrived: Any = None
    """What the turn that has just ended waits for, if it is there already: the next turn follows at once."""
    is_abandoned = False
    waits_for: Any = None
    on_return: Callable[[Ending, Any], Callable[[], None] | None] | None = None

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        *,
        loop: asyncio.AbstractEventLoop,
        keeper: TurnKeeper,
        branch: Branch,
        run: Any,
        context: Context,
        hold: Any = None,
        name: str = "entity-task",
    ) -> None:
        # What the constructors of asyncio's future and task set, without their checks: this runs once per call.
        self._loop = loop
        self._callbacks: list[Any] = []
        self._coro = coroutine
        self._context = context
        self._name = name
        self.keeper = keeper
        self.branch = branch
        self.run = run
        self.hold = hold

    def __del__(self) -> None:
        if self._Future__log_traceback:
            futures._PyFuture.__del__(self)  # type: ignore[attr-defined]

    def start_now(self) -> None:
        """Run the first turn at once, from where we stand; in the next pass of the loop if that is inside another task."""
        if asyncio.current_task(self._loop) is None:
            self._context.run(self._Task__step)
        else:
            self.start_soon()

    def start_soon(self) -> None:
        """Run the first turn in the next pass of the loop, as asyncio does."""
        self._loop.call_soon(self._Task__step, context=self._context)

    def step_again(self, error: BaseException | None) -> None:
        """Continue a step that the gate had held back."""
        if asyncio.current_task(self._loop) is None:
            self._context.run(self._Task__step, error)
        else:
            self._loop.call_soon(self._Task__step, error, context=self._context)

    def _Task__step(self, exc: BaseException | None = None) -> None:  # asyncio's private name, overridden on purpose
        for _ in range(TURNS_AT_ONCE_MAX):
            self._arrived = None
            self._is_stepping = True
            self._turn(exc)
            self._is_stepping = False
            arrived = self._arrived
            if arrived is None:
                return
            exc = arrived.exception() if not arrived.cancelled() else self._make_cancelled_error()
        self._arrived = None
        self._loop.call_soon(self._Task__step, exc, context=self._context)

    def _turn(self, exc: BaseException | None) -> None:
        if self._state != _PENDING:
            return
        keeper = self.keeper
        turn = keeper.begin_turn(self)
        if turn is None:
            keeper.wait_turn(self, exc)
            return
        if self._must_cancel:
            if not isinstance(exc, asyncio.CancelledError):
                exc = self._make_cancelled_error()
            self._must_cancel = False
        self._fut_waiter = None
        loop = self._loop
        outcome: Any
        tasks._enter_task(loop, self)
        try:
            outcome = self._coro.send(None) if exc is None else self._coro.throw(exc)
        except StopIteration as stop:
            ending, outcome = Ending.RETURNED, stop.value
        except asyncio.CancelledError as error:
            ending, outcome = Ending.CANCELLED, error
        except BaseException as error:  # a task keeps every error for whoever awaits it
            ending, outcome = Ending.RAISED, error
        else:
            ending = Ending.SUSPENDED
        finally:
            tasks._leave_task(loop, self)
            exc = None
        keeper.end_turn(turn, ending, outcome)
        self = None  # type: ignore[assignment]  # breaks the cycle through the traceback, as asyncio does

    def settle(self, ending: Ending, outcome: Any) -> None:
        """Do what asyncio does at the end of a step: keep the result, or wait for the future that was yielded."""
        if self._state != _PENDING:
            return
        if ending is Ending.SUSPENDED:
            self._wait_for(outcome)
            return
        self.waits_for = None
        if ending is Ending.RETURNED:
            if self._must_cancel:
                self._must_cancel = False
                futures._PyFuture.cancel(self, msg=self._cancel_message)  # type: ignore[attr-defined]
            elif not self._callbacks:
                self._result = outcome
                self._state = _FINISHED
            else:
                futures._PyFuture.set_result(self, outcome)  # type: ignore[attr-defined]
        elif ending is Ending.CANCELLED:
            self._cancelled_exc = outcome
            futures._PyFuture.cancel(self)  # type: ignore[attr-defined]
        else:
            futures._PyFuture.set_exception(self, outcome)  # type: ignore[attr-defined]
        self.keeper.task_ended(self)

    def _wait_for(self, yielded: Any) -> None:
        loop = self._loop
        self.waits_for = yielded
        if yielded is None:
            loop.call_soon(self._Task__step, context=self._context)
            return
        blocking = getattr(yielded, "_asyncio_future_blocking", None)
        if blocking is None:
            problem = f"Task got bad yield: {yielded!r}"
        elif futures._get_loop(yielded) is not loop:  # type: ignore[attr-defined]
            problem = f"Task {self!r} got Future {yielded!r} attached to a different loop"
        elif not blocking:
            problem = f"yield was used instead of yield from in task {self!r} with {yielded!r}"
        elif yielded is self:
            problem = f"Task cannot await on itself: {self!r}"
        else:
            yielded._asyncio_future_blocking = False
            if self._is_stepping and not self._must_cancel and yielded.done():
                self._arrived = yielded
                return
            yielded.add_done_callback(self._Task__wakeup, context=self._context)
            self._fut_waiter = yielded
            if self._must_cancel and yielded.cancel(msg=self._cancel_message):
                self._must_cancel = False
            return
        loop.call_soon(self._Task__step, RuntimeError(problem), context=self._context)


def factory(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any],
    **options: Any,
) -> asyncio.Future[Any]:
    """The task factory of a host's loop: a task started inside an entity is one of its tasks, others are asyncio's own."""
    parent = asyncio.current_task(loop)
    if not isinstance(parent, EntityTask):
        return asyncio.Task(coroutine, loop=loop, **options)
    context = options.get("context")
    task = EntityTask(
        coroutine,
        loop=loop,
        keeper=parent.keeper,
        branch=parent.branch.child(),
        run=parent.run,
        context=context if context is not None else parent._context.copy(),
        hold=parent.hold,
        name=options.get("name") or "entity-task",
    )
    task.is_abandoned = parent.is_abandoned
    parent.keeper.task_started(task)
    task.start_soon()
    return task
