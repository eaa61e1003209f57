"""Dropping parked coroutines: when an entity sleeps, its coroutines go, and nothing they do on the way out may count.

Closing a coroutine runs its `finally` blocks, whatever one does. So a drop marks the turn and throws `Hibernated`, a
BaseException that `except Exception` does not catch; every runtime operation and field access in the dropped turn
raises it again. What such a block does outside the runtime happens. A coroutine that survives three throws is kept
inert, counted, and logged by name.
"""

from __future__ import annotations

import logging
from asyncio import futures, tasks
from typing import TYPE_CHECKING, Any

from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Turn
from dotdo.errors import Hibernated

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation

THROWS_MAX = 3

_log = logging.getLogger("dotdo")
_inert: list[Any] = []
"""Coroutines that would not end; kept, because collecting them would run their blocks outside any turn."""


def inert_count() -> int:
    """How many dropped coroutines refused to end."""
    return len(_inert)


def drop(activation: Activation, dropped: list[EntityTask]) -> None:
    """End the tasks' coroutines without letting them act."""
    for task in dropped:
        _detach(task)
    for task in dropped:
        _end(activation, task)
        activation.tasks.discard(task)


def _detach(task: EntityTask) -> None:
    """Nobody is told that the task ends, and nothing it waited for will wake it."""
    waiter = task._fut_waiter
    if waiter is not None:
        waiter.remove_done_callback(task._Task__wakeup)
        task._fut_waiter = None
    task._callbacks = []
    task._log_destroy_pending = False
    if not task.done():
        futures._PyFuture.cancel(task)  # type: ignore[attr-defined]


def _end(activation: Activation, task: EntityTask) -> None:
    coroutine = task._coro
    if getattr(coroutine, "cr_frame", None) is None:
        return
    before = activation.turn
    turn = Turn(task)
    turn.dropped = True
    activation.turn = activation.fields.turn = turn
    loop = task._loop
    current = tasks.current_task(loop) if _is_running(loop) else None
    if current is None:
        tasks._enter_task(loop, task)
    try:
        for _ in range(THROWS_MAX):
            try:
                task._context.run(coroutine.throw, Hibernated())
            except BaseException:  # whatever it raises, it has ended
                return
        _inert.append(coroutine)
        _log.warning("a coroutine of %s did not end when it was dropped: %r", activation.key, coroutine)
    finally:
        if current is None:
            tasks._leave_task(loop, task)
        activation.turn = activation.fields.turn = before


def _is_running(loop: Any) -> bool:
    return bool(loop.is_running())
