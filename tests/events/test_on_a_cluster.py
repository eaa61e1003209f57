"""Events over two hosts that are killed while they are sent, kept and handled."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

import dotdo
from dotdo import DO, application, on, send

pytestmark = pytest.mark.ray

EVENTS = 600


class ClusterTeller(DO):
    sent: int = 0

    async def tell(self, ear: str, count: int) -> int:
        for number in range(count):
            self.send("ClusterTick.happened", {"id": ear, "n": self.sent})
            self.sent += 1
            if number % 5 == 4:
                await self.do(self._step, step_id="breath")
        return self.sent

    async def _step(self) -> None:
        return None


class ClusterEar(DO):
    seen: int = 0
    out_of_order: int = 0

    @on.ClusterTick.happened
    async def happened(self, event) -> None:
        if event.data["n"] != self.seen:
            self.out_of_order += 1
        self.seen += 1


@on.ClusterQuestion.asked
async def answer(question):
    return await dotdo.do(_twice, question["n"], step_id="twice")


async def _twice(n):
    return n * 2


def id_on(host: str, noun: str) -> str:
    router = application.current().router
    return next(f"x{n}" for n in range(1000) if router.host_of(noun, f"x{n}") == host)


@pytest.mark.feature(72, 73, 74)
async def test_hosts_killed_while_events_go_between_them(ray_data):
    first, second = sorted(h["host"] for h in await dotdo.hosts())
    ear = ClusterEar(id_on(second, "ClusterEar"))
    run = await dotdo.start(ClusterTeller(id_on(first, "ClusterTeller")).tell, ear.id, EVENTS)
    for index in (0, 1, 0, 1):
        victim = (await dotdo.hosts())[index]
        os.kill(victim["pid"], signal.SIGKILL)
        while (await dotdo.hosts())[index]["pid"] == victim["pid"]:
            await asyncio.sleep(0.01)
    assert await run.result() == EVENTS
    while await ear.seen < EVENTS:
        await asyncio.sleep(0.05)
    assert await ear.seen == EVENTS
    assert await ear.out_of_order == 0
    assert await dotdo.dead_letters.list(name="ClusterTick.happened") == []


@pytest.mark.feature(57, 80)
async def test_a_function_answers_in_a_host(ray_data):
    assert await send("ClusterQuestion.asked", {"n": 21}) == 42


class ClusterVictim(DO):
    survived: int = 0

    @on.ClusterPoison.drunk
    async def drunk(self, event) -> None:
        if event.data["after"] == "a step":
            await self.do(self._sip, step_id="sip")
        if event.data["after"] != "never":
            os.kill(os.getpid(), signal.SIGKILL)
        self.survived += 1

    async def _sip(self) -> None: ...


@pytest.mark.feature(73)
@pytest.mark.timeout(180)
@pytest.mark.parametrize("after", ["nothing", "a step"])
async def test_a_handler_that_kills_its_host_ends_in_the_dead_letters_and_the_next_event_is_handled(ray_data, after):
    victim = ClusterVictim(f"victim of {after}")
    await send("ClusterPoison.drunk", id=victim.id, after=after).queued()
    await send("ClusterPoison.drunk", id=victim.id, after="never").queued()
    while not (letters := [x for x in await dotdo.dead_letters.list(name="ClusterPoison.drunk") if x.data["id"] == victim.id]):
        await asyncio.sleep(0.2)
    assert letters[0].data["after"] == after
    assert letters[0].attempts == 2
    assert "died" in letters[0].error
    while not await victim.survived:
        await asyncio.sleep(0.05)
    assert await victim.survived == 1
