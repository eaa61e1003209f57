"""How many dedicated hosts there may be: as many as there are permits, over all hosts of a runtime.

A permit is a kernel lock on one of so many files. Nobody has to count, and a process that dies gives its permit back.
"""

from __future__ import annotations

import os
from pathlib import Path

from dotdo.config import Settings
from dotdo.hosting.locks import KernelLock

PER_CORE = 4


def most(settings: Settings) -> int:
    """How many dedicated hosts a runtime may have."""
    return settings.max_dedicated if settings.max_dedicated is not None else PER_CORE * (os.cpu_count() or 1)


def take(folder: Path, count: int, note: str) -> KernelLock | None:
    """A permit, until it is given back or this process dies; None if all are taken."""
    for number in range(count):
        lock = KernelLock(folder / f"permit.{number}")
        if lock.take(note):
            return lock
    return None
