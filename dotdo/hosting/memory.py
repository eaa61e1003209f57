"""Giving memory back: after many entities have fallen asleep, what they used is free, but the process still holds it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
from collections.abc import Callable
from concurrent.futures import Executor

ENDED_MIN = 50
"""So many activations must have ended before it is worth while."""

QUIET_SECONDS = 1.0


def _trim() -> Callable[[int], int] | None:
    """The C library's own way to give free memory back; None where it has none."""
    with contextlib.suppress(OSError, AttributeError):
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    return None


class Memory:
    """Counts what has ended and gives memory back when it has become quiet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, workers: Executor) -> None:
        self._loop = loop
        self._workers = workers
        self._trim = _trim()
        self._ended = 0
        self._timer: asyncio.TimerHandle | None = None

    def give_back_soon(self) -> None:
        """An activation has ended."""
        self._ended += 1
        if self._ended >= ENDED_MIN and self._trim is not None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(QUIET_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._timer = None
        self._ended = 0
        assert self._trim is not None
        with contextlib.suppress(RuntimeError):  # the host is stopping
            self._workers.submit(self._trim, 0)
