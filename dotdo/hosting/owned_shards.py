"""The territory of a host that owns shards: their locks, their indexes, and who of their entities must be woken.

What the owner before left behind is found here: entities with a -wal were active, the index knows when the others are due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from dotdo.clock import Clock
from dotdo.errors import StorageError
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.shard_index import ShardIndex
from dotdo.hosting.shards import Shard, shard_of
from dotdo.hosting.wakes import Wakes
from dotdo.names import key_of


class OwnedShards:
    """Some shards of a data folder, owned from `take` to `give_back`."""

    def __init__(
        self,
        folder: DataFolder,
        numbers: list[int],
        *,
        clock: Clock,
        workers: Executor,
        wake: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._folder = folder
        self._numbers = numbers
        self._clock = clock
        self._workers = workers
        self._wake = wake
        self._shards: dict[int, Shard] = {}
        self._indexes: dict[int, ShardIndex] = {}
        self.wakes = Wakes(clock, self._read_sleepers, spawn, wake)

    @property
    def numbers(self) -> list[int]:
        """The shards owned now."""
        return sorted(self._shards)

    def epochs(self) -> dict[int, int]:
        """The epoch of each shard owned now."""
        return {number: shard.epoch for number, shard in self._shards.items()}

    async def take(self) -> None:
        """Own the shards and open their indexes; all of them or none. Raises DataFolderInUse, StorageError."""
        loop = asyncio.get_running_loop()
        try:
            for number in self._numbers:
                shard = Shard(self._folder.shard_folder(number), number)
                await loop.run_in_executor(self._workers, shard.acquire)
                self._shards[number] = shard
            for number, shard in self._shards.items():
                index = ShardIndex(shard.folder / "index.sqlite")
                await index.open()
                self._indexes[number] = index
        except BaseException:
            await self.give_back()
            raise

    async def give_back(self) -> None:
        """Close the indexes and let the locks go."""
        self.stop()
        for index in self._indexes.values():
            await index.close()
        self.drop()

    def drop(self) -> None:
        """Let the locks go."""
        for shard in self._shards.values():
            shard.release()
        self._shards.clear()

    async def close_indexes(self) -> None:
        """After a `drop`: end the index connections of this process."""
        for index in self._indexes.values():
            await index.close()

    def stop(self) -> None:
        """Wake nobody any more."""
        self.wakes.stop()

    # -- one entity ---------------------------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """True if the entity's shard is one of these."""
        return shard_of(key, self._folder.shards) in self._shards

    def place(self, key: str) -> tuple[Path, int]:
        """The shard's folder and epoch. Raises StorageError."""
        shard = self._shards.get(shard_of(key, self._folder.shards))
        if shard is None:
            raise StorageError(f"{key} does not belong to this host: its shard is not owned here (any more)")
        return shard.folder, shard.epoch

    def index_of(self, key: str) -> ShardIndex:
        """The index with the entity's row. Raises StorageError."""
        index = self._indexes.get(shard_of(key, self._folder.shards))
        if index is None:
            raise StorageError(f"{key} does not belong to this host: its shard is not owned here")
        return index

    def put(self, key: str, noun: str, due: float | None, size: int, done: Callable[[], None]) -> None:
        """Write a sleeper's row, and wake it when it is due."""

        def is_written() -> None:
            if due is not None:
                self.wakes.slept(key, due)
            done()

        self.index_of(key).put(key, noun, due, size, self._clock.now(), is_written)

    def delete_left(self, key: str) -> None:
        """The host does that itself."""
        raise AssertionError(key)

    async def keep_asleep(self, key: str, reason: str) -> None:
        """Remember that the entity is quarantined."""
        await self.index_of(key).quarantine(key, self._clock.now(), reason)

    # -- all of them --------------------------------------------------------------------------------------------

    async def quarantined(self) -> dict[str, str]:
        """Quarantined keys and why."""
        found: dict[str, str] = {}
        for index in self._indexes.values():
            found.update(await index.quarantined())
        return found

    async def sleepers(self, noun: str | None, limit: int) -> list[tuple[str, int]]:
        """Keys and sizes of entities that have slept, the first of each shard."""
        return [entry for index in self._indexes.values() for entry in await index.entities(noun, limit)]

    async def wake_all(self) -> None:
        """Wake who was active when the owner before died, and know those that are due next."""
        loop = asyncio.get_running_loop()
        for shard in self._shards.values():
            for noun, entity_id in await loop.run_in_executor(self._workers, shard.active_files):
                self._wake(key_of(noun, entity_id))
        await self.wakes.read_on()

    async def _read_sleepers(self, after: tuple[float, str], limit: int) -> list[list[tuple[float, str]]]:
        return [await index.sleepers(after, limit) for index in self._indexes.values()]
