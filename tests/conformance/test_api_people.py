"""What section 7 of the public page says, as a user would write it."""

from __future__ import annotations

from datetime import timedelta

import pytest

import dotdo
from dotdo import DO, N, approvals, send, tasks


class ApiDesk(DO):
    async def buy(self):
        approval = await self.approval_flow.request_approval(
            type="purchase",
            title="PO",
            amount=5000,
            requested_by="ann",
            approvers=["manager", "director", "vp"],
            deadline=self.now() + timedelta(days=7),
            priority="high",
        )
        return {
            "status": approval.status,
            "approved": approval.approved,
            "rejection_reason": approval.rejection_reason,
            "decisions": [decision.by for decision in approval.decisions],
            "attributes": [approval.type, approval.title, approval.amount, approval.requested_by, approval.priority],
        }

    async def buy_by_command(self, po):
        handle = await send(N.Approval.request, approver=N.Role.ProcurementManager, item=po)
        await handle.wait()
        return handle.status

    async def categorize(self):
        async def f():
            return None

        async def g():
            return {"value": "travel", "confidence": 0.5}

        async def h():
            raise RuntimeError("down")

        async def q():
            task = await tasks.ask(title="Which?", assignee="bob")
            return task.decision

        result = await self.cascade(
            task="categorize", tiers={"code": f, "generative": g, "agentic": h, "human": q}, confidence_threshold=0.9
        )
        return [result.value, result.tier, result.confidence, result.attempts]

    async def waits_for_the_event(self):
        return await self.wait_for(N.Approval.decided, match={"id": 7}, timeout="24h", default=None)


@pytest.mark.feature(283, 285, 286, 288, 292)
async def test_asking_listing_approving_and_rejecting(virtual):
    run = await dotdo.start(ApiDesk("d").buy)
    await virtual.settle()
    for name in ("manager", "director"):
        (found,) = await approvals.list(assignee=name, status="pending")
        await approvals.approve(found.id, by=name, comment="")
    (found,) = await approvals.list(assignee="vp", status="pending")
    await approvals.reject(found.id, by="vp", reason="too dear")
    assert await run.result() == {
        "status": "rejected",
        "approved": False,
        "rejection_reason": "too dear",
        "decisions": ["manager", "director", "vp"],
        "attributes": ["purchase", "PO", 5000, "ann", "high"],
    }


@pytest.mark.feature(283, 284)
async def test_the_other_form(virtual):
    run = await dotdo.start(ApiDesk("d").buy_by_command, {"total": 20_000})
    await virtual.settle()
    (found,) = await approvals.list(assignee=N.Role.ProcurementManager)
    await approvals.approve(found.id, by=N.Role.ProcurementManager)
    assert await run.result() == "approved"


async def test_the_other_form_from_a_program(virtual):
    handle = await send(N.Approval.request, approver="ann", item={"total": 1})
    await approvals.approve(handle.id, by="ann")
    await handle.wait()
    assert handle.status == "approved"


@pytest.mark.feature(276, 300, 307)
async def test_human_tasks_and_a_cascade_that_ends_with_one(virtual):
    run = await dotdo.start(ApiDesk("d").categorize)
    await virtual.settle()
    (task,) = await tasks.list(assignee="bob")
    await tasks.claim(task.id, by="bob")
    await tasks.complete(task.id, by="bob", decision="office", comments="")
    assert await run.result() == ["office", "human", 1.0, 4]


@pytest.mark.feature(293)
async def test_decided_may_be_said_by_anybody(virtual):
    run = await dotdo.start(ApiDesk("d").waits_for_the_event)
    await virtual.settle()
    send(N.Approval.decided, {"id": 7, "decision": "reject"})
    assert await run.result() == {"id": 7, "decision": "reject"}


@pytest.mark.feature(283, 292)
async def test_a_role_is_found_and_decided_for_with_and_without_its_prefix(virtual):
    for by in ("ProcurementManager", N.Role.ProcurementManager):
        handle = await send(N.Approval.request, approver=N.Role.ProcurementManager, item={"po": 1})
        for assignee in ("ProcurementManager", N.Role.ProcurementManager):
            assert [found.id for found in await approvals.list(assignee=assignee, status="pending")] == [handle.id]
        with pytest.raises(dotdo.NotAllowed):
            await approvals.approve(handle.id, by="somebody else")
        await approvals.approve(handle.id, by=by)
        assert (await handle.wait()).status == "approved"


async def test_what_a_list_gave_can_be_decided_on(virtual):
    await send(N.Approval.request, approver="ann", item="lamp")
    [approval] = await approvals.list(assignee="ann", status="pending")
    assert (await approvals.reject(approval, by="ann", reason="no lamps")).rejection_reason == "no lamps"
