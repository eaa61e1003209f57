"""Calls nobody awaits leave with the commit they belong to, or never: in transactions, in inner ones, with promises as arguments."""

from __future__ import annotations

import asyncio

import pytest

from dotdo import DO, InsideTransaction

from ..crashes import killed_at_commit


class Ledger(DO, noun="UnawaitedLedger"):
    lines: list[str] = []

    async def add(self, line: str) -> str:
        self.lines.append(line)
        return line

    async def price(self) -> str:
        return "price"

    async def fail(self) -> str:
        raise ValueError("no price")


class Shop(DO, noun="UnawaitedShop"):
    orders: int = 0

    async def order(self, *, fail: bool, hold: bool) -> int:
        seen = 0
        try:
            async with self.storage.transaction():
                self.orders += 1
                promise = Ledger("l").add("held")
                Ledger("l").add("let go")
                if not hold:
                    promise = None
                await asyncio.sleep(0.02)
                seen = len(self.storage.list())
                if fail:
                    raise ValueError("undone")
        except ValueError:
            if hold:
                with pytest.raises(InsideTransaction, match="undone"):
                    await promise
            return -1
        if promise is not None:
            assert await promise == "held"
        return seen

    async def nested(self, *, later: bool) -> None:
        async with self.storage.transaction():
            Ledger("l").add("before")
            try:
                async with self.storage.transaction():
                    Ledger("l").add("inner")
                    if later:
                        await asyncio.sleep(0)
                        Ledger("l").add("inner too")
                    raise ValueError
            except ValueError:
                pass
            Ledger("l").add("after")

    async def with_promise(self, *, of: str = "price", fail: bool = False) -> None:
        self.orders += 1
        Ledger("l").add(getattr(Ledger("prices"), of)())
        if fail:
            raise ValueError("undone")

    async def in_order(self) -> None:
        for number in range(3):
            Ledger("l").add(Ledger("prices").price())
            Ledger("l").add(str(number))


@pytest.mark.parametrize("hold", [True, False])
async def test_calls_made_in_a_transaction_leave_with_its_commit_or_never(rt, hold):
    calling = asyncio.ensure_future(Shop("s").order(fail=False, hold=hold))
    await asyncio.sleep(0.01)
    assert await Ledger("l").lines == []
    await calling
    await rt.settle()
    assert sorted(await Ledger("l").lines) == ["held", "let go"]
    await Shop("s").order(fail=True, hold=hold)
    await rt.settle()
    assert len(await Ledger("l").lines) == 2
    assert await Shop("s").orders == 1


@pytest.mark.parametrize("later", [True, False])
async def test_an_inner_transaction_takes_its_calls_with_it_when_it_is_undone(rt, later):
    await Shop("s").nested(later=later)
    await rt.settle()
    assert await Ledger("l").lines == ["before", "after"]
    await Shop("s").nested(later=later)
    await rt.restart()
    await rt.settle()
    assert await Ledger("l").lines == ["before", "after"] * 2


@pytest.mark.feature(39)
@pytest.mark.parametrize("commit", [1, 2, 3, 4])
async def test_a_call_with_a_promise_among_its_arguments_goes_with_the_commit(rt, commit):
    with killed_at_commit(rt, commit):
        await Shop("s").with_promise()
        await rt.settle()
    await asyncio.sleep(0.05)
    await rt.settle()
    assert await Shop("s").orders == 1
    assert await Ledger("l").lines == ["price"]
    await rt.restart()
    await rt.settle()
    assert await Ledger("l").lines == ["price"]


async def test_a_call_with_a_promise_is_dropped_with_its_turn_and_when_the_promise_fails(rt):
    with pytest.raises(ValueError, match="undone"):
        await Shop("s").with_promise(fail=True)
    await Shop("s").with_promise(of="fail")
    await Shop("s").in_order()
    await asyncio.sleep(0.05)
    lines = await Ledger("l").lines
    assert sorted(lines) == ["0", "1", "2", "price", "price", "price"]
    assert [line for line in lines if line != "price"] == ["0", "1", "2"]
    assert rt.host.activations["UnawaitedShop", "s"].ledger.outbox.is_at_rest
