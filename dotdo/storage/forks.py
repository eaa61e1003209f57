"""No open file of an entity is left in a forked child.

A child inherits descriptors and SQLite's belief that it holds the lock, but not the lock itself. If it closed the
connection (a collected object is enough) SQLite would checkpoint and unlink the -wal under its parent. So in the child
the connection is kept alive for good, and its descriptors are pointed at /dev/null: what is written there is lost, as it
should be, and their numbers are not given to another file.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol


class Opened(Protocol):
    """A file that is open in this process."""

    def abandon(self) -> tuple[object | None, list[str]]:
        """In a forked child: be broken; what must never be collected, and the paths that may be open."""


_opened: weakref.WeakSet[Opened] = weakref.WeakSet()


def watch(file: Opened) -> None:
    """The file is open from now on."""
    _opened.add(file)


def unwatch(file: Opened) -> None:
    """The file is closed."""
    _opened.discard(file)


def _close_in_child() -> None:
    inodes: set[tuple[int, int]] = set()
    for file in list(_opened):
        connection, paths = file.abandon()
        if connection is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        for path in paths:
            try:
                status = os.stat(path)
            except OSError:
                continue
            inodes.add((status.st_dev, status.st_ino))
    _opened.clear()
    if not inodes:
        return
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for name in os.listdir("/dev/fd"):
        descriptor = int(name)
        try:
            status = os.fstat(descriptor)
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in inodes:
            os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


os.register_at_fork(after_in_child=_close_in_child)
