"""Steps, retries, compensation and waits, as a program written from the public page alone uses them."""

import asyncio
import functools
from datetime import timedelta
from decimal import Decimal

import pydantic
import pytest

import dotdo
from dotdo import DO, Permanent, RetryPolicy, StepTimeout, WaitTimeout, gather_limited, in_thread, step
from dotdo.testing import runtime

LOG: list = []
TIMES: list[float] = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()
    TIMES.clear()


class Declined(Exception):
    pass


class Fatal(Declined):
    pass


class Line(pydantic.BaseModel):
    sku: str
    price: Decimal


class Order(pydantic.BaseModel):
    id: str
    lines: list[Line]


class Bank(DO):
    charged: int = 0
    refunded: list[int] = []

    async def charge(self, amount: int) -> str:
        self.charged += amount
        return f"receipt-{self.charged}"

    async def decline(self) -> None:
        LOG.append("decline")
        raise Declined("no money")

    async def refund(self, amount: int) -> None:
        self.refunded.append(amount)


POLICIES = {
    "default": None,
    "a number": 4,
    "exponential": RetryPolicy(max_attempts=5, initial_delay="1s"),
    "factor": RetryPolicy(max_attempts=4, initial_delay="1s", factor=3),
    "linear": RetryPolicy(max_attempts=5, backoff="linear", initial_delay="2s", max_delay="5s"),
    "constant": RetryPolicy(max_attempts=3, backoff="constant", initial_delay=timedelta(minutes=1), max_delay="1h"),
    "capped": RetryPolicy(max_attempts=8, initial_delay=10, max_delay="30s"),
    "jitter": RetryPolicy(max_attempts=6, backoff="constant", initial_delay="100s", max_delay="1h", jitter=0.5),
    "picky": RetryPolicy(max_attempts=5, non_retryable=(Fatal, ValueError)),
}


class Retrying(DO):
    """A step that fails a number of times; the virtual clock tells when each attempt ran."""

    async def run(self, failures: int, policy: str = "default", error: str = "declined") -> str:
        options = {} if POLICIES[policy] is None else {"retry": POLICIES[policy]}
        return await self.do(self._fail, failures, error, step_id="pay", **options)

    async def _fail(self, failures: int, error: str) -> str:
        TIMES.append(self.now().timestamp())
        if len(TIMES) <= failures:
            raise {"declined": Declined("no"), "fatal": Fatal("never"), "permanent": Permanent("stop"), "wrapped": Permanent(Declined("no")),
                   "name": NameError("bug"), "attribute": AttributeError("bug"), "type": TypeError("bug"), "key": KeyError("k")}[error]  # fmt: skip
        return f"attempt {len(TIMES)}"


def _waits() -> list[float]:
    return [round(b - a, 3) for a, b in zip(TIMES, TIMES[1:], strict=False)]


@pytest.mark.feature(21, 114, 255, 256, 257, 258, 259)
@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ("exponential", [1, 2, 4, 8]), ("factor", [1, 3, 9]), ("linear", [2, 4, 5, 5]), ("constant", [60, 60]),
        ("capped", [10, 20, 30, 30, 30, 30, 30]), ("a number", [1, 2, 4]), ("default", [1, 2]),
    ],
)  # fmt: skip
async def test_the_waits_between_attempts_are_those_of_the_policy(virtual, policy, waits):
    assert await Retrying("r").run(len(waits), policy) == f"attempt {len(waits) + 1}"
    assert _waits() == pytest.approx(waits, abs=0.01)


@pytest.mark.feature(22)
async def test_the_last_error_is_raised_when_attempts_are_used_up(virtual):
    with pytest.raises(Declined, match="no"):
        await Retrying("r").run(99)
    assert len(TIMES) == 3


async def test_jitter_only_ever_lengthens_a_wait_by_its_part(virtual):
    await Retrying("r").run(5, "jitter")
    assert all(100 <= wait <= 150.01 for wait in _waits())
    assert len(set(_waits())) > 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        ("permanent", Permanent), ("wrapped", Permanent), ("fatal", Fatal), ("name", NameError), ("attribute", AttributeError),
        ("type", TypeError),
    ],
)  # fmt: skip
async def test_some_errors_are_never_retried_whatever_the_policy(virtual, error, raised):
    with pytest.raises(raised):
        await Retrying("r").run(9, "picky", error)
    assert len(TIMES) == 1


async def test_an_error_wrapped_in_permanent_can_be_seen(virtual):
    with pytest.raises(Permanent) as caught:
        await Retrying("r").run(9, "default", "wrapped")
    assert isinstance(caught.value.args[0], Declined)


async def test_other_errors_are_retried_although_some_are_not(virtual):
    assert await Retrying("r").run(1, "picky") == "attempt 2"
    TIMES.clear()
    assert await Retrying("k").run(3, "picky", "key") == "attempt 4"


@pytest.mark.parametrize(
    "wrong", [{"max_attempts": 0}, {"backoff": "fibonacci"}, {"jitter": 2}, {"initial_delay": "soon"}, {"max_delay": -1}]
)
def test_a_wrong_policy_is_refused_when_it_is_made(wrong):
    with pytest.raises(ValueError):
        RetryPolicy(**wrong)


async def test_a_wrong_retry_argument_is_a_type_error(virtual):
    class Wrongly(DO, noun="WronglyRetried"):
        async def run(self, retry) -> None:
            await self.do(self._work, retry=retry)

        async def _work(self) -> None:
            LOG.append("ran")

    for wrong in ("three", True, 2.5):
        with pytest.raises(TypeError, match="retry"):
            await Wrongly("w").run(wrong)
    with pytest.raises(ValueError, match="once"):
        await Wrongly("w").run(0)
    assert LOG == []


@pytest.mark.feature(29, 115)
async def test_a_timeout_is_of_each_attempt_and_a_builtin_timeout_error(virtual):
    class Slow(DO, noun="SlowStep"):
        async def run(self) -> str:
            return await self.do(self._hang_twice, step_id="ship", timeout="30s", retry=RetryPolicy(max_attempts=3, initial_delay="1s"))

        async def _hang_twice(self) -> str:
            TIMES.append(self.now().timestamp())
            if len(TIMES) < 3:
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    LOG.append("cancelled")
            return "third time lucky"

        async def never(self) -> str:
            return await self.do(asyncio.get_running_loop().create_future, step_id="never", timeout=timedelta(seconds=5), retry=1)

    assert await Slow("s").run() == "third time lucky"
    assert _waits() == pytest.approx([31, 32], abs=0.1)
    assert LOG == ["cancelled", "cancelled"]
    with pytest.raises(TimeoutError) as caught:
        await Slow("s").never()
    assert isinstance(caught.value, StepTimeout)
    assert "never" in str(caught.value)
    assert "SlowStep/s" in str(caught.value)


@pytest.mark.feature(16, 17, 20, 25, 345)
async def test_the_example_of_the_page(virtual):
    class Orders(DO, noun="PageOrders"):
        async def process(self, order: Order) -> dict:
            validated = await self.do(self._validate, order, step_id="validate")
            payment = await self.do(Bank(order.id).charge, 7, step_id="charge")
            shipped = await self.do(self._ship, order, step_id="ship", retry=RetryPolicy(max_attempts=5), timeout="30s")
            await self.try_(self._email, order, timeout="5s")
            return {"validated": validated, "payment": payment, "shipped": shipped}

        async def _validate(self, order: Order) -> Decimal:
            return sum((line.price for line in order.lines), Decimal(0))

        def _ship(self, order: Order) -> list[Line]:
            LOG.append("ship")
            if LOG.count("ship") < 4:
                raise ConnectionError("carrier is down")
            return order.lines

        async def _email(self, order: Order) -> None:
            LOG.append(f"mail {order.id}")

    order = Order(id="c1", lines=[Line(sku="a", price=Decimal("1.10")), Line(sku="b", price=Decimal("2.20"))])
    virtual.crash_after("charge")
    result = await Orders("o").process(order)
    assert result == {"validated": Decimal("3.30"), "payment": "receipt-7", "shipped": order.lines}
    assert list(result) == ["validated", "payment", "shipped"]
    assert isinstance(result["shipped"][0], Line)
    assert await Bank("c1").charged == 7
    assert LOG[-1] == "mail c1"


@pytest.mark.feature(16, 18, 19, 20)
async def test_what_can_be_a_step(virtual):
    class Forms(DO, noun="StepForms"):
        async def run(self) -> list:
            async def inner(value: int) -> int:
                return value + 1

            numbers = [
                await self.do(inner, 1),
                await self.do(lambda: 3),
                await self.do(lambda: inner(3)),
                await self.do(functools.partial(inner, 4)),
                await self.do(functools.partial(self._keywords, b=5), 1),
                await self.do(str.upper, "six"),
                await self.do(module_function, 7),
                await self.do(in_thread(blocking), 8),
                await self.do(Bank("forms").charge, 9),
            ]
            return numbers

        async def _keywords(self, a: int, *, b: int) -> int:
            return a + b

    expected = [2, 3, 4, 5, 6, "SIX", 7, 8, "receipt-9"]
    assert await Forms("f").run() == expected
    run = await dotdo.start(Forms("again").run)
    await run.result()
    ids = [one["id"] for one in (await run.info()).steps]
    assert len(set(ids)) == len(ids) == 9
    assert "inner" in ids
    assert "upper" in ids
    assert "Bank.charge" in ids


async def module_function(value: int) -> int:
    return value


def blocking(value: int) -> int:
    import threading

    assert threading.current_thread() is not threading.main_thread()
    return value


@pytest.mark.feature(19, 41)
async def test_a_result_that_cannot_be_kept_fails_at_once_naming_the_step(virtual):
    class Strange(DO, noun="StrangeResult"):
        count: int = 0

        async def run(self) -> None:
            await self.do(self._socket, step_id="open")

        async def _socket(self) -> object:
            LOG.append("opened")
            self.count += 1
            return object()

    with pytest.raises(dotdo.CodecError, match="open"):
        await Strange("s").run()
    assert LOG == ["opened"]
    assert await Strange("s").count == 0


@pytest.mark.feature(19)
async def test_the_first_run_already_gets_the_recorded_value_not_the_object_itself(virtual):
    class Sharing(DO, noun="SharingResult"):
        async def run(self) -> list:
            given = {"tags": ("a", {1})}
            got = await self.do(lambda: given)
            given["later"] = 1
            return [got, got is given]

    assert await Sharing("s").run() == [{"tags": ("a", {1})}, False]


class Decorated(DO):
    count: int = 0

    async def run(self) -> list:
        return [await self.plain(1), await self.patient(2, factor=3), await self.plain(4), await self.synchronous()]

    @step
    async def plain(self, value: int) -> int:
        LOG.append(f"plain {value}")
        self.count += 1
        return value

    @step(retry=RetryPolicy(max_attempts=2, initial_delay="1h", max_delay="1h"), timeout="10s")
    async def patient(self, value: int, *, factor: int) -> int:
        """Multiply, patiently."""
        LOG.append("patient")
        if LOG.count("patient") == 1:
            await asyncio.get_running_loop().create_future()
        return value * factor

    @step()
    def synchronous(self) -> str:
        return "sync"


async def test_a_method_with_the_decorator_is_a_step_of_every_call(virtual):
    virtual.crash_after("patient")
    assert await Decorated("d").run() == [1, 6, 4, "sync"]
    assert LOG == ["plain 1", "patient", "patient", "plain 4"]
    assert await Decorated("d").count == 2
    assert Decorated.patient.__doc__ == "Multiply, patiently."
    assert await Decorated("d").plain(9) == 9


def test_a_decorator_with_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="retries"):

        @step(retries=3)
        async def wrong(self) -> None:
            pass


# -- compensation -----------------------------------------------------------------------------------------------


class Saga(DO):
    undone: list[str] = []
    done: list[str] = []

    async def run(self, count: int, end: str, broken: str = "") -> str:
        for number in range(count):
            await self.do(self._book, f"b{number}", step_id=f"book-{number}", undo=functools.partial(self._cancel, broken))
        if end == "fail":
            raise Declined("no car")
        if end == "wait":
            await self.sleep("30d")
        if end == "step":
            await self.do(self._decline, step_id="decline", retry=1, undo=self._never)
        return "booked"

    async def catching(self) -> str:
        await self.do(self._book, "b", undo=functools.partial(self._cancel, ""))
        try:
            await self.do(self._decline, retry=1)
        except Declined:
            return "without"
        return "with"

    async def same_id(self) -> None:
        for number in range(3):
            await self.do(self._book, f"b{number}", step_id="book", undo=functools.partial(self._cancel, ""))
        raise Declined("all of them go")

    async def by_hand(self, end: str, broken: str = "") -> str:
        async with self.saga() as saga:
            for number in range(3):
                booking = await self.do(self._book, f"b{number}", step_id="book")
                saga.add(self._cancel, broken, booking)
            if end == "fail":
                raise Declined("no car")
            if end == "wait":
                await self.sleep("30d")
        return "booked"

    async def undo_with_retries(self) -> None:
        await self.do(self._book, "b", undo=self._flaky_cancel)
        raise Declined("original")

    async def _book(self, name: str) -> str:
        self.done.append(name)
        return name

    async def _decline(self) -> None:
        raise Declined("no car")

    async def _never(self, _result: object) -> None:
        LOG.append("the undo of a step that failed")

    async def _cancel(self, broken: str, booking: str) -> None:
        LOG.append(booking)
        if booking == broken:
            raise Permanent(f"cannot cancel {booking}")
        self.undone.append(booking)

    async def _flaky_cancel(self, booking: str) -> None:
        LOG.append(booking)
        if len(LOG) < 3:
            raise ConnectionError("later")
        self.undone.append(booking)


@pytest.mark.feature(44, 45, 48, 52, 53)
@pytest.mark.parametrize("end", ["fail", "step"])
async def test_undos_run_newest_first_each_with_the_result_of_its_step(virtual, end):
    with pytest.raises(Declined, match="no car"):
        await Saga("s").run(3, end)
    assert await Saga("s").undone == ["b2", "b1", "b0"]
    assert LOG == ["b2", "b1", "b0"]


@pytest.mark.feature(44)
async def test_nothing_is_undone_when_the_method_returns_or_catches(virtual):
    assert await Saga("s").run(2, "return") == "booked"
    assert await Saga("c").catching() == "without"
    assert LOG == []


@pytest.mark.feature(47, 48)
@pytest.mark.parametrize("method", ["run", "by_hand"])
async def test_a_failing_undo_is_noted_and_recorded_and_the_rest_run(virtual, method):
    args = (3, "fail", "b1") if method == "run" else ("fail", "b1")
    run = await dotdo.start(getattr(Saga("s"), method), *args)
    with pytest.raises(Declined, match="no car") as caught:
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b0"]
    notes = [note for note in caught.value.__notes__ if note.startswith("the undo")]
    assert len(notes) == 1
    assert "cannot cancel b1" in notes[0]
    failed = [one for one in await run.history() if one["type"] == "step" and not one["ok"]]
    assert len(failed) == 1
    assert "cannot cancel b1" in failed[0]["error"]
    assert await run.status() == "failed"


@pytest.mark.feature(46)
@pytest.mark.parametrize("method", ["same_id", "by_hand"])
async def test_compensations_with_one_step_id_are_all_run(virtual, method):
    with pytest.raises(Declined):
        await getattr(Saga("s"), method)(*(["fail"] if method == "by_hand" else []))
    assert LOG == ["b2", "b1", "b0"]


@pytest.mark.feature(49)
@pytest.mark.parametrize("step_name", ["undo book-2", "undo book-1", "undo book-0"])
async def test_a_crash_between_two_undos_goes_on_with_the_next(virtual, step_name):
    virtual.crash_after(step_name)
    with pytest.raises(Declined, match="no car"):
        await Saga("s").run(3, "fail", "b0")
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b1"]


async def test_an_undo_is_retried_like_any_step(virtual):
    with pytest.raises(Declined, match="original") as caught:
        await Saga("s").undo_with_retries()
    assert LOG == ["b", "b", "b"]
    assert await Saga("s").undone == ["b"]
    assert not any(note.startswith("the undo") for note in getattr(caught.value, "__notes__", []))


@pytest.mark.feature(206)
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "hibernated"])
@pytest.mark.parametrize("method", ["run", "by_hand"])
async def test_cancelling_runs_the_undos(virtual, method, asleep):
    run = await dotdo.start(getattr(Saga("s"), method), *((3, "wait") if method == "run" else ("wait",)))
    await virtual.settle()
    if asleep:
        await virtual.advance("1h")
        assert virtual.host.activations == {}
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await run.status() == "cancelled"


@pytest.mark.feature(49)
@pytest.mark.parametrize(("method", "crash"), [("run", "undo book-1"), ("by_hand", "undo:cancel")])
async def test_a_crash_while_a_cancelled_execution_is_undone_goes_on_with_the_next(virtual, method, crash):
    run = await dotdo.start(getattr(Saga("s"), method), *((3, "wait") if method == "run" else ("wait",)))
    await virtual.settle()
    virtual.crash_after(crash)
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b1", "b0"]


@pytest.mark.feature(50)
async def test_a_saga_names_its_steps_and_says_whether_it_failed(virtual):
    class Named(DO, noun="NamedSaga"):
        async def run(self) -> list:
            saga = self.saga()
            try:
                async with saga:
                    saga.add(self._release, 1)
                    saga.add(self._refund, 2)
                    raise Declined("x")
            except Declined:
                pass
            return [saga.steps, saga.failed]

        async def _release(self, number: int) -> None:
            LOG.append(number)

        async def _refund(self, number: int) -> None:
            LOG.append(number)

    assert await Named("n").run() == [["release", "refund"], True]
    assert LOG == [2, 1]


async def test_undos_of_gathered_steps_run_too(virtual):
    class Gathering(DO, noun="GatheringSaga"):
        async def run(self) -> None:
            await asyncio.gather(*(self.do(self._book, n, step_id=f"book-{n}", undo=self._cancel) for n in range(3)))
            raise Declined("x")

        async def _book(self, number: int) -> int:
            return number

        async def _cancel(self, number: int) -> None:
            LOG.append(number)

    with pytest.raises(Declined):
        await Gathering("g").run()
    assert sorted(LOG) == [0, 1, 2]


# -- single attempts --------------------------------------------------------------------------------------------


@pytest.mark.feature(28, 29, 30)
async def test_one_attempt_is_one_attempt_and_raises_its_error(virtual):
    class Once(DO, noun="TriedOnce"):
        async def run(self, what: str) -> str:
            return await self.try_(self._body, what)

        async def _body(self, what: str) -> str:
            LOG.append(what)
            if what == "fail":
                raise Declined("once")
            return what

        async def again(self) -> str:
            first = await self.try_(self._body, "unrecorded")
            await self.do(self._body, "recorded", step_id="recorded")
            return first

        def synchronous(self) -> object:
            return self.try_(lambda: "sync")

    assert await Once("o").run("ok") == "ok"
    with pytest.raises(Declined, match="once"):
        await Once("o").run("fail")
    assert LOG == ["ok", "fail"]
    LOG.clear()
    virtual.crash_after("recorded")
    assert await Once("o").again() == "unrecorded"
    assert LOG == ["unrecorded", "recorded", "unrecorded"]
    assert await Once("o").synchronous() == "sync"


# -- waits ------------------------------------------------------------------------------------------------------


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


# -- many at once -----------------------------------------------------------------------------------------------


class Many(DO):
    async def run(self, count: int, limit: int, failing: list[int], options: dict) -> list:
        return await gather_limited([functools.partial(self._one, n, failing) for n in range(count)], limit, **options)

    async def keyword(self) -> list:
        return await gather_limited([lambda: self.do(self._work, 1, [], step_id="w"), lambda: 2], limit=10, min_successful=None)

    async def empty(self) -> list:
        return await gather_limited([], limit=3)

    async def _one(self, number: int, failing: list[int]) -> int:
        await self.sleep("1s")
        return await self.do(self._work, number, failing, step_id="work", retry=1)

    async def _work(self, number: int, failing: list[int]) -> int:
        LOG.append(("begin", number))
        for _ in range(30):
            await asyncio.sleep(0)
        LOG.append(("end", number))
        if number in failing:
            raise Declined(f"number {number}")
        return number * 10


@pytest.mark.feature(126)
async def test_gather_limited_keeps_order_and_limit(virtual):
    assert await Many("m").run(7, 2, [], {}) == [0, 10, 20, 30, 40, 50, 60]
    running = most = 0
    for what, _ in LOG:
        running += 1 if what == "begin" else -1
        most = max(most, running)
    assert most == 2
    assert await Many("m").keyword() == [10, 2]
    assert await Many("m").empty() == []


@pytest.mark.feature(126)
async def test_gather_limited_counts_its_failures(virtual):
    with pytest.raises(Declined, match="number 3"):
        await Many("a").run(5, 2, [3], {})
    assert await Many("b").run(5, 2, [3], {"tolerated_failures": 1}) == [0, 10, 20, None, 40]
    assert await Many("c").run(5, 2, [0, 3], {"min_successful": 3}) == [None, 10, 20, None, 40]
    with pytest.raises(Declined):
        await Many("d").run(5, 2, [0, 3], {"min_successful": 4})
    with pytest.raises(ValueError, match="limit"):
        await Many("e").run(5, 0, [], {})


@pytest.mark.feature(27, 116)
@pytest.mark.parametrize("number", [1, 3, 5])
async def test_steps_inside_gather_limited_keep_their_ids_over_a_crash(number):
    async with runtime(clock="virtual") as rt:
        seen = []

        def crash_at(_key, _run_id, name, original=rt._step_recorded):
            seen.append(name)
            if len(seen) == number:
                rt.crash_now()

        rt._step_recorded = crash_at
        rt.host.on_step = crash_at
        assert await Many("m").run(5, 2, [], {}) == [0, 10, 20, 30, 40]
        done = [n for what, n in LOG if what == "end"]
        assert sorted(set(done)) == [0, 1, 2, 3, 4]
        assert len(done) <= 6


@pytest.mark.feature(116)
async def test_steps_in_a_task_group_and_under_asyncio_timeout(virtual):
    class Grouped(DO, noun="GroupedSteps"):
        async def run(self) -> list:
            async with asyncio.timeout(60):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._branch(n)) for n in range(3)]
            return [task.result() for task in tasks]

        async def _branch(self, number: int) -> list:
            return [await self.do(self._work, number, step_id="a"), await self.do(self._work, number + 10, step_id="b")]

        async def _work(self, number: int) -> int:
            LOG.append(number)
            await asyncio.sleep(0)
            return number

        async def failing(self) -> str:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._branch(1))
                    group.create_task(self._fail())
            except ExceptionGroup as errors:
                await self.do(self._work, 99, step_id="after")
                return f"{len(errors.exceptions)} failed"
            return "none"

        async def _fail(self) -> None:
            await self.do(self._raise, step_id="raise", retry=1)

        async def _raise(self) -> None:
            raise Declined("x")

    virtual.crash_after("b")
    assert await Grouped("g").run() == [[0, 10], [1, 11], [2, 12]]
    virtual.crash_after("after")
    assert await Grouped("f").failing() == "1 failed"


# -- code outside a class ---------------------------------------------------------------------------------------


async def charge_customer(amount: int) -> str:
    """A function that knows no entity and acts on the execution that runs it."""
    before = dotdo.now()
    receipt = await dotdo.do(Bank("outside").charge, amount, step_id="charge")
    again = await dotdo.step("note", note, receipt)
    await dotdo.sleep("2h")
    name = str(dotdo.uuid4())
    mailed = await dotdo.try_(note, "mail", timeout="5s")
    answer = await dotdo.wait_for("answer", timeout="1h", default="none")
    waited = (dotdo.now() - before).total_seconds()
    kept = await dotdo.step("keep", note, [name, waited], retry=2, timeout="1m", undo=None)
    return [again, mailed, answer, [name, waited] == kept, waited]


async def note(value):
    LOG.append(value)
    return value


async def test_top_level_functions_act_on_the_current_execution(virtual):
    class Outside(DO, noun="OutsideFunctions"):
        async def run(self) -> list:
            return await charge_customer(5)

        async def inside_a_task(self) -> list:
            return await asyncio.gather(charge_customer(1), asyncio.create_task(charge_customer(2)))

    virtual.crash_after("keep")
    result = await Outside("o").run()
    assert result[:4] == ["receipt-5", "mail", "none", True]
    assert result[4] == pytest.approx(3 * 3600, abs=1)
    assert await Bank("outside").charged == 5
    assert len(await Outside("o").inside_a_task()) == 2
    assert await Bank("outside").charged == 8


async def test_outside_an_execution_they_say_so(virtual):
    for call in (
        lambda: dotdo.do(note, 1),
        lambda: dotdo.sleep(1),
        dotdo.now,
        dotdo.uuid4,
        lambda: dotdo.wait_for("x"),
        lambda: dotdo.try_(note, 1),
    ):
        with pytest.raises(dotdo.OutsideTurn, match="execution"):
            call()


async def test_a_blocking_function_runs_in_a_thread_and_can_time_out(virtual):
    class Threads(DO, noun="ThreadSteps"):
        async def run(self) -> list:
            return [await self.do(in_thread(blocking), 1, step_id="a"), await self.try_(in_thread(blocking), 2)]

    virtual.crash_after("a")
    assert await Threads("t").run() == [1, 2]


# -- entities as steps ------------------------------------------------------------------------------------------


@pytest.mark.feature(80, 345)
async def test_an_error_of_another_entity_is_not_retried_unless_a_policy_is_given(virtual):
    class Caller(DO, noun="CallingBank"):
        async def run(self, retry) -> None:
            await self.do(Bank("b").decline, step_id="pay", retry=retry)

        async def through_a_body(self) -> None:
            await self.do(self._pay, step_id="pay")

        async def _pay(self) -> None:
            await Bank("b").decline()

    with pytest.raises(Declined, match="no money") as caught:
        await Caller("c").run(None)
    assert LOG == ["decline"]
    assert caught.value.remote
    LOG.clear()
    with pytest.raises(Declined):
        await Caller("c").run(4)
    assert LOG == ["decline"] * 4
    LOG.clear()
    with pytest.raises(Declined):
        await Caller("c").through_a_body()
    assert LOG == ["decline"]


@pytest.mark.feature(23)
async def test_a_retried_step_that_calls_an_entity_pays_once(virtual):
    class Payer(DO, noun="RetriedPayer"):
        async def run(self) -> str:
            return await self.do(self._pay_then_fail, step_id="pay", retry=RetryPolicy(max_attempts=4, initial_delay="1s"))

        async def _pay_then_fail(self) -> str:
            receipt = await Bank("once").charge(10)
            LOG.append(receipt)
            if len(LOG) < 3:
                raise ConnectionError("after the payment")
            return receipt

    assert await Payer("p").run() == "receipt-10"
    assert LOG == ["receipt-10"] * 3
    assert await Bank("once").charged == 10


async def test_a_step_in_a_step_is_a_step_too(virtual):
    class Nested(DO, noun="NestedSteps"):
        async def run(self) -> list:
            return await self.do(self._outer, step_id="outer", retry=RetryPolicy(max_attempts=2, initial_delay="1s"))

        async def _outer(self) -> list:
            first = await self.do(self._inner, "once", step_id="inner")
            LOG.append("outer")
            if LOG.count("outer") == 1:
                raise ConnectionError("again")
            return [first, await self.do(self._inner, "twice", step_id="inner")]

        async def _inner(self, value: str) -> str:
            LOG.append(value)
            return value

    virtual.crash_after("inner")
    assert await Nested("n").run() == ["once", "twice"]
    assert LOG == ["once", "outer", "outer", "twice"]
