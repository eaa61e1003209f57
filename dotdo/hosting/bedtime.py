"""Putting idle entities to sleep, some at a time.

Thousands may become idle in one tick, or all of them when the host stops. Each may have to open its file once more, and a
host has only so many descriptors, so the others wait until one of those before them has ended.

Who only waits (every execution parked, for the outside or for long) says how little it is needed in memory: of those a
host keeps the latest, and the others sleep at once and not after `idle_timeout`. So a burst of ten thousand executions
that begin with a long sleep never stands in memory as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dotdo.entity.activation import Activation, State

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

FALLING_ASLEEP_MAX = 250
RESTING_MAX = 250
"""So many entities whose executions are parked stay until their `idle_timeout`."""


class Bedtime:
    """Who of a host's entities is to sleep."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: deque[Activation] = deque()
        self._falling_asleep: set[Activation] = set()
        self._resting: dict[Activation, None] = {}
        self._is_going_on = False

    def rests(self, activation: Activation) -> None:
        """An execution of it has been parked for long: it may be that it only waits."""
        self._resting.pop(activation, None)
        self._resting[activation] = None
        if len(self._resting) > RESTING_MAX:
            longest = next(iter(self._resting))
            del self._resting[longest]
            self.put([longest])

    def put(self, activations: Iterable[Activation]) -> None:
        """Let them hibernate when it is their turn, those that are idle then."""
        self._waiting.extend(activations)
        self._go_on()

    def _put_soon(self, activation: Activation) -> None:
        self._host.loop.call_soon(self.put, [activation])

    def begins(self, activation: Activation) -> None:
        """It hibernates now."""
        self._falling_asleep.add(activation)

    def ended(self, activation: Activation) -> None:
        """It is over."""
        self._resting.pop(activation, None)
        self._falling_asleep.discard(activation)
        self._go_on()

    def clear(self) -> None:
        """The host is dead."""
        self._waiting.clear()
        self._resting.clear()

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
        elif activation.committing and activation.state is State.ACTIVE:  # its file is being closed, or is written: in a moment
            activation.exclusively(lambda: lambda: self._put_soon(activation))
        elif self._host.is_stopping and activation.state not in (State.CLOSING, State.ENDED):
            activation.leave()
        else:
            self._host.touched(activation)
