"""Durable steps, waits, sagas and the verbs of an execution."""

import asyncio

import pytest

import dotdo
from dotdo import DO, RetryPolicy, StepTimeout, step
from dotdo.testing import runtime

LOG: list[str] = []


class BookingFailed(Exception):
    pass


class Hotel(DO):
    booked: int = 0
    cancelled: int = 0

    async def book(self) -> str:
        self.booked += 1
        return f"{self.id}-1"

    async def cancel(self, booking: str) -> None:
        LOG.append(f"cancel {self.id}")
        self.cancelled += 1


class Trip(DO):
    async def book(self) -> str:
        async with self.saga() as saga:
            for place in ("flight", "hotel"):
                booking = await self.do(Hotel(place).book, step_id=f"book-{place}")
                saga.add(Hotel(place).cancel, booking)
            await self.do(self._car, step_id="book-car", retry=1)
        return "booked"

    async def book_with_undo(self) -> str:
        await self.do(Hotel("flight").book, step_id="flight", undo=self._cancel_flight)
        await self.do(Hotel("hotel").book, step_id="hotel", undo=self._cancel_hotel)
        await self.do(self._car, step_id="car", retry=1)
        return "booked"

    async def _cancel_flight(self, booking: str) -> None:
        await Hotel("flight").cancel(booking)

    async def _cancel_hotel(self, booking: str) -> None:
        await Hotel("hotel").cancel(booking)

    async def _car(self) -> None:
        raise BookingFailed("no car")


@pytest.mark.feature(44, 45, 46, 47, 48, 49, 438)
@pytest.mark.parametrize("method", ["book", "book_with_undo"])
@pytest.mark.parametrize("crash", [None, "book-hotel", "hotel", "undo:cancel", "undo hotel"])
async def test_a_failed_trip_cancels_hotel_then_flight_each_once(method, crash):
    LOG.clear()
    async with runtime(clock="virtual") as rt:
        if crash:
            rt.crash_after(crash)
        with pytest.raises(BookingFailed, match="no car"):
            await getattr(Trip("t"), method)()
        assert LOG == ["cancel hotel", "cancel flight"]
        assert await Hotel("hotel").cancelled == 1
        assert await Hotel("flight").cancelled == 1
        assert await Hotel("flight").booked == 1


class Trying(DO):
    count: int = 0

    async def flaky(self, failures: int) -> str:
        return await self.do(
            self._fail_first, failures, step_id="flaky", retry=RetryPolicy(max_attempts=5, initial_delay="1h", max_delay="2h")
        )

    async def _fail_first(self, failures: int) -> str:
        LOG.append("try")
        if len(LOG) <= failures:
            raise ConnectionError("not yet")
        return f"after {len(LOG)}"

    async def hang(self) -> str:
        return await self.do(self._hang, step_id="hang", timeout="5s", retry=2)

    async def _hang(self) -> None:
        LOG.append("hang")
        await asyncio.get_running_loop().create_future()

    async def never_twice(self) -> None:
        await self.do(self._type_error, step_id="bug")

    async def _type_error(self) -> None:
        LOG.append("bug")
        raise TypeError("a bug")

    async def repeated(self) -> list[int]:
        return [await self.do(self._number, step_id="same") for _ in range(3)]

    async def _number(self) -> int:
        LOG.append("n")
        return len(LOG)

    @step(retry=2)
    async def decorated(self, value: int) -> int:
        LOG.append("decorated")
        return value * 2

    async def use_decorated(self) -> int:
        return await self.decorated(4)

    async def once(self) -> str:
        try:
            return await self.try_(self._hang, timeout="2s")
        except StepTimeout:
            return "timed out"

    async def nap(self) -> int:
        self.count += 1
        try:
            await self.sleep("3d")
        finally:
            LOG.append("finally")
            self.count += 100
        self.count += 1
        return self.count

    async def parallel(self) -> list[str]:
        async def work(name: str) -> str:
            return await self.do(self._echo, name, step_id=name)

        return await asyncio.gather(*(work(n) for n in "abc"))

    async def _echo(self, name: str) -> str:
        return name

    async def decide(self) -> str:
        answer = await self.wait_for("answer", timeout="1d", default="none")
        await self.do(self._echo, "after")
        return answer

    async def outside(self) -> str:
        callback = self.callback("approve", timeout="7d")
        await self.do(self._tell, callback.id)
        return await callback

    async def _tell(self, callback_id: str) -> None:
        LOG.append(callback_id)

    async def ask_sleeper(self) -> int:
        return await Trying("sleeper").nap() + 1

    async def polling(self) -> int:
        return await self.poll(self._number, until=lambda v: v >= 3, interval="1h")


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


@pytest.mark.feature(21)
async def test_retry_delays_are_durable(virtual):
    before = virtual.clock.now()
    assert await Trying("t").flaky(2) == "after 3"
    assert virtual.clock.now() - before >= 3 * 3600


@pytest.mark.feature(115, 29)
async def test_a_hanging_step_times_out_and_counts_as_a_failed_attempt(virtual):
    with pytest.raises(StepTimeout, match="hang"):
        await Trying("t").hang()
    assert LOG == ["hang", "hang"]


async def test_programming_errors_are_not_retried(virtual):
    with pytest.raises(TypeError, match="a bug"):
        await Trying("t").never_twice()
    assert LOG == ["bug"]


@pytest.mark.feature(17, 18, 20)
async def test_a_repeated_id_is_another_step(virtual):
    virtual.crash_after("same")
    assert await Trying("t").repeated() == [1, 2, 3]


async def test_a_decorated_method_is_a_step(virtual):
    assert await Trying("t").use_decorated() == 8
    assert await Trying("t").decorated(1) == 2


@pytest.mark.feature(28)
async def test_one_attempt_with_a_timeout(virtual):
    assert await Trying("t").once() == "timed out"


@pytest.mark.feature(128, 8)
async def test_a_sleeper_hibernates_wakes_on_time_and_its_finally_changed_nothing(virtual):
    start = virtual.clock.now()
    execution = await dotdo.start(Trying("n").nap)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    assert "finally" in LOG
    assert await execution.status() == "waiting"
    assert await Trying("n").count == 1
    assert await execution.result() == 102
    assert virtual.clock.now() - start >= 3 * 86400


@pytest.mark.feature(291)
async def test_an_entity_that_awaits_a_sleeper_sleeps_as_well(virtual):
    execution = await dotdo.start(Trying("asker").ask_sleeper)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    assert await execution.result() == 103


@pytest.mark.feature(116)
async def test_parallel_steps(virtual):
    virtual.crash_after("b")
    assert await Trying("t").parallel() == ["a", "b", "c"]


@pytest.mark.feature(132, 136)
async def test_a_signal_is_received_early_late_or_never(virtual):
    late = await dotdo.start(Trying("late").decide)
    await late.signal("answer", "yes")
    assert await late.result() == "yes"
    never = await dotdo.start(Trying("never").decide)
    assert await never.result() == "none"


async def test_a_callback_is_completed_from_outside(virtual):
    execution = await dotdo.start(Trying("cb").outside)
    await virtual.settle()
    await virtual.advance("1d")
    assert await dotdo.complete(LOG[0], "signed")
    assert await execution.result() == "signed"


async def test_poll_checks_until_it_holds(virtual):
    assert await Trying("p").polling() == 3


async def test_pause_resume_cancel_retry_replay_and_history(virtual):
    execution = await dotdo.start(Trying("v").nap)
    await virtual.settle()
    assert await execution.pause()
    assert await execution.status() == "paused"
    assert await execution.resume()
    assert await execution.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await execution.result()
    assert await execution.status() == "cancelled"
    LOG.clear()
    failing = await dotdo.start(Trying("r").flaky, 5)
    with pytest.raises(ConnectionError):
        await failing.result()
    assert (await failing.info()).steps[0]["status"] == "failed"
    assert await failing.retry()
    assert await failing.result() == "after 6"
    again = await failing.replay()
    assert again.id != failing.id
    assert (await again.result()).startswith("after")
    assert [entry["type"] for entry in await again.history()][0] == "start"


async def test_the_same_call_id_returns_the_recorded_answer(virtual):
    first = await Hotel("h").with_options(call_id="req-1").book()
    assert await Hotel("h").with_options(call_id="req-1").book() == first
    assert await Hotel("h").booked == 1
    with pytest.raises(dotdo.CallIdConflict):
        await Hotel("h").with_options(call_id="req-1").cancel("x")


class Racing(DO):
    async def race(self) -> list:
        index, value = await self.first(self.sleep("2h"), self.wait_for("go", timeout="1h", default="late"))
        return [index, value]

    async def limited(self) -> str:
        try:
            async with self.timeout("1h"):
                await self.sleep("2h")
        except dotdo.WaitTimeout:
            await self.do(self._note, step_id="after")
            return "too late"
        return "in time"

    async def _note(self) -> None:
        LOG.append("noted")


async def test_first_and_timeout_outlive_sleep_and_crash(virtual):
    execution = await dotdo.start(Racing("r").race)
    await virtual.advance("31m")
    assert virtual.host.activations == {}
    assert await execution.result() == [1, "late"]
    virtual.crash_after("after")
    assert await Racing("l").limited() == "too late"


class Alarmed(DO):
    rings: int = 0

    async def arm(self) -> None:
        self.storage.set_alarm("1h")

    async def alarm(self, info) -> None:
        await self.do(self._ring, step_id="ring")
        await self.sleep("1h")
        self.rings += 10

    async def _ring(self) -> None:
        LOG.append("ring")
        self.rings += 1


async def test_an_alarm_handler_is_durable_like_any_method(virtual):
    await Alarmed("a").arm()
    virtual.crash_after("ring")
    await virtual.advance("3h")
    await virtual.advance("3h")
    assert await Alarmed("a").rings == 11
    assert LOG == ["ring"]
