"""Declared workflows: the five steps of an order, run by one entity, beside the same five steps written with `do`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from benchmarks import setting as settings
from benchmarks.rows import Row, at_least, at_most
from benchmarks.setting import Setting
from dotdo import DO, Workflow

RUNS = 1000
ORDER = {"orderId": "ord_123", "customerId": "cus_456"}
ACTIONS = ("validate", "reserve", "charge", "fulfill", "notify")


class OrderRuns(Workflow):
    """Orders as a definition."""

    async def setup(self) -> None:
        steps: list[dict[str, Any]] = [{"id": name, "action": name} for name in ACTIONS]
        for before, step in zip(ACTIONS, steps[1:], strict=False):
            step["dependsOn"] = [before]
        await self.register({"id": "order-processing", "steps": steps})

    async def validate(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"total": 99.5, "paymentMethod": "card"}

    async def reserve(self, params: dict[str, Any]) -> int:
        return 1

    async def charge(self, params: dict[str, Any], state: Any) -> float:
        return float(state.validate.total)

    async def fulfill(self, params: dict[str, Any]) -> str:
        return "tracking"

    async def notify(self, params: dict[str, Any]) -> None: ...


class PlainOrders(DO):
    """The same order as code."""

    async def process(self, order: dict[str, Any]) -> dict[str, Any]:
        validated = await self.do(self._validate, order)
        reserved = await self.do(self._number, order, step_id="reserve")
        charged = await self.do(self._charge, order, validated)
        fulfilled = await self.do(self._number, order, step_id="fulfill")
        notified = await self.do(self._number, order, step_id="notify")
        return {**order, "validate": validated, "reserve": reserved, "charge": charged, "fulfill": fulfilled, "notify": notified}

    async def _validate(self, order: dict[str, Any]) -> dict[str, Any]:
        return {"total": 99.5, "paymentMethod": "card"}

    async def _number(self, order: dict[str, Any]) -> int:
        return 1

    async def _charge(self, order: dict[str, Any], validated: dict[str, Any]) -> float:
        return float(validated["total"])


def runs(setting: Setting) -> Iterator[Row]:
    """A thousand orders at once in one entity; started and waited for; and what a step costs beside `do`."""
    with settings.runtime(setting.folder / "declared"):
        count = setting.many(RUNS)
        rounds = [settings.run(_round(count)) for _ in range(setting.rounds(3))]
        yield Row("declared orders of five steps, 1,000 at once", "/s", [one[0] for one in rounds], at_least(300, disk=True))
        yield Row("the same, by start and result", "/s", [one[1] for one in rounds], at_least(300, disk=True))
        yield Row("a declared step over a plain do", "times", [one[2] for one in rounds], at_most(2))


async def _round(count: int) -> tuple[float, float, float]:
    declared, plain = OrderRuns("bench"), PlainOrders("bench")
    await declared.execute("order-processing", ORDER)
    executed_s = await _seconds(count, lambda: declared.execute("order-processing", ORDER))
    started_s = await _seconds(count, lambda: _start_and_wait(declared))
    plain_s = await _seconds(count, lambda: plain.process(ORDER))
    return count / executed_s, count / started_s, executed_s / plain_s


async def _start_and_wait(declared: OrderRuns) -> None:
    await (await declared.start("order-processing", ORDER)).result()


async def _seconds(count: int, call: Callable[[], Awaitable[Any]]) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(count)))
    return time.perf_counter() - started
