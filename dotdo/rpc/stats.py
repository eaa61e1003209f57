"""Counters of this process's channels, so that round trips can be asserted rather than believed."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(slots=True)
class Stats:
    """What this process sent and received as a client of hosts, since it started or since `reset`."""

    frames_sent: int = 0
    frames_received: int = 0
    calls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


COUNTERS = Stats()


def snapshot() -> Stats:
    """A copy of the counters."""
    return replace(COUNTERS)


def reset() -> None:
    """Set every counter to zero."""
    COUNTERS.frames_sent = COUNTERS.frames_received = COUNTERS.calls = 0
    COUNTERS.bytes_sent = COUNTERS.bytes_received = 0
