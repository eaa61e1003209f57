"""Events end to end: who gets them, in which order, how often, and what an awaited one answers."""

from __future__ import annotations

import pytest

import dotdo
from dotdo import DO, N, NoHandler, NoKey, on, send
from dotdo.events import registry

seen: list = []


@pytest.fixture(autouse=True)
def only_mine():
    seen.clear()
    entered = registry.enter([__name__])
    yield
    registry.leave(entered)


@on.Thing.created
async def first(thing):
    seen.append(("first", thing))
    return "first"


@on(N.Thing.created)
async def second(thing):
    seen.append(("second", thing))
    return "second"


@on("*.broken")
async def whatever_broke(thing):
    seen.append(("broke", thing))


@on.Sum.ask
async def add_up(numbers):
    return sum(numbers)


class Fulfilment(DO, noun="EvFulfilment"):
    lines: list = []

    @on.Thing.placed(key="order_id")
    async def placed(self, event):
        self.lines.append([event.name, event.data["n"], event.source, self.id])

    async def read(self):
        return self.lines


class Payment(DO, noun="EvPayment"):
    charged: int = 0

    async def process(self, id: str, amount: int) -> int:
        if amount < 0:
            raise ValueError("negative")
        self.charged += amount
        return self.charged


class Shop(DO, noun="EvShop"):
    async def place(self, count: int) -> None:
        for n in range(count):
            self.send("Thing.placed", {"order_id": "f1", "n": n})

    async def fail(self) -> None:
        self.send("Thing.placed", {"order_id": "f1", "n": -1})
        raise RuntimeError("no")

    async def charge(self, amount: int):
        return await self.send(N.EvPayment.process, id="p1", amount=amount)


@pytest.mark.feature(57, 58, 66, 67)
async def test_functions_get_the_payload_in_the_order_they_were_registered(virtual):
    assert await send("Thing.created", {"n": 1}) == ["first", "second"]
    assert sorted(seen) == [("first", {"n": 1}), ("second", {"n": 1})]


@pytest.mark.feature(75, 79, 82)
async def test_an_event_that_nobody_awaits_is_handled_too(virtual):
    send.Thing.created({"n": 2})
    await virtual.settle()
    assert sorted(seen) == [("first", {"n": 2}), ("second", {"n": 2})]


@pytest.mark.feature(60, 72)
async def test_methods_get_the_event_in_order_and_once(virtual):
    await Shop("s").place(20)
    await virtual.settle()
    log = await Fulfilment("f1").read()
    assert log == [["Thing.placed", n, "EvShop/s", "f1"] for n in range(20)]


async def test_what_a_failed_turn_sent_is_not_sent(virtual):
    with pytest.raises(RuntimeError):
        await Shop("s").fail()
    await virtual.settle()
    assert await Fulfilment("f1").read() == []


@pytest.mark.feature(80, 81)
async def test_a_command_calls_the_noun_and_answers(virtual):
    assert await Shop("s").charge(5) == 5
    assert await send(N.EvPayment.process, id="p1", amount=2) == 7
    with pytest.raises(ValueError, match="negative"):
        await Shop("s").charge(-1)
    with pytest.raises(NoKey):
        send(N.EvPayment.process, amount=2)
    assert await send.Sum.ask([1, 2, 3]) == 6


async def test_awaited_and_unhandled(virtual):
    assert await send("Nothing.happened", 1) is None
    with pytest.raises(NoHandler):
        await send("Nothing.doit", 1)


@pytest.mark.feature(61, 63)
async def test_wildcards(virtual):
    assert await send("Engine.broken", {"n": 1}) is None
    await virtual.settle()
    assert seen == [("broke", {"n": 1})]


class Waiter(DO, noun="EvWaiter"):
    got: list = []

    async def wait(self, number: int, timeout=None):
        data = await self.wait_for("Approval.decided", match={"id": number}, timeout=timeout)
        self.got.append(data)
        return data

    async def wait_two(self):
        await self.do(self._ready, step_id="ready")
        one = await self.wait_for("Review.given", filter=lambda d: d["by"] == "ann")
        two = await self.wait_for("Review.given", filter=lambda d: d["by"] == "bob")
        return [one["n"], two["n"]]

    async def _ready(self):
        return None

    async def wait_default(self):
        return await self.wait_for("Never.came", timeout="2d", default="nothing")


@pytest.mark.feature(129, 130, 131)
async def test_a_wait_is_ended_by_what_matches(virtual):
    runs = [await dotdo.start(Waiter(f"w{n}").wait, n) for n in range(10)]
    await virtual.settle()
    for n in range(10):
        assert await dotdo.hibernate(Waiter(f"w{n}"))
    await send("Approval.decided", {"id": 7, "decision": "approved"}).queued()
    assert await runs[7].result() == {"id": 7, "decision": "approved"}
    states = {e["key"]: e["status"] for e in await dotdo.entities("EvWaiter")}
    assert [k for k, v in states.items() if v == "active"] == ["EvWaiter/w7"]


@pytest.mark.feature(136)
async def test_reviewers_may_answer_in_the_other_order(virtual):
    run = await dotdo.start(Waiter("two").wait_two)
    await virtual.settle()
    await send("Review.given", {"by": "bob", "n": 2}).queued()
    await send("Review.given", {"by": "ann", "n": 1}).queued()
    assert await run.result() == [1, 2]


@pytest.mark.feature(132, 133)
async def test_timeouts(virtual):
    assert await Waiter("d").wait_default() == "nothing"
    with pytest.raises(dotdo.WaitTimeout):
        await Waiter("t").wait(99, "1h")


@pytest.mark.feature(136)
async def test_no_lost_wake_up_over_hibernation_and_crash(virtual):
    run = await dotdo.start(Waiter("c").wait, 5)
    await virtual.settle()
    assert await dotdo.hibernate(Waiter("c"))
    await virtual.crash()
    await send("Approval.decided", {"id": 5}).queued()
    assert await run.result() == {"id": 5}


class Subscriber(DO, noun="EvSubscriber"):
    got: list = []

    async def setup(self) -> None:
        self.on.Lamp.broken(self.note)
        self.on["*"].failed(self.note)

    async def note(self, event):
        self.got.append([event.name, event.data])

    async def hello(self):
        return self.got


@pytest.mark.feature(60, 61, 70, 74)
async def test_an_entity_subscribes_itself(virtual):
    await Subscriber("a").hello()
    await virtual.settle()
    assert await dotdo.hibernate(Subscriber("a"))
    await send("Lamp.broken", 1).queued()
    await send("Bulb.failed", 2).queued()
    await virtual.settle()
    assert await Subscriber("a").hello() == [["Lamp.broken", 1], ["Bulb.failed", 2]]


class Flaky(DO, noun="EvFlaky"):
    tries: int = 0
    done: list = []

    @on.Job.posted
    async def posted(self, event):
        self.done.append(event.data["n"])
        if event.data.get("bad"):
            raise ConnectionError("down")

    async def read(self):
        return self.done


@pytest.mark.feature(68, 73)
async def test_a_handler_that_keeps_failing_ends_in_the_dead_letters(virtual):
    for n in range(4):
        await send("Job.posted", {"id": "j", "n": n, "bad": n == 1}).queued()
    await virtual.settle()
    assert await Flaky("j").read() == [0]  # the second holds its line
    await virtual.advance("10m")
    assert await Flaky("j").read() == [0, 2, 3]
    (letter,) = await dotdo.dead_letters.list()
    assert letter.event.data == {"id": "j", "n": 1, "bad": True}
    assert letter.attempts == 5
    assert len(letter.history) == 5
    assert "ConnectionError" in letter.error
    assert letter.receiver == "EvFlaky/j"
    await dotdo.dead_letters.replay(letter.id)
    await virtual.settle()
    assert await dotdo.dead_letters.list() == []
    await virtual.advance("10m")
    assert len(await dotdo.dead_letters.list()) == 1


@pytest.mark.feature(84)
async def test_delayed(virtual):
    from datetime import timedelta

    at = dotdo.clock.to_datetime(virtual.clock.now()) + timedelta(days=3)
    await send("Thing.created", {"n": 9}, send_at=at).queued()
    await virtual.advance("2d")
    assert seen == []
    await virtual.advance("2d")
    assert len(seen) == 2


class Teller(DO, noun="EvTeller"):
    async def tell(self, n):
        for _ in range(3):
            await send.with_options(call_id="told").Thing.created({"n": n}).queued()


async def test_what_is_sent_under_one_call_id_goes_once(virtual):
    answers = [await send.with_options(call_id="a").Thing.created({"n": 1}) for _ in range(3)]
    assert answers == [["first", "second"]] * 3
    await send.with_options(call_id="b").Thing.created({"n": 2})
    with pytest.raises(dotdo.CallIdConflict):
        await send.with_options(call_id="a").Thing.created({"n": 3})
    await Teller("t").tell(4)
    await virtual.settle()
    assert [thing["n"] for who, thing in seen if who == "first"] == [1, 2, 4]
    with pytest.raises(ValueError, match="1 to 200"):
        send.with_options(call_id="")
