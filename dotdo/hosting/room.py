"""Room in a host: how many entities are live (`max_active`), and how many of their files are open (`max_open`).

Whoever comes is let in at once, and who was used least lately makes room for it right after: idle entities go to sleep,
open files are closed while their entities stay. Some more than must go do so, lest it be done again for each that comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotdo.entity.activation import Activation
from dotdo.hosting.bedtime import Bedtime

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

SPARE_PART = 20
"""A twentieth of what there may be is made free at once."""


class Room:
    """What a host has room for."""

    def __init__(self, host: Host, bedtime: Bedtime) -> None:
        self._host = host
        self._bedtime = bedtime
        self._open_files: set[Activation] = set()
        self._is_evicting = False
        self._is_closing = False

    def entered(self) -> None:
        """An entity has become live."""
        if len(self._host.activations) > self._host.settings.max_active and not self._is_evicting:
            self._is_evicting = True
            self._host.loop.call_soon(self._evict)

    def opened(self, activation: Activation) -> None:
        """It holds its file open from now on."""
        self._open_files.add(activation)
        if len(self._open_files) > self._host.settings.max_open and not self._is_closing:
            self._is_closing = True
            self._host.loop.call_soon(self._close_files)

    def left(self, activation: Activation) -> None:
        """It is over, and its file is closed."""
        self._open_files.discard(activation)

    def _evict(self) -> None:
        self._is_evicting = False
        most = self._host.settings.max_active
        over = len(self._host.activations) - most
        if over > 0:
            idle = sorted((a for a in self._host.activations.values() if a.is_idle), key=lambda a: a.used_at)
            self._bedtime.put(idle[: over + most // SPARE_PART])

    def _close_files(self) -> None:
        self._is_closing = False
        most = self._host.settings.max_open
        over = len(self._open_files) - most
        if over <= 0:
            return
        wanted = over + most // SPARE_PART
        for activation in sorted(self._open_files, key=lambda a: a.used_at):
            if not activation.file.is_open or activation.close_file():
                self._open_files.discard(activation)
                wanted -= 1
            if wanted <= 0:
                return
