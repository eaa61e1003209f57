"""Approvals: who decides at which level, what becomes of them, and who waits meanwhile without anything in memory."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta

import pytest

import dotdo
from dotdo import DO, AlreadyDecided, DefinitionError, N, NoSuchApproval, NotAllowed, approvals, on, send
from dotdo.events import registry

from ..crashes import killed_at_commit

seen: list = []


@pytest.fixture(autouse=True)
def only_mine():
    seen.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


@on("Approval.*")
async def hear(approval):
    seen.append((dotdo.current_event().verb, approval.status, approval.assignee))


@on.Notification.send
async def deliver(notice):
    seen.append(("notice", notice["type"], notice["user_id"], notice["users"]))


class Purchase(DO, noun="PaPurchase"):
    status: str = "new"
    paid: int = 0

    async def submit(self, amount: int, approvers: list[str], **options):
        self.status = "waiting"
        approval = await self.approval_flow.request_approval(
            type="purchase", title=f"PO {self.id}", amount=amount, requested_by="ann", approvers=approvers, **options
        )
        self.status = approval.status
        if approval.approved:
            self.paid += 1
        return approval

    async def submit_by_command(self, item):
        handle = await send(N.Approval.request, approver=N.Role.ProcurementManager, item=item, reason="High-value purchase")
        before = handle.status
        await handle.wait()
        return [before, handle.status, handle.rejection_reason, handle.reason, handle.item]

    async def decided_event(self, number: int):
        send.Approval.request(entity="Invoice", item={"n": number}, approvers=["ann"], invoice=number)
        decision = await self.wait_for("Approval.decided", match={"invoice": number}, timeout="24h", default=None)
        return None if decision is None else [decision["status"], decision.approved]

    async def ask_plainly(self):
        return (await self.approval_flow.request(title="x", approvers=["ann"])).id

    async def ask_stubbornly(self):
        """A step that fails once after it asked: the second attempt means the same approval."""
        return await self.do(self._ask_then_fail, step_id="ask")

    async def _ask_then_fail(self):
        approval = await self.approval_flow.request(title="x", approvers=["ann"])
        self._tries = getattr(self, "_tries", 0) + 1
        if self._tries == 1:
            raise RuntimeError("once")
        return approval.id

    async def impatient(self, timeout: str):
        handle = await self.approval_flow.request(approvers=["ann"])
        try:
            await handle.wait(timeout)
        except dotdo.WaitTimeout:
            return "gave up"
        return handle.status


class Office(DO, noun="PaOffice"):
    async def buy(self, amount: int, approvers: list[str], **options):
        approval = await Purchase("p1").submit(amount, approvers, **options)
        return [approval.status, approval.rejection_reason, approval.decided_by]


async def _pending(**filters):
    (approval,) = await approvals.list(status="pending", **filters)
    return approval


CHAIN = ["manager", "director", "vp"]


@pytest.mark.feature(285, 286, 290, 299)
async def test_each_level_approves_in_order_and_all_is_on_record(virtual):
    run = await dotdo.start(Purchase("p1").submit, 5000, CHAIN, priority="high", cost_centre="R&D")
    await virtual.settle()
    for level, name in enumerate(CHAIN, 1):
        approval = await _pending(assignee=name)
        assert (approval.level, approval.amount, approval.cost_centre, approval.priority) == (level, 5000, "R&D", "high")
        await virtual.advance("1h")
        await approvals.approve(approval.id, by=name, comment=f"fine {level}")
    result = await run.result()
    assert (result.status, result.approved, result.decision, result.decided_by, result.rejection_reason) == (
        "approved", True, "approved", "vp", None,
    )  # fmt: skip
    assert [(d.level, d.by, d.comment) for d in result.decisions] == [
        (1, "manager", "fine 1"),
        (2, "director", "fine 2"),
        (3, "vp", "fine 3"),
    ]
    assert (result.type, result.title, result.requested_by, result.approvers) == ("purchase", "PO p1", "ann", CHAIN)
    assert [line.what for line in result.history] == ["requested", "approved", "approved", "approved"]
    hours = [(line.at - result.created_at).total_seconds() / 3600 for line in result.history]
    assert hours == [0, 1, 2, 3]
    await virtual.settle()
    assert [entry for entry in seen if entry[0] != "notice"] == [
        ("requested", "pending", "manager"), ("advanced", "pending", "director"), ("advanced", "pending", "vp"), ("decided", "approved", "vp"),
    ]  # fmt: skip
    assert [entry[2] for entry in seen if entry[0] == "notice"] == CHAIN


@pytest.mark.feature(284, 290)
async def test_a_rejection_at_any_level_ends_it_with_its_reason(virtual):
    run = await dotdo.start(Office("o").buy, 5000, CHAIN)
    await virtual.settle()
    approval = await _pending()
    await approvals.approve(approval.id, by="manager")
    await approvals.reject(approval.id, by="director", reason="no budget")
    assert await run.result() == ["rejected", "no budget", "director"]
    with pytest.raises(AlreadyDecided, match="rejected by director already"):
        await approvals.approve(approval.id, by="vp")
    assert await Purchase("p1").paid == 0


@pytest.mark.feature(292)
async def test_only_whom_the_level_waits_for_may_decide(virtual):
    approval = await approvals.request(title="x", approvers=CHAIN)
    for by in ("director", "mallory"):
        with pytest.raises(NotAllowed, match=f"{by} may not decide .* level 1 waits for manager"):
            await approvals.approve(approval.id, by=by)
        with pytest.raises(NotAllowed):
            await approvals.reject(approval.id, by=by, reason="no")
        with pytest.raises(NotAllowed):
            await approvals.delegate(approval.id, by=by, to=by)
    with pytest.raises(NotAllowed, match="level 2 is not due"):
        await approvals.approve(approval.id, by="manager", level=2)
    await approvals.approve(approval.id, by="manager")
    with pytest.raises(NotAllowed):
        await approvals.reject(approval.id, by="manager", reason="changed my mind")
    with pytest.raises(AlreadyDecided, match="was approved by manager"):
        await approvals.approve(approval.id, by="director", level=1)
    for reason in ("", "  "):
        with pytest.raises(DefinitionError, match="says why"):
            await approvals.reject(approval.id, by="director", reason=reason)
    assert (await approvals.get(approval.id)).level == 2
    with pytest.raises(NoSuchApproval):
        await approvals.approve("nothing", by="ann")


@pytest.mark.feature(292)
async def test_a_repeated_decision_changes_nothing(virtual):
    approval = await approvals.request(title="x", approvers=["ann", "bob"])
    first = await approvals.approve(approval.id, by="ann")
    assert await approvals.approve(approval.id, by="ann") == first
    last = await approvals.approve(approval.id, by="bob")
    assert await approvals.approve(approval.id, by="bob") == last
    assert len(last.decisions) == 2
    other = await approvals.request(title="y", approvers=["ann"])
    once = await approvals.reject(other.id, by="ann", reason="no")
    assert await approvals.reject(other.id, by="ann", reason="no, again") == once
    with pytest.raises(AlreadyDecided):
        await approvals.approve(other.id, by="ann")


@pytest.mark.feature(286)
async def test_who_holds_two_levels_decides_each_on_purpose(virtual):
    approval = await approvals.request(title="x", approvers=["ann", "ann"])
    await approvals.approve(approval.id, by="ann")
    with pytest.raises(NotAllowed, match="say level=2"):
        await approvals.approve(approval.id, by="ann")
    assert not (await approvals.approve(approval.id, by="ann", level=1)).approved
    assert (await approvals.approve(approval.id, by="ann", level=2)).approved


async def test_many_decide_at_once_and_one_decision_counts(virtual):
    approval = await approvals.request(title="x", approvers=["ann"])
    outcomes = await asyncio.gather(
        *(approvals.approve(approval.id, by="ann") for _ in range(10)),
        *(approvals.reject(approval.id, by="ann", reason="no") for _ in range(10)),
        return_exceptions=True,
    )
    ended = await approvals.get(approval.id)
    assert len(ended.decisions) == 1
    assert sum(isinstance(one, AlreadyDecided) for one in outcomes) == 10


@pytest.mark.feature(287)
@pytest.mark.parametrize("absolute", [True, False])
async def test_at_the_deadline_it_expires_and_nobody_can_decide_any_more(virtual, absolute):
    now = (await approvals.request(title="clock", approvers=["x"])).created_at
    run = await dotdo.start(Office("o").buy, 5000, ["manager"], deadline=now + timedelta(days=7) if absolute else "7d")
    await virtual.advance("6d")
    approval = await _pending(assignee="manager")
    assert approval.deadline == now + timedelta(days=7)
    await virtual.crash()
    await virtual.advance("1d")
    status, reason, by = await run.result()
    assert (status, by) == ("expired", None)
    assert "manager did not decide before" in reason
    ended = await approvals.get(approval.id)
    assert (ended.decided_at - now, ended.approved, ended.decision) == (timedelta(days=7), False, "expired")
    with pytest.raises(AlreadyDecided, match="is expired already"):
        await approvals.approve(approval.id, by="manager")


@pytest.mark.feature(140)
async def test_a_deadline_that_has_passed_expires_at_once(virtual):
    now = (await approvals.request(title="clock", approvers=["x"])).created_at
    approval = await approvals.request(title="late", approvers=["ann"], deadline=now - timedelta(days=1))
    assert (await approval.wait()).status == "expired"


async def test_whom_it_waits_for_is_reminded_until_it_is_decided(virtual):
    approval = await approvals.request(title="x", approvers=["ann", "bob"], remind_every="2d")
    await virtual.advance("5d")
    await approvals.approve(approval.id, by="ann")
    await virtual.crash()
    await virtual.advance("3d")
    await approvals.approve(approval.id, by="bob")
    await virtual.advance("30d")
    reminded = [entry[2] for entry in seen if entry[:2] == ("notice", "approval-reminder")]
    assert reminded == ["ann", "ann", "bob"]
    assert (await approvals.get(approval.id)).reminders == 3


async def test_who_it_is_delegated_to_decides_that_level(virtual):
    approval = await approvals.request(title="x", approvers=["ann", "bob"])
    await approvals.delegate(approval.id, by="ann", to="zoe", comment="on holiday")
    assert [one.id for one in await approvals.list(assignee="zoe")] == [approval.id]
    assert await approvals.list(assignee="ann") == []
    with pytest.raises(NotAllowed):
        await approvals.approve(approval.id, by="ann")
    await approvals.approve(approval.id, by="zoe")
    now = await approvals.approve(approval.id, by="bob")
    assert (now.approved, [d.by for d in now.decisions], now.approvers) == (True, ["zoe", "bob"], ["ann", "bob"])
    assert [line.what for line in now.history] == ["requested", "delegated", "approved", "approved"]


async def test_comments_are_kept_and_do_not_decide(virtual):
    approval = await approvals.request(title="x", approvers=["ann"])
    await approvals.comment(approval.id, "why so dear?", by="ann")
    now = await approvals.get(approval.id)
    assert (now.status, now.history[-1].comment, now.history[-1].by) == ("pending", "why so dear?", "ann")


async def test_who_asked_may_take_it_back_and_others_may_not(virtual):
    run = await dotdo.start(Office("o").buy, 5, ["manager"])
    await virtual.settle()
    approval = await _pending()
    with pytest.raises(NotAllowed, match="ann asked for it"):
        await approvals.cancel(approval.id, by="manager")
    await approvals.cancel(approval.id, by="ann", reason="bought elsewhere")
    assert await run.result() == ["cancelled", "bought elsewhere", None]
    with pytest.raises(AlreadyDecided):
        await approvals.cancel(approval.id)


async def test_a_cancelled_execution_takes_its_approval_back(virtual):
    run = await dotdo.start(Purchase("p1").submit, 5, ["manager"])
    await virtual.advance("1d")
    await run.cancel()
    await virtual.settle()
    (approval,) = await approvals.list()
    assert approval.status == "cancelled"


@pytest.mark.feature(283, 284, 406)
@pytest.mark.parametrize("decision", ["approve", "approved", True, "reject", "rejected", False])
async def test_the_command_gives_a_handle_at_once_and_decisions_have_synonyms(virtual, decision):
    run = await dotdo.start(Purchase("p1").submit_by_command, {"total": 10_001})
    await virtual.advance("1d")
    approval = await _pending(assignee=N.Role.ProcurementManager)
    assert virtual.host.activations.keys() <= {("DotdoInbox", "approvals")}
    await virtual.crash()
    await approvals.decide(approval.id, decision, by=N.Role.ProcurementManager, comment="because")
    ended = "approved" if decision in ("approve", "approved", True) else "rejected"
    reason = None if ended == "approved" else "because"
    assert await run.result() == ["pending", ended, reason, "High-value purchase", {"total": 10_001}]


@pytest.mark.feature(294)
async def test_what_is_no_decision_is_refused(virtual):
    approval = await approvals.request(title="x", approvers=["ann"])
    with pytest.raises(DefinitionError, match="'maybe' is no decision"):
        await approvals.decide(approval.id, "maybe", by="ann")


@pytest.mark.feature(293)
async def test_the_event_form_waits_for_decided_with_what_was_asked(virtual):
    runs = [await dotdo.start(Purchase(f"e{n}").decided_event, n) for n in range(3)]
    await virtual.advance("1h")
    found = {approval.invoice: approval for approval in await approvals.list(assignee="ann")}
    await send(N.Approval.approve, id=found[1].id, by="ann")
    await send(N.Approval.reject, {"id": found[2].id, "by": "ann", "reason": "no"})
    assert await runs[1].result() == ["approved", True]
    assert await runs[2].result() == ["rejected", False]
    assert await runs[0].result() is None, "nobody decided within a day"


class OwnApproval(DO, noun="PaOwnApproval"):
    asked: list = []

    async def note(self, what):
        self.asked.append(what)


async def test_a_program_that_handles_the_command_itself_takes_it_over(virtual):
    @on.Approval.request
    async def own(asked):
        return {"own": asked["item"]}

    try:
        assert await send(N.Approval.request, item=7) == {"own": 7}
        assert await approvals.list() == []
    finally:
        for handler in registry.handlers_of("Approval.request"):
            if handler.name.endswith("own"):
                registry._handlers.discard(handler.pattern, handler)
    assert (await send(N.Approval.request, approver="ann")).status == "pending"


async def test_a_wait_with_a_limit_gives_up_durably(virtual):
    run = await dotdo.start(Purchase("p1").impatient, "2d")
    await virtual.advance("1d")
    await virtual.crash()
    await virtual.advance("12h")
    assert virtual.host.activations == {}
    assert await run.result() == "gave up"
    approval = await approvals.request(approvers=["ann"])
    with pytest.raises(dotdo.CallTimeout):
        await approval.wait("1h")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "approvers="),
        ({"approvers": []}, "1 to 50 approvers"),
        ({"approvers": ["ann"], "approver": "bob"}, "approvers="),
        ({"approvers": ["ann", ""]}, "the name of a person"),
        ({"approvers": ["ann"], "priority": "urgent"}, "one of low"),
        ({"approvers": ["ann"], "deadline": datetime(2030, 1, 1)}, "no time zone"),
        ({"approvers": ["ann"], "status": "approved"}, "the record's own"),
        ({"approvers": ["ann"], "decisions": []}, "the record's own"),
    ],
)
async def test_what_makes_no_sense_is_said_at_once(virtual, options, says):
    with pytest.raises(DefinitionError, match=says):
        await approvals.request(title="x", **options)
    with pytest.raises(DefinitionError, match=says):
        await send(N.Approval.request, title="x", **options)
    assert await approvals.list() == []


@pytest.mark.feature(288)
async def test_the_inbox_is_sorted_by_priority_and_wakes_nobody(virtual):
    for priority in ("normal", "low", "critical", "high"):
        await approvals.request(title=priority, approvers=["ann"], priority=priority, requested_by="bob")
    await virtual.advance("1h")
    assert [one.title for one in await approvals.list(assignee="ann", requested_by="bob")] == ["critical", "high", "normal", "low"]
    assert {noun for noun, _ in virtual.host.activations} == {"DotdoInbox"}


def _open_files(virtual) -> list[str]:
    """Which entity files this process has open."""
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    paths = [os.readlink(link) for link in links if os.path.islink(link)]
    return [path for path in paths if path.startswith(str(virtual.path)) and ".sqlite" in path and "index.sqlite" not in path]


@pytest.mark.feature(291, 412)
@pytest.mark.parametrize("crashes", [(), (3, 5)])
async def test_seven_days_and_three_levels_hold_nothing_in_memory(virtual, crashes):
    await virtual.settle()
    tasks_before = len(asyncio.all_tasks())
    run = await dotdo.start(Office("o").buy, 50_000, CHAIN, deadline="8d")
    for day in range(1, 8):
        if day in crashes:
            await virtual.crash()
        await virtual.advance("1d")
        assert virtual.host.activations == {}, "neither approval, nor purchase, nor office, nor anything else"
        assert (await dotdo.hosts())[0]["active"] == 0
        if not crashes:  # a crash within this process leaves the dead host's descriptors behind
            assert _open_files(virtual) == []
        while len(asyncio.all_tasks()) > tasks_before:  # a connection that the crash has broken is made again meanwhile
            await asyncio.sleep(0.01)
        if day in (2, 4, 7):
            approval = await _pending()
            await approvals.approve(approval.id, by=CHAIN[day // 3])
    assert await run.result() == ["approved", None, "vp"]
    assert (await approvals.get(approval.id)).decided_at - approval.created_at == timedelta(days=7)
    assert await Purchase("p1").paid == 1


@pytest.mark.parametrize("commit", range(1, 26))
async def test_a_kill_at_any_commit_neither_loses_nor_doubles_a_decision(virtual, commit):
    """Asking, parking, deciding twice and going on: the process dies right after one commit of it."""
    with killed_at_commit(virtual, commit):
        run = await dotdo.start(Office("o").buy, 5, ["ann", "bob"])
        await virtual.advance("1h")
        for by in ("ann", "bob"):
            answer = await approvals.approve((await _pending()).id, by=by)
            assert answer.decisions[-1].by == by, "the answer is the approval after the decision, also when its call is replayed"
            await virtual.advance("1h")
    assert answer.approved
    assert await run.result() == ["approved", None, "bob"]
    assert await Purchase("p1").paid == 1
    (approval,) = await approvals.list()
    assert [line.what for line in approval.history] == ["requested", "approved", "approved"]


@pytest.mark.parametrize("commit", range(1, 5))
async def test_what_a_plain_call_asks_for_is_asked_once_whenever_it_is_killed(virtual, commit):
    with killed_at_commit(virtual, commit):
        found = await Purchase("p1").ask_plainly()
    assert [approval.id for approval in await approvals.list()] == [found]


async def test_a_step_that_is_tried_again_asks_for_the_same_approval(virtual):
    found = await Purchase("p1").ask_stubbornly()
    assert [approval.id for approval in await approvals.list()] == [found]
