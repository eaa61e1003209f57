"""Shards: fixed slices of the key space, each a folder owned by one host at a time.

Ownership is a lock that the kernel gives to one open file and takes back when its holder dies, however it dies; a stopped
process keeps it. Taking the lock bumps the shard's epoch, safely, and every entity file written under it carries that
number: whoever held an older one can never write beside its successor.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import weakref
from pathlib import Path

from dotdo.errors import DataFolderInUse, IdError
from dotdo.storage import paths

_LOCK = struct.Struct("hhqqi4x")
_open_locks: weakref.WeakSet[Shard] = weakref.WeakSet()


def shard_of(key: str, count: int) -> int:
    """The shard a key belongs to; the same on every machine, for ever."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest(), "big") % count


class Shard:
    """One shard, owned from `acquire` to `release`."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.epoch = 0
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock and bump the epoch. Raises DataFolderInUse naming the holder. Blocks for a sync."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(descriptor, _F_OFD_SETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except OSError:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip("\0\n ")
            os.close(descriptor)
            raise DataFolderInUse(
                f"shard {self.folder} is owned by process {holder or '(unknown)'}: stop it, or join its runtime"
            ) from None
        self._descriptor = descriptor
        _open_locks.add(self)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self.epoch = self._bump()

    def is_free(self) -> bool:
        """True if nobody owns the shard now."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            answer = fcntl.fcntl(descriptor, _F_OFD_GETLK, _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            return bool(_LOCK.unpack(answer)[0] == fcntl.F_UNLCK)
        finally:
            os.close(descriptor)

    def _bump(self) -> int:
        file = self.folder / "epoch"
        try:
            epoch = int(file.read_text()) + 1
        except FileNotFoundError:
            epoch = 1
        draft = self.folder / "epoch.new"
        with draft.open("w") as out:
            out.write(f"{epoch}\n")
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return epoch

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _open_locks.discard(self)

    def active_files(self) -> list[tuple[str, str]]:
        """Noun and id of every entity that left a -wal: it was active when its host died."""
        found: list[tuple[str, str]] = []
        for folder, _folders, files in os.walk(self.folder):
            for name in files:
                if not name.endswith(f"{paths.SUFFIX}-wal") or folder == str(self.folder):
                    continue
                relative = os.path.relpath(os.path.join(folder, name), self.folder)
                noun_folder, _, rest = relative.partition("/")
                try:
                    found.append((paths.noun_of_folder(noun_folder), paths.id_of(rest[: -len(paths.SUFFIX) - 4])))
                except IdError:
                    continue
        return sorted(found)


_F_OFD_GETLK = getattr(fcntl, "F_OFD_GETLK", 36)
_F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)


def _close_in_child() -> None:
    """A forked child must not keep the lock alive after its parent's death."""
    for shard in list(_open_locks):
        if shard._descriptor >= 0:
            os.close(shard._descriptor)
            shard._descriptor = -1


os.register_at_fork(after_in_child=_close_in_child)
