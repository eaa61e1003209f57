"""Ids of calls are made of ids that are unique: two entities that do the same at the same place are never taken for one."""

import asyncio
import gc

import pytest

import dotdo
from dotdo import DO, on, send


class IdTill(DO):
    total: int = 0

    async def pay(self, amount: int) -> int:
        self.total += amount
        await self.sleep("1s")
        return self.total

    async def peek(self) -> int:
        return self.total


class IdShop(DO):
    paid: int = 0

    async def buy(self) -> int:
        return await IdTill("t").pay(1)

    @on.IdDay.began
    async def began(self, event) -> None:
        self.paid = await IdTill("t").pay(1)


@pytest.mark.feature(148)
async def test_one_call_id_used_at_two_entities_stands_for_two_calls(virtual):
    shops = [IdShop(name) for name in "abc"]
    sums = await asyncio.gather(*(shop.with_options(call_id="req-1").buy() for shop in shops))
    assert await IdTill("t").total == 3
    assert sorted(await asyncio.gather(*(shop.with_options(call_id="req-1").buy() for shop in shops))) == sorted(sums)
    assert await IdTill("t").total == 3


@pytest.mark.parametrize("crashes", [0, 1])
async def test_handlers_of_three_entities_call_the_same_one_three_times(virtual, crashes):
    for name in "abc":
        await send("IdDay.began", {"id": name}).queued()
    for _ in range(crashes):
        await virtual.crash()
    await virtual.advance("1m")
    assert await IdTill("t").total == 3
    assert all([await IdShop(name).paid for name in "abc"])
    gc.collect()  # coroutines that a crash dropped; collected while Python parses, they end it (CPython gh-106905)


async def test_a_call_that_changed_code_adds_is_not_answered_with_another_ones_record(virtual):
    class IdPeeker(DO):
        async def go(self) -> tuple[int, int]:
            await self.do(IdTill("p").pay, 2, step_id="pay")
            seen = await IdTill("p").peek()
            await self.sleep("1d")
            return seen, await IdTill("p").peek()

    run = await dotdo.start(IdPeeker("x").go)
    await virtual.advance("1h")
    await IdTill("p").pay(5)
    await virtual.crash()
    assert await run.result() == (2, 7)
