"""Activations whose class was replaced: they end, and what comes next for their entity runs on the new code.

An idle one goes to sleep at once. A busy one may finish what it does within a grace period; after that
it ends between two turns. Nothing is lost by that: its calls go to the next activation, which answers, re-attaches or
runs them, and executions are replayed, as after a crash.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dotdo.entity.activation import Activation, State

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

GRACE_SECONDS = 2.0
LOOK_SECONDS = 0.02


class Renewal:
    """Ends outdated activations of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._ending: set[Activation] = set()

    def replaced(self, noun: str) -> None:
        """The noun has another class from now on; may be called on any thread."""
        self._host.call_threadsafe(self._renew, noun)

    def _renew(self, noun: str) -> None:
        for activation in list(self._host.activations.values()):
            if activation.spec.noun == noun and activation not in self._ending:
                self._ending.add(activation)
                self._host.spawn(self._end(activation))

    async def settled(self) -> None:
        """Wait until the idle ones have ended, and those that became idle meanwhile."""
        await asyncio.sleep(0)
        while any(activation.is_idle or activation.state is State.CLOSING for activation in self._ending):
            await asyncio.sleep(LOOK_SECONDS)

    async def _end(self, activation: Activation) -> None:
        loop = self._host.loop
        until = loop.time() + GRACE_SECONDS
        try:
            while activation.state is not State.ENDED:
                if activation.is_idle:
                    self._host.hibernate(activation)
                elif loop.time() > until and activation.hand_over():
                    return
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._ending.discard(activation)
