"""The same behaviour whether an entity shares its host or has one alone, on a real Ray cluster."""

import asyncio
import os
import signal

import pytest

import dotdo
from dotdo import DO, NoSuchMember, on, send

pytestmark = pytest.mark.ray


class PlacedError(Exception):
    pass


class Placed(DO):
    count: int = 0
    notes: list[str] = []

    async def add(self, amount: int) -> int:
        self.count += amount
        return self.count

    async def fail_after_writing(self) -> None:
        self.count += 1000
        raise PlacedError(self.id, 7)

    async def where(self) -> int:
        return os.getpid()

    async def walk(self, steps: int) -> int:
        for number in range(steps):
            await self.do(self._step, step_id=f"s{number}")
        return self.count

    async def _step(self) -> None:
        self.count += 1

    async def tell(self, other: str) -> None:
        stub = type(self)(other)
        for number in range(20):
            stub.note(f"n{number}")

    async def note(self, text: str) -> None:
        self.notes.append(text)

    async def book(self) -> None:
        await self.do(self.note, "flight", step_id="flight", undo=lambda _: self.note("no flight"))
        await self.do(self.note, "hotel", step_id="hotel", undo=lambda _: self.note("no hotel"))
        raise PlacedError("no car")

    async def wait_for_word(self) -> str:
        return await self.wait_for("word")

    async def nap(self, seconds: float) -> int:
        self.count += 1
        try:
            await self.sleep(seconds)
        finally:
            self.count += 10
        return self.count

    async def ask(self, other: str) -> int:
        return await self.do(type(self)(other).add, 1, step_id="ask")

    async def both(self, other: str) -> int:
        return await type(self)(other).back(self.id)

    async def back(self, other: str) -> int:
        return await type(self)(other).add(1)

    @on.PlacedThing.happened
    async def happened(self, event) -> None:
        self.notes.append(f"event {event.data['n']}")


class PlacedAlone(Placed, placement="dedicated"):
    pass


@pytest.fixture(params=[Placed, PlacedAlone], ids=["shared", "dedicated"])
def noun(request):
    return request.param


@pytest.mark.feature(1, 10)
async def test_calls_reads_errors_and_cycles(ray_data, noun):
    one = noun("calls")
    assert await asyncio.gather(*(one.add(1) for _ in range(50))) == list(range(1, 51))
    with pytest.raises(PlacedError) as caught:
        await one.fail_after_writing()
    assert caught.value.args == ("calls", 7)
    assert await one.count == 50, "what a failed turn wrote is undone"
    with pytest.raises(NoSuchMember):
        await dotdo.rpc.stub.make_stub(noun.__name__, "calls")["_step"]
    assert await one.both("calls2") == 51
    options = one.with_options(call_id=f"{noun.__name__}-once")
    assert [await options.add(5), await one.with_options(call_id=f"{noun.__name__}-once").add(5)] == [56, 56]


@pytest.mark.feature(10, 23, 34, 43)
async def test_an_execution_goes_on_when_its_host_is_killed_again_and_again(ray_data, noun):
    one = noun("walker")
    run = await dotdo.start(one.walk, 150)
    for _ in range(2):
        os.kill(await one.where(), signal.SIGKILL)
    assert await run.result() == 150
    assert await one.count == 150
    assert (await run.info()).status == "completed"


@pytest.mark.feature(23, 34)
async def test_calls_nobody_awaits_arrive_in_order_once(ray_data, noun):
    await noun("teller").tell("told")
    while len(await noun("told").notes) < 20:
        await asyncio.sleep(0.02)
    assert await noun("told").notes == [f"n{number}" for number in range(20)]


@pytest.mark.feature(44, 46)
async def test_what_was_done_is_undone_newest_first(ray_data, noun):
    with pytest.raises(PlacedError, match="no car"):
        await noun("trip").book()
    assert await noun("trip").notes == ["flight", "hotel", "no hotel", "no flight"]


@pytest.mark.feature(128)
async def test_a_sleeping_execution_is_dropped_wakes_on_time_and_answers_whoever_waits(ray_data, noun):
    napping = asyncio.ensure_future(noun("napper").nap(2))
    while not await dotdo.hibernate(noun("napper")):
        await asyncio.sleep(0.05)
    assert await asyncio.wait_for(napping, 30) == 11, "its finally block, run as it was put to sleep, changed nothing"


@pytest.mark.feature(291)
async def test_a_signal_reaches_an_execution_at_rest_and_a_callers_own_execution(ray_data, noun):
    run = await dotdo.start(noun("listener").wait_for_word)
    while not await dotdo.hibernate(noun("listener")):
        await asyncio.sleep(0.05)
    await run.signal("word", "go")
    assert await asyncio.wait_for(run.result(), 30) == "go"
    assert await noun("listener").ask("listener2") == 1


@pytest.mark.feature(72)
async def test_events_reach_their_entity(ray_data, noun):
    ear = f"events of {noun.__name__}"  # both nouns handle this event
    for number in range(5):
        await send("PlacedThing.happened", {"id": ear, "n": number})
    while len(await noun(ear).notes) < 5:
        await asyncio.sleep(0.02)
    assert await noun(ear).notes == [f"event {number}" for number in range(5)]
