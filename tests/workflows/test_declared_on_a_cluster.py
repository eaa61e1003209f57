"""Declared workflows in hosts of a real Ray cluster, whose hosts are killed meanwhile."""

import asyncio
import os
import signal
from collections import Counter

import pytest

import dotdo
from dotdo import DO, DefinitionError, Workflow

pytestmark = pytest.mark.ray


class ClusterTill(DO):
    """What was paid, each order once."""

    paid: list[str] = []

    async def pay(self, order: str) -> int:
        self.paid.append(order)
        return len(self.paid)


class ClusterOrders(Workflow):
    async def setup(self):
        await self.register({
            "id": "order", "triggers": [{"event": "ClusterOrder.placed"}], "steps": [
                {"id": "check", "action": "check"},
                {"id": "left", "action": "check", "dependsOn": ["check"]},
                {"id": "right", "action": "check", "wait": "50ms", "dependsOn": ["check"]},
                {"id": "pay", "action": "pay", "dependsOn": ["left", "right"], "maxRetries": 3, "retryDelay": "10ms"},
            ],
        })  # fmt: skip

    async def check(self, params):
        return params["orderId"]

    async def pay(self, params, state):
        return await ClusterTill("t").pay(state.right)

    async def where(self):
        return os.getpid()


@pytest.mark.feature(10, 177, 202)
async def test_orders_finish_once_each_while_their_host_is_killed(ray_data):
    orders = ClusterOrders("main")
    started = [await orders.start("order", {"orderId": f"o{n}"}) for n in range(30)]
    for _ in range(3):
        victim = await orders.where()
        os.kill(victim, signal.SIGKILL)
        while await orders.where() == victim:
            await asyncio.sleep(0.01)
    await dotdo.send("ClusterOrder.placed", {"orderId": "sent"}).queued()
    results = await asyncio.gather(*(execution.result(timeout="60s") for execution in started))
    assert [result["check"] for result in results] == [f"o{n}" for n in range(30)]
    while len(await orders.list_executions(status="completed")) < 31:
        await asyncio.sleep(0.02)
    assert Counter(await ClusterTill("t").paid) == Counter([f"o{n}" for n in range(30)] + ["sent"])
    done = await orders.status(started[0].id)
    assert done.completed_steps[0] == "check"
    assert done.completed_steps[-1] == "pay"


@pytest.mark.feature(177)
async def test_a_report_of_what_is_wrong_comes_back_from_a_host(ray_data):
    with pytest.raises(
        DefinitionError, match=r"steps\[0\].action: ClusterOrders has no method 'chck' for the action 'chck': did you mean 'check'"
    ):
        await ClusterOrders("other").register({"id": "x", "steps": [{"id": "a", "action": "chck"}]})
