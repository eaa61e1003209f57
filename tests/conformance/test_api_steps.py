"""Steps, retries, compensation and waits, as a program written from the public page alone uses them."""

import asyncio
import functools
from datetime import timedelta
from decimal import Decimal

import pydantic
import pytest

import dotdo
from dotdo import DO, Permanent, RetryPolicy, StepTimeout, in_thread, step

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
    "a long first": RetryPolicy(max_attempts=4, initial_delay="2m"),
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
        ("exponential", [1, 2, 4, 8]), ("factor", [1, 3, 9]), ("linear", [2, 4, 5, 5]), ("constant", [60, 60]), ("a long first", [120, 120, 120]),
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
