"""Human tasks: who gets them, who may do them, what time does to them, and who waits meanwhile without anything in memory."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import dotdo
from dotdo import DO, AlreadyDecided, DefinitionError, N, NoSuchTask, NotAllowed, TaskCancelled, WaitTimeout, on, tasks
from dotdo.events import registry

from ..crashes import killed_at_commit

seen: list = []


@pytest.fixture(autouse=True)
def only_mine():
    seen.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


@on("HumanTask.*")
async def hear(task):
    seen.append((task["status"], task.assigned_to, dotdo.current_event().verb))


@on.Notification.send
async def deliver(notice):
    seen.append(("notice", notice["type"], notice["user_id"], notice["data"].title))


class Clerk(DO, noun="PtClerk"):
    diary: list = []

    async def ask(self, title: str, **options):
        self.diary.append("asked")
        task = await tasks.ask(title, **options)
        self.diary.append("answered")
        return [task.decision, task.completed_by, task.comments, task.approved, task.rejected]

    async def ask_many(self):
        several = await asyncio.gather(*(tasks.ask(f"at once {n}", assignee="ann") for n in range(3)))
        for n in range(2):
            several.append(await self.do(tasks.ask, f"in turn {n}", step_id=f"turn-{n}"))
        return [task.decision for task in several]

    async def ask_in_a_step(self):
        return await self.do(self._ask, step_id="ask")

    async def _ask(self):
        await tasks.ask("Approve", timeout="1h")

    async def ask_then_fail(self, title: str):
        await tasks.ask(title, assignee="ann")
        raise RuntimeError("later")

    async def read_diary(self):
        return self.diary


class Boss(DO, noun="PtBoss"):
    async def delegate(self, title: str, **options):
        return await Clerk("c").ask(title, **options)


async def _only(**filters):
    (task,) = await tasks.list(**filters)
    return task


@pytest.mark.feature(269, 270, 271, 272, 276, 277)
async def test_a_task_is_created_claimed_completed_and_each_change_is_told(virtual):
    task = await tasks.create(
        "Check the invoice", assignee="ann", details={"amount": 12}, timeout="24h", workflow_id="w1", request_id="r1", step_id="human"
    )
    assert (task.status, task.assignee, task.assigned_to, task.details) == ("pending", "ann", "ann", {"amount": 12})
    assert (task.workflow_id, task["request_id"], task.get("step_id")) == ("w1", "r1", "human")
    assert task.due_at - task.created_at == timedelta(hours=24)
    assert (await tasks.claim(task.id, by="ann")).claimed_by == "ann"
    done = await tasks.complete(task.id, by="ann", decision="approve", comments="fine")
    assert (done.status, done.decision, done.comments, done.completed_by, done.approved) == ("completed", "approved", "fine", "ann", True)
    assert done.completed_at is not None
    await virtual.settle()
    assert [entry for entry in seen if entry[0] != "notice"] == [
        ("pending", "ann", "created"), ("claimed", "ann", "claimed"), ("completed", "ann", "completed"),
    ]  # fmt: skip
    assert [entry for entry in seen if entry[0] == "notice"] == [("notice", "task-assigned", "ann", "Check the invoice")]
    assert [line.what for line in done.history] == ["created", "claimed", "completed"]


@pytest.mark.feature(278, 411)
async def test_who_asks_is_parked_and_goes_on_after_days_and_crashes(virtual):
    run = await dotdo.start(Boss("b").delegate, "Sign it", assignee="ann")
    await virtual.advance("3d")
    assert virtual.host.activations == {}
    await virtual.crash()
    await virtual.advance("3d")
    assert virtual.host.activations == {}
    assert await run.status() == "waiting"
    await tasks.complete((await _only(assignee="ann")).id, by="ann", decision="approved", comments="ok")
    assert await run.result() == ["approved", "ann", "ok", True, False]
    assert await Clerk("c").read_diary() == ["asked", "answered"]


@pytest.mark.feature(279)
async def test_a_no_is_an_answer_that_the_asker_sees(virtual):
    run = await dotdo.start(Clerk("c").ask, "Sign it", assignee="ann")
    await virtual.settle()
    await tasks.complete((await _only()).id, by="ann", decision="reject", comments="too dear")
    assert await run.result() == ["rejected", "ann", "too dear", False, True]


@pytest.mark.feature(280)
async def test_the_first_completion_counts_and_the_second_is_refused(virtual):
    task = await tasks.create("Sign it")
    await tasks.complete(task.id, by="ann", decision="approved")
    for by in ("ann", "bob"):
        with pytest.raises(AlreadyDecided, match="completed by ann already"):
            await tasks.complete(task.id, by=by, decision="rejected")
    assert (await tasks.get(task.id)).decision == "approved"


async def test_many_complete_at_once_and_one_wins(virtual):
    task = await tasks.create("Sign it")
    outcomes = await asyncio.gather(*(tasks.complete(task.id, by=f"p{n}", decision=n) for n in range(20)), return_exceptions=True)
    won = [one for one in outcomes if not isinstance(one, Exception)]
    assert len(won) == 1
    assert all(isinstance(one, AlreadyDecided) for one in outcomes if isinstance(one, Exception))
    assert (await tasks.get(task.id)).decision == won[0].decision


async def test_only_who_has_it_may_do_it(virtual):
    task = await tasks.create("Sign it", assignee="ann", requested_by="cleo")
    for verb in (tasks.claim, tasks.complete, tasks.cancel):
        with pytest.raises(NotAllowed, match="bob may not"):
            await verb(task.id, by="bob")
    with pytest.raises(NotAllowed):
        await tasks.assign(task.id, to="bob", by="bob")
    await tasks.assign(task.id, to="bob", by="ann")
    await tasks.claim(task.id, by="bob")
    with pytest.raises(NotAllowed):
        await tasks.complete(task.id, by="ann")
    with pytest.raises(NotAllowed):
        await tasks.release(task.id, by="ann")
    await tasks.release(task.id, by="bob")
    assert (await tasks.get(task.id)).status == "pending"
    assert (await tasks.cancel(task.id, by="cleo", reason="no need")).status == "cancelled"


async def test_a_claim_keeps_others_of_the_same_role_out(virtual):
    task = await tasks.create("Sign it", assignee=None)
    await tasks.claim(task.id, by="ann")
    await tasks.claim(task.id, by="ann")
    with pytest.raises(NotAllowed, match="claimed by ann"):
        await tasks.claim(task.id, by="bob")
    with pytest.raises(NotAllowed, match="ann has claimed it"):
        await tasks.complete(task.id, by="bob")


@pytest.mark.feature(273, 274, 275)
async def test_a_task_of_24_hours_escalates_once_at_12_and_expires_at_24(virtual):
    run = await dotdo.start(
        Clerk("c").ask, "Approve", assignee="ann", timeout="24h", escalation={"timeout": "12h", "escalate_to": "manager"}
    )
    await virtual.advance("11h")
    assert (await _only()).assignee == "ann"
    await virtual.crash()
    await virtual.advance("2h")
    task = await _only(assignee="manager", status="pending")
    assert await tasks.list(assignee="ann") == []
    lines = [(line.what, line.to, (line.at - task.created_at).total_seconds() / 3600) for line in task.history]
    assert lines == [("created", "ann", 0), ("escalated", "manager", 12)]
    await virtual.advance("10h")
    assert (await tasks.get(task.id)).is_open
    await virtual.crash()
    await virtual.advance("2h")
    ended = await tasks.get(task.id)
    assert (ended.status, [line.what for line in ended.history]) == ("expired", ["created", "escalated", "expired"])
    assert (ended.history[-1].at - ended.created_at) == timedelta(hours=24), "an escalation does not restart the clock"
    with pytest.raises(WaitTimeout, match="nobody completed the task 'Approve' in time"):
        await run.result()
    with pytest.raises(AlreadyDecided):
        await tasks.complete(task.id, by="manager")
    await virtual.settle()
    assert [entry[1:3] for entry in seen if entry[0] == "notice"] == [("task-assigned", "ann"), ("task-escalated", "manager")]


@pytest.mark.feature(274)
async def test_a_chain_goes_up_level_by_level_also_from_who_claimed_and_does_nothing(virtual):
    task = await tasks.create("Approve", assignee="ann", escalation=[("12h", "manager"), {"after": "6h", "to": "director"}])
    await virtual.advance("1h")
    await tasks.claim(task.id, by="ann")
    await virtual.advance("12h")
    now = await tasks.get(task.id)
    assert (now.status, now.assignee, now.claimed_by) == ("pending", "manager", None)
    await virtual.advance("6h")
    assert (await tasks.get(task.id)).assignee == "director"
    await virtual.advance("30d")
    assert [line.to for line in (await tasks.get(task.id)).history if line.what == "escalated"] == ["manager", "director"]
    assert (await tasks.complete(task.id, by="director", decision=7)).decision == 7


async def test_a_runtime_that_was_down_makes_up_for_what_was_due_in_order(virtual):
    task = await tasks.create("Approve", assignee="ann", timeout="24h", escalation=[("12h", "manager")])
    await virtual.settle()
    virtual.router.host = None
    await virtual.host.stop()
    virtual.clock.advance_to(virtual.clock.now() + 3 * 86_400)
    await virtual._start()
    await virtual.advance("1s")
    assert [line.what for line in (await tasks.get(task.id)).history] == ["created", "escalated", "expired"]


@pytest.mark.feature(275)
async def test_a_default_decision_stands_when_time_is_up(virtual):
    run = await dotdo.start(Clerk("c").ask, "Approve", assignee="ann", timeout="24h", default_decision="reject")
    assert await run.result() == ["rejected", None, "nobody decided in time", False, True]


async def test_who_asked_hears_that_it_was_called_off(virtual):
    run = await dotdo.start(Clerk("c").ask, "Approve", assignee="ann")
    await virtual.settle()
    await tasks.cancel((await _only()).id, reason="obsolete")
    with pytest.raises(TaskCancelled, match="obsolete"):
        await run.result()


async def test_a_cancelled_execution_calls_its_task_off(virtual):
    run = await dotdo.start(Clerk("c").ask, "Approve", assignee="ann")
    await virtual.advance("1d")
    await run.cancel()
    await virtual.settle()
    assert (await _only()).status == "cancelled"


async def test_a_completed_task_stays_so_when_its_asker_fails_later(virtual):
    run = await dotdo.start(Clerk("c").ask_then_fail, "Approve")
    await virtual.settle()
    await tasks.complete((await _only()).id, by="ann", decision="approved")
    with pytest.raises(RuntimeError, match="later"):
        await run.result()
    assert (await _only()).status == "completed"


async def test_a_program_outside_waits_too(virtual):
    task = await tasks.create("Approve", timeout="2d", default_decision="approved")
    assert (await task.wait()) is task
    assert (task.status, task.approved) == ("completed", True)
    assert (await tasks.ask("Again", timeout="1d", default_decision=True)).approved
    with pytest.raises(dotdo.CallTimeout):
        await (await tasks.create("Never")).wait(timeout="1h")


async def test_the_same_id_is_the_same_task(virtual):
    one = await tasks.create("Approve", id="t1", assignee="ann")
    assert await tasks.create("Other", id="t1", assignee="bob") == one
    with pytest.raises(NoSuchTask):
        await tasks.get("t2")
    with pytest.raises(NoSuchTask):
        await tasks.complete("t2", by="ann")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"title": " "}, "what there is to do"),
        ({"title": "x", "priority": "urgent"}, "one of low, normal, high, critical"),
        ({"title": "x", "assignee": 7}, "the name of a person"),
        ({"title": "x", "escalation": [("12h",)]}, "an escalation is"),
        ({"title": "x", "escalation": {"after": "12h"}}, "an escalation is"),
        ({"title": "x", "timeout": "1d", "due": None, "status": "completed"}, "the record's own"),
        ({"title": "x", "timeout": "1d", "due": "tomorrow"}, "not both"),
        ({"title": "x", "due": "tomorrow"}, "an aware time"),
    ],
)
async def test_what_makes_no_sense_is_said_at_once(virtual, options, says):
    with pytest.raises(DefinitionError, match=says):
        await tasks.create(**options)
    assert await tasks.list() == []


@pytest.mark.feature(282)
async def test_the_inbox_is_sorted_filtered_and_wakes_nobody(virtual):
    for n in range(30):
        await tasks.create(
            f"t{n}", assignee=N.Role.Reviewers if n % 2 else "ann", priority="high" if n % 10 == 7 else "normal", type="review"
        )
    await virtual.advance("1h")
    found = await tasks.list(assignee=N.Role.Reviewers, status="pending", limit=4)
    assert [task.title for task in found] == ["t7", "t17", "t27", "t1"]
    assert [task.title for task in await tasks.list(assignee="Role.Reviewers", offset=4, limit=2)] == ["t3", "t5"]
    assert len(await tasks.list(type="review", priority="high")) == 3
    assert await tasks.list(status=["completed", "expired"]) == []
    assert {noun for noun, _ in virtual.host.activations} == {"DotdoInbox"}
    with pytest.raises(DefinitionError, match="status='done'"):
        await tasks.list(status="done")


async def test_a_task_too_large_for_the_index_is_listed_whole(virtual):
    await tasks.create("big", details="x" * 100_000)
    assert len((await _only()).details) == 100_000


@pytest.mark.parametrize("commit", range(1, 9))
async def test_a_kill_at_any_commit_neither_loses_nor_doubles_a_task(virtual, commit):
    with killed_at_commit(virtual, commit):
        run = await dotdo.start(Clerk("c").ask, "Approve", assignee="ann")
        await virtual.advance("1h")
    await virtual.advance("1h")
    task = await _only(assignee="ann")
    await tasks.complete(task.id, by="ann", decision="approved")
    assert (await run.result())[0] == "approved"
    assert [line.what for line in (await tasks.get(task.id)).history] == ["created", "completed"]


async def test_many_tasks_of_one_execution_are_each_their_own(virtual):
    run = await dotdo.start(Clerk("c").ask_many)
    for _ in range(3):
        await virtual.advance("1h")
        await virtual.crash()
        for task in await tasks.list(status="pending"):
            await tasks.complete(task.id, by="ann", decision=task.title)
    assert await run.result() == ["at once 0", "at once 1", "at once 2", "in turn 0", "in turn 1"]
    assert len(await tasks.list()) == 5


async def test_a_step_around_a_task_that_expires_does_not_ask_again(virtual):
    with pytest.raises(WaitTimeout):
        await Clerk("c").ask_in_a_step()
    (task,) = await tasks.list()
    assert task.status == "expired"
