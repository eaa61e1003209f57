"""How far a call is at rest: what its tasks and its operations wait for.

Three questions about a call that does nothing just now. May its coroutines be dropped, because all they wait for is on
record (`is_parked`)? Can nothing happen to it before a timer fires or another entity answers (`is_at_rest`)? Does it wait
for something the runtime knows nothing of (`waits_outside`)? A task that waits for tasks it started rests if they do. A timer of the loop, as `asyncio.timeout` has, is on no record: while one
runs, the call stays in memory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dotdo.entity.task import EntityTask

if TYPE_CHECKING:
    from dotdo.durable.operation import Operation
    from dotdo.durable.replay import Replay


TIMERS_BETWEEN_LOOKS = 256
"""After so many timers it is looked which of them were cancelled."""


class Rest:
    """What a `Run` answers about its waiting."""

    is_over: bool
    is_journaled: bool
    trying: int
    timed_tries: int
    replay: Replay | None
    tasks: set[EntityTask]
    operations: dict[str, Operation]
    _timers: set[asyncio.TimerHandle] | None = None
    """Timers its tasks started on the loop, which no row would remember; some are cancelled."""

    def timer_began(self, timer: asyncio.TimerHandle) -> None:
        """A task of this run started a timer on the loop."""
        if self._timers is None:
            self._timers = set()
        self._timers.add(timer)
        if len(self._timers) % TIMERS_BETWEEN_LOOKS == 0:
            self._timers = _running(self._timers)

    def timer_ended(self, timer: asyncio.TimerHandle) -> None:
        """It fires now."""
        if self._timers is not None:
            self._timers.discard(timer)

    @property
    def has_timers(self) -> bool:
        """True while a timer runs that exists in memory only: `asyncio.timeout` around a durable wait, for one."""
        if self._timers:
            self._timers = _running(self._timers)
        return bool(self._timers)

    @property
    def has_body(self) -> bool:
        """True while the body of a step runs."""
        return any(o.is_represented and not o.withdrawn for o in self.operations.values())

    @property
    def is_parked(self) -> bool:
        """True when every task waits, directly or through tasks it started, for something durable."""
        if self.is_over or not self.operations or not self.is_journaled or self.timed_tries or self.has_timers:
            return False
        if self.replay is not None and (self.replay.is_going_on or self.replay.is_delivering):
            return False
        if not all(o.is_parked or o.is_represented for o in self.operations.values()):
            return False
        parked = {operation.future for operation in self.operations.values()}
        for task in self.tasks:
            waits_for = task.waits_for
            if waits_for is not None and waits_for.done():
                return False  # it goes on in a moment
            if waits_for in parked or isinstance(waits_for, EntityTask):
                continue
            if waits_for is None or len(self.tasks) == 1:
                return False
            prefix = f"{task.branch.path}."
            if not any(other.branch.path.startswith(prefix) for other in self.tasks if other is not task):
                return False
        return True

    @property
    def is_at_rest(self) -> bool:
        """True when every task waits for something durable or for another entity (whose own rest is looked at there)."""
        replay = self.replay
        if replay is not None and replay.is_going_on:
            return replay.is_stuck
        if (replay is not None and replay.is_delivering) or (not self.operations and not self.trying):
            return False
        return all(o.is_parked or o.is_represented or o.is_remote for o in self.operations.values()) and all(
            task.waits_for is not None for task in self.tasks
        )

    @property
    def waits_outside(self) -> bool:
        """True when a task waits for something the runtime knows nothing of: a socket, a thread, an event in memory."""
        known = {operation.future for operation in self.operations.values()}
        paths = [task.branch.path for task in self.tasks]
        for task in self.tasks:
            waits_for = task.waits_for
            if waits_for is None or waits_for in known or isinstance(waits_for, EntityTask):
                continue
            prefix = f"{task.branch.path}."
            if not any(path.startswith(prefix) for path in paths):
                return True
        return False

    @property
    def until(self) -> float | None:
        """When the earliest parked operation is due."""
        times = [operation.until for operation in self.operations.values() if operation.until is not None]
        return min(times) if times else None

    @property
    def waiting_for(self) -> str:
        return ", ".join(sorted(operation.waiting_for for operation in self.operations.values()))

    def keep_deadlines(self) -> None:
        """It is about to be dropped to its row: what else would forget when it is due adds that to the commit."""
        for operation in self.operations.values():
            operation.keep_deadline()


def _running(timers: set[asyncio.TimerHandle]) -> set[asyncio.TimerHandle]:
    return {timer for timer in timers if not timer.cancelled()}
