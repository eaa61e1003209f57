"""Testing workflows: run with mocks until they rest, and stored runs replayed against the code of today."""

import pytest

import dotdo
from dotdo import DO, N, send, sleep, start_child, step, try_, wait_for, workflow
from dotdo.testing import replay, runtime
from dotdo.workflows import functions
from tests.workflows.test_redeploy import deploy

LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


def charge(order: dict) -> dict:
    LOG.append("charged")
    raise AssertionError("the real payment system was called")


def ship(order: dict) -> str:
    LOG.append("shipped")
    return f"shipment of {order['id']}"


@workflow("tt-order")
async def order_workflow(order: dict) -> dict:
    payment = await step("process-payment", charge, order)
    await sleep("3d")
    shipment = await step("ship", ship, order)
    return {"payment": payment, "shipment": shipment}


@pytest.mark.feature(384, 386, 392, 436)
async def test_a_workflow_is_run_with_steps_mocked_by_name_or_function(virtual):
    run = await virtual.execute(order_workflow, {"id": "o1"}, mocks={"process-payment": lambda order: {"status": "success"}})
    assert await run.status() == "completed"
    assert await run.result() == {"payment": {"status": "success"}, "shipment": "shipment of o1"}
    again = await virtual.execute(order_workflow, order={"id": "o2"}, mocks={"ship": lambda order: "mocked"})
    assert (await again.result())["shipment"] == "mocked"
    assert LOG == ["shipped"]


@pytest.mark.feature(392)
async def test_what_waits_for_somebody_is_left_waiting(virtual):
    @workflow("tt-approval")
    async def approval(id: int):
        await sleep("2d")
        decision = await wait_for(N.TtApproval.decided, match={"id": id}, timeout="24h", default=None)
        return decision and decision["approved"]

    run = await virtual.execute(approval, 7)
    assert (await run.status(), (await run.info()).waiting_for) == ("waiting", "TtApproval.decided")
    await send("TtApproval.decided", {"id": 7, "approved": True}).queued()
    assert await run.result() is True
    failed = await virtual.execute(order_workflow, {"id": "o1"})
    assert await failed.status() == "failed"


# -- stored runs --------------------------------------------------------------------------------------------------------


class TtStock(DO):
    left: int = 5

    async def take(self) -> int:
        LOG.append("took")
        self.left -= 1
        return self.left


def label(order: str) -> str:
    LOG.append("label")
    return f"label {order}"


async def stored(order: str, fails: bool = False) -> str:
    left = await TtStock("s").take()
    made = await step("label", label, order)
    child = await start_child("tt-child")
    send("TtOrder.labelled", {"id": order})
    if fails:
        raise ValueError(f"{left} left")
    await child.result()
    await sleep("9d")
    await step("last", label, order)
    return made


async def child() -> str:
    await sleep("1d")
    await try_(LOG.append, "tried")
    return "child"


async def relabelled(order: str, fails: bool = False) -> str:
    await TtStock("s").take()
    return await step("print-label", label, order)


async def answers_otherwise(order: str, fails: bool = False) -> str:
    await stored(order, fails=fails)
    return "otherwise"


async def adds_a_step(order: str, fails: bool = False) -> str:
    left = await TtStock("s").take()
    await step("weigh", len, order)
    made = await step("label", label, order)
    if fails:
        raise ValueError(f"{left} left")
    await sleep("9d")
    return made


async def stored_runs() -> None:
    workflow("tt-child", child)
    made = deploy("tt-stored", stored)
    assert await made.execute("a", id="done") == "label a"
    with pytest.raises(ValueError, match="left"):
        await made.execute("b", True, id="failed")
    cancelled = await made.start("c", id="cancelled")
    await cancelled.cancel()
    await made.start("d", id="parked")


@pytest.mark.feature(40)
async def test_stored_runs_are_replayed_and_nothing_runs(tmp_path):
    async with runtime(clock="virtual", data=tmp_path / "data") as rt:
        await stored_runs()
        await rt.advance("2d")
        LOG.clear()
        report = await replay(rt)
        assert (report.checked, report.mismatches, report.notes) == (8, [], {}), report
        assert LOG == []
        assert await TtStock("s").left == 1
    before = sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "data").rglob("*.sqlite"))
    report = await replay(tmp_path / "data")
    assert (report.checked, report.mismatches) == (8, []), report
    assert LOG == []
    assert sorted((file, file.stat().st_mtime_ns) for file in (tmp_path / "data").rglob("*.sqlite")) == before


@pytest.mark.feature(40)
@pytest.mark.parametrize(
    ("code", "wrong", "says"),
    [
        (relabelled, {"done", "failed", "parked", "cancelled"}, "'print-label'"),
        (answers_otherwise, {"done"}, "returns 'otherwise'"),
        (None, {"done", "failed", "parked", "cancelled"}, "tt-stored"),
    ],
)
async def test_runs_that_do_not_fit_the_code_are_reported(virtual, code, wrong, says):
    await stored_runs()
    await virtual.advance("2d")
    if code is None:
        functions.forget("tt-stored")
    else:
        deploy("tt-stored", code)
    report = await replay(virtual)
    assert {one.id for one in report.mismatches} == wrong, report
    assert all(says in one.problem for one in report.mismatches), report
    assert all(one.id in str(report) for one in report.mismatches)


@pytest.mark.feature(40)
async def test_runs_that_fit_changed_code_may_be_worth_a_look(virtual):
    await stored_runs()
    await virtual.advance("2d")
    deploy("tt-stored", adds_a_step)
    report = await replay(virtual)
    assert report.mismatches == []
    assert set(report.notes) == {"done", "failed", "parked", "cancelled"}
    with pytest.raises(dotdo.DotdoError, match="data folder"):
        await replay("/nowhere")
