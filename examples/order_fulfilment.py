"""An order is validated, paid, reserved, shipped and confirmed, each by whoever handles that command.

    python -m examples.order_fulfilment

The handler of `Order.created` runs durably: killed between two commands it goes on with the next one, and no answer is
asked for twice. Whoever answers a command is found by its name, so each of them could live in a program of its own.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import N, on, send

OUTCOMES: list[str] = []


@on(N.Order.created)
async def fulfil(order: dict[str, Any]) -> str:
    validation = await send(N.Order.validate, order=order)
    if not validation["valid"]:
        await send(N.Order.cancel, order=order, reason=validation["error"])
        return "cancelled"
    payment = await send(N.Payment.process, order=order, amount=order["totalPrice"])
    if payment["status"] != "succeeded":
        await send(N.Order.cancel, order=order, reason="payment-failed")
        return "cancelled"
    reservation = await send(N.Inventory.reserve, items=order["orderedItem"])
    shipment = await send(N.Shipment.create, order=order, items=reservation["items"])
    await send(N.Email.send, to=order["customer"]["email"], template="order-confirmed", data={"shipment": shipment["id"]})
    return "confirmed"


@on.Order.validate
async def validate(message: dict[str, Any]) -> dict[str, Any]:
    return {"valid": bool(message["order"]["orderedItem"]), "error": "an order of nothing"}


@on.Payment.process
async def charge(message: dict[str, Any]) -> dict[str, str]:
    return {"status": "succeeded" if message["amount"] <= 1000 else "declined"}


@on.Inventory.reserve
async def reserve(message: dict[str, Any]) -> dict[str, Any]:
    return {"items": message["items"]}


@on.Shipment.create
async def ship(message: dict[str, Any]) -> dict[str, str]:
    return {"id": f"shipment of {message['order']['$id']}"}


@on.Email.send
async def mail(message: dict[str, Any]) -> None:
    OUTCOMES.append(f"{message['to']}: {message['template']}, {message['data']['shipment']}")


@on.Order.cancel
async def cancel(message: dict[str, Any]) -> None:
    OUTCOMES.append(f"{message['order']['$id']} cancelled: {message['reason']}")


def an_order(name: str, price: float, *items: str) -> dict[str, Any]:
    return {"$id": name, "totalPrice": price, "orderedItem": list(items), "customer": {"email": "ann@example.org"}}


async def main() -> None:
    for order in (an_order("o1", 40, "lamp"), an_order("o2", 5000, "sofa"), an_order("o3", 0)):
        print(order["$id"], await send(N.Order.created, order))
    print(*OUTCOMES, sep="\n")


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
