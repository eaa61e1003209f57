"""Busy polling: for a moment after a message the loop looks for the next one instead of going to sleep.

Waking a process that sleeps in the kernel costs tens of microseconds, twice per call, and more in a virtual machine:
that is most of a call's time. So whoever has just sent something polls for the answer, or the next request, before it
lets the kernel put it to sleep, as network stacks and hypervisors do. How long adapts: a message that came a little
after the polling had ended doubles the moment, one that came much later halves it. Between two looks the processor is
offered to whoever wants it. An idle process polls never, and a machine with one core not at all.
"""

from __future__ import annotations

import asyncio
import os
import time

POLL_SECONDS_MIN = 50e-6
POLL_SECONDS_MAX = 400e-6

_IS_USEFUL = len(os.sched_getaffinity(0)) > 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) > 1
_now = time.perf_counter


class BusyPolling:
    """Keeps one loop from sleeping for a moment after one connection's messages."""

    __slots__ = ("_is_polling", "_loop", "_moment", "_since")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._since = 0.0
        self._moment = POLL_SECONDS_MIN
        self._is_polling = False

    def sent(self) -> None:
        """Something was sent: poll for what comes back."""
        self._since = _now()
        if not self._is_polling and _IS_USEFUL:
            self._is_polling = True
            self._loop.call_soon(self._look)

    def received(self) -> None:
        """Something came: was the moment long enough?"""
        waited = _now() - self._since
        if waited > POLL_SECONDS_MAX:
            self._moment = max(self._moment / 2, POLL_SECONDS_MIN)
        elif waited > self._moment:
            self._moment = min(self._moment * 2, POLL_SECONDS_MAX)

    def _look(self) -> None:
        if _now() - self._since < self._moment:
            os.sched_yield()
            self._loop.call_soon(self._look)
        else:
            self._is_polling = False
