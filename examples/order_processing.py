"""An order as a declared workflow: five steps as data, their code as methods, what happens in between kept.

    python -m examples.order_processing

The card is declined until its limit is raised. The order fails at the charge, after its retries; `retry` goes on from there,
and neither the validation nor the reservation runs a second time.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, Workflow


class Card(DO):
    """A customer's card, at the bank."""

    limit: float = 100.0
    charged: float = 0.0

    async def charge(self, amount: float) -> str:
        if self.charged + amount > self.limit:
            raise ValueError("Card declined")
        self.charged += amount
        return f"charge of {amount:.2f}"

    async def raise_limit(self, limit: float) -> None:
        self.limit = limit


class OrderWorkflow(Workflow):
    """Orders."""

    async def setup(self) -> None:
        await self.register({
            "id": "order-processing",
            "name": "Process Customer Order",
            "steps": [
                {"id": "validate", "action": "validatePayment"},
                {"id": "reserve", "action": "reserveInventory", "dependsOn": ["validate"]},
                {"id": "charge", "action": "chargeCard", "dependsOn": ["reserve"], "maxRetries": 3, "retryDelay": "10ms"},
                {"id": "fulfill", "action": "fulfillOrder", "dependsOn": ["charge"]},
                {"id": "notify", "action": "sendConfirmation", "dependsOn": ["fulfill"]},
            ],
        })  # fmt: skip

    async def validate_payment(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"total": 129.5, "paymentMethod": f"card of {params['customerId']}"}

    async def reserve_inventory(self, params: dict[str, Any]) -> str:
        return f"shelf 7 for {params['orderId']}"

    async def charge_card(self, params: dict[str, Any], state: Any) -> str:
        charge: str = await Card(params["customerId"]).charge(state.validate.total)
        return charge

    async def fulfill_order(self, params: dict[str, Any], state: Any) -> str:
        return f"sent from {state.reserve}"

    async def send_confirmation(self, params: dict[str, Any], state: Any) -> str:
        return f"{params['orderId']}: {state.charge}, {state.fulfill}"


async def main() -> None:
    orders = OrderWorkflow("main")
    execution = await orders.start("order-processing", {"orderId": "ord_123", "customerId": "cus_456"})
    try:
        await execution.result()
    except ValueError as error:
        print("failed:", str(error).splitlines()[0])
    status = await orders.status(execution.id)
    assert status is not None
    for step, result in status.step_results.items():
        print(f"  {step}: {result.status}", f"({result.error}, {result.retries} retries)" if result.error else "")
    await Card("cus_456").raise_limit(500)
    await orders.retry(execution.id)
    print((await execution.result())["notify"])


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
