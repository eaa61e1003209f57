"""Sleeps, signals, callbacks and polls: what parks an execution, for how long, and what ends it."""

from datetime import timedelta

import pytest

import dotdo
from dotdo import DO, WaitTimeout

LOG: list = []
TIMES: list[float] = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()
    TIMES.clear()


class Declined(Exception):
    pass


def _waits() -> list[float]:
    return [round(b - a, 3) for a, b in zip(TIMES, TIMES[1:], strict=False)]


class Waiting(DO):
    """What parks an execution."""

    async def nap(self, duration) -> float:
        before = self.now()
        await self.sleep(duration)
        return (self.now() - before).total_seconds()

    async def two_answers(self) -> list:
        first = await self.wait_for("answer")
        second = await self.wait_for("answer")
        return [first, second]

    async def impatient(self, default: bool) -> str:
        if default:
            return await self.wait_for("answer", timeout="48h", default="nobody")
        return await self.wait_for("answer", timeout="48h")

    async def ask(self, timeout: str | None = None) -> object:
        callback = self.callback("approve", timeout=timeout)
        LOG.append(callback.id)
        return await callback

    async def ask_two(self) -> list:
        callbacks = [self.callback("approve"), self.callback("approve")]
        LOG.extend(callback.id for callback in callbacks)
        return [await one for one in callbacks]

    async def polling(self, needed: int, timeout: str | None = None) -> dict:
        return await self.poll(self._check, needed, until=lambda v: v["done"], interval="10s", backoff=2, timeout=timeout)

    async def _check(self, needed: int) -> dict:
        TIMES.append(self.now().timestamp())
        return {"done": len(TIMES) >= needed, "checks": len(TIMES)}


@pytest.mark.feature(128)
@pytest.mark.parametrize(
    ("duration", "seconds"), [("3d", 259200), ("500ms", 0.5), (2, 2), (timedelta(hours=1), 3600), ("1w", 604800), ("1h30m", 5400), (0, 0)]
)
async def test_a_sleep_takes_any_duration(virtual, duration, seconds):
    assert await Waiting("w").nap(duration) == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize("wrong", ["soon", -1, "", None])
async def test_a_wrong_duration_is_refused(virtual, wrong):
    with pytest.raises(ValueError, match="duration"):
        await Waiting("w").nap(wrong)


@pytest.mark.feature(128)
async def test_a_sleep_interrupted_by_a_crash_ends_when_it_was_first_promised(virtual):
    run = await dotdo.start(Waiting("w").nap, "10h")
    await virtual.advance("6h")
    await virtual.crash()
    assert (await run.info()).status == "waiting"
    before = virtual.clock.now()
    assert await run.result() == pytest.approx(36000, abs=1)
    assert virtual.clock.now() - before <= 4 * 3600 + 1


@pytest.mark.feature(132, 133, 134, 141)
async def test_a_wait_that_is_not_answered_gives_its_default_or_raises(virtual):
    assert await Waiting("w").impatient(True) == "nobody"
    with pytest.raises(WaitTimeout, match="answer") as caught:
        await Waiting("w").impatient(False)
    assert isinstance(caught.value, TimeoutError)


@pytest.mark.feature(136, 137)
async def test_signals_wait_for_their_receiver_and_each_is_received_once_in_order(virtual):
    run = await dotdo.start(Waiting("w").two_answers)
    await run.signal("other", "nobody waits for it")
    await run.signal("answer", 1)
    await virtual.advance("1h")
    await virtual.crash()
    await run.signal("answer", {"n": 2})
    assert await run.result() == [1, {"n": 2}]


async def test_a_signal_wakes_a_sleeping_entity(virtual):
    run = await dotdo.start(Waiting("w").two_answers)
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    await run.signal("answer", "a")
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    await run.signal("answer", "b")
    assert await run.result() == ["a", "b"]


async def test_a_callback_is_completed_once(virtual):
    run = await dotdo.start(Waiting("w").ask)
    await virtual.settle()
    (callback_id,) = set(LOG)
    await virtual.advance("2d")
    assert virtual.host.activations == {}
    assert await dotdo.complete(callback_id, {"ok": True})
    assert not await dotdo.complete(callback_id, {"ok": False})
    assert not await dotdo.fail(callback_id, "too late")
    assert await run.result() == {"ok": True}
    assert not await dotdo.complete(callback_id, "after the end")


async def test_a_callback_completed_before_it_is_awaited_counts_once_too(virtual):
    run = await dotdo.start(Waiting("w").ask_two)
    await virtual.settle()
    first, second = LOG
    assert first != second
    assert await dotdo.complete(second, 2)
    assert not await dotdo.complete(second, 3)
    await virtual.crash()
    assert not await dotdo.fail(second, "late")
    assert await dotdo.complete(first, 1)
    assert await run.result() == [1, 2]


async def test_a_callback_can_fail_or_time_out(virtual):
    run = await dotdo.start(Waiting("w").ask)
    await virtual.settle()
    assert await dotdo.fail(LOG[0], "rejected by ann")
    with pytest.raises(dotdo.CallbackFailed, match="rejected by ann"):
        await run.result()
    typed = await dotdo.start(Waiting("t").ask)
    await virtual.settle()
    await dotdo.fail(LOG[-1], Declined("typed"))
    with pytest.raises(Declined, match="typed"):
        await typed.result()
    with pytest.raises(WaitTimeout):
        await Waiting("late").ask("7d")


async def test_an_unknown_callback_is_an_error_of_its_own(virtual):
    with pytest.raises(dotdo.IdError):
        await dotdo.complete("nonsense")
    with pytest.raises(dotdo.OutcomeUnknown):
        await dotdo.complete("Waiting/w!nothing#|callback:approve")


async def test_the_callback_id_is_the_same_on_every_replay(virtual):
    run = await dotdo.start(Waiting("w").ask)
    await virtual.settle()
    await virtual.crash()
    await dotdo.complete(LOG[0], 1)
    assert await run.result() == 1
    assert len(set(LOG)) == 1


async def test_poll_waits_longer_each_time_and_remembers_its_checks(virtual):
    virtual.crash_after("check")
    assert await Waiting("p").polling(4) == {"done": True, "checks": 4}
    assert _waits() == pytest.approx([10, 20, 40], abs=0.1)


async def test_poll_gives_up_after_its_timeout(virtual):
    start = virtual.clock.now()
    with pytest.raises(WaitTimeout):
        await Waiting("p").polling(1000, "1h")
    assert virtual.clock.now() - start == pytest.approx(3600, abs=60)


async def test_the_entity_sleeps_between_two_checks(virtual):
    class Slowly(DO, noun="PollingSlowly"):
        async def run(self) -> int:
            return await self.poll(self._number, until=lambda n: n == 2, interval="6h")

        async def _number(self) -> int:
            LOG.append(1)
            return len(LOG)

    run = await dotdo.start(Slowly("s").run)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    assert await run.status() == "waiting"
    assert await run.result() == 2
