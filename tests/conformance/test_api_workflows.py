"""What section 6 of the public page says, as a user would write it."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import InvalidTransition, N, Service, StateMachine, Workflow, db, progress, send, start_child, step, wait_for, workflow


async def send_welcome(customer):
    return f"welcome {customer['id']}"


async def f():
    return 1


async def g():
    return 2


@workflow("api-reserve-inventory")
async def reserve(items):
    return {"reserved": items}


@workflow("api-customer-onboarding")
async def onboarding(customer):
    await step("welcome-email", send_welcome, customer)
    account = await step("create-account", lambda: db.Accounts.create(customer=customer["id"], status="active"))
    a, b = await asyncio.gather(step("x", f), step("y", g))
    child = await start_child("api-reserve-inventory", ["lamp"])
    reserved = await child.result()
    decision = await wait_for(N.Approval.decided, match={"id": 7}, timeout="24h", default=None)
    await progress(2, 5)
    return [account.status, a, b, reserved, decision]


class ApiOrderWorkflow(Workflow):
    async def setup(self):
        await self.register(
            {
                "id": "order-processing",
                "steps": [
                    {"id": "validate", "action": "validate_payment"},
                    {"id": "reserve", "action": "reserve_inventory", "dependsOn": ["validate"]},
                    {"id": "charge", "action": "charge_card", "dependsOn": ["reserve"], "maxRetries": 3, "retryDelay": "1m"},
                    {"id": "wait", "action": "noop", "wait": "3d", "dependsOn": ["charge"]},
                    {"id": "vip", "action": "thank", "condition": "validate.total > 1000", "dependsOn": ["wait"]},
                ],
                "triggers": [{"event": "Customer.upgraded", "condition": 'plan === "enterprise"'}],
            }
        )

    async def validate_payment(self, params, state):
        return {"total": 2000}

    async def reserve_inventory(self, params, state):
        return {"reserved": params["orderId"]}

    async def charge_card(self, params, state):
        return state["reserve"]

    async def thank(self, params, state):
        return "thanks"


@pytest.mark.parametrize("decided", [True, False])
async def test_a_workflow_runs_steps_children_and_waits(virtual, decided):
    run = await onboarding.start({"id": "c1"}, id="onboard-42")
    again = await onboarding.with_options(id="onboard-42").start({"id": "c1"})
    assert run.id == again.id == "onboard-42"
    await virtual.settle()
    assert await run.status() == "waiting"
    await virtual.crash()
    if decided:
        await send(N.Approval.decided, {"id": 8})
        await send(N.Approval.decided, {"id": 7, "by": "ann"})
    assert await run.result() == ["active", 1, 2, {"reserved": ["lamp"]}, {"id": 7, "by": "ann"} if decided else None]
    assert await db.Accounts.count() == 1
    assert {entry["id"] for entry in await run.history() if entry["type"] == "step"} >= {"welcome-email", "create-account", "x", "y"}


async def test_execute_starts_and_waits(virtual):
    assert (await onboarding.execute({"id": "c2"}))[0] == "active"


async def test_a_declared_workflow_runs_and_answers_about_itself(virtual):
    wf = ApiOrderWorkflow("main")
    ex = await wf.start("order-processing", {"orderId": "ord_123"})
    await wf.pause(ex.id)
    assert (await wf.status(ex.id)).status == "paused"
    await wf.resume(ex.id)
    await virtual.advance("4d")
    ended = await wf.status(ex.id)
    assert (ended.status, ended.state["vip"], ended.state["charge"]) == ("completed", "thanks", {"reserved": "ord_123"})
    assert await wf.list_executions(workflow_id="order-processing", status="failed", limit=10) == []
    assert await wf.history(ex.id)
    with pytest.raises(InvalidTransition):
        await wf.cancel(ex.id)
    assert await wf.handle_event("Customer.created", {"id": "c1"}) == []
    assert len(await wf.handle_event("Customer.upgraded", {"id": "c1", "plan": "enterprise", "orderId": "o2"})) == 1


async def test_a_service_answers_a_request(virtual):
    svc = await Service.create(
        name="Api Fulfillment",
        steps=[{"id": "validate", "type": "function"}, {"id": "ship", "type": "function", "dependsOn": ["validate"]}],
    )

    @svc.step("validate")
    async def validate(inputs, state):
        return {"valid": inputs["order"]}

    @svc.step("ship")
    async def ship(inputs, state):
        return state["results"]["validate"]

    request = await svc.request({"order": "o1"}, customer_id="c1")
    outcome = await request.result()
    assert outcome.success and outcome.completed_steps == ["validate", "ship"] and outcome.failed_steps == []
    assert outcome.results["ship"] == {"valid": "o1"}


@pytest.mark.parametrize("last", [{}, {"type": "final"}, {"terminal": True}, {"final": True}])
async def test_a_machine_moves_as_it_is_told(virtual, last):
    states = {"draft": {"on": {"submit": "submitted"}}, "submitted": {"on": {"pay": {"target": "paid"}}}, "paid": last}
    machine = StateMachine(name="api-order", initial="draft", states=states)
    m = await machine.start({"total": 1}, id="o1")
    assert not await m.can("pay")
    await m.send("submit", {"by": "ann"})
    await virtual.crash()
    assert await m.state == "submitted" and (await m.context)["total"] == 1
    with pytest.raises(InvalidTransition):
        await m.send("submit")
    await m.send("pay")
    assert (await m.state, [entry["to"] for entry in await m.history]) == ("paid", ["draft", "submitted", "paid"])


async def test_a_state_of_an_unknown_type_is_named():
    with pytest.raises(dotdo.DefinitionError, match=r"states\.a\.type"):
        StateMachine(name="api-bad", initial="a", states={"a": {"type": "history"}})
