"""What a host may open: the shards it owns, or the one entity it was started for.

The rest of the host does not know which. A territory is taken before anything else happens and given back last; it says
where an entity's file lies and which epoch it carries, and it makes a sleeper's row safe before the file is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from dotdo.clock import Clock


class Territory(Protocol):
    """What one host owns."""

    async def take(self) -> None:
        """Own it. Raises DataFolderInUse, StorageError, and whatever else keeps it from being ours."""

    def stop(self) -> None:
        """Wake nobody any more."""

    async def give_back(self) -> None:
        """Own it no longer; every file is closed."""

    def drop(self) -> None:
        """Let the locks go as the kernel does for a dead process (tests of crashes)."""

    def has(self, key: str) -> bool:
        """True if calls to this entity are this host's."""

    def place(self, key: str) -> tuple[Path, int]:
        """The folder of the entity's shard, and the epoch. Raises StorageError if the entity is not ours."""

    def put(self, key: str, noun: str, due: float | None, size: int, done: Callable[[], None]) -> None:
        """Write a sleeper's row; `done` is called on the loop when it is safe."""

    def delete_left(self, key: str) -> None:
        """Have the owner of the shard finish the entity's deletion."""

    async def keep_asleep(self, key: str, reason: str) -> None:
        """Remember that the entity is quarantined."""


class Wakes:
    """The timers of sleepers that are due within the hour."""

    def __init__(self, clock: Clock, wake: Callable[[str], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._timers: dict[str, Any] = {}
        self._is_stopped = False

    def at(self, key: str, due: float) -> None:
        """Wake the entity then; a timer set before is forgotten."""
        self.forget(key)
        if self._is_stopped:
            return

        def wake() -> None:
            self._timers.pop(key, None)
            self._wake(key)

        self._timers[key] = self._clock.call_at(due, wake)

    def forget(self, key: str) -> None:
        """It is awake, or gone."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def stop(self) -> None:
        """Nobody is woken any more."""
        self._is_stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
