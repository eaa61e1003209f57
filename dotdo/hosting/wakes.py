"""Who of a host's sleepers must be woken next, however many sleep.

Everyone who sleeps is in the indexes of the shards; in memory are only the next few, and one timer. `_known` is how far
memory goes: a sleeper that is due later is in an index alone, and is read when the nearer ones have been woken. So a
hundred thousand sleepers cost what a thousand cost, and nothing at all while none is due.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dotdo.clock import Clock, TimerHandle

IN_MEMORY_MAX = 400
"""With more than this in memory, the later half is left to the indexes."""

PAGE = 100
"""So many are read from each index at once."""

_Place = tuple[float, str]
_START: _Place = (-1.0, "")
_END: _Place = (float("inf"), "")

Read = Callable[[_Place, int], Awaitable[list[list[_Place]]]]
"""For each index the sleepers after a place, (due, key) in order, at most so many."""


class Wakes:
    """The next sleepers of one host."""

    def __init__(self, clock: Clock, read: Read, spawn: Callable[[Coroutine[Any, Any, None]], None], wake: Callable[[str], None]) -> None:
        self._clock = clock
        self._read = read
        self._spawn = spawn
        self._wake = wake
        self._due: dict[str, float] = {}
        self._timers: dict[str, TimerHandle] = {}
        self._known = _START
        self._is_reading = False
        self._is_stopped = False
        self._timer: TimerHandle | None = None
        self._timer_due = _END[0]

    def __len__(self) -> int:
        return len(self._due)

    def at(self, key: str, due: float) -> None:
        """Wake somebody then, whatever the indexes say; a time set before is forgotten."""
        self.forget(key)
        if self._is_stopped:
            return

        def wake() -> None:
            self._timers.pop(key, None)
            self._wake(key)

        self._timers[key] = self._clock.call_at(due, wake)

    def slept(self, key: str, due: float) -> None:
        """An entity has fallen asleep, and its row is in its index."""
        if self._is_stopped or not (self._is_reading or (due, key) <= self._known):
            return
        self._due[key] = due
        self._trim()
        if due < self._timer_due:
            self._arm()

    def forget(self, key: str) -> None:
        """An entity is awake, or gone."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if self._due.pop(key, None) is not None and not self._due:
            self._arm()

    def stop(self) -> None:
        """Wake nobody any more."""
        self._is_stopped = True
        self._due.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._timer is not None:
            self._timer.cancel()

    async def read_on(self) -> None:
        """Read sleepers from the indexes until some are known or there are no more."""
        self._is_reading = True  # who falls asleep meanwhile may be missing in what is read
        try:
            while not self._due and self._known != _END and not self._is_stopped:
                pages = await self._read(self._known, PAGE)
                # beyond the last of a full page its index may have more: all of them are known up to there
                self._known = min((page[-1] for page in pages if len(page) == PAGE), default=_END)
                for page in pages:
                    for due, key in page:
                        if (due, key) <= self._known:
                            self._due.setdefault(key, due)
        finally:
            self._is_reading = False
        self._trim()
        self._arm()

    def _trim(self) -> None:
        if len(self._due) <= IN_MEMORY_MAX or self._is_reading:
            return
        nearest = heapq.nsmallest(IN_MEMORY_MAX // 2, ((due, key) for key, due in self._due.items()))
        self._known = min(self._known, nearest[-1])
        self._due = {key: due for due, key in nearest}

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_due = _END[0]
        if self._is_stopped or self._is_reading:
            return
        if self._due:
            self._timer_due = min(self._due.values())
            self._timer = self._clock.call_at(self._timer_due, self._fire)
        elif self._known != _END:
            self._is_reading = True
            self._spawn(self.read_on())

    def _fire(self) -> None:
        now = self._clock.now()
        due = sorted((due, key) for key, due in self._due.items() if due <= now)
        for _, key in due:
            self._due.pop(key, None)
            self._wake(key)
        self._arm()
