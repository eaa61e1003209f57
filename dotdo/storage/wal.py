"""The -wal of an entity's file: how far it reaches, how much of it is safe, and how it is cut back.

A commit whose sync failed is still in the -wal and would be read back. So this remembers how long the -wal was at the
last commit (`mark`) and at the last commit that a good sync covered (`safe_bytes`), and `cut` goes back to either.
Lengths are SQLite's own count of frames, and can be trusted because only a commit adds frames (cache_spill is off) and
only a checkpoint or a close takes them away, all at once.

A -wal that grows is lengthened by zeros ahead of its frames. A sync of bytes that only overwrite costs half of one that
must make a new length safe as well, and zeros are no frames: recovery stops there, as it does at the end. See
`docs/decisions/0007-zeros-ahead-of-the-wal.md`.

The descriptor kept here may be opened and closed beside SQLite's own, because a -wal bears no locks.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Any

from dotdo.storage.disk import Disk
from dotdo.storage.template import PAGE_SIZE

WRITE_AHEAD_FROM_BYTES, WRITE_AHEAD_BYTES, WRITE_AHEAD_BYTES_MAX, _AHEAD_LOW_BYTES = 8 * 1024, 64 * 1024, 1024 * 1024, 16 * 1024
"""Zeros go ahead of a -wal that is this long already, so many at first and at most, and again when so few are left."""

_HEADER_BYTES, _FRAME_BYTES = 32, 24 + PAGE_SIZE


class Wal:
    """The -wal beside one entity's file. Commits tell it from one thread; `sync` may run on another, under `lock`."""

    __slots__ = ("_disk", "_end", "_folder", "_frames", "_is_named", "_left_bytes", "descriptor", "lock", "mark", "path", "safe_bytes")

    def __init__(self, file: Path, disk: Disk) -> None:
        self.path = f"{file}-wal"
        self.descriptor = -1
        self.mark = (0, 0)
        """The last commit, and how long the -wal was after it; one tuple, so that a sync on a thread reads both at once."""
        self.safe_bytes = 0
        self.lock = threading.Lock()
        """Held by a sync, so that the descriptor is not closed under it."""
        self._folder = file.parent
        self._disk = disk
        self._frames = 0
        self._end = 0
        """How long the -wal is on disk, frames and zeros."""
        self._left_bytes = -1
        """How long the -wal was, all of it safe, when it was left at a close; -1 if it was not."""
        self._is_named = False
        """True when the names of the file and its -wal are safe in their folder."""

    @property
    def length(self) -> int:
        """Bytes of the -wal that hold committed frames."""
        return self.mark[1]

    # -- commits ------------------------------------------------------------------------------------------------

    def frames_now(self, _connection: Any, _name: str, frames: int) -> int:
        """SQLite's hook: it has committed, and says how many frames the -wal holds."""
        self._frames = frames
        return 0

    def committed(self, number: int, *, ahead: bool) -> None:
        """Commit `number` is in the -wal; with `ahead`, zeros are kept before it. Raises OSError.

        On the thread that commits, because SQLite writes there too.
        """
        if self.descriptor < 0:
            self._open()
        length = _HEADER_BYTES + self._frames * _FRAME_BYTES if self._frames else 0
        self.mark = (number, length)
        if ahead and length > WRITE_AHEAD_FROM_BYTES and length > self._end - _AHEAD_LOW_BYTES:
            self._write_ahead(length)

    def _write_ahead(self, length: int) -> None:
        start = max(length, self._end)
        self._end = start + min(max(length, WRITE_AHEAD_BYTES), WRITE_AHEAD_BYTES_MAX)
        with contextlib.suppress(OSError):  # a full disk: the frames themselves may still fit
            self._disk.write_zeros(self.descriptor, start, self._end)

    # -- safety -------------------------------------------------------------------------------------------------

    def sync(self) -> int:
        """Make every commit so far safe; the number of the last one. Blocks, under `lock`. Raises OSError."""
        number, length = self.mark
        self._disk.sync_data(self.descriptor)
        self.make_named()
        self.safe_bytes = length
        return number

    def make_named(self) -> None:
        """Make the names of the file and its -wal safe, once per -wal. Raises OSError."""
        if not self._is_named:
            self._disk.sync_folder(self._folder)
            self._is_named = True

    def cut(self, keep: int) -> None:
        """Cut back to `keep` bytes, safely; the database is closed. Blocks. Raises OSError."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            if keep:
                raise
            return
        try:
            if os.lseek(descriptor, 0, os.SEEK_END) > keep:
                os.ftruncate(descriptor, keep)
                self._disk.sync_data(descriptor)
        finally:
            os.close(descriptor)

    # -- opening, emptying and leaving --------------------------------------------------------------------------

    def adopt(self, number: int, frames: int) -> None:
        """Make a -wal that was left behind safe, and cut the torn end that recovery did not take. Raises OSError."""
        length = _HEADER_BYTES + frames * _FRAME_BYTES if frames > 0 else 0
        if length:
            self._open()
            os.ftruncate(self.descriptor, length)
            if length != self._left_bytes:
                self._disk.sync_data(self.descriptor)
                self._disk.sync_folder(self._folder)
        self._left_bytes = -1
        self._is_named = length > 0
        self.safe_bytes = self._end = length
        self._frames = max(frames, 0)
        self.mark = (number, length)

    def emptied(self, number: int) -> None:
        """A checkpoint took everything up to commit `number` into the main file."""
        self.safe_bytes = self._frames = self._end = 0
        self.mark = (number, 0)

    def left(self) -> None:
        """The database is being closed and the -wal, all of it safe, stays."""
        self._left_bytes = self.length

    def removed(self, number: int) -> None:
        """The -wal was deleted with its file."""
        self.emptied(number)
        self._is_named = False

    def _open(self) -> None:
        if self.descriptor < 0:
            self.descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the descriptor, as long as the connection lived; under `lock`."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def abandon(self) -> None:
        """In a forked child: the descriptor is not ours, and the lock may be held by a thread that is not here."""
        self.descriptor = -1
        self.lock = threading.Lock()
