"""The territory of a dedicated host: one entity, and the owner of its shard.

The owner keeps the shard's lock and index; what is taken here is a lock of the entity's own, whose note says which host
holds it, so that a new owner finds us. Before the entity's file is closed the owner is asked to make its row safe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dotdo.errors import DataFolderInUse, DotdoError, Overloaded, StorageError
from dotdo.hosting import permits
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.locks import KernelLock
from dotdo.hosting.shards import shard_of
from dotdo.names import split_key
from dotdo.storage import paths
from dotdo.storage.disk import REAL

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

RETRY_SECONDS = 0.5


def lock_of(shard_folder: Path, key: str) -> KernelLock:
    """The lock of one entity; its file exists while a dedicated host holds it, or died holding it."""
    path = paths.entity_path(shard_folder, *split_key(key))
    return KernelLock(path.parent / f"{path.name.removesuffix(paths.SUFFIX)}.lock")


def holder_of(lock: KernelLock) -> str | None:
    """The name of the dedicated host that holds the lock now."""
    return None if lock.is_free() else lock.note().partition("\n")[0] or None


class SingleEntity:
    """One entity, owned from `take` to `give_back`."""

    def __init__(self, folder: DataFolder, name: str, owner: str, key: str, epoch: int, permits_max: int) -> None:
        self.key = key
        self._folder = folder
        self._name = name
        self._owner = owner
        self._epoch = epoch
        self._permits_max = permits_max
        self._shard_folder = folder.shard_folder(shard_of(key, folder.shards))
        self._lock = lock_of(self._shard_folder, key)
        self._permit: KernelLock | None = None
        self._host: Host | None = None
        self._writing: set[asyncio.Task[None]] = set()

    def joins(self, host: Host) -> None:
        """The host whose territory this is."""
        self._host = host

    async def take(self) -> None:
        """Take the entity's lock, and a permit. Raises DataFolderInUse, Overloaded."""
        await asyncio.get_running_loop().run_in_executor(None, self._take)

    def _take(self) -> None:
        REAL.make_folder(self._lock.path.parent)
        note = f"{self._name}\n{os.getpid()}\n{self.key}\n"
        if not self._lock.take(note):
            raise DataFolderInUse(f"{self.key} is held by dedicated host {self._lock.note().partition(chr(10))[0]}")
        self._permit = permits.take(self._folder.hosts, self._permits_max, note)
        if self._permit is None:
            self.drop()
            raise Overloaded(f"{self.key} needs a host of its own, and {self._permits_max} of them (max_dedicated) are there already")

    def stop(self) -> None:
        """There are no timers of sleepers here."""

    async def give_back(self) -> None:
        """Let go of the entity."""
        for task in self._writing:
            task.cancel()
        self.drop()

    def drop(self) -> None:
        """Let the locks go."""
        if self._permit is not None:
            self._permit.give_back()
        self._lock.give_back(remove=True)

    def has(self, key: str) -> bool:
        """True of the one entity."""
        return key == self.key

    def place(self, key: str) -> tuple[Path, int]:
        """The folder of its shard, and the epoch its owner held when it started us. Raises StorageError."""
        if key != self.key or not self._lock.is_held:
            raise StorageError(f"{key} does not belong to host {self._name}, which holds {self.key}")
        return self._shard_folder, self._epoch

    def put(self, key: str, noun: str, due: float | None, size: int, done: Callable[[], None]) -> None:
        """Have the owner write the row, however often it must be asked."""
        task = asyncio.get_running_loop().create_task(self._put(key, noun, due, size, done))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _put(self, key: str, noun: str, due: float | None, size: int, done: Callable[[], None]) -> None:
        host = self._host
        assert host is not None
        waiting = [call.call_id for calls in host.listeners_of(key).values() for call in calls]
        while True:
            try:
                await host.ask(self._owner, "sleeper", key, noun, due, size, waiting)
            except DotdoError:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                done()
                return

    def delete_left(self, key: str) -> None:
        """Have the owner finish the deletion; asked again at the next waking, if it is not there."""
        assert self._host is not None
        self._host.spawn(self._delete_left(key))

    async def _delete_left(self, key: str) -> None:
        assert self._host is not None
        with contextlib.suppress(DotdoError):
            await self._host.ask(self._owner, "delete_left", key)

    async def keep_asleep(self, key: str, reason: str) -> None:
        """The owner does that."""
        raise StorageError(f"{key} is quarantined by its owner, not by {self._name}")
