"""New code for runs that are parked: they finish, or say why not; never silently something else."""

import asyncio
from collections import Counter

import pytest

import dotdo
from dotdo import DO, ReplayMismatch, now, patched, send, sleep, step, uuid4, wait_for, workflow
from dotdo.workflows import functions

RUNS = 100
LOG: Counter = Counter()


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


def charge(order: str) -> str:
    LOG[f"charge {order}"] += 1
    return f"paid {order}"


def charge_card(order: str) -> str:
    return charge(order)


def ship(order: str) -> str:
    LOG[f"ship {order}"] += 1
    return f"shipped {order}"


def insure(order: str) -> str:
    LOG[f"insure {order}"] += 1
    return f"insured {order}"


def deploy(name: str, fn):
    """Put `fn` in the place of the workflow `name`, as the start of another version of the program would."""
    functions.forget(name)
    return workflow(name, fn)


async def version_1(order: str):
    paid = await step("charge", charge, order)
    await sleep("3d")
    return paid, await step("ship", ship, order)


async def parked(virtual, fn, name="rd-order", runs=RUNS):
    made = deploy(name, fn)
    started = [await made.start(f"o{n}", id=f"{name}-{n}") for n in range(runs)]
    await virtual.advance("1d")
    return started


async def notes_of(run) -> list[str]:
    return [entry["value"] for entry in await run.history() if entry["type"] == "note"]


async def changed_body(order: str):
    paid = await step("charge", charge, order)
    await sleep("3d")
    shipped = await step("ship", ship, order)
    return {"paid": paid, "shipped": shipped}


async def added_after(order: str):
    paid = await step("charge", charge, order)
    await sleep("3d")
    insured = await step("insure", insure, order)
    return paid, insured, await step("ship", ship, order)


async def added_before(order: str):
    insured = await step("insure", insure, order)
    paid = await step("charge", charge, order)
    await sleep("3d")
    return paid, insured, await step("ship", ship, order)


@pytest.mark.feature(40)
@pytest.mark.parametrize(
    ("version_2", "result", "effects"),
    [
        (changed_body, lambda o: {"paid": f"paid {o}", "shipped": f"shipped {o}"}, ("charge", "ship")),
        (added_after, lambda o: (f"paid {o}", f"insured {o}", f"shipped {o}"), ("charge", "insure", "ship")),
        (added_before, lambda o: (f"paid {o}", f"insured {o}", f"shipped {o}"), ("charge", "insure", "ship")),
    ],
)
async def test_parked_runs_finish_on_changed_code_and_repeat_nothing(virtual, version_2, result, effects):
    runs = await parked(virtual, version_1)
    deploy("rd-order", version_2)
    await virtual.crash()
    for n, run in enumerate(runs):
        assert await run.result() == result(f"o{n}")
        assert await notes_of(run) == []
    assert {f"{effect} o{n}": 1 for n in range(RUNS) for effect in effects} == LOG


async def renamed(order: str):
    paid = await step("charge-card", charge, order)
    await sleep("3d")
    return paid, await step("ship", ship, order)


@pytest.mark.feature(40)
async def test_a_renamed_step_pauses_the_runs_that_recorded_it(virtual):
    runs = await parked(virtual, version_1)
    deploy("rd-order", renamed)
    await virtual.crash()
    await virtual.advance("3d")
    for run in runs:
        info = await run.info()
        assert info.status == "paused"
        assert "'charge-card'" in info.waiting_for
        assert "'charge'" in info.waiting_for
        with pytest.raises(ReplayMismatch, match="patched"):
            await run.result()
    assert {f"charge o{n}": 1 for n in range(RUNS)} == LOG, "nobody was charged again, nothing was shipped"

    deploy("rd-order", version_1)  # rolled back: they go on where they were
    for n, run in enumerate(runs):
        assert await run.resume()
        assert await run.result() == (f"paid o{n}", f"shipped o{n}")
    assert set(LOG.values()) == {1}


async def removed(order: str):
    await sleep("3d")
    return await step("ship", ship, order)


async def other_function(order: str):
    paid = await step("charge", charge_card, order)
    await sleep("3d")
    return paid, await step("ship", ship, order)


@pytest.mark.feature(40)
async def test_what_changed_code_does_not_ask_for_is_noted_in_the_history(virtual):
    (run,) = await parked(virtual, version_1, runs=1)
    deploy("rd-order", removed)
    await virtual.crash()
    assert await run.result() == "shipped o0"
    assert await notes_of(run) == ["step 'charge' is on record, and the changed code did not ask for it"]


@pytest.mark.feature(40)
async def test_a_step_whose_function_was_renamed_keeps_its_outcome_and_is_noted(virtual):
    (run,) = await parked(virtual, version_1, runs=1)
    deploy("rd-order", other_function)
    await virtual.crash()
    assert await run.result() == ("paid o0", "shipped o0")
    assert await notes_of(run) == ["step 'charge' was recorded by charge and is charge_card now: its recorded outcome counts"]
    assert LOG["charge o0"] == 1


class RdTill(DO):
    total: int = 0

    async def pay(self, amount: int) -> int:
        self.total += amount
        return self.total


async def calls_one(order: str):
    paid = await RdTill("a").pay(1)
    await sleep("3d")
    return paid


async def calls_another_before(order: str):
    other = await RdTill("b").pay(5)
    paid = await RdTill("a").pay(1)
    await sleep("3d")
    return other, paid


async def calls_another_behind_patched(order: str):
    other = await RdTill("b").pay(5) if patched("tip") else None
    paid = await RdTill("a").pay(1)
    await sleep("3d")
    return other, paid


@pytest.mark.feature(40)
async def test_an_outcome_of_another_entity_is_never_taken_for_the_one_that_is_asked(virtual):
    (run,) = await parked(virtual, calls_one, runs=1)
    deploy("rd-order", calls_another_before)
    await virtual.crash()
    with pytest.raises(ReplayMismatch, match=r"RdTill/b.*RdTill/a"):
        await run.result()
    deploy("rd-order", calls_another_behind_patched)
    await run.resume()
    assert await run.result() == (None, 1)
    assert (await RdTill("a").total, await RdTill("b").total) == (1, 0)
    assert await functions.find("rd-order").execute("new") == (5, 2)


async def told(order: str):
    send("RdOrder.seen", {"id": order})
    started, token = now(), uuid4()
    paid = await step("charge", charge, order)
    send("RdOrder.charged", {"id": order, "token": str(uuid4())})
    await sleep("3d")
    return paid, started, token


async def told_2(order: str):
    insured = await step("insure", insure, order)
    send("RdOrder.seen", {"id": order})
    started, token = now(), uuid4()
    paid = await step("charge", charge, order)
    send("RdOrder.charged", {"id": order, "token": str(uuid4())})
    await sleep("3d")
    return paid, started, token, insured


@pytest.mark.feature(33, 36, 37, 38)
async def test_times_ids_and_events_stay_with_the_steps_they_stood_between(virtual):
    """A step that new code adds in front does not shift them: what was said is not said again, and nothing is left out."""
    heard: Counter = Counter()

    @dotdo.on("RdOrder.charged")
    async def charged(event):
        heard[event["token"]] += 1

    (run,) = await parked(virtual, told, runs=1)
    before = dict(heard)
    assert list(before.values()) == [1]
    deploy("rd-order", told_2)
    await virtual.crash()
    paid, _started, _token, insured = await run.result()
    await virtual.settle()
    assert (paid, insured, heard) == ("paid o0", "insured o0", before)


async def gone_and_back(order: str):
    paid = await step("charge", charge, order)
    await sleep("3d")
    return paid


@pytest.mark.feature(124)
async def test_a_run_whose_workflow_is_gone_pauses_and_goes_on_when_it_is_back(virtual):
    (run,) = await parked(virtual, gone_and_back, name="rd-gone", runs=1)
    functions.forget("rd-gone")
    await virtual.crash()
    await virtual.advance("3d")
    assert await run.status() == "paused"
    assert (await run.info()).method == "rd-gone"
    with pytest.raises(dotdo.WorkflowNotFound, match="rd-gone"):
        await run.result()
    workflow("rd-gone", gone_and_back)
    await run.resume()
    assert await run.result() == "paid o0"
    assert LOG == {"charge o0": 1}


# -- patched ------------------------------------------------------------------------------------------------------------


async def patched_1(order: str):
    await step("charge", charge, order)
    await sleep("3d")
    await wait_for("go", timeout="30d", default=None)
    return "old"


async def patched_2(order: str):
    seen = [patched("insured")]
    if seen[0]:
        await step("insure", insure, order)
    await step("charge", charge, order)
    await sleep("3d")
    seen.append(patched("reached"))
    await wait_for("go", timeout="30d", default=None)
    seen += [patched("insured"), patched("reached"), patched("later")]
    return seen


@pytest.mark.feature(40)
async def test_patched_is_true_for_who_reaches_the_point_first_on_new_code(virtual):
    (asleep,) = await parked(virtual, patched_1, name="rd-patched", runs=1)
    waiting = await functions.find("rd-patched").start("w", id="rd-patched-w")
    deploy("rd-patched", patched_2)
    await virtual.crash()
    fresh = await functions.find("rd-patched").start("f", id="rd-patched-f")
    for crashes in range(3):
        await virtual.advance("2d")
        await virtual.crash()
    for run in (asleep, waiting):
        await run.signal("go")
        assert await run.result() == [False, True, False, True, True]
    await fresh.signal("go")
    assert await fresh.result() == [True] * 5
    assert (LOG["insure f"], LOG["insure o0"], LOG["charge o0"], LOG["charge f"]) == (1, 0, 1, 1)


@pytest.mark.feature(40)
async def test_patched_is_false_for_a_run_that_waits_behind_the_point(virtual):
    async def first(order: str):
        await sleep("3d")
        return "old"

    async def second(order: str):
        if patched("insured"):
            await step("insure", insure, order)
        await sleep("3d")
        return "new"

    (run,) = await parked(virtual, first, name="rd-first", runs=1)
    deploy("rd-first", second)
    await virtual.crash()
    assert await run.result() == "new"
    assert LOG == {}


async def test_an_ordinary_sleep_between_steps_is_no_mismatch(rt):
    async def slow(order: str):
        await step("charge", charge, order)
        await asyncio.sleep(1.3)
        await step("ship", ship, order)
        return await wait_for("go")

    run = await deploy("rd-slow", slow).start("o")
    while LOG["ship o"] == 0:
        await asyncio.sleep(0.01)
    await rt.crash()
    await run.signal("go", 7)
    assert await run.result() == 7
    assert set(LOG.values()) == {1}
