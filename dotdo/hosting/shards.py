"""Shards: fixed slices of the key space, each a folder owned by one host at a time.

Ownership is a kernel lock. Taking it bumps the shard's epoch, safely, and every entity file written under it carries that
number: whoever held an older one can never write beside its successor.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dotdo.errors import DataFolderInUse, DataFolderMissing, StorageError
from dotdo.hosting.locks import KernelLock
from dotdo.storage import paths
from dotdo.storage.disk import REAL


def shard_of(key: str, count: int) -> int:
    """The shard a key belongs to; the same on every machine, for ever."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % count


class Shard:
    """One shard, owned from `acquire` to `release`."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.epoch = 0
        self._lock = KernelLock(folder / "lock")

    def acquire(self) -> None:
        """Take the lock and bump the epoch. Blocks for a sync. Raises DataFolderInUse naming the holder."""
        if not self._lock.take(f"{os.getpid()}\n"):
            raise DataFolderInUse(f"shard {self.folder} is owned by process {self.holder() or '(unknown)'}: stop it, or join its runtime")
        try:
            self.epoch = self._bump()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the shard back."""
        self._lock.give_back()

    def is_free(self) -> bool:
        """True if nobody owns the shard now."""
        return self._lock.is_free()

    def holder(self) -> int | None:
        """The process that owned the shard last."""
        try:
            return int(self._lock.note())
        except ValueError:
            return None

    def active_files(self) -> list[tuple[str, str]]:
        """Noun and id of every entity that left a -wal: it was active when its host died. Raises IdError."""
        return list(paths.active_entities(self.folder))

    def _bump(self) -> int:
        file = self.folder / "epoch"
        if file.exists():
            try:
                epoch = int(file.read_text()) + 1
            except ValueError as error:
                raise StorageError(f"{file} does not hold a number: {error}") from error
        elif any(entry.is_dir() for entry in os.scandir(self.folder)):
            raise DataFolderMissing(f"{file} is missing, and entities are there: restore it; it is never made anew")
        else:
            epoch = 1
        draft = self.folder / "epoch.new"
        with draft.open("w") as out:
            out.write(f"{epoch}\n")
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
        REAL.sync_folder(self.folder)
        return epoch
