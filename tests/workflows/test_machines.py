"""State machines: what an event does, that it does all of it or nothing, and that it survives what happens meanwhile."""

import asyncio
import xml.etree.ElementTree as ET
from datetime import timedelta

import pydantic
import pytest

import dotdo
from dotdo import (
    DO,
    CallIdConflict,
    DefinitionError,
    GuardFailed,
    InvalidTransition,
    MachineNotFound,
    StateMachine,
    WouldDeadlock,
    on,
    send,
)  # fmt: skip
from dotdo.events import registry
from dotdo.testing import runtime
from dotdo.workflows.machines import known
from tests.crashes import killed_at_commit

LOG: list = []


@pytest.fixture(autouse=True)
def only_mine():
    LOG.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


def note(text):
    def act(context):
        LOG.append((text, dict(context)))

    return act


def two(**first):
    """A machine of two states, `a` and then `b`."""
    return StateMachine(name="m-two", initial="a", states={"a": first, "b": {}})


# -- what an event does -------------------------------------------------------------------------------------------------


@pytest.mark.feature(154, 160)
async def test_guard_exit_action_change_entry_in_this_order(virtual):
    machine = StateMachine(
        name="m-order", initial="a",
        states={
            "a": {
                "entry": note("enter a"), "exit": note("exit a"),
                "on": {"go": {"target": "b", "guard": lambda c: LOG.append(("guard", dict(c))) or True, "action": note("action")}},
            },
            "b": {"entry": note("enter b")},
        },
    )  # fmt: skip
    m = await machine.start({"n": 1}, id="x")
    assert await m.state == "a"
    assert await m.send("go", {"n": 2}) == "b"
    assert LOG == [
        ("enter a", {"n": 1}), ("guard", {"n": 1}), ("exit a", {"n": 1}), ("action", {"n": 2}), ("enter b", {"n": 2}),
    ]  # fmt: skip
    assert await m.context == {"n": 2}


@pytest.mark.feature(155, 163, 167, 168)
async def test_the_other_form_of_a_definition_is_the_same_machine(virtual):
    machine = StateMachine(
        name="m-b", type="automation", subtype="state-machine", initialState="pending",
        states={
            "pending": {"on": {"GO": "done"}, "onExit": [{"type": "function", "handler": note("exit")}]},
            "done": {
                "terminal": True,
                "onEntry": [{"type": "function", "handler": lambda c: c.update(seen=c["by"])}, {"type": "emit", "event": "Mb.finished"}],
            },
        },
    )  # fmt: skip
    m = await machine.start({"id": "7"})
    with pytest.raises(InvalidTransition, match="Invalid transition STOP from state pending.*it takes GO"):
        await m.send("STOP")
    assert await m.state == "pending"  # an event that does not fit ends nothing
    assert await m.send("GO", by="ann") == "done"
    assert LOG == [("exit", {"id": "7"})]
    assert await m.context == {"id": "7", "by": "ann", "seen": "ann"}
    await virtual.settle()
    assert emitted == [{"id": "7", "by": "ann", "seen": "ann"}]
    emitted.clear()


emitted: list = []


@on.Mb.finished
async def hear(context):
    emitted.append(context)


@pytest.mark.feature(157)
async def test_a_guard_that_says_no_leaves_everything_as_it_was(virtual):
    m = await two(on={"go": {"target": "b", "guard": lambda c: c["n"] > 1, "action": note("acted")}}, exit=note("left")).start({"n": 1})
    assert await m.can("go") is False
    with pytest.raises(GuardFailed, match="Guard condition failed for go"):
        await m.send("go", {"n": 5})
    assert (await m.state, await m.context, LOG) == ("a", {"n": 1}, [])


@pytest.mark.feature(157)
async def test_a_guard_may_look_at_the_events_data_and_changes_nothing(virtual):
    def guard(context, data):
        context["n"] = "spoilt"
        return data is not None and data["n"] > 1

    m = await two(on={"go": {"target": "b", "guard": guard}}).start({"n": 1})
    assert (await m.can("go"), await m.can("go", {"n": 2}), await m.can("other")) == (False, True, False)
    assert await m.context == {"n": 1}
    assert await m.send("go", {"n": 2}) == "b"


@pytest.mark.feature(159)
async def test_an_action_gives_a_new_context_or_keeps_the_one_there_is(virtual):
    m = await two(on={"new": {"target": "a", "action": lambda c: {"only": c["n"]}}, "keep": {"target": "a", "action": note("kept")}}).start(
        {"n": 1}
    )
    await m.send("keep", {"n": 2})
    assert await m.context == {"n": 2}  # the source's context is undefined after this
    await m.send("new")
    assert await m.context == {"only": 2}


@pytest.mark.feature(159, 161)
@pytest.mark.parametrize("returned", [7, "text", [1]])
async def test_what_is_no_context_does_not_become_one(virtual, returned):
    m = await two(on={"go": {"target": "b", "action": lambda c: returned}}).start({"n": 1})
    with pytest.raises(DefinitionError, match="is a dict or a model"):
        await m.send("go")
    assert (await m.state, await m.context) == ("a", {"n": 1})


class Parcel(pydantic.BaseModel):
    weight: int
    label: str | None = None


@pytest.mark.feature(161, 168)
async def test_a_typed_context_stays_what_it_is_and_is_validated(virtual):
    machine = StateMachine(
        name="m-typed", initial="a", context=Parcel,
        states={"a": {"on": {"go": {"target": "b", "action": lambda p: p.model_copy(update={"label": f"{p.weight} kg"})}}}, "b": {}},
    )  # fmt: skip
    m = await machine.start({"weight": 3}, id="p")
    assert await m.context == Parcel(weight=3)
    with pytest.raises(pydantic.ValidationError):
        await m.send("go", {"weight": "heavy"})
    assert (await m.state, await m.context) == ("a", Parcel(weight=3))
    await m.send("go", {"weight": 4})
    assert await m.context == Parcel(weight=4, label="4 kg")
    with pytest.raises(pydantic.ValidationError):
        await machine.start({"weight": "heavy"}, id="q")
    with pytest.raises(MachineNotFound):
        await machine.get("q").state


@pytest.mark.feature(161)
async def test_a_machine_may_bring_a_context_to_begin_with(virtual):
    machine = StateMachine(name="m-given", initial="a", context={"n": []}, states={"a": {"on": {"go": "a"}}})
    one, other = await machine.start(), await machine.start()
    await one.send("go", m=1)
    assert (await one.context, await other.context, one == other) == ({"n": [], "m": 1}, {"n": []}, False)


@pytest.mark.feature(171)
async def test_a_status_in_the_context_does_not_hide_the_state(virtual):
    m = await two(on={"go": "b"}).start({"status": "a"})
    await m.send("go")
    assert await m.state == "b"  # the source writes {status: state, ...context}: "a" again


@pytest.mark.feature(162, 164)
async def test_a_terminal_state_takes_no_event_and_says_so(virtual):
    m = await two(on={"go": "b"}).start()
    await m.send("go")
    with pytest.raises(InvalidTransition, match="it is terminal"):  # the source: TypeError, for `b` has no `on`
        await m.send("go")


@pytest.mark.feature(169, 170)
async def test_the_history_tells_from_where_to_where_when_and_why(virtual):
    m = await two(on={"go": "b"}).start({"n": 1})
    waiting = asyncio.ensure_future(m.result())
    await virtual.settle()
    await m.send("go")
    first, second = await m.history
    assert (first["from"], first["event"], first["to"]) == (None, "start", "a")
    assert (second["from"], second["event"], second["to"]) == ("a", "go", "b")
    assert second["at"].tzinfo is not None
    result = await waiting
    assert (result.final_state, result.context, result.history) == ("b", {"n": 1}, [first, second])


# -- all or nothing -----------------------------------------------------------------------------------------------------


class Shop(DO, noun="MtShop"):
    orders: list[str] = []
    broken: bool = False

    async def book(self, name: str) -> int:
        self.orders.append(name)
        return len(self.orders)

    async def fail(self) -> None:
        raise RuntimeError("the shop is closed")


@pytest.mark.feature(160)
@pytest.mark.parametrize("where", ["exit", "action", "entry"])
@pytest.mark.parametrize("waits", [True, False])
async def test_a_function_that_fails_leaves_the_instance_where_it_was(virtual, where, waits):
    async def fail(context):
        context["spoilt"] = True
        send("Mt.announced", context)
        if waits:
            await Shop("s").fail()
        raise RuntimeError("the shop is closed")

    parts = {"exit": lambda c: None, "action": lambda c: None, "entry": lambda c: None, where: fail}
    machine = StateMachine(
        name="m-fails", initial="a",
        states={
            "a": {"exit": parts["exit"], "on": {"go": {"target": "b", "action": parts["action"]}, "stay": "a"}},
            "b": {"entry": parts["entry"]},
        },
    )  # fmt: skip
    m = await machine.start({"n": 1})
    with pytest.raises(RuntimeError, match="closed"):
        await m.send("go", {"n": 2})
    assert (await m.state, await m.context, len(await m.history)) == ("a", {"n": 1}, 1)
    await virtual.settle()
    assert heard == ([{"n": 2, "spoilt": True}] if waits and where != "exit" else [{"n": 1, "spoilt": True}] if waits else [])
    if where != "exit":
        assert await m.send("stay") == "a"  # it is not stuck in the move that failed
    heard.clear()


heard: list = []


@on.Mt.announced
async def hear_announcement(context):
    heard.append(context)


async def test_events_wait_while_the_functions_of_a_move_run(virtual):
    async def slow(context):
        LOG.append("slow begins")
        await dotdo.sleep("2d")
        LOG.append("slow ends")

    machine = StateMachine(
        name="m-slow", initial="a", states={"a": {"on": {"go": {"target": "b", "action": slow}}}, "b": {"on": {"next": "c"}}, "c": {}}
    )
    m = await machine.start()
    first = await dotdo.start(known_entity(m).send_event, "go")
    await virtual.advance("1h")
    then = await dotdo.start(known_entity(m).send_event, "next")
    await virtual.advance("1h")
    assert (await m.state, virtual.host.activations and LOG[-1]) == ("a", "slow begins")
    assert await then.status() == "waiting"
    await virtual.advance("10m")
    assert virtual.host.activations == {}
    await virtual.crash()
    assert (await first.result(), await then.result()) == ("b", "c")
    assert [move["to"] for move in await m.history] == ["a", "b", "c"]


def known_entity(m):
    return m._stub


async def test_many_events_at_once_are_taken_one_after_the_other(virtual):
    async def count(context):
        seen = context["n"]
        await Shop("s").book("x")
        return {"n": seen + 1}

    m = await two(on={"go": {"target": "a", "action": count}}).start({"n": 0})
    await asyncio.gather(*(m.send("go") for _ in range(20)))
    assert await m.context == {"n": 20}


async def test_a_function_that_waits_for_its_own_machine_is_told_so(virtual):
    async def again(context):
        await machine.get("x").send("go")

    machine = two(on={"go": {"target": "b", "action": again}})
    m = await machine.start(id="x")
    with pytest.raises(WouldDeadlock, match="in the middle of 'go'"):
        await m.send("go")
    assert await m.state == "a"


async def test_a_call_id_moves_once(virtual):
    m = await two(on={"go": {"target": "a", "action": lambda c: {"n": c["n"] + 1}}}).start({"n": 0})
    assert [await m.send("go", call_id="c1"), await m.send("go", call_id="c1")] == ["a", "a"]
    assert await m.context == {"n": 1}


# -- time and retry -----------------------------------------------------------------------------------------------------


def timed(**more):
    return StateMachine(
        name="m-timed", initial="idle",
        states={
            "idle": {"on": {"begin": "busy"}},
            "busy": {"timeout": 30000, "timeoutTransition": "late", "on": {"done": "idle", "again": "busy"}, **more},
            "late": {"on": {"begin": "busy"}},
        },
    )  # fmt: skip


@pytest.mark.feature(165, 172)
async def test_a_state_is_left_when_its_time_is_up_after_a_crash_too(virtual):
    m = await timed().start()
    await m.send("begin")
    await virtual.crash()
    await virtual.advance("29s")
    assert await m.state == "busy"
    await virtual.advance("2s")
    assert await m.state == "late"
    move = (await m.history)[-1]
    assert (move["from"], move["event"], move["to"]) == ("busy", "timeout", "late")


@pytest.mark.feature(165)
async def test_the_time_counts_anew_with_each_visit_and_not_after_the_state_is_left(virtual):
    m = await timed().start()
    await m.send("begin")
    for _ in range(3):
        await virtual.advance("20s")
        await m.send("again")
    assert await m.state == "busy"
    await m.send("done")
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    assert await m.state == "idle"


@pytest.mark.feature(165)
@pytest.mark.parametrize(
    ("spelled", "seconds"), [({"timeout": 30, "timeout_transition": "late"}, 30), ({"timeout": "1m", "timeoutTransition": "late"}, 60)]
)
async def test_a_plain_number_counts_seconds_in_pythons_spelling(virtual, spelled, seconds):
    machine = StateMachine(name="m-units", initial="a", states={"a": spelled, "late": {}})
    assert machine.definition.states["a"].timeout_s == seconds


@pytest.mark.feature(165)
async def test_a_timeout_whose_functions_fail_is_tried_again(virtual):
    def close(context):
        LOG.append("closing")
        if len(LOG) == 1:
            raise RuntimeError("not yet")

    m = await timed(exit=close).start()
    await m.send("begin")
    await virtual.advance("31s")
    assert (await m.state, LOG) == ("busy", ["closing"])
    await virtual.advance("5s")
    assert (await m.state, LOG) == ("late", ["closing", "closing"])


@pytest.mark.feature(166)
async def test_the_third_failure_leads_on_and_the_first_two_are_counted_per_visit(virtual):
    machine = StateMachine(
        name="m-retry", initial="paying",
        states={
            "paying": {
                "on": {"FAILED": "broke", "PAID": "paid"}, "retry": {"maxAttempts": 3, "on": "FAILED"}, "exit": note("left"),
            },
            "paid": {"on": {"REFUND": "paying"}}, "broke": {"terminal": True},
        },
    )  # fmt: skip
    m = await machine.start()
    assert [await m.send("FAILED"), await m.send("FAILED"), await m.send("PAID")] == ["paying", "paying", "paid"]
    assert len(LOG) == 1  # left once: staying is no leaving
    await m.send("REFUND")
    assert [await m.send("FAILED", code=n) for n in range(3)] == ["paying", "paying", "broke"]
    assert [move.get("attempt") for move in await m.history][-3:] == [1, 2, 3]
    assert await m.context == {"code": 2}


# -- instances ----------------------------------------------------------------------------------------------------------


async def test_the_same_id_is_the_same_instance(virtual):
    machine = two(entry=note("entered"), on={"go": "b"})
    m = await machine.start({"n": 1}, id="x")
    await m.send("go")
    again = await machine.start({"n": 1}, id="x")
    assert (again == m, await again.state, len(LOG)) == (True, "b", 1)
    with pytest.raises(CallIdConflict, match="another context"):
        await machine.start({"n": 2}, id="x")


async def test_an_instance_that_was_never_started_says_so_and_leaves_no_file(virtual):
    machine = two(on={"go": "b"})
    for ask in (lambda m: m.state, lambda m: m.context, lambda m: m.history, lambda m: m.send("go"), lambda m: m.can("go")):
        with pytest.raises(MachineNotFound, match="no instance 'nobody'"):
            await ask(machine.get("nobody"))
    assert [one["size"] for one in await dotdo.entities("DotdoMachine")] == [0]


async def test_an_entry_that_fails_starts_nothing(virtual):
    def refuse(context):
        if not LOG:
            LOG.append("refused")
            raise RuntimeError("no")

    machine = two(entry=refuse, on={"go": "b"})
    with pytest.raises(RuntimeError):
        await machine.start(id="x")
    with pytest.raises(MachineNotFound):
        await machine.get("x").state
    assert await (await machine.start(id="x")).state == "a"


class Clerk(DO, noun="MtClerk"):
    async def handle(self, order_id: str) -> list:
        m = await known.find("m-two").start({"n": 1}, id=order_id)
        await self.sleep("1d")
        return [await m.send("go"), await m.state]


async def test_an_entity_drives_a_machine_across_a_crash(virtual):
    two(on={"go": "b"})
    run = await dotdo.start(Clerk("c").handle, "x")
    await virtual.settle()
    await virtual.crash()
    assert await run.result() == ["b", "b"]


async def test_a_machine_may_be_redefined_while_instances_rest(virtual):
    m = await two(on={"go": "b"}).start(id="x")
    two(on={"leap": "b"})
    with pytest.raises(InvalidTransition, match="it takes leap"):
        await m.send("go")
    assert await m.send("leap") == "b"
    StateMachine(name="m-two", initial="z", states={"z": {}})
    with pytest.raises(DefinitionError, match="the state 'b' is not defined"):
        await m.send("go")
    known.forget("m-two")
    with pytest.raises(MachineNotFound, match="m-two"):
        await m.send("go")


# -- domain events --------------------------------------------------------------------------------------------------------


def driven():
    return StateMachine(
        name="m-driven", initial="draft", key="order_id",
        states={
            "draft": {"on": {"submit": {"target": "pending", "action": lambda o: send("Mtd.submitted", {"order_id": o["order_id"]})}}},
            "pending": {"on": {"pay": "paid"}}, "paid": {},
        },
        events={
            "Mtd.submitted": "submit",
            "Mtd.paid": {"event": "pay", "data": lambda payment: {"payment_id": payment["id"]}},
            "Mtd.settled": {"event": "pay", "key": "order"},
        },
    )  # fmt: skip


@pytest.mark.feature(69, 173)
async def test_a_domain_event_moves_the_instance_it_is_about_and_no_other(virtual):
    machine = driven()
    one, other = [await machine.start({"order_id": id}, id=id) for id in ("o1", "o2")]
    await one.send("submit")
    await other.send("submit")
    assert await send("Mtd.paid", {"order_id": "o1", "id": "p7"}) is None
    assert (await one.state, await other.state) == ("paid", "pending")  # the source moves every open order
    assert (await one.context)["payment_id"] == "p7"
    send("Mtd.settled", {"order": "o2"})
    await virtual.settle()
    assert await other.state == "paid"


@pytest.mark.feature(173)
async def test_what_an_instance_announces_itself_does_not_drive_it(virtual):
    m = await driven().start({"order_id": "o1"}, id="o1")
    assert await m.send("submit") == "pending"
    await virtual.advance("1h")
    assert [move["event"] for move in await m.history] == ["start", "submit"]
    assert await dotdo.dead_letters.list() == []


@pytest.mark.feature(163, 173)
async def test_a_domain_event_that_comes_too_early_is_tried_again_and_in_the_end_a_dead_letter(virtual):
    m = await driven().start({"order_id": "o1"}, id="o1")
    send("Mtd.paid", {"order_id": "o1", "id": "p7"})
    await virtual.advance("500ms")
    assert await m.state == "draft"
    await m.send("submit")
    await virtual.advance("5s")
    assert await m.state == "paid"
    send("Mtd.paid", {"order_id": "o1", "id": "p8"})
    await virtual.advance("1h")
    (letter,) = await dotdo.dead_letters.list()
    assert "Invalid transition pay from state paid" in letter.error
    assert (await m.context)["payment_id"] == "p7"


# -- crashes ---------------------------------------------------------------------------------------------------------------


def crashed_machine():
    async def book(context):
        number = await dotdo.do(Shop("s").book, "x", step_id="book")
        return {**context, "number": number}

    return StateMachine(
        name="m-crash", initial="draft",
        states={
            "draft": {"on": {"submit": {"target": "pending", "action": book}}, "exit": lambda c: send("Mtc.left", dict(c))},
            "pending": {"timeout": "3d", "timeout_transition": "expired", "on": {"pay": "paid"}},
            "paid": {}, "expired": {"entry": lambda c: send("Mtc.expired", dict(c))},
        },
    )  # fmt: skip


async def _live(rt):
    """A life with an action, a timer and events: until it has expired."""
    machine = crashed_machine()
    m = await machine.start({"id": "x"}, id="x")
    await m.send("submit", {"n": 1}, call_id="s1")
    result = await m.result()
    return result, await Shop("s").orders


@pytest.mark.feature(8, 10, 160, 165)
async def test_a_machine_killed_after_any_commit_lives_the_same_life():
    async with runtime(clock="virtual", shards=1) as rt:
        with killed_at_commit(rt, 0) as commits:
            expected, orders = await _live(rt)
            await rt.settle()
    assert orders == ["x"]
    assert [move["to"] for move in expected.history] == ["draft", "pending", "expired"]
    assert len(commits) > 8
    for number in range(1, len(commits) + 1):
        async with runtime(clock="virtual", shards=1) as rt:
            with killed_at_commit(rt, number):
                result, orders = await _live(rt)
                await rt.settle()
            assert (result.final_state, result.context, orders) == ("expired", expected.context, ["x"]), number
            assert [(move["from"], move["event"], move["to"]) for move in result.history] == [
                (move["from"], move["event"], move["to"]) for move in expected.history
            ], number
            pending, expired = result.history[1]["at"], result.history[2]["at"]
            assert timedelta(0) <= expired - pending - timedelta(days=3) < timedelta(seconds=5), number


# -- definitions and pictures ------------------------------------------------------------------------------------------------


@pytest.mark.feature(155, 165, 166, 167)
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"initial": "x"}, "initial: 'x' is not a state; the states are a"),
        ({"states": {"a": {"on": {"go": "x"}}}}, "states.a.on.go: the state 'x' is not defined"),
        ({"states": {"a": {"on": {"go": {"guard": len}}}}}, "states.a.on.go.target: is missing"),
        ({"states": {"a": {"on": {"go": {"target": "a", "guard": 7}}}}}, "guard: is a function"),
        ({"states": {"a": {"entry": [{"type": "call"}]}}}, "Unknown action type: 'call'"),
        ({"states": {"a": {"entry": len, "onEntry": len}}}, "entry and onEntry are one thing"),
        ({"states": {"a": {"timeout": "30s"}}}, "timeout_transition: is missing"),
        ({"states": {"a": {"timeout": "soon", "timeoutTransition": "a"}}}, "'soon' is not a duration"),
        ({"states": {"a": {"timeoutTransition": "a"}}}, "timeout: is missing"),
        ({"states": {"a": {"on": {"go": "a"}, "retry": {"maxAttempts": 3, "on": "stop"}}}}, "'stop' is no event of this state"),
        ({"states": {"a": {"on": {"go": "a"}, "retry": {"maxAttempts": 0, "on": "go"}}}}, "a whole number from 1"),
        ({"states": {"a": {"terminal": True, "on": {"go": "a"}}}}, "a terminal state has no transitions"),
        ({"states": {"a": {"onEnter": len}}}, "did you mean 'onEntry'"),
        ({"events": {"Order.paid": "pay"}}, "'pay' is an event of no state"),
        ({"events": {"Order.*": "go"}}, "is a pattern"),
        ({"name": "a/b"}, "without a slash"),
        ({"name": None}, "name: is a text"),
        ({"states": {}}, "at least one state"),
        ({"initialState": "a"}, "are one thing"),
        ({"subtype": "workflow"}, "is not 'state-machine'"),
    ],
)
def test_what_is_wrong_with_a_definition_is_named_with_its_place(wrong, why):
    with pytest.raises(DefinitionError, match=why.replace("(", r"\(")):
        StateMachine(**{"name": "m-wrong", "initial": "a", "states": {"a": {"on": {"go": "a"}}}, **wrong})


def test_everything_wrong_is_said_at_once():
    with pytest.raises(DefinitionError, match="3 things are wrong") as caught:
        StateMachine(name="m-wrong", initial="x", states={"a": {"on": {"go": "y"}, "timeout": 5}})
    assert str(caught.value).count("\n") == 3


def test_a_coroutine_is_no_guard():
    async def guard(context):
        return True

    with pytest.raises(DefinitionError, match="guard: is a coroutine"):
        two(on={"go": {"target": "b", "guard": guard}})


def test_a_picture_shows_every_state_and_marks_the_current_one():
    machine = two(on={"go": {"target": "b", "guard": len}}, timeout="90s", timeoutTransition="b")
    text = machine.mermaid("b")
    assert "s0 --> s1 : go [len] / after 90 s" in text
    assert "class s1 current" in text and "current" not in machine.mermaid()
    picture = ET.fromstring(machine.svg("b"))
    groups = [group.get("class") for group in picture.iter("{http://www.w3.org/2000/svg}g")]
    assert sorted(groups) == ["current", "move", "state"]
    odd = StateMachine(name="m-odd", initial='a "<&', states={'a "<&': {"on": {"x;#:": 'a "<&'}}})
    ET.fromstring(odd.svg())
    assert '"a #quot;<&" as s0' in odd.mermaid() and "s0 --> s0 : x#59;#35;#58;" in odd.mermaid()
