"""What nobody awaits: taken once and in order, whatever is full, asleep, failing or slow."""

from __future__ import annotations

import asyncio
import errno

import pytest

import dotdo
from dotdo import DO, send
from dotdo.storage.disk import RealDisk
from dotdo.testing import runtime


class MsgTeller(DO):
    told: int = 0

    async def tell(self, whom: str, count: int, start: int = 0) -> None:
        for number in range(start, start + count):
            MsgEar(whom).hear(number)
        self.told += count

    async def tell_slow(self, whom: str, count: int) -> None:
        for number in range(count):
            MsgEar(whom).hear_slowly(number)

    async def publish(self, count: int) -> None:
        for number in range(count):
            send("MsgNews.told", id="e", number=number)

    async def let_sleep(self) -> None:
        MsgEar("sleeper").nap()


class MsgEar(DO):
    heard: list[int] = []
    events: list[int] = []

    async def hear(self, number: int) -> None:
        self.heard.append(number)

    async def hear_slowly(self, number: int) -> None:
        await asyncio.sleep(0)
        self.heard.append(number)

    async def nap(self) -> None:
        await self.sleep("2d")
        self.heard.append(-1)

    @dotdo.on.MsgNews.told
    async def told(self, event) -> None:
        self.events.append(event.data["number"])


async def _until(ready, seconds=20.0):
    async with asyncio.timeout(seconds):
        while not await ready():
            await asyncio.sleep(0.01)


@pytest.mark.feature(31, 355)
@pytest.mark.parametrize("method", ["tell", "tell_slow"])
async def test_more_calls_than_the_queue_takes_all_arrive_in_order(method):
    async with runtime(max_queue=50) as rt:
        await getattr(MsgTeller("t"), method)("e", 1000)
        await rt.settle()
        assert await MsgEar("e").heard == list(range(1000))


@pytest.mark.feature(72)
async def test_more_events_than_the_queue_takes_all_arrive_in_order_at_a_sleeper():
    async with runtime(max_queue=50) as rt:
        await MsgEar("e").hear(0)
        await dotdo.hibernate(MsgEar("e"))
        await MsgTeller("t").publish(1000)
        await rt.settle()
        assert await MsgEar("e").events == list(range(1000))


@pytest.mark.feature(8, 31)
async def test_who_sends_to_a_method_that_sleeps_for_days_does_not_wait_for_it(virtual):
    await MsgTeller("t").let_sleep()
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    await virtual.crash()
    await virtual.advance("2d")
    assert await MsgEar("sleeper").heard == [-1]


class _FailingDisk(RealDisk):
    """Syncs fail while `failing` is set, for -wal files that belong to an ear."""

    failing = 0

    def sync_data(self, descriptor: int) -> None:
        import os

        if self.failing and "MsgEar" in os.readlink(f"/proc/self/fd/{descriptor}"):
            self.failing -= 1
            raise OSError(errno.EIO, "the disk failed")
        super().sync_data(descriptor)


async def test_messages_whose_receiver_fails_are_sent_again_in_order():
    disk = _FailingDisk()
    async with runtime(disk=disk) as rt:
        await MsgEar("e").hear(-5)
        for round_ in range(4):
            disk.failing = 1
            await MsgTeller("t").tell("e", 100, round_ * 100)
        await _until(lambda: _has(rt, 401))
        assert await MsgEar("e").heard == [-5, *range(400)]


async def _has(rt, count):
    await rt.settle()
    try:
        return len(await MsgEar("e").heard) >= count
    except dotdo.StorageError:
        return False


async def test_a_message_to_a_quarantined_entity_waits_asleep_and_is_taken_when_it_is_released(virtual):
    virtual.host.quarantine["MsgEar/q"] = "for a test"
    await MsgTeller("t").tell("q", 3)
    await virtual.advance("20m")
    assert [key for key in await _active(virtual) if not key.startswith("MsgTeller")] == []
    virtual.host.quarantine.clear()
    await virtual.advance("2m")
    assert await MsgEar("q").heard == [0, 1, 2]


async def _active(rt):
    return [activation.key for activation in rt.host.activations.values()]


async def test_a_programs_call_nobody_awaits_is_sent_again_until_there_is_room():
    async with runtime(max_queue=5) as rt:
        for number in range(20):
            MsgEar("p").hear_slowly(number)
        await dotdo.flush()
        await rt.settle()
        assert sorted(await MsgEar("p").heard) == list(range(20))


async def test_crashes_between_bursts_lose_and_double_nothing(virtual):
    for round_ in range(5):
        run = asyncio.ensure_future(MsgTeller("c").tell("e", 300, round_ * 300))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await run
        await virtual.crash()
    await virtual.advance("10s")
    assert await MsgEar("e").heard == list(range(1500))


class MsgFailing(DO):
    tries: list[str] = []
    works: bool = False

    async def poke(self, *words: str, loud: bool = False) -> None:
        self.tries.append(" ".join(words))
        await self.storage.sync()
        if not self.works:
            raise ValueError(f"poked: {words} {loud}")

    async def poke_later(self) -> None:
        await self.sleep("1h")
        raise ValueError("later")

    async def repair(self) -> None:
        self.works = True

    async def poke_another(self, other: str) -> None:
        MsgFailing(other).poke("from", self.id, loud=True)


@pytest.mark.feature(32, 354)
async def test_a_call_nobody_awaits_that_raises_is_kept_as_a_dead_letter_and_can_be_made_again(virtual):
    await MsgFailing("a").poke_another("b")
    MsgFailing("c").poke_later()
    await dotdo.flush()
    await virtual.advance("2h")
    letters = await dotdo.dead_letters.list(noun="MsgFailing")
    assert {(letter.receiver, letter.event.name, letter.error, letter.attempts) for letter in letters} == {
        ("MsgFailing/b", "MsgFailing.poke", "ValueError: poked: ('from', 'a') True", 1),
        ("MsgFailing/c", "MsgFailing.poke_later", "ValueError: later", 1),
    }
    (one,) = [letter for letter in letters if letter.receiver == "MsgFailing/b"]
    assert one.data == [["from", "a"], {"loud": True}]
    await MsgFailing("b").repair()
    await dotdo.dead_letters.replay(one.id)
    await virtual.advance("1m")
    assert await MsgFailing("b").tries == ["from a", "from a"]
    assert [letter.receiver for letter in await dotdo.dead_letters.list(noun="MsgFailing")] == ["MsgFailing/c"]


async def test_an_awaited_call_that_raises_leaves_no_letter(rt):
    with pytest.raises(ValueError, match="poked"):
        await MsgFailing("d").poke("x")
    await rt.settle()
    assert await dotdo.dead_letters.list(noun="MsgFailing") == []
