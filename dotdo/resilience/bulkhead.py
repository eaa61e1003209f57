"""`Bulkhead`: at most so many at once of what could take everything with it.

It counts in this process: on a host that is all entities there that use the same object. Each function is called once,
whether it had to wait or not, and its error goes to who asked for it; whoever waits is let in in the order they came.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from dotdo.errors import Overloaded


class _Place:
    """One who waits."""

    __slots__ = ("is_admitted", "loop", "turn")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.turn: asyncio.Future[None] = self.loop.create_future()
        self.is_admitted = False

    def admit(self) -> None:
        """On its own loop: its turn has come."""
        if not self.turn.done():
            self.turn.set_result(None)


class Bulkhead:
    """At most `max_concurrent` at once; others wait, at most `max_waiting` of them.

    Args:
        max_concurrent: how many may run at once, at least 1.
        max_waiting: how many may wait for their turn; more are refused with Overloaded. None: no bound but the memory.
    """

    def __init__(self, max_concurrent: int, *, max_waiting: int | None = None) -> None:
        if max_concurrent < 1:
            raise ValueError(f"max_concurrent={max_concurrent}: at least 1")
        self.max_concurrent = max_concurrent
        self.max_waiting = max_waiting
        self.running = 0
        self._places: deque[_Place] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._places)

    async def __aenter__(self) -> Bulkhead:
        with self._lock:
            if self.running < self.max_concurrent:
                self.running += 1
                return self
            if self.max_waiting is not None and len(self._places) >= self.max_waiting:
                raise Overloaded(f"{self.running} run and {len(self._places)} wait already in this bulkhead; try again later")
            place = _Place()
            self._places.append(place)
        try:
            await place.turn
        except BaseException:
            self._leave(place)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        with self._lock:
            self._hand_on()

    def _leave(self, place: _Place) -> None:
        """Cancelled while it waited, perhaps in the very moment when its turn came."""
        with self._lock:
            if place.is_admitted:
                self._hand_on()
            else:
                self._places.remove(place)

    def _hand_on(self) -> None:
        """One is done: its room goes to the first who waits."""
        while self._places:
            place = self._places.popleft()
            if place.loop.is_closed():
                continue
            place.is_admitted = True
            place.loop.call_soon_threadsafe(place.admit)
            return
        self.running -= 1

    async def execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The value of `fn(*args, **kwargs)`, once there is room. Raises Overloaded if too many wait already."""
        async with self:
            value = fn(*args, **kwargs)
            return await value if inspect.isawaitable(value) else value

    call = execute

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """As a decorator: every call goes through `execute`."""

        @functools.wraps(fn)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            return await self.execute(fn, *args, **kwargs)

        return guarded
