"""A connection that breaks while a chain waits: its base is sent again with it, and runs once."""

import asyncio

from dotdo import DO


class ChainEnd(DO):
    async def give(self) -> str:
        return await self.wait_for("word")


class ChainStart(DO):
    calls: int = 0

    async def next(self) -> ChainEnd:
        self.calls += 1
        return ChainEnd("end")


async def test_a_chain_whose_base_is_answered_outlives_its_connection(rt):
    base = ChainStart("start").next()
    chain = asyncio.ensure_future(base.give())
    assert await base == ChainEnd("end")
    for _ in range(2):
        await asyncio.sleep(0.05)
        for session in list(rt.host.sessions):
            session.close()
    runs = []
    while not runs:
        runs = [run async for run in _runs_of_the_end()]
        await asyncio.sleep(0.01)
    await runs[0].signal("word", "done")
    assert await asyncio.wait_for(chain, 10) == "done"
    assert await ChainStart("start").calls == 1


async def _runs_of_the_end():
    import dotdo

    async for info in dotdo.executions(noun="ChainEnd"):
        yield dotdo.execution(info.id)
