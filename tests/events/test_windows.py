"""No wake-up is lost, whenever the event comes; no effect is lost or doubled, whichever commit the host dies at."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import DO, WaitTimeout, on, send
from dotdo.testing import runtime

from ..crashes import Killed, killed_at_commit

EVENTS = 40


class Candidate(DO, noun="WnCandidate"):
    """Waits, with a moment before it and a second wait behind it."""

    greetings: int = 0

    async def reviewed(self) -> list:
        await self.sleep("1h")
        first = await self.wait_for("WnReview.given", match={"id": self.id, "by": "ann"})
        second = await self.wait_for("WnReview.given", match={"id": self.id, "by": "bob"})
        return [first["n"], second["n"]]

    async def by_deadline(self) -> list:
        try:
            return ["in time", await self.wait_for("WnReview.given", match={"id": self.id}, timeout="1h")]
        except WaitTimeout:
            return ["late", await self.wait_for("WnReview.given", match={"id": self.id}, timeout="1h")]

    async def hello(self) -> int:
        self.greetings += 1
        return self.greetings


@pytest.fixture
async def virtual():
    async with runtime(clock="virtual", modules=[__name__]) as running:
        yield running


def _give(number: int, by: str, name: str):
    return send("WnReview.given", {"id": name, "by": by, "n": number})


@pytest.mark.feature(136)
@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
async def test_an_event_before_the_wait_is_reached_counts_in_either_order(virtual, order):
    run = await dotdo.start(Candidate("early").reviewed)
    await virtual.settle()
    for number, by in enumerate(order):
        await _give(number, by, "early").queued()
    assert await run.result() == [order.index("ann"), order.index("bob")]


@pytest.mark.feature(136)
@pytest.mark.parametrize("order", [("ann", "bob"), ("bob", "ann")])
async def test_an_event_while_the_entity_is_hibernated_or_its_host_is_dead_counts(virtual, order):
    for name, crash in (("asleep", False), ("dead", True)):
        run = await dotdo.start(Candidate(name).reviewed)
        await virtual.advance("2h")
        for number, by in enumerate(order):
            await dotdo.hibernate(Candidate(name))
            if crash:
                await virtual.crash()
            await _give(number, by, name).queued()
        assert await run.result() == [order.index("ann"), order.index("bob")]


@pytest.mark.feature(136)
async def test_an_event_during_the_wake_up_counts(virtual):
    for passes in range(40):
        name = f"waking-{passes}"
        run = await dotdo.start(Candidate(name).reviewed)
        await virtual.advance("2h")
        assert ("WnCandidate", name) not in virtual.host.activations
        waking = asyncio.create_task(Candidate(name).hello())
        for _ in range(passes):  # the entity is being opened, set up, replayed, or awake by now
            await asyncio.sleep(0)
        _give(1, "bob", name)
        if passes % 2:
            await asyncio.sleep(0)
        _give(0, "ann", name)
        assert await run.result() == [0, 1]
        assert await waking == 1


@pytest.mark.feature(133, 136)
async def test_an_event_at_the_tick_of_the_timeout_ends_this_wait_or_the_next(virtual):
    outcomes = set()
    for passes in range(60):
        name = f"tick-{passes}"
        run = await dotdo.start(Candidate(name).by_deadline)
        await virtual.settle()
        if passes % 3 == 0:
            assert await dotdo.hibernate(Candidate(name))
        deadline = (await run.info()).until.timestamp()
        if passes % 2:
            _give(passes, "ann", name)
            for _ in range(passes // 2):
                await asyncio.sleep(0)
            virtual.clock.advance_to(deadline)
        else:
            virtual.clock.advance_to(deadline)
            for _ in range(passes // 2):
                await asyncio.sleep(0)
            _give(passes, "ann", name)
        outcome, data = await run.result()
        assert data["n"] == passes, "the event was lost between the timeout and the next wait"
        outcomes.add(outcome)
    assert "in time" in outcomes


class Herald(DO, noun="WnHerald"):
    sent: int = 0

    async def tell(self, count: int) -> int:
        while self.sent < count:
            for _ in range(5):
                self.send("WnTick.happened", {"id": "r", "n": self.sent})
                self.sent += 1
            await self.do(self._breathe)
        return self.sent

    async def _breathe(self) -> None: ...


class Scribe(DO, noun="WnScribe"):
    seen: list = []

    @on.WnTick.happened
    async def happened(self, event) -> None:
        if event.data["n"] % 4 == 0:
            await self.do(self._look, step_id="look")
        self.seen.append(event.data["n"])

    async def _look(self) -> None: ...


@pytest.mark.feature(72, 73)
async def test_every_effect_once_and_in_order_whichever_commit_the_host_dies_at():
    number, crashes = 1, 0
    while True:
        async with runtime(modules=[__name__]) as rt:
            with killed_at_commit(rt, number) as commits:
                try:
                    run = await dotdo.start(Herald("p").with_options(call_id="all").tell, EVENTS)
                except Killed:
                    run = await dotdo.start(Herald("p").with_options(call_id="all").tell, EVENTS)
                assert await asyncio.wait_for(run.result(), 60) == EVENTS
                while len(await Scribe("r").seen) < EVENTS:
                    await asyncio.sleep(0.001)
            await rt.settle()
            assert await Scribe("r").seen == list(range(EVENTS))
            assert await dotdo.dead_letters.list() == []
            if len(commits) < number:
                break
        crashes += 1
        number += 1 + number // 4  # every one of the first, then fewer
    assert crashes >= 10
