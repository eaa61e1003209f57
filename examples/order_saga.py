"""An order over three services that do not know each other; when one of them fails, what the others did is undone.

    python -m examples.order_saga

Each step is a command, and `undo=` the command that takes it back. The undos run newest first, each once, also over a crash
between two of them, and one that fails does not keep the rest from running. The error that began it goes to whoever waits.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, N, on, send


class NoCourier(Exception):
    """Nobody drives there."""


class ShopBooks(DO):
    """What the three services did, in order."""

    lines: list[str] = []

    async def write(self, line: str) -> str:
        self.lines.append(line)
        return line


@on.SagaOrder.created
async def process(order: dict[str, Any]) -> str:
    reservation = await dotdo.do(reserve, order, step_id="reserve", undo=release)
    payment = await dotdo.do(pay, order, step_id="pay", undo=refund)
    await dotdo.do(ship, order, reservation, step_id="ship", retry=1)
    send(N.Email.send, to=order["email"], template="order-confirmed", payment=payment)
    return "completed"


async def reserve(order: dict[str, Any]) -> Any:
    return await send(N.Stock.reserve, items=order["items"])


async def release(reservation: Any) -> None:
    await send(N.Stock.release, reservation=reservation)


async def pay(order: dict[str, Any]) -> Any:
    return await send(N.Money.take, amount=order["price"])


async def refund(payment: Any) -> None:
    await send(N.Money.give_back, payment=payment)


async def ship(order: dict[str, Any], reservation: Any) -> Any:
    return await send(N.Courier.fetch, to=order["town"], items=reservation)


@on([N.Stock.reserve, N.Stock.release, N.Money.take, N.Money.give_back])
async def service(message: dict[str, Any]) -> str:
    event = dotdo.current_event()
    assert event is not None
    (value,) = message.values()
    line: str = await ShopBooks("2030").write(f"{event.noun} {event.verb}: {value}")
    return line


@on.Courier.fetch
async def courier(message: dict[str, Any]) -> str:
    if message["to"] == "Atlantis":
        raise NoCourier("nobody drives to Atlantis")
    line: str = await ShopBooks("2030").write(f"Courier fetch: to {message['to']}")
    return line


async def main() -> None:
    for town in ("Rome", "Atlantis"):
        order = {"id": town, "items": ["lamp"], "price": 40, "town": town, "email": "ann@example.org"}
        try:
            print(town, await send(N.SagaOrder.created, order))
        except NoCourier as error:
            print(town, "failed:", error)
    print(*await dotdo.get(ShopBooks("2030").lines), sep="\n")


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
