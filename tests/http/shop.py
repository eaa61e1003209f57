"""A small shop for tests of the dashboard: something of every kind there is to see, and texts that would be markup."""

from __future__ import annotations

from typing import Any

import dotdo
from dotdo import DO, Permanent, RetryPolicy, Service, StateMachine, Workflow, approvals, every, on, send, sleep, step, tasks, workflow
from dotdo.schedules import registry as schedules

HOSTILE = "<img src=x onerror=alert(1)>"
MODULES = (__name__, "tests.http.test_dashboard", "tests.http.test_dashboard_routes", "examples.expense_approval")
"""Whose handlers get events: those of other tests are not the shop's."""

broken = {"belt": True, "street": True}


class DashShelf(DO):
    """Shelves, with a table of their own."""

    on_hand: int = 0
    note: str = HOSTILE

    async def receive(self, quantity: int) -> int:
        self.on_hand += quantity
        self.storage.sql("CREATE TABLE IF NOT EXISTS moves(id INTEGER PRIMARY KEY, quantity INTEGER, note TEXT)")
        self.storage.sql("INSERT INTO moves(quantity, note) VALUES(?, ?)", quantity, HOSTILE)
        return self.on_hand

    async def pick(self) -> dict[str, Any]:
        found = await self.do(self._look, step_id="look")
        await self.do(self._move, step_id="move", retry=RetryPolicy(max_attempts=2, initial_delay="1ms"))
        return {"picked": found, "note": HOSTILE}

    def _look(self) -> int:
        return 3

    def _move(self) -> str:
        if broken["belt"]:
            raise ValueError(f"the belt is stuck {HOSTILE}")
        return "moved"

    async def listen(self) -> Any:
        return await self.wait_for("hello")

    async def rest(self) -> str:
        await self.wait_for("DashLamp.arrived", match={"shelf": self.id}, timeout="2h")
        return "woken"


class DashFulfilment(Workflow):
    async def setup(self) -> None:
        steps = [
            {"id": "validate", "action": "fine"}, {"id": "reserve", "action": "fine", "dependsOn": ["validate"]},
            {"id": "score", "action": "fine", "dependsOn": ["validate"]},
            {"id": "cool", "action": "noop", "wait": "3d", "dependsOn": ["reserve", "score"]},
            {"id": "thank", "action": "fine", "condition": "validate.total > 1000", "dependsOn": ["cool"]},
        ]  # fmt: skip
        await self.register({"id": "dash-order", "name": "Order processing", "steps": steps})

    async def fine(self, params: Any, state: Any) -> dict[str, int]:
        return {"total": 12}


@workflow("dash-greeting")
async def greeting(name: str) -> str:
    await step("greet", lambda: f"hi {name}")
    await sleep("1h")
    return name


delivered: list[Any] = []


@on.DashLetter.sent
async def deliver(data: Any) -> None:
    if broken["street"]:
        raise Permanent(f"no such street {HOSTILE}")  # not tried again: a letter at once
    delivered.append(data)


async def dash_sweep() -> None: ...


lamp = StateMachine(
    name="dash-lamp", initial="off",
    states={"off": {"on": {"press": "on"}}, "on": {"on": {"press": "off", "drop": "broken"}}, "broken": {}},
)  # fmt: skip


async def check(inputs: Any) -> dict[str, bool]:
    return {"fine": True}


async def open_shop() -> None:
    """Something of every kind."""
    broken.update(belt=True, street=True)
    every(45).minutes(dash_sweep)
    for number in range(3):
        await DashShelf(f"s{number}").receive(5)
    await dotdo.start(DashShelf("s1").pick)
    await dotdo.start(DashShelf("s2").rest)
    await DashFulfilment("main").start("dash-order", {"order": "o1"}, id="r1")
    instance = await lamp.start({}, id="l1")
    await instance.send("press")
    await approvals.request(title=f"Buy a lamp {HOSTILE}", amount=1200, requested_by="sam", approvers=["mia", "vera"], deadline="2d")
    await tasks.create(f"Call the customer {HOSTILE}", assignee="mia", details={"phone": HOSTILE}, priority="high")
    await send("DashLetter.sent", {"id": "a1", "text": HOSTILE}).queued()
    await greeting.start("ann", id="dash-g1")
    service = await Service.create(name="Dash Service", steps=[
        {"id": "check", "name": "Check it"}, {"id": "sign", "name": "Sign it", "type": "human-task", "assignTo": "vera"},
    ])  # fmt: skip
    service.step("check")(check)
    await service.request({"order": "o1"}, customer_id="c1")


def close_shop() -> None:
    """No other test's runtime is to have the schedule."""
    schedules.forget(f"{__name__}:dash_sweep")
