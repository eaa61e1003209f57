"""The clock is an argument. This is the one module that asks the operating system for the time.

Timers fire at or after their wall-clock time, once, in order; a forward jump of the clock makes them due. One heap and
one loop timer serve all of them, so ten thousand sleeping executions cost one entry each and no wake-ups.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

RECHECK_SECONDS_MAX = 60.0
"""The wall clock is looked at this often while a timer waits, so that a jump is noticed."""

CANCELLED_MIN = 64
"""With fewer cancelled timers it is not worth while to look for them."""


class TimerHandle(Protocol):
    """A timer that can be cancelled."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """What tells the time and fires timers."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        """Call `callback` at or after `when`, once."""


class _Timer:
    __slots__ = ("_heap", "callback")

    def __init__(self, callback: Callable[[], None], heap: _TimerHeap) -> None:
        self.callback: Callable[[], None] | None = callback
        self._heap = heap

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._heap.was_cancelled()


class _TimerHeap:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Timer]] = []
        self._cancelled_count = 0
        self._count = itertools.count()

    def was_cancelled(self) -> None:
        """Timers that were cancelled long before their time are taken out when they are the most."""
        self._cancelled_count += 1
        if self._cancelled_count >= CANCELLED_MIN and self._cancelled_count * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled_count = 0

    def push(self, when: float, callback: Callable[[], None]) -> _Timer:
        timer = _Timer(callback, self)
        heapq.heappush(self._heap, (when, next(self._count), timer))
        return timer

    def next_due(self) -> float | None:
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
            self._cancelled_count -= 1
        return self._heap[0][0] if self._heap else None

    def fire(self, now: float) -> None:
        due: list[_Timer] = []
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.callback is None:
                self._cancelled_count -= 1
            else:
                due.append(timer)
        for timer in due:
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()


def wall_now() -> float:
    """Seconds since the epoch, for code that has no clock of its own."""
    return time.time()


class SystemClock:
    """The wall clock, with timers on an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timers = _TimerHeap()
        self._armed: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")

    def now(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        timer = self._timers.push(when, callback)
        if when < self._armed_for:
            self._arm()
        return timer

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
            self._armed = None
        due = self._timers.next_due()
        if due is None:
            self._armed_for = float("inf")
            return
        self._armed_for = due
        wait = min(max(due - time.time(), 0.0), RECHECK_SECONDS_MAX)
        self._armed = self._loop.call_later(wait, self._fire)

    def _fire(self) -> None:
        self._armed = None
        self._armed_for = float("inf")
        self._timers.fire(time.time())
        self._arm()


class VirtualClock:
    """A clock that stands still until it is advanced; for tests."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._timers = _TimerHeap()

    def now(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> TimerHandle:
        return self._timers.push(when, callback)

    def next_due(self) -> float | None:
        """When the earliest timer is due, or None."""
        return self._timers.next_due()

    def advance_to(self, when: float) -> None:
        """Move to `when`, never back, and fire what is due."""
        self._now = max(self._now, when)
        self._timers.fire(self._now)


def to_datetime(epoch: float) -> datetime:
    """An aware UTC datetime."""
    return datetime.fromtimestamp(epoch, UTC)


def to_epoch(moment: datetime) -> float:
    """Seconds since the epoch of an aware datetime; a naive one is refused (ValueError)."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone: dotdo takes aware datetimes only, as datetime.now(UTC)")
    return moment.timestamp()
