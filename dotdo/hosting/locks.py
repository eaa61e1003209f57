"""Locks that the kernel keeps: given to one open file, taken back when its holder dies, however it dies.

A stopped process keeps its lock; that is the point of it. They are OFD locks, not POSIX ones, because those belong to the
process and vanish with the first close of the file by anybody in it. A forked child shares the open file and would keep
the lock alive after its parent's death, so it closes the descriptor at once.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import weakref
from pathlib import Path

_FLOCK = struct.Struct("hhqqi4x")
_GETLK = getattr(fcntl, "F_OFD_GETLK", 36)
_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)
_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES)
NOTE_BYTES_MAX = 2048

_held: weakref.WeakSet[KernelLock] = weakref.WeakSet()


class KernelLock:
    """A lock on a file that exists for it alone; its text says who holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    @property
    def is_held(self) -> bool:
        """True while this object holds the lock."""
        return self._descriptor >= 0

    def take(self, note: str) -> bool:
        """Take the lock and leave a note in the file; False if somebody else holds it."""
        assert not self.is_held, self.path
        descriptor = self._open()
        try:
            fcntl.fcntl(descriptor, _SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            os.close(descriptor)
            if error.errno in _HELD_BY_ANOTHER:
                return False
            raise
        if not self._is_in_place(descriptor):  # its holder before us removed the file as it left
            os.close(descriptor)
            return self.take(note)
        self._descriptor = descriptor
        _held.add(self)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, note.encode(), 0)
        return True

    def is_free(self) -> bool:
        """True if nobody holds the lock now."""
        if not self.path.exists():
            return True
        descriptor = self._open()
        try:
            answer = fcntl.fcntl(descriptor, _GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            return bool(_FLOCK.unpack(answer)[0] == fcntl.F_UNLCK)
        finally:
            os.close(descriptor)

    def note(self) -> str:
        """What the last holder wrote."""
        try:
            with self.path.open("rb") as file:
                return file.read(NOTE_BYTES_MAX).decode(errors="replace")
        except FileNotFoundError:
            return ""

    def give_back(self, *, remove: bool = False) -> None:
        """Let go; `remove` takes the file away first."""
        if remove and self.is_held:
            self.path.unlink(missing_ok=True)
        self._close()

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _is_in_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _held.discard(self)


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock._close()


os.register_at_fork(after_in_child=_let_go_in_child)
