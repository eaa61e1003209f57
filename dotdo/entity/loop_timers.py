"""Timers that an entity's code starts on the loop: those of `asyncio.timeout`, `asyncio.wait_for`, `asyncio.sleep`, of a library.

They are in memory. An execution that was dropped to its row would lose them, and wait for ever where they were to end the
waiting; so an execution stays in memory while one of its timers runs. A loop tells nobody of its timers: `watch` stands
before the two methods that start them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dotdo.entity.task import EntityTask

_METHODS = ("call_at", "call_later")
_OURS = "_do_watches"
_RUNTIME = "dotdo."
"""The runtime's own timers are those of its clock: what they are for is on record."""


def watch(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """From now on executions know of the timers their tasks start; what is returned ends that."""
    if any(hasattr(getattr(loop, name), _OURS) for name in _METHODS):
        return _nothing
    before = {name: vars(loop).get(name) for name in _METHODS}
    for name in _METHODS:
        setattr(loop, name, _telling(loop, getattr(loop, name)))

    def stop() -> None:
        for name, method in before.items():
            if method is not None:
                setattr(loop, name, method)
            else:
                vars(loop).pop(name, None)

    return stop


def _nothing() -> None:
    """Another host of this loop watches."""


def _telling(loop: asyncio.AbstractEventLoop, method: Callable[..., asyncio.TimerHandle]) -> Callable[..., asyncio.TimerHandle]:
    def start(when: float, callback: Callable[..., Any], *args: Any, **options: Any) -> asyncio.TimerHandle:
        task = asyncio.current_task(loop)
        run = task.run if isinstance(task, EntityTask) else None
        if run is None or (getattr(callback, "__module__", None) or "").startswith(_RUNTIME):
            return method(when, callback, *args, **options)

        def fire() -> None:
            run.timer_ended(handle)
            callback(*args)

        handle = method(when, fire, **options)
        run.timer_began(handle)
        return handle

    setattr(start, _OURS, True)
    return start
