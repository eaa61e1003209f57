"""Branches as conditions: an order is approved or put in front of a human, by its score.

    python -m examples.fraud_check

A condition that cannot be evaluated fails its step and says why. Nothing is neither approved nor reviewed because a name
was misspelt.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import Workflow


class FraudCheck(Workflow):
    """Checks of orders."""

    reviews: list[str] = []

    async def setup(self) -> None:
        await self.register({
            "id": "fraud-check",
            "steps": [
                {"id": "score", "action": "calculateFraudScore"},
                {"id": "auto-approve", "action": "approveOrder", "condition": "score.risk < 0.3", "dependsOn": ["score"]},
                {"id": "manual-review", "action": "queueForReview", "condition": "score.risk >= 0.3", "dependsOn": ["score"]},
            ],
        })  # fmt: skip

    async def calculate_fraud_score(self, params: dict[str, Any]) -> dict[str, float] | None:
        return {"risk": min(params["total"] / 1000, 1.0)} if "total" in params else None

    async def approve_order(self, params: dict[str, Any]) -> str:
        return f"{params['orderId']} approved"

    async def queue_for_review(self, params: dict[str, Any]) -> int:
        self.reviews.append(params["orderId"])
        return len(self.reviews)


async def main() -> None:
    checks = FraudCheck("main")
    for order in ({"orderId": "small", "total": 120}, {"orderId": "large", "total": 4000}, {"orderId": "odd"}):
        execution = await checks.start("fraud-check", order)
        try:
            done = await execution.result()
            print(order["orderId"], "->", done.get("auto-approve") or f"review number {done['manual-review']}")
        except dotdo.ConditionError as error:
            print(order["orderId"], "->", str(error).partition(":")[0])


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
