"""Events, commands and waits, as a user writes them from the page of the API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pydantic
import pytest

import dotdo
from dotdo import DO, CodecError, DefinitionError, Event, N, NoHandler, NoKey, on, send
from dotdo.testing import runtime

HEARD: list = []


@pytest.fixture
async def rt():
    HEARD.clear()
    async with runtime(clock="virtual", modules=[__name__]) as running:
        yield running


# -- on -----------------------------------------------------------------------------------------------------------


@on([N.Member.registered, "Member.verified"])
async def greet(member):
    HEARD.append(("greet", member))


@on("Ship.*")
def any_ship(payload):  # a plain function will do
    HEARD.append(("ship", payload))


@on.any.collapsed
async def collapsed(payload):
    HEARD.append(("any", dotdo.current_event().name))


@on(N["*"].drifted)
async def drifted(payload):
    HEARD.append(("drifted", payload))


@on.Hull.breached
@on("*.breached")
async def breached(payload):
    HEARD.append(("breached", payload))


@on.Thing.pinged
async def pinged():
    HEARD.append(("pinged",))


async def later(payload):
    HEARD.append(("later", payload))


on(N.Late.registered, later)
on.Late.fluently(later)


@pytest.mark.feature(57, 58, 59, 62, 71)
async def test_every_form_of_on_hears(rt):
    for name in (
        "Member.registered",
        "Member.verified",
        "Ship.arrived",
        "Ship.needs_changes",
        "Roof.drifted",
        "Late.registered",
        "Late.fluently",
    ):
        await send(name, name).queued()
    send.Thing.pinged()
    send.Ship["sunk"]("Ship.sunk")
    await rt.settle()
    assert sorted(HEARD) == [
        ("drifted", "Roof.drifted"), ("greet", "Member.registered"), ("greet", "Member.verified"), ("later", "Late.fluently"),
        ("later", "Late.registered"), ("pinged",), ("ship", "Ship.arrived"), ("ship", "Ship.needs_changes"), ("ship", "Ship.sunk"),
    ]  # fmt: skip


@pytest.mark.feature(61, 63, 72)
async def test_a_handler_registered_for_a_name_and_a_pattern_gets_an_event_once(rt):
    await send("Hull.breached", 1).queued()
    await rt.settle()
    assert HEARD == [("breached", 1)]
    send.Bridge.collapsed(1)
    await rt.settle()
    assert HEARD[1:] == [("any", "Bridge.collapsed")]


def test_what_on_refuses():
    with pytest.raises(DefinitionError, match="names no verb"):

        @on.Order
        async def fulfil(order): ...

    with pytest.raises(DefinitionError):
        on("*")
    with pytest.raises(DefinitionError):
        on("order.created")  # did you mean Order.created?
    with pytest.raises(DefinitionError, match="needs a name"):
        on.Order.created(lambda order: None)
    with pytest.raises(DefinitionError):
        on.Order.created(5)
    with pytest.raises(DefinitionError, match="function"):

        @on.Order.created(key="id")
        async def keyed(order): ...


async def test_decorated_functions_come_back_unchanged(rt):
    await greet("by hand")
    assert HEARD == [("greet", "by hand")]


@pytest.mark.feature(67)
async def test_handlers_of_one_runtime_are_unknown_in_the_next():
    for round_ in range(2):
        heard = []
        async with runtime(clock="virtual") as rt:

            @on.Isolated.happened
            async def local(payload, heard=heard):
                heard.append(payload)

            assert await send("Isolated.happened", round_) is None
            await rt.settle()
            assert heard == [round_]
    async with runtime(clock="virtual"):
        with pytest.raises(NoHandler):
            await send("Isolated.act", 1)
        assert await send("Isolated.happened", 9) is None
        assert heard == [1]


# -- methods ------------------------------------------------------------------------------------------------------


class Warehouse(DO, noun="CfWarehouse"):
    """Gets events by key."""

    lines: list = []

    @on.Parcel.placed(key="order_id")
    async def placed(self, event: Event) -> None:
        self.lines.append([event.name, event.noun, event.verb, event.data["order_id"], event.source, self.id])
        assert event.id
        assert event.at.tzinfo is not None

    @on([N.Parcel.packed, N.Parcel.sent])
    async def moved(self, event):
        self.lines.append(event.verb)

    async def hand_out(self, order_id: str, n: int) -> None:
        self.send("Parcel.placed", order_id=order_id, n=n)

    async def read(self) -> list:
        return self.lines


@on.Parcel.placed
async def note_parcel(parcel):
    HEARD.append(("parcel", parcel.get("n")))


@pytest.mark.feature(60, 65)
async def test_keys_choose_the_entity_and_methods_get_the_envelope(rt):
    await Warehouse("main").hand_out("o7", 1)
    await rt.settle()
    await send("Parcel.packed", {"$id": "o7", "id": "other"}).queued()
    await send("Parcel.sent", id="o7").queued()
    await rt.settle()
    assert await Warehouse("o7").read() == [["Parcel.placed", "Parcel", "placed", "o7", "CfWarehouse/main", "o7"], "packed", "sent"]


@pytest.mark.feature(68)
async def test_a_payload_without_the_key_of_one_handler_still_reaches_the_others(rt):
    await send("Parcel.placed", {"n": 3}).queued()
    await rt.settle()
    assert HEARD == [("parcel", 3)]
    (letter,) = await dotdo.dead_letters.list()
    assert letter.handler == "placed"
    assert "order_id" in letter.error


class Lighthouse(DO, noun="CfLighthouse"):
    """Subscribes while it runs."""

    heard: list = []

    async def setup(self):
        self.on.Storm.sighted(self.hear)
        self.on("*.sighted")(self.hear)
        self.on.any.wrecked(self.mourn)

    async def watch(self, name: str) -> None:
        self.on(name)(self.hear)

    async def watch_briefly(self) -> None:
        subscription = self.on[N.Gull]["*"](self.hear)
        subscription.cancel()

    async def forget(self, name: str) -> None:
        self.on(name)(self.hear).cancel()

    async def hear(self, event):
        self.heard.append([event.name, event.data])

    async def mourn(self, event):
        self.heard.append([event.name, event.data])
        if event.data < 50:
            self.send("Lighthouse.wrecked", event.data + 1)

    async def wrong(self):
        self.on.Storm.sighted(print)

    async def read(self):
        return self.heard


@pytest.mark.feature(60, 61, 62, 70, 74)
async def test_an_entity_subscribes_and_cancels_while_it_runs(rt):
    house = Lighthouse("a")
    await house.watch("Fog.*")
    await house.watch_briefly()
    await rt.settle()
    assert await dotdo.hibernate(house)
    for name in ("Storm.sighted", "Fog.lifted", "Gull.landed"):
        await send(name, 1).queued()
    await rt.settle()
    assert await house.read() == [["Storm.sighted", 1], ["Fog.lifted", 1]]
    await house.forget("Fog.*")
    await rt.settle()
    await rt.restart()
    await send("Fog.lifted", 2).queued()
    await send("Storm.sighted", 2).queued()
    await rt.settle()
    assert await house.read() == [["Storm.sighted", 1], ["Fog.lifted", 1], ["Storm.sighted", 2]]
    with pytest.raises(DefinitionError, match="method of this entity"):
        await house.wrong()


@pytest.mark.feature(63)
async def test_a_subscriber_that_sends_what_it_listens_to_does_not_hear_itself(rt):
    await Lighthouse("b").read()
    await rt.settle()
    await send("Ship.wrecked", 1).queued()
    await rt.settle()
    assert await Lighthouse("b").read() == [["Ship.wrecked", 1]]


@on("*.failed")
async def report_failure(payload):
    HEARD.append(dotdo.current_event().name)
    await send("Report.failed", payload).queued()
    raise RuntimeError("the handler of failures fails")


@pytest.mark.feature(63, 68)
async def test_a_failing_handler_of_failures_ends_and_does_not_trigger_itself(rt):
    await send("Engine.failed", 1).queued()
    await rt.advance("1h")
    assert set(HEARD) == {"Engine.failed"}
    (letter,) = await dotdo.dead_letters.list()
    assert letter.event.name == "Engine.failed"


# -- send ---------------------------------------------------------------------------------------------------------


class Address(pydantic.BaseModel):
    street: str
    number: int


@dataclass
class Point:
    x: int


@on.Cargo.loaded
async def cargo(payload):
    HEARD.append(payload)


@on.Cargo.add
async def add_cargo(payload):
    return sum(payload)


@on.Email.send
async def email(message):
    HEARD.append(message)
    return "sent"


@on.Pair.ask
async def pair_one(payload):
    return 1


@on.Pair.ask
async def pair_two(payload):
    return 2


@on.Broken.ask
async def broken(payload):
    HEARD.append("tried")
    raise KeyError("broken")


@pytest.mark.feature(75, 76, 78, 79)
async def test_payloads_are_what_was_passed(rt):
    order = {"items": [1], "when": datetime(2030, 1, 1, tzinfo=UTC), "role": N.Role.SalesTeam}
    for payload in (order, [1, 2], "text", None, Address(street="Elm", number=4), Point(2)):
        await send(N.Cargo.loaded, payload).queued()
    await send[N.Cargo.loaded](7).queued()
    send.Cargo.loaded(n=1)
    await rt.settle()
    assert [order, [1, 2], "text", None, Address(street="Elm", number=4), Point(2), 7, {"n": 1}] == HEARD


@pytest.mark.feature(77, 86)
async def test_a_noun_alone_means_send_and_to_is_a_part_of_the_message(rt):
    assert await send.Email(to="a@b.c", template="welcome") == "sent"
    assert await send(N.Email.send, to=N.Role.SalesTeam, message="hi") == "sent"
    assert [{"to": "a@b.c", "template": "welcome"}, {"to": N.Role.SalesTeam, "message": "hi"}] == HEARD


@pytest.mark.feature(66, 80, 81)
async def test_replies(rt):
    assert await send.Cargo.add([1, 2, 3]) == 6
    assert await send.Pair.ask(0) == [1, 2]
    assert await asyncio.gather(send.Cargo.add([1]), send("Cargo.add", [2])) == [1, 2]
    with pytest.raises(KeyError, match="broken"):
        await send.Broken.ask(1)
    await rt.advance("1h")
    assert HEARD == ["tried"]  # the error went to whoever awaited, and closed the delivery
    assert await dotdo.dead_letters.list() == []
    send.Broken.ask(1)
    await rt.advance("1h")
    assert HEARD == ["tried"] * 6
    assert len(await dotdo.dead_letters.list()) == 1


class Till(DO, noun="CfTill"):
    taken: int = 0

    async def charge(self, amount: int, currency: str = "EUR") -> str:
        self.taken += amount
        return f"{self.id}: {amount} {currency}"

    async def refund(self, order: dict) -> str:
        self.taken -= order["amount"]
        return self.id

    async def count(self) -> int:
        return self.taken

    async def greet(self, to: str) -> str:
        return f"{self.id} greets {to}"

    async def identify(self, id: str) -> str:
        return id


@pytest.mark.feature(80)
async def test_a_command_calls_the_nouns_method(rt):
    assert await send(N.CfTill.charge, to="t1", amount=5) == "t1: 5 EUR"
    assert await send.CfTill.charge(to="t1", amount=5, currency="USD") == "t1: 5 USD"
    assert await send(N.CfTill.refund, {"id": "t1", "amount": 3}) == "t1"
    assert await send("CfTill.refund", {"$id": "t1", "id": "t2", "amount": 1}) == "t1"
    assert await send("CfTill.refund", {"amount": 1}, to="t3") == "t3"
    assert await send(N[Till("t1")].count) == 6
    assert await send(N.CfTill.greet, to="t4") == "t4 greets t4"
    assert await send(N.CfTill.identify, id="t5") == "t5"
    send(N.CfTill.charge, to="t1", amount=4)
    await rt.settle()
    assert await Till("t1").taken == 10
    with pytest.raises(NoKey, match="to="):
        send(N.CfTill.charge, amount=5)
    with pytest.raises(NoKey):
        await send(N.CfTill.refund, {"amount": 5})


@pytest.mark.feature(80)
async def test_awaited_and_unhandled(rt):
    assert await send("Nothing.happened") is None
    assert await send("Ship.arrived", 1) is None  # a pattern's handler does not answer
    with pytest.raises(NoHandler, match="Nothing.act"):
        await send("Nothing.act", 1)
    send("Nothing.act", 1)
    await rt.settle()
    assert await dotdo.dead_letters.list() == []


@pytest.mark.feature(39, 79)
async def test_what_cannot_be_sent_fails_at_the_call(rt):
    with pytest.raises(CodecError, match=r"Cargo\.loaded"):
        send("Cargo.loaded", lambda: None)
    with pytest.raises(DefinitionError):
        send("cargo.loaded", 1)
    with pytest.raises(DefinitionError):
        send("Cargo.*", 1)
    with pytest.raises(DefinitionError, match="signal"):
        send("approve", 1)
    with pytest.raises(DefinitionError):
        send("Cargo.loaded", 1, 2)
    with pytest.raises(DefinitionError):
        send("Cargo.loaded", 1, n=2)
    with pytest.raises(ValueError, match="aware"):
        send("Cargo.loaded", 1, send_at=datetime(2030, 1, 1))  # noqa: DTZ001
    await rt.settle()
    assert HEARD == []


@pytest.mark.feature(84, 103)
async def test_delayed_events_come_at_their_time_and_late_ones_at_once(rt):
    now = dotdo.clock.to_datetime(rt.clock.now())
    await send("Cargo.loaded", "later", send_at=now + timedelta(days=3)).queued()
    await send("Cargo.loaded", "sooner", send_at=now + timedelta(days=1)).queued()
    await send("Cargo.loaded", "past", send_at=now - timedelta(days=1)).queued()
    await rt.settle()
    assert HEARD == ["past"]
    await rt.crash()
    await rt.advance("25h")
    assert HEARD == ["past", "sooner"]
    await rt.advance("3d")
    assert HEARD == ["past", "sooner", "later"]


class Sender(DO, noun="CfSender"):
    """Sends from turns, steps and executions."""

    async def in_a_step(self) -> str:
        await self.do(self._announce, step_id="announce")
        await self.do(self._rest, step_id="rest")
        return "done"

    async def _announce(self) -> None:
        await self.send("Cargo.loaded", "from a step").queued()

    async def _rest(self) -> None: ...

    async def ask(self) -> list:
        first = await self.send("Cargo.add", [1, 2])
        await self.do(self._rest, step_id="rest")
        second = await send(N.CfTill.charge, to="t", amount=1)
        return [first, second]

    async def several(self) -> None:
        for n in range(3):
            self.send("Cargo.loaded", n)
        if self.id == "bad":
            raise RuntimeError("no")

    async def bad(self) -> None:
        self.send("Cargo.loaded", 1)
        self.send("Cargo.loaded", object())


@pytest.mark.feature(89)
async def test_a_send_inside_a_step_is_recorded_with_it(rt):
    rt.crash_after("announce")
    run = await dotdo.start(Sender("s").in_a_step)
    assert await run.result() == "done"
    await rt.settle()
    assert HEARD == ["from a step"]


@pytest.mark.feature(80)
async def test_answers_are_not_asked_for_again_on_replay(rt):
    rt.crash_after("rest")
    assert await Sender("s").ask() == [3, "t: 1 EUR"]
    assert await Till("t").taken == 1


async def test_events_are_part_of_the_turn(rt):
    await Sender("good").several()
    with pytest.raises(RuntimeError):
        await Sender("bad").several()
    with pytest.raises(CodecError):
        await Sender("s").bad()
    await rt.settle()
    assert sorted(HEARD) == [0, 1, 2]


# -- names --------------------------------------------------------------------------------------------------------


class Keeper(DO, noun="CfKeeper"):
    names: dict = {}

    async def keep(self, name) -> list:
        self.names = {name: name}
        return sorted([name, N.A.b, "Z.z"])


@pytest.mark.feature(78)
async def test_names_and_their_texts_are_interchangeable(rt):
    assert N.Order.created == "Order.created" == str(N["Order"].created) == f"{N['Order.created']}"
    assert {N.Order.created: 1}["Order.created"] == 1
    assert len({N.Order.created, "Order.created"}) == 1
    assert sorted(["B.b", N.A.a, N.C.c]) == [N.A.a, "B.b", N.C.c]
    assert N[Till("t1")].approved != N.CfTill.approved
    assert N[Till].approved == N.CfTill.approved
    assert await Keeper("k").keep(N.Role.SalesTeam) == [N.A.b, N.Role.SalesTeam, "Z.z"]
    assert await Keeper("k").names == {N.Role.SalesTeam: N.Role.SalesTeam}
    assert "Role.SalesTeam" in repr(N.Role.SalesTeam)


# -- waits --------------------------------------------------------------------------------------------------------


class Clerk(DO, noun="CfClerk"):
    """Waits for events."""

    async def decided(self, number: int, timeout: str | None = None) -> dict:
        return await self.wait_for("Claim.decided", match={"claim_id": number}, timeout=timeout)

    async def late(self) -> list:
        await self.sleep("1h")
        first = await self.wait_for(N.Claim.decided, match={"claim_id": 1})
        return [first, await self.wait_for(N.Claim.decided, match={"claim_id": 1}, timeout="1h", default=None)]

    async def model(self) -> int:
        address = await self.wait_for("House.moved", match={"street": "Elm"}, filter=lambda a: a.number > 3)
        return address.number

    async def own(self) -> object:
        return await self.wait_for(N[self].released)

    async def signalled(self) -> object:
        return await self.wait_for("go", timeout="3d")

    async def both(self) -> list:
        return list(await asyncio.gather(self.decided(1), self.decided(2)))

    async def any_of(self) -> tuple:
        return await self.first(self.wait_for("Claim.decided", match={"claim_id": 5}), self.sleep("2d"))


@pytest.mark.feature(131, 137)
async def test_every_waiter_that_matches_gets_the_event_and_each_event_ends_one_wait(rt):
    runs = [await dotdo.start(Clerk(f"c{n}").decided, n % 2) for n in range(6)]
    await rt.settle()
    await send("Claim.decided", {"claim_id": 1, "by": "ann"}).queued()
    assert [await r.result() for r in runs[1::2]] == [{"claim_id": 1, "by": "ann"}] * 3
    assert {await r.status() for r in runs[::2]} == {"waiting"}


@pytest.mark.feature(136, 137)
async def test_events_are_kept_for_an_execution_from_its_start_and_used_once(rt):
    await send("Claim.decided", {"claim_id": 1, "n": "too early"}).queued()
    await rt.advance("1m")
    run = await dotdo.start(Clerk("late").late)
    await rt.settle()
    await send("Claim.decided", {"claim_id": 1, "n": "early"}).queued()
    assert await run.result() == [{"claim_id": 1, "n": "early"}, None]


@pytest.mark.feature(130)
async def test_match_and_filter_look_into_models_too(rt):
    run = await dotdo.start(Clerk("m").model)
    await rt.settle()
    for street, number in (("Oak", 9), ("Elm", 1), ("Elm", 7)):
        await send("House.moved", Address(street=street, number=number)).queued()
    assert await run.result() == 7


@pytest.mark.feature(78, 129)
async def test_an_event_about_one_entity(rt):
    runs = [await dotdo.start(Clerk(name).own) for name in ("a", "b")]
    await rt.settle()
    await send[N[Clerk("b")].released]("free").queued()
    assert await runs[1].result() == "free"
    assert await runs[0].status() == "waiting"


async def test_waits_at_once_and_races(rt):
    run, race = await dotdo.start(Clerk("b").both), await dotdo.start(Clerk("r").any_of)
    await rt.settle()
    for number in (2, 5, 1):
        await send("Claim.decided", claim_id=number).queued()
    assert await run.result() == [{"claim_id": 1}, {"claim_id": 2}]
    assert tuple(await race.result()) == (0, {"claim_id": 5})


@pytest.mark.feature(132, 133, 134, 141)
async def test_the_info_of_a_wait_and_its_signal(rt):
    run = await dotdo.start(Clerk("s").signalled)
    await rt.settle()
    info = await run.info()
    assert (info.status, info.waiting_for) == ("waiting", "go")
    assert info.until is not None
    await run.signal("go", {"n": 1})
    assert await run.result() == {"n": 1}
    with pytest.raises(dotdo.WaitTimeout, match=r"Claim\.decided"):
        await Clerk("t").decided(9, timeout="48h")


# -- dead letters -------------------------------------------------------------------------------------------------


class Picky(DO, noun="CfPicky"):
    is_open: bool = False
    taken: list = []

    @on.Letter.posted
    async def posted(self, event):
        if not self.is_open:
            raise ConnectionError("closed")
        self.taken.append(event.data["n"])

    async def open(self):
        self.is_open = True

    async def read(self):
        return self.taken


@pytest.mark.feature(73, 362)
async def test_dead_letters_are_listed_replayed_and_deleted_one_by_one_and_in_bulk(rt):
    for n in range(8):
        await send("Letter.posted", {"id": f"p{n % 2}", "n": n}).queued()
    await send("Broken.ask", 1).queued()
    await rt.advance("1h")
    letters = await dotdo.dead_letters.list(name="Letter.posted")
    assert sorted(letter.data["n"] for letter in letters) == list(range(8))
    letter = await dotdo.dead_letters.get(letters[0].id)
    assert (letter.event.name, letter.attempts, letter.handler) == ("Letter.posted", 5, "posted")
    assert "ConnectionError: closed" in letter.error
    assert len(letter.history) == 5
    assert all(at.tzinfo is not None and "closed" in why for at, why in letter.history)
    assert letter.history[0][0] < letter.history[-1][0] <= letter.at
    await Picky("p0").open()
    await Picky("p1").open()
    gone = next(x for x in letters if x.data["n"] == 0)
    assert await dotdo.dead_letters.delete(gone.id)
    assert not await dotdo.dead_letters.delete(gone.id)
    one = next(x for x in letters if x.data["n"] == 2)
    assert await dotdo.dead_letters.replay(one.id) == 1
    await rt.settle()
    assert await Picky("p0").read() == [2]
    assert await dotdo.dead_letters.replay(name="Letter.posted") == 6
    await rt.settle()
    assert await Picky("p0").read() == [2, 4, 6]
    assert await Picky("p1").read() == [1, 3, 5, 7]
    assert [x.event.name for x in await dotdo.dead_letters.list()] == ["Broken.ask"]
    assert await dotdo.dead_letters.delete(name="Broken.ask") == 1
    assert await dotdo.dead_letters.list() == []
    with pytest.raises(dotdo.NoSuchLetter):
        await dotdo.dead_letters.get(one.id)
    with pytest.raises(dotdo.NoSuchLetter):
        await dotdo.dead_letters.replay(one.id)


class Deadly(DO, noun="CfDeadly"):
    starts: int = 0

    @on.Poison.drunk
    async def drunk(self, event):
        if event.data["is_poison"]:
            asyncio.get_running_loop().call_later(0.002, _crash)
            await asyncio.sleep(3600)
        self.starts += 1

    async def read(self):
        return self.starts


RUNTIMES: list = []


def _crash() -> None:
    if RUNTIMES[0]._restarting is None:
        RUNTIMES[0].crash_now()
    else:  # still coming up after the last one
        asyncio.get_running_loop().call_later(0.002, _crash)


@pytest.mark.feature(73)
async def test_an_event_that_takes_its_host_along_each_time_ends_in_the_dead_letters(rt):
    RUNTIMES[:] = [rt]
    await send("Poison.drunk", {"id": "d", "is_poison": True}).queued()
    await send("Poison.drunk", {"id": "d", "is_poison": False}).queued()
    for _ in range(200):
        await rt.advance("10s")
        letters = await dotdo.dead_letters.list()
        if letters:
            break
    assert letters[0].data["is_poison"]
    assert letters[0].attempts > 1
    assert "died" in letters[0].error
    await rt.settle()
    assert await Deadly("d").read() == 1
