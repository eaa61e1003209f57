"""Many that wait and many that listen: one event wakes whom it concerns, and nobody waits for a fan-out."""

from __future__ import annotations

import asyncio
import os

import pytest

import dotdo
from dotdo import DO, send
from dotdo.testing import runtime

FULL = bool(os.environ.get("DOTDO_FULL"))
"""`make test-full`: the counts of the promises; otherwise what fits into a test run."""

WAITERS = 10_000 if FULL else 1000
SUBSCRIBERS = 10_000 if FULL else 1000


handled: list[str] = []


class OneOfMany(DO, noun="EvOneOfMany"):
    heard: int = 0

    async def wait(self, number: int) -> dict:
        return await self.wait_for("Lot.drawn", match={"number": number})

    async def listen(self) -> None:
        self.on.Bell.rung(self.hear)

    async def hear(self, event) -> None:
        self.heard += 1
        handled.append(self.id)


class Ringer(DO, noun="EvRinger"):
    async def ring(self, count: int) -> None:
        for number in range(count):
            self.send("Bell.rung", number)


@pytest.mark.feature(129, 130, 137)
async def test_one_event_wakes_one_of_many_waiters(virtual):
    runs = []
    for start in range(0, WAITERS, 300):
        runs += await asyncio.gather(*(dotdo.start(OneOfMany(f"w{n}").wait, n) for n in range(start, start + 300)))
    await virtual.advance("2m")
    assert not [a for a in virtual.host.activations.values() if a.spec.noun == "EvOneOfMany"]
    turns = virtual.host.turns_run
    await send("Lot.drawn", {"number": 77}).queued()
    assert await runs[77].result() == {"number": 77}
    awake = [a.id for a in virtual.host.activations.values() if a.spec.noun == "EvOneOfMany"]
    assert awake == ["w77"]
    assert virtual.host.turns_run - turns < 30
    waiting = [r for n, r in enumerate(runs) if n != 77]
    assert {(await r.status()) for r in waiting[:: len(waiting) // 20]} == {"waiting"}


@pytest.mark.feature(72)
async def test_a_fan_out_does_not_hold_the_log():
    async with runtime(idle_timeout="1s") as rt:  # they sleep, as listeners do
        entities = [OneOfMany(f"s{n}") for n in range(SUBSCRIBERS)]
        for start in range(0, SUBSCRIBERS, 300):
            await asyncio.gather(*(e.listen() for e in entities[start : start + 300]))
        await rt.settle()
        handled.clear()
        answered_meanwhile = 0
        await Ringer("r").ring(2)  # is answered when the event is in its commit
        assert len(handled) < SUBSCRIBERS, "the sender waited for those who listen"
        while True:
            await Ringer(f"neighbour-{answered_meanwhile % 7}").ring(0)
            if len(handled) == 2 * SUBSCRIBERS:
                break
            answered_meanwhile += 1
        assert answered_meanwhile > 3, "nobody else was served while the event was handed out"
        await rt.settle()
        for start in range(0, SUBSCRIBERS, 300):
            assert set(await asyncio.gather(*(e.heard for e in entities[start : start + 300]))) == {2}
        assert await dotdo.dead_letters.list() == []


@pytest.mark.feature(70)
async def test_a_cancelled_subscription_hears_no_more(virtual):
    class Briefly(DO, noun="EvBriefly"):
        heard: int = 0

        async def begin(self) -> None:
            self.on.Gong.struck(self.hear)

        async def end(self) -> None:
            self.on.Gong.struck(self.hear).cancel()

        async def hear(self, event) -> None:
            self.heard += 1

    await Briefly("b").begin()
    await virtual.settle()
    await send("Gong.struck").queued()
    await virtual.settle()
    await Briefly("b").end()
    await virtual.settle()
    await send("Gong.struck").queued()
    await virtual.settle()
    assert await Briefly("b").heard == 1


@pytest.mark.feature(61, 74)
async def test_what_setup_no_longer_names_is_taken_back(virtual):
    wanted = ["Gong.struck", "Horn.blown"]

    class Fickle(DO, noun="EvFickle"):
        heard: list = []

        async def setup(self) -> None:
            for name in wanted:
                self.on(name)(self.hear)

        async def hear(self, event) -> None:
            self.heard.append(event.name)

        async def hello(self) -> list:
            return self.heard

    await Fickle("f").hello()
    await virtual.settle()
    wanted.remove("Gong.struck")
    assert await dotdo.hibernate(Fickle("f"))
    await Fickle("f").hello()
    await virtual.settle()
    await send("Gong.struck").queued()
    await send("Horn.blown").queued()
    await virtual.settle()
    assert await Fickle("f").hello() == ["Horn.blown"]
