"""The virtual clock while a call looks for its host again."""

from __future__ import annotations

import asyncio

import dotdo
from dotdo import DO


class CrashedSleeper(DO):
    async def nap(self) -> str:
        await self.sleep("7d")
        return "slept"

    async def look(self) -> str:
        return "awake"


async def test_time_stands_while_a_call_that_a_crash_interrupted_is_on_its_way_again(virtual):
    run = await dotdo.start(CrashedSleeper("r").nap)
    await virtual.settle()
    before = virtual.now()
    call = asyncio.ensure_future(CrashedSleeper("s").look())
    await asyncio.sleep(0)
    await virtual.crash()  # the connection is lost, and made again after a moment of real time
    assert await call == "awake"
    assert virtual.now() == before
    assert await run.result() == "slept"
