"""An order of a shop: inventory reserved by a child, a payment, and all of it undone when the payment fails.

python -m examples.shop_order
"""

import asyncio
from typing import Any

from dotdo import DO, Permanent, start_child, step, workflow
from dotdo.testing import runtime

Order = dict[str, Any]


class Shelf(DO, noun="ShopShelf"):
    """The stock of one product."""

    stock: int = 10

    async def reserve(self, quantity: int) -> int:
        if quantity > self.stock:
            raise Permanent(f"Insufficient inventory for {self.id}")
        self.stock -= quantity
        return quantity

    async def release(self, quantity: int) -> None:
        self.stock += quantity


@workflow("reserve-shop-inventory")
async def reserve(items: list[dict[str, Any]]) -> int:
    """Reserve every line; if one fails, those before it are released."""
    for item in items:
        shelf = Shelf(item["product"])
        await step(f"reserve-{item['product']}", shelf.reserve, item["quantity"], undo=shelf.release)
    return len(items)


@workflow("release-shop-inventory")
async def release(items: list[dict[str, Any]]) -> None:
    for item in items:
        await step(f"release-{item['product']}", Shelf(item["product"]).release, item["quantity"])


def charge(order: Order) -> str:
    if order["card"] == "expired":
        raise Permanent("Payment failed")
    return f"paid {order['total']}"


async def refund(payment: str) -> None:
    print(f"  refunded: {payment}")


async def confirm(order: Order) -> str:
    if order.get("address") == "nowhere":
        raise Permanent("no such address")
    return "confirmed"


@workflow("take-shop-order")
async def take_order(order: Order) -> dict[str, str]:
    reservation = await start_child(reserve, order["items"])
    await reservation.result()
    try:
        payment = await step("charge", charge, order, undo=refund)  # undone as well if what follows fails
        return {"payment": payment, "order": await step("confirm", confirm, order)}
    except Permanent:
        await start_child("release-shop-inventory", order["items"])  # goes on when this run has failed
        raise


async def main() -> None:
    lamps = [{"product": "lamp", "quantity": 2}]
    orders: dict[str, Order] = {
        "good": {"items": lamps, "total": 59.98, "card": "valid"},
        "unpaid": {"items": lamps, "total": 59.98, "card": "expired"},
        "lost": {"items": lamps, "total": 59.98, "card": "valid", "address": "nowhere"},
        "greedy": {"items": [*lamps, {"product": "desk", "quantity": 99}], "total": 5000.0, "card": "valid"},
    }
    async with runtime(clock="virtual") as rt:
        for name, order in orders.items():
            try:
                print(f"{name}: {await take_order.execute(order, id=name)}")
            except Permanent as error:
                print(f"{name}: {error}")
            await rt.settle()
            print(f"  {await Shelf('lamp').stock} lamps left")


if __name__ == "__main__":
    asyncio.run(main())
