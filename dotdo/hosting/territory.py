"""What a host may open: the shards it owns, or the one entity it was started for.

The rest of the host does not know which. A territory is taken before anything else happens and given back last; it says
where an entity's file lies and which epoch it carries, and it makes a sleeper's row safe before the file is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol


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
