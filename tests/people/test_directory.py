"""Roles: who holds them is the user's to say, is asked when somebody acts, and is known in hosts that start again."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

import dotdo
from dotdo import DefinitionError, N, NotAllowed, approvals, on, tasks
from dotdo.events import registry
from dotdo.people import directory as directories
from dotdo.testing import runtime
from tests.crashes import said

staff: dict = {}
told: list = []


def held(role):
    return staff.get(role)


async def held_elsewhere(role):
    await asyncio.sleep(0)
    return staff.get(role)


@on.Notification.send
async def deliver(notice):
    told.append((notice["user_id"], notice["users"]))


@pytest.fixture(autouse=True)
def only_mine():
    staff.clear()
    staff.update({"manager": ["ann", "bob"], "director": ["dora"], "Role.SalesTeam": ["sam"]})
    told.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)
    directories.forget()


@pytest.fixture(params=["function", "async function", "mapping in env", "function in env"])
async def rt(request):
    kind = request.param
    if kind == "function":
        dotdo.directory(held)
    elif kind == "async function":
        dotdo.directory(held_elsewhere)
    env = {"mapping in env": {"directory": staff}, "function in env": {"directory": held}}.get(kind)
    async with runtime(clock="virtual", env=env) as running:
        yield running


@pytest.mark.feature(295, 406)
async def test_the_holders_of_a_role_decide_and_nobody_else(rt):
    approval = await approvals.request(title="x", approvers=["manager", N.Role.SalesTeam, "zoe"])
    for by in ("dora", "manager", "zoe"):
        with pytest.raises(NotAllowed, match="waits for manager"):
            await approvals.approve(approval.id, by=by)
    await approvals.approve(approval.id, by="bob")
    await approvals.approve(approval.id, by="sam")
    ended = await approvals.approve(approval.id, by="zoe")
    assert [(d.by, d.assignee) for d in ended.decisions] == [("bob", "manager"), ("sam", "Role.SalesTeam"), ("zoe", "zoe")]
    await rt.settle()
    assert told == [("manager", ["ann", "bob"]), ("Role.SalesTeam", ["sam"]), ("zoe", ["zoe"])]


async def test_an_inbox_shows_what_is_for_the_roles_one_holds_now(rt):
    one = await approvals.request(title="for managers", approvers=["manager"])
    await approvals.request(title="for a director", approvers=["director"])
    await approvals.request(title="for ann", approvers=["ann"])
    assert {a.title for a in await approvals.list(assignee="ann")} == {"for managers", "for ann"}
    assert [a.title for a in await approvals.list(assignee="manager")] == ["for managers"]
    staff["manager"] = ["cleo"]
    assert [a.title for a in await approvals.list(assignee="ann")] == ["for ann"]
    assert [a.title for a in await approvals.list(assignee="cleo")] == ["for managers"]
    with pytest.raises(NotAllowed):
        await approvals.approve(one.id, by="ann")
    assert (await approvals.approve(one.id, by="cleo")).approved


async def test_a_task_for_a_role_is_claimed_by_one_of_its_holders(rt):
    task = await tasks.create("look", assignee="manager", escalation=[("1h", "director")])
    with pytest.raises(NotAllowed, match="dora may not claim"):
        await tasks.claim(task.id, by="dora")
    await tasks.claim(task.id, by="ann")
    with pytest.raises(NotAllowed, match="ann has claimed it"):
        await tasks.complete(task.id, by="bob")
    await rt.advance("2h")
    assert [one.id for one in await tasks.list(assignee="dora")] == [task.id]
    assert (await tasks.complete(task.id, by="dora", decision="approved")).approved


async def test_who_holds_two_roles_of_a_chain_does_not_approve_both_by_one_click_too_many(rt):
    staff["director"] = ["ann"]
    approval = await approvals.request(title="x", approvers=["manager", "director"])
    await approvals.approve(approval.id, by="ann")
    with pytest.raises(NotAllowed, match="say level=2"):
        await approvals.approve(approval.id, by="ann")
    assert (await approvals.approve(approval.id, by="ann", level=2)).approved


async def test_a_directory_that_answers_nonsense_says_so():
    async with runtime(clock="virtual", env={"directory": lambda role: 7}):
        with pytest.raises(DefinitionError, match="gives a list of names"):
            await approvals.request(title="x", approvers=["manager"])
    async with runtime(clock="virtual", env={"directory": 7}):
        with pytest.raises(DefinitionError, match="give a mapping of roles"):
            await approvals.request(title="x", approvers=["manager"])


async def test_a_directory_that_takes_long_never_decides_for_a_level_that_went_on_meanwhile():
    gate = asyncio.Event()
    asked = asyncio.Event()

    async def slow(role):
        if staff.get("slow"):
            asked.set()
            await gate.wait()
        return {"manager": ["ann"], "director": ["ann", "dora"]}[role]

    async with runtime(env={"directory": slow}):
        approval = await approvals.request(title="x", approvers=["manager", "director"])
        staff["slow"] = True
        first = asyncio.create_task(approvals.approve(approval.id, by="ann"))
        second = asyncio.create_task(approvals.approve(approval.id, by="ann"))
        await asked.wait()
        staff.pop("slow")
        gate.set()
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
        assert sum(isinstance(one, NotAllowed) for one in outcomes) == 1
        assert len((await approvals.get(approval.id)).decisions) == 1


PROGRAM = """
import asyncio, os, signal, sys
import dotdo
from dotdo import DO, NotAllowed, approvals

@dotdo.directory
def holders(role):
    return {"manager": ["ann"]}.get(role)

class Purchase(DO):
    async def submit(self):
        return (await self.approval_flow.request_approval(title="PO", approvers=["manager", "vp"])).status

async def main():
    async with dotdo.init(data=sys.argv[1], hosts=1):
        run = await dotdo.start(Purchase("p1").submit)
        while not (found := await approvals.list(status="pending")):
            await asyncio.sleep(0.02)
        (host,) = await dotdo.hosts()
        os.kill(host["pid"], signal.SIGKILL)
        for by in ("manager", "bob"):
            try:
                await approvals.approve(found[0].id, by=by)
            except NotAllowed as error:
                print(error.args[0].split(":")[0].split()[0], "refused", flush=True)
        await approvals.approve(found[0].id, by="ann")
        await approvals.approve(found[0].id, by="vp")
        print(await run.result())
asyncio.run(main())
"""


@pytest.mark.ray
@pytest.mark.feature(291)
def test_a_directory_of_a_script_is_known_in_a_host_that_was_killed_and_started_again(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run([sys.executable, str(script), str(tmp_path / "data")], capture_output=True, text=True, timeout=90)
    assert said(done) == ["manager refused", "bob refused", "approved"], done.stderr
