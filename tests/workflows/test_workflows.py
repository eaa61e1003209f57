"""Workflows as code: named, started once by their id, run durably, found after a restart."""

import asyncio

import pytest
from pydantic import BaseModel

import dotdo
from dotdo import WorkflowConflict, WorkflowNotFound, sleep, start_child, step, wait_for, workflow
from dotdo.workflows import functions

LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


class Customer(BaseModel):
    id: str
    email: str


async def send_welcome(customer: Customer) -> str:
    LOG.append(f"welcome {customer.email}")
    return "sent"


def open_account(customer: Customer) -> dict:
    LOG.append(f"account {customer.id}")
    return {"id": f"acc-{customer.id}", "status": "active"}


@workflow("wf-onboarding")
async def onboarding(customer: Customer) -> dict:
    """Welcome a customer."""
    await step("welcome-email", send_welcome, customer)
    account = await step("create-account", open_account, customer)
    await sleep("1d")
    await step("tips", lambda: LOG.append("tips"))
    return {"customer": customer.id, "account": account}


ANN = Customer(id="c1", email="ann@example.org")


@pytest.mark.feature(109, 110, 112, 113, 117)
async def test_execute_gives_what_the_function_returns(virtual):
    assert await onboarding.execute(ANN) == {"customer": "c1", "account": {"id": "acc-c1", "status": "active"}}
    assert LOG == ["welcome ann@example.org", "account c1", "tips"]
    assert (onboarding.name, onboarding.__doc__) == ("wf-onboarding", "Welcome a customer.")


@pytest.mark.feature(111)
async def test_a_workflow_without_input_is_executed_without_arguments(virtual):
    @workflow("wf-report")
    async def report():
        return await step("count", lambda: 7)

    assert await report.execute() == 7


async def test_the_same_id_is_the_same_run(virtual):
    run = await onboarding.start(ANN, id="onboard-42")
    again = await onboarding.with_options(id="onboard-42").start(ANN)
    assert (run.id, again.id, run == again) == ("onboard-42", "onboard-42", True)
    assert (await run.result())["customer"] == "c1"
    assert LOG.count("account c1") == 1
    assert await onboarding.execute(ANN, id="onboard-42") == await run.result()
    assert LOG.count("account c1") == 1
    with pytest.raises(dotdo.CallIdConflict):
        await onboarding.start(Customer(id="c2", email="b@example.org"), id="onboard-42")


async def test_the_id_of_a_run_is_an_execution_id_everywhere(virtual):
    run = await onboarding.start(ANN, id="onboard-42")
    await virtual.advance("1h")
    handle = dotdo.execution("onboard-42")
    assert (handle == run, await handle.status()) == (True, "waiting")
    info = await handle.info()
    assert (info.id, info.method, info.waiting_for) == ("onboard-42", "wf-onboarding", "sleep")
    assert [one["id"] for one in info.steps] == ["welcome-email", "create-account"]
    (listed,) = [one async for one in dotdo.executions(noun="WorkflowRun", status="waiting")]
    assert listed.id == "onboard-42"
    assert [one.id async for one in dotdo.executions(noun="WorkflowRun", status="failed")] == []
    odd = await onboarding.start(ANN, id="50% off! a/b")
    assert (await dotdo.execution(odd.id).result())["customer"] == "c1"


@pytest.mark.feature(8, 34, 35)
async def test_a_run_rests_on_disk_and_goes_on_after_a_crash(virtual):
    run = await onboarding.start(ANN, id="rests")
    await virtual.advance("10h")
    assert virtual.host.activations == {}
    await virtual.crash()
    await run.result()
    assert LOG == ["welcome ann@example.org", "account c1", "tips"]


async def test_arguments_that_do_not_fit_are_refused_before_anything_is_started(virtual):
    with pytest.raises(TypeError, match="wf-onboarding"):
        await onboarding.start(ANN, 2)
    with pytest.raises(TypeError):
        onboarding.execute()
    assert await dotdo.entities("WorkflowRun") == []


@pytest.mark.feature(109)
async def test_a_name_stands_for_one_function(virtual):
    @workflow("wf-twice")
    async def one() -> int:
        return 1

    with pytest.raises(WorkflowConflict, match="wf-twice"):

        @workflow("wf-twice")
        async def two() -> int:
            return 2

    assert await one.execute() == 1
    assert workflow("wf-twice", one).name == "wf-twice"
    for wrong in ("", 7):
        with pytest.raises(dotdo.DefinitionError):
            workflow(wrong)


@pytest.mark.feature(124)
async def test_a_factory_makes_workflows_by_name(virtual):
    def make_approval(entity: str):
        async def approve(id: str):
            await step("ask", lambda: LOG.append(f"ask {entity} {id}"))
            decision = await wait_for("decided", timeout="2d", default={"approved": False})
            return {"status": "approved" if decision["approved"] else "rejected"}

        return workflow(f"wf-{entity}-approval", approve)

    expense, leave = make_approval("expense"), make_approval("leave")
    assert functions.find("wf-leave-approval").name == leave.name
    run = await expense.start("e1")
    await run.signal("decided", {"approved": True})
    assert await run.result() == {"status": "approved"}
    assert await leave.execute("l1") == {"status": "rejected"}
    assert LOG == ["ask expense e1", "ask leave l1"]


# -- children -------------------------------------------------------------------------------------------------------


@workflow("wf-reserve")
async def reserve(items: list[str]) -> list[str]:
    await sleep("3d")
    return [await step(f"reserve-{item}", lambda item=item: LOG.append(item) or item) for item in items]


@workflow("wf-order")
async def order(items: list[str], limit: int = 1) -> dict:
    child = await start_child("wf-reserve", items)
    assert child.data is None
    reserved = await child.result()
    assert child.data == reserved
    return {"child": child.id, "reserved": reserved}


@pytest.mark.feature(142, 143, 144)
async def test_a_parent_rests_while_it_waits_for_its_child(virtual):
    run = await order.start(["a", "b"], id="order-1")
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    info = await run.info()
    assert (info.status, info.waiting_for) == ("waiting", "result of order-1/wf-reserve")
    assert await run.result() == {"child": "order-1/wf-reserve", "reserved": ["a", "b"]}
    assert LOG == ["a", "b"]


@pytest.mark.feature(148)
async def test_a_crash_at_any_commit_starts_no_second_child(virtual):
    from tests.crashes import killed_at_commit

    with killed_at_commit(virtual, 0) as commits:
        await order.execute(["a"], id="counted")
    for number in range(1, len(commits) + 1):
        LOG.clear()
        with killed_at_commit(virtual, number):
            await (await order.start(["a"], id=f"o{number}")).result()
        assert LOG == ["a"], f"killed at commit {number}"
    runs = [one.id async for one in dotdo.executions(noun="WorkflowRun", limit=1000)]
    assert len(runs) == 2 * (len(commits) + 1)


@pytest.mark.feature(145)
async def test_children_run_side_by_side_and_keep_their_ids(virtual):
    @workflow("wf-fan-out")
    async def fan_out(n: int):
        children = await asyncio.gather(*(start_child("wf-reserve", [str(i)]) for i in range(n)))
        results = await asyncio.gather(*(child.result() for child in children))
        return [child.id for child in children], results

    run = await fan_out.start(3, id="f")
    await virtual.advance("1d")
    await virtual.crash()
    ids, results = await run.result()
    assert ids == ["f/wf-reserve", "f/wf-reserve#2", "f/wf-reserve#3"]
    assert results == [["0"], ["1"], ["2"]]
    assert sorted(LOG) == ["0", "1", "2"]


@pytest.mark.feature(142)
async def test_an_unknown_child_is_not_found_by_name(virtual):
    @workflow("wf-lost")
    async def lost():
        await start_child("wf-reserv", [])

    with pytest.raises(WorkflowNotFound, match=r"wf-reserv'.*did you mean 'wf-reserve'"):
        await lost.execute()


@pytest.mark.feature(143, 149)
async def test_the_error_of_a_child_is_the_parents_to_catch(virtual):
    class Insufficient(Exception):
        pass

    async def take():
        raise dotdo.Permanent("Insufficient inventory for lamp")

    @workflow("wf-takes")
    async def takes():
        await step("take", take)

    @workflow("wf-parent-catches")
    async def parent():
        child = await start_child(takes)
        try:
            await child.result()
        except dotdo.Permanent as error:
            return str(error)

    assert "Insufficient inventory for lamp" in await parent.execute()


async def rests_and_notes(name: str) -> None:
    await sleep("5d")
    await step("note", LOG.append, name)


@pytest.mark.feature(146, 147)
async def test_when_a_parent_ends_children_go_on_unless_they_are_to_be_cancelled(virtual):
    workflow("wf-rests", rests_and_notes)

    @workflow("wf-closes")
    async def closes(fails: bool):
        await start_child("wf-rests", "goes on")
        await start_child("wf-rests", "is cancelled", on_parent_close="cancel")
        if fails:
            raise ValueError("Payment failed")

    for fails in (False, True):
        run = await closes.start(fails, id=f"closes-{fails}")
        await virtual.advance("1m")
        assert await run.status() == ("failed" if fails else "completed")
        assert await dotdo.execution(f"closes-{fails}/wf-rests#2").status() == "cancelled"
        await dotdo.execution(f"closes-{fails}/wf-rests").result()
    assert LOG == ["goes on", "goes on"]


@pytest.mark.feature(150)
async def test_a_workflow_executed_in_a_step_is_not_started_again_by_the_next_attempt(virtual):
    tries = []

    @workflow("wf-inner")
    async def inner():
        await step("count", LOG.append, "inner")

    @workflow("wf-outer")
    async def outer():
        async def body():
            await inner.execute()
            tries.append(1)
            if len(tries) < 3:
                raise RuntimeError("the step fails after its workflow")

        await step("verify", body)

    await outer.execute(id="outer")
    assert (LOG, len(tries)) == (["inner"], 3)
    assert sorted([one.id async for one in dotdo.executions(noun="WorkflowRun")]) == ["outer", "outer/verify/wf-inner"]
