"""A host that stops while entities wait for each other."""

from __future__ import annotations

import asyncio

import dotdo
from dotdo import DO


class StoppedTold(DO):
    n: int = 0

    async def ping(self) -> int:
        self.n += 1
        return self.n

    async def hold(self) -> None:
        await self.block_concurrency_while(self._hold)

    async def _hold(self) -> None:
        await asyncio.get_running_loop().create_future()


class StoppedTeller(DO):
    n: int = 0

    async def tell(self, other: str) -> int:
        self.n += 1
        StoppedTold(other).ping()
        return self.n


async def test_who_becomes_idle_because_another_is_left_is_seen_to_as_well(rt):
    """The message waits at a shut gate; as the receiver is left it comes back, and its sender has nothing to do any more."""
    dotdo.tell(StoppedTold("told").hold())
    await asyncio.sleep(0.01)
    await StoppedTeller("teller").tell("told")
    await asyncio.sleep(0.01)
    assert [activation.is_idle for activation in rt.host.activations.values()] == [False, False]
    await asyncio.wait_for(rt.restart(), 20)
    assert await StoppedTeller("teller").n == 1
