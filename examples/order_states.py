"""Two state machines of an order: one that is driven by what happens in the shop, one by a carrier and a clock.

    python -m examples.order_states

The first has guards and actions: what an action gives is the new context. The second is a table of plain names with a timeout
and a retry: the payment may fail twice. Instances rest on disk between two events, for months if need be.
"""

import asyncio
import tempfile
from datetime import datetime
from typing import Any

import pydantic

import dotdo
from dotdo import DO, StateMachine, send

RETURN_DAYS = 30


class OrderIn(pydantic.BaseModel):
    """What an order's machine knows of it."""

    id: str
    items: list[str]
    payment_id: str | None = None
    shipment: str | None = None
    completed_at: datetime | None = None


class Payments(DO):
    """The payments of one shop."""

    taken: list[str] = []

    async def take(self, order_id: str) -> str:
        self.taken.append(order_id)
        return f"pay-{len(self.taken)}"


async def announce(order: OrderIn) -> None:
    """The order was submitted."""
    send("Order.submitted", {"id": order.id})


async def take_payment(order: OrderIn) -> OrderIn:
    """Take the money."""
    payment_id = await Payments("shop").take(order.id)
    return order.model_copy(update={"payment_id": payment_id})


async def ship(order: OrderIn) -> OrderIn:
    """Send it on its way."""
    return order.model_copy(update={"shipment": f"parcel of {len(order.items)}", "completed_at": dotdo.now()})


def is_recent(order: OrderIn) -> bool:
    """Can it still be returned?"""
    return order.completed_at is not None and (dotdo.now() - order.completed_at).days <= RETURN_DAYS


shop_order = StateMachine(
    name="shop-order",
    initial="draft",
    context=OrderIn,
    states={
        "draft": {"on": {"submit": {"target": "pending", "guard": lambda order: len(order.items) > 0, "action": announce}}},
        "pending": {"on": {"pay": {"target": "processing", "action": take_payment}, "cancel": {"target": "cancelled"}}},
        "processing": {"on": {"fulfill": {"target": "completed", "action": ship}, "fail": {"target": "failed"}}},
        "completed": {"on": {"return": {"target": "returned", "guard": is_recent}}},
        "cancelled": {},
        "failed": {"on": {"retry": {"target": "processing"}}},
        "returned": {},
    },
    events={
        "Order.submitted": "submit", "Order.paid": "pay", "Order.fulfilled": "fulfill", "Order.cancelled": "cancel",
        "Order.failed": "fail", "Order.retried": "retry", "Order.returned": "return",
    },
)  # fmt: skip

CARRIER_STATES: dict[str, Any] = {
    "pending": {"on": {"VALIDATE": "validating", "CANCEL": "cancelled"}},
    "validating": {
        "on": {"VALIDATION_SUCCESS": "validated", "VALIDATION_FAILED": "validation-failed"},
        "timeout": 30000,
        "timeoutTransition": "validation-failed",
    },
    "validated": {"on": {"PROCESS_PAYMENT": "processing-payment"}},
    "processing-payment": {
        "on": {"PAYMENT_SUCCESS": "paid", "PAYMENT_FAILED": "payment-failed"},
        "retry": {"maxAttempts": 3, "on": "PAYMENT_FAILED"},
    },
    "paid": {"on": {"FULFILL": "fulfilling"}},
    "fulfilling": {"on": {"SHIPPED": "shipped", "FULFILLMENT_FAILED": "fulfillment-failed"}},
    "shipped": {"on": {"DELIVERED": "delivered", "RETURN_REQUESTED": "returning"}},
    "returning": {"on": {"RETURNED": "returned"}},  # the sources' table leads here and does not have it
    "returned": {"terminal": True},
    "delivered": {"terminal": True},
    "cancelled": {"terminal": True},
    "validation-failed": {"terminal": True},
    "payment-failed": {"terminal": True},
    "fulfillment-failed": {"on": {"RETRY": "fulfilling"}},
}

carrier_order = StateMachine(name="carrier-order", initialState="pending", states=CARRIER_STATES)


async def main() -> None:
    order = await shop_order.start(OrderIn(id="o1", items=["lamp", "bulb"]), id="o1")
    await order.send("submit")
    await send("Order.paid", {"id": "o1"})  # what happens in the shop drives it
    await send("Order.fulfilled", {"id": "o1"})
    print("shop:", await order.state, "with", (await order.context).payment_id)
    print(" -> ".join(move["to"] for move in await order.history))

    parcel = await carrier_order.start({"order": "o1"}, id="o1")
    await parcel.send("VALIDATE")
    await parcel.send("VALIDATION_SUCCESS", checked_by="ann")
    await parcel.send("PROCESS_PAYMENT")
    for _ in range(3):
        print("payment failed:", await parcel.send("PAYMENT_FAILED"))
    print("carrier:", (await parcel.result()).final_state, await parcel.context)
    print(await parcel.mermaid())


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
