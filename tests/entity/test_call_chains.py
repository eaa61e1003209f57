"""Calls between entities of one host run within one another: however long the chain, the stack stays short."""

from __future__ import annotations

import asyncio

import pytest

from dotdo import DO


class Link(DO, noun="ChainLink"):
    seen: int = 0

    async def walk(self, left: int) -> int:
        if left == 0:
            return 0
        number = int(self.id.removeprefix("n"))
        return 1 + await Link(f"n{number + 1}").walk(left - 1)

    async def note(self) -> int:
        self.seen += 1
        return self.seen

    async def ask(self, other: str, times: int) -> int:
        return sum([await Link(other).ping() for _ in range(times)])

    async def ping(self) -> int:
        return 1


@pytest.mark.feature(46)
async def test_a_chain_of_a_thousand_entities(rt):
    assert await Link("n0").walk(1000) == 1000
    assert await Link("n0").walk(1000) == 1000  # now all of them are awake


async def test_an_entity_that_asks_without_end_lets_others_in(rt):
    """Answers that are there at once must not keep the loop to one task."""
    await asyncio.gather(Link("b").ping(), Link("c").ping())
    asking = asyncio.create_task(Link("a").ask("b", 3000))
    await asyncio.sleep(0)
    others = 0
    while not asking.done():
        others += await Link("c").ping()
    assert await asking == 3000
    assert others > 10
