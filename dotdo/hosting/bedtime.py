"""Putting idle entities to sleep, some at a time.

Thousands may become idle in one tick, or all of them when the host stops. Each may have to open its file once more, and a
host has only so many descriptors, so the others wait until one of those before them has ended.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dotdo.entity.activation import Activation, State

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

FALLING_ASLEEP_MAX = 64


class Bedtime:
    """Who of a host's entities is to sleep."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: deque[Activation] = deque()
        self._falling_asleep: set[Activation] = set()
        self._is_going_on = False

    def put(self, activations: Iterable[Activation]) -> None:
        """Let them hibernate when it is their turn, those that are idle then."""
        self._waiting.extend(activations)
        self._go_on()

    def begins(self, activation: Activation) -> None:
        """It hibernates now."""
        self._falling_asleep.add(activation)

    def ended(self, activation: Activation) -> None:
        """It is over."""
        self._falling_asleep.discard(activation)
        self._go_on()

    def clear(self) -> None:
        """The host is dead."""
        self._waiting.clear()

    def _go_on(self) -> None:
        if self._is_going_on:  # one that never had a file ends at once, and comes back here
            return
        self._is_going_on = True
        try:
            while self._waiting and len(self._falling_asleep) < FALLING_ASLEEP_MAX:
                self._see_to(self._waiting.popleft())
        finally:
            self._is_going_on = False

    def _see_to(self, activation: Activation) -> None:
        if activation.is_idle:
            self._host.hibernate(activation)
        elif self._host.is_stopping and activation.state not in (State.CLOSING, State.ENDED):
            activation.leave()
        else:
            self._host.touched(activation)
