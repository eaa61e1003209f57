"""Order fulfilment as a service: asked for under an id, done step by step, delivered and charged.

    python -m examples.order_fulfilment_service

The confirmation is not required: an order whose mail bounces is shipped all the same, and costs five cents less.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, Permanent, Service

STEPS: list[dict[str, Any]] = [
    {"id": "validate", "name": "Validate Order", "type": "function", "required": True, "timeout": 5000,
     "retryPolicy": {"maxAttempts": 3, "backoff": "exponential"}},
    {"id": "payment", "name": "Process Payment", "type": "function", "required": True, "timeout": 30000, "dependsOn": ["validate"]},
    {"id": "inventory", "name": "Reserve Inventory", "type": "parallel", "required": True, "dependsOn": ["payment"],
     "steps": [{"id": "check-stock", "name": "Check Stock"}, {"id": "reserve", "name": "Reserve Items"}]},
    {"id": "shipping", "name": "Schedule Shipping", "type": "function", "required": True, "dependsOn": ["inventory"]},
    {"id": "notification", "name": "Send Confirmation", "type": "function", "required": False, "dependsOn": ["shipping"]},
]  # fmt: skip
PRICING = {"model": "per-execution", "baseRate": 0.5, "stepRates": {"payment": 0.2, "shipping": 0.15, "notification": 0.05}}


class Warehouse(DO):
    """What one warehouse has on its shelves."""

    on_hand: int = 10

    async def take(self, quantity: int) -> int:
        if quantity > self.on_hand:
            raise Permanent(f"only {self.on_hand} left")
        self.on_hand -= quantity
        return self.on_hand


async def make_service() -> Service:
    """Create the service, or give it its definition again."""
    fulfilment = await Service.create(name="Order Fulfillment Automation", steps=STEPS, pricing=PRICING)

    @fulfilment.step("validate")
    async def validate(order: dict[str, Any]) -> dict[str, Any]:
        if not order["items"]:
            raise Permanent("an order has items")
        return {"quantity": sum(order["items"].values())}

    @fulfilment.step("payment")
    async def payment(order: dict[str, Any], state: Any) -> dict[str, Any]:
        return {"payment_id": f"pay-{state.request_id}"}

    @fulfilment.step("check-stock")
    async def check_stock(order: dict[str, Any], state: Any) -> bool:
        return await Warehouse("main").on_hand >= state.results.validate.quantity  # type: ignore[no-any-return]

    @fulfilment.step("reserve")
    async def reserve(order: dict[str, Any], state: Any) -> int:
        left: int = await Warehouse("main").take(state.results.validate.quantity)
        return left

    @fulfilment.step("shipping")
    async def shipping(order: dict[str, Any], state: Any) -> str:
        return f"parcel of {state.results.validate.quantity}"

    @fulfilment.step("notification")
    async def notification(order: dict[str, Any]) -> str:
        if "@" not in order["email"]:
            raise Permanent(f"no such address: {order['email']}")
        return f"told {order['email']}"

    return fulfilment


async def main() -> None:
    fulfilment = await make_service()
    for number, (items, email) in enumerate(
        [({"lamp": 2}, "ann@example.org"), ({"lamp": 1}, "nowhere"), ({"lamp": 99}, "bob@example.org")]
    ):
        request = await fulfilment.request({"items": items, "email": email}, customer_id="c1", id=f"o{number}")
        outcome = await request.result()
        said = outcome.error or f"done but for {outcome.failed_steps}" if not outcome.success else outcome.results.shipping
        print(request.request_id, "costs", outcome.cost, "-", said)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
