"""The examples in which people decide, with the times they take, and with a kill in the middle of each wait."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import approvals, on, send, tasks
from dotdo.events import registry
from dotdo.testing import runtime
from examples import categorise_expense, content_moderation, document_review, expense_approval, purchase_order, routing

told: list = []


@on.Email.send
async def mail(letter):
    told.append(("mail", letter["to"], letter["template"]))


@on("Document.*")
async def document(event):
    told.append((dotdo.current_event().name, event["id"]))


@on("Expense.*")
async def expense(event):
    told.append((dotdo.current_event().name, event["id"]))


EXAMPLES = [
    module.__name__ for module in (categorise_expense, content_moderation, document_review, expense_approval, purchase_order, routing)
]


@pytest.fixture(autouse=True)
def only_these():
    told.clear()
    before = registry.use_modules([__name__, *EXAMPLES])
    yield
    registry.use_modules(before)


async def _approval(assignee):
    (found,) = await approvals.list(assignee=assignee, status="pending")
    return found


# -- an expense -----------------------------------------------------------------------------------------------------


def _expense(amount):
    return expense_approval.ExpenseIn(description="flight", amount=amount, submitter="sam", manager="mia", vp="vera")


@pytest.mark.feature(138, 289, 431, 438)
@pytest.mark.parametrize(("amount", "asked"), [(99, []), (100, ["mia"]), (1_000, ["mia"]), (1_001, ["mia", "vera"])])
async def test_an_expense_asks_whom_its_amount_demands_and_is_paid_once(virtual, amount, asked):
    run = await dotdo.start(expense_approval.BusinessTrip("t").settle, _expense(amount))
    for approver in asked:
        await virtual.advance("1d")
        assert virtual.host.activations == {}
        assert await run.status() == "waiting"
        await virtual.crash()
        approval = await _approval(approver)
        await approvals.approve(approval.id, by=approver)
    assert await run.result() == "t: approved"
    assert await expense_approval.Payroll("sam").paid == {"of t": amount}
    await virtual.settle()
    assert told == [("Expense.approved", "of t")]


@pytest.mark.feature(296, 431)
@pytest.mark.parametrize("level", [1, 2])
async def test_an_expense_nobody_decides_within_two_days_is_rejected(virtual, level):
    run = await dotdo.start(expense_approval.ExpenseReport("e").submit, _expense(5_000))
    await virtual.settle()
    if level == 2:
        await virtual.advance("47h")
        await approvals.approve((await _approval("mia")).id, by="mia")
    await virtual.advance("47h")
    assert len(await approvals.list(status="pending")) == 1
    await virtual.crash()
    await virtual.advance("2h")
    outcome = await run.result()
    assert outcome["status"] == "rejected"
    assert f"{'mia' if level == 1 else 'vera'} did not decide before" in outcome["reason"]
    assert await expense_approval.Payroll("sam").paid == {}


@pytest.mark.feature(284, 290)
async def test_an_expense_that_is_rejected_says_why(virtual):
    run = await dotdo.start(expense_approval.ExpenseReport("e").submit, _expense(500))
    await virtual.settle()
    await approvals.reject((await _approval("mia")).id, by="mia", reason="take the train")
    assert await run.result() == {"status": "rejected", "reason": "take the train"}


# -- a purchase order -----------------------------------------------------------------------------------------------


@pytest.mark.feature(283, 289, 425)
@pytest.mark.parametrize(
    ("total", "decision", "status", "reason"),
    [(10_000, None, "submitted", None), (10_001, "approve", "submitted", None), (10_001, "reject", "cancelled", "we have one")],
)
async def test_a_purchase_above_ten_thousand_is_asked_for(total, decision, status, reason):
    async with runtime(clock="virtual", env=purchase_order.ENV) as rt:
        send("PurchaseOrder.created", {"id": "po", "total": total})
        await rt.advance("2d")
        if decision is not None:
            approval = await _approval("pete")
            assert (approval.assignee, approval.amount, approval.reason) == ("Role.ProcurementManager", total, "High-value purchase")
            assert await purchase_order.PurchaseOrder("po").status == "new"
            await rt.crash()
            with pytest.raises(dotdo.NotAllowed):
                await approvals.approve(approval.id, by="sam")
            await approvals.decide(approval.id, decision, by="pete", comment="we have one")
            await rt.settle()
        order = purchase_order.PurchaseOrder("po")
        assert (await order.status, await order.reason) == (status, reason)
        assert await order.submitted == (1 if status == "submitted" else 0)


@pytest.mark.feature(286, 287, 288, 438)
async def test_a_purchase_of_three_levels(virtual):
    run = await dotdo.start(purchase_order.PurchaseOrder("po").buy, "lathe", 10_001, "sam")
    for level in ("manager", "director", "vp"):
        await virtual.advance("2d")
        approval = await _approval(level)
        assert (approval.priority, approval.title) == ("high", "PO: lathe")
        await virtual.crash()
        await approvals.approve(approval.id, by=level)
    assert await run.result() == "approved"
    late = await dotdo.start(purchase_order.PurchaseOrder("late").buy, "pencil", 10_000, "sam")
    await virtual.advance("8d")
    assert await late.result() == "expired"
    (expired,) = await approvals.list(status="expired")
    assert expired.priority == "normal"


# -- a document -----------------------------------------------------------------------------------------------------


def _submit(reviewer, status):
    return send("Review.submitted", {"document_id": "lease", "reviewer_id": reviewer, "status": status}).queued()


@pytest.mark.feature(297, 431)
@pytest.mark.parametrize(
    ("said", "status"),
    [
        (["approved", "approved", "approved"], "approved"),
        (["approved", "changes-requested", "approved"], "needs_changes"),
        (["changes-requested", "rejected", "approved"], "rejected"),
    ],
)
async def test_reviews_are_put_together_whatever_order_they_come_in(virtual, said, status):
    run = await dotdo.start(document_review.Document("lease").review, ["ann", "bob", "cleo"])
    await virtual.advance("1d")
    for reviewer, one in reversed(list(zip(["ann", "bob", "cleo"], said, strict=True))):
        await _submit(reviewer, one)
        await virtual.advance("1d")
        await virtual.crash()
    outcome = await run.result()
    assert outcome == {"status": status, "reviews": dict(zip(["ann", "bob", "cleo"], said, strict=True))}
    await virtual.settle()
    assert told == [(f"Document.{status}", "lease")]


@pytest.mark.feature(297, 431)
@pytest.mark.parametrize(("second", "status"), [("approved", "approved"), (None, "needs_changes")])
async def test_a_silent_reviewer_is_reminded_once_after_a_week_and_has_two_more_days(virtual, second, status):
    run = await dotdo.start(document_review.Document("lease").review, ["ann", "bob"])
    await virtual.advance("1d")
    await _submit("ann", "approved")
    await virtual.advance("5d")
    assert told == []
    await virtual.crash()
    await virtual.advance("2d")
    assert told == [("mail", "bob", "review-reminder")]
    assert virtual.host.activations == {}
    await virtual.crash()
    if second:
        await _submit("bob", second)
    assert await run.status() in ("waiting", "running")
    await virtual.advance("2d")
    assert (await run.result())["status"] == status
    assert [one for one in told if one[0] == "mail"] == [("mail", "bob", "review-reminder")]


# -- content --------------------------------------------------------------------------------------------------------


@pytest.mark.feature(298, 425)
@pytest.mark.parametrize(
    ("screening", "status"),
    [
        ({"safe": True, "confidence": 0.951, "flagged": False}, "published"),
        ({"safe": True, "confidence": 0.95, "flagged": False}, "new"),
        ({"safe": False, "confidence": 0.99, "flagged": True}, "rejected"),
        ({"safe": False, "confidence": 0.99, "flagged": False}, "new"),
    ],
)
async def test_content_is_published_refused_or_looked_at(virtual, screening, status):
    virtual.mock("screen", lambda text: {**screening, "concerns": ["rude"], "urgency": "critical"})
    send("Post.submitted", {"id": "p", "text": "hello"})
    await virtual.advance("1h")
    assert await content_moderation.Post("p").status == status
    found = await tasks.list(status="pending")
    assert [(task.priority, task.details["concerns"]) for task in found] == ([("critical", ["rude"])] if status == "new" else [])


@pytest.mark.feature(282, 298, 425)
@pytest.mark.parametrize(("decision", "status"), [("approve", "published"), ("reject", "rejected")])
async def test_what_is_looked_at_late_goes_to_the_lead_over_crashes(virtual, decision, status):
    run = await dotdo.start(content_moderation.Post("p").moderate, "WIN AT THE CASINO")
    await virtual.advance("3h")
    (task,) = await tasks.list(assignee="moderators")
    await tasks.claim(task.id, by="moderators")
    await virtual.crash()
    await virtual.advance("2h")
    assert virtual.host.activations == {}
    assert await tasks.list(assignee="moderators") == []
    await virtual.crash()
    await tasks.complete(task.id, by="lead", decision=decision, comments="advertising")
    assert await run.result() == status
    post = content_moderation.Post("p")
    assert (await post.method, await post.reason) == (("human", "") if status == "published" else ("", "advertising"))


# -- a category, and two ways -------------------------------------------------------------------------------------


@pytest.mark.feature(300, 307, 438)
@pytest.mark.parametrize("crash_at", ["categorise-expense:code", "categorise-expense:generative", "create-task", None])
async def test_a_category_is_found_by_the_cheapest_that_is_sure(virtual, crash_at, monkeypatch):
    guesses = []
    guess = categorise_expense.guess

    async def counted(description):
        guesses.append(description)
        return await guess(description)

    monkeypatch.setattr(categorise_expense, "guess", counted)
    assert await categorise_expense.CostItem("1").categorise("Taxi") == "travel (code, 1.00)"
    assert await categorise_expense.CostItem("2").categorise("Lunch") == "meals (generative, 0.95)"
    if crash_at:
        virtual.crash_after(crash_at)
    run = await dotdo.start(categorise_expense.CostItem("3").categorise, "Xylophone")
    await virtual.advance("5d")
    await virtual.crash()
    (task,) = await tasks.list(assignee="accounting")
    await tasks.complete(task.id, by="accounting", decision="team event")
    assert await run.result() == "team event (human, 1.00)"
    assert guesses == ["Lunch", "Xylophone"]
    assert await categorise_expense.CostItem("3").decided_by == "human"


@pytest.mark.feature(421)
@pytest.mark.parametrize(
    ("level", "total", "desk"),
    [("premium", 5, "priority"), ("premium", 5_000, "priority"), ("basic", 1_000, "standard"), ("basic", 1_001, "high value")],
)
async def test_an_order_takes_its_way(virtual, level, total, desk):
    await send("ShopOrder.created", {"id": "o", "total": total, "customer": {"level": level}})
    desks = {name: [work["order"] for work in await routing.WorkDesk(name).line] for name in ("priority", "high value", "standard")}
    assert desks == {name: ["o"] if name == desk else [] for name in desks}


@pytest.mark.feature(421)
@pytest.mark.parametrize(
    ("analysis", "desk"),
    [
        ({"can_auto_resolve": True, "complexity": "high"}, "robot"),
        ({"can_auto_resolve": False, "complexity": "low"}, "tier 1"),
        ({"can_auto_resolve": False, "complexity": "medium"}, "tier 2"),
        ({"can_auto_resolve": False, "complexity": "high"}, "seniors"),
    ],
)
async def test_a_ticket_takes_its_way(virtual, analysis, desk):
    virtual.mock("analyse", lambda ticket: {"answer": "a", "reason": "r", **analysis})
    await send("SupportTicket.created", {"id": "t", "text": "help"})
    assert [work["ticket"] for work in await routing.WorkDesk(desk).line] == ["t"]


@pytest.mark.parametrize("module", [categorise_expense, content_moderation, document_review, expense_approval, purchase_order, routing])
async def test_the_programs_run(module, capsys):
    async with runtime(env=getattr(module, "ENV", None)):
        await asyncio.wait_for(module.main(), 60)
    assert capsys.readouterr().out.count("\n") >= 1
