"""An entity that listens: it confirms every order, tries payments again, and writes down all that fails.

    python -m examples.confirmations

What is asked for in `setup` is asked for as long as `setup` says so: an entity that sleeps is woken by it, after a restart
too. Each event is an execution of its own, so the step "confirm" is made once for every order, not once for all.
"""

import asyncio
import tempfile

import dotdo
from dotdo import DO, send


class ShopDesk(DO):
    """Listens to the whole shop."""

    confirmed: list[str] = []
    retried: list[str] = []
    failures: list[str] = []

    async def setup(self) -> None:
        self.on.Order.placed(self.confirm)
        self.on.Payment.failed(self.retry_payment)
        self.on["*"].failed(self.log_failure)

    async def confirm(self, event: dotdo.Event) -> None:
        self.confirmed.append(await self.do(self._send_confirmation, event.data["id"], step_id="confirm"))

    async def _send_confirmation(self, order: str) -> str:
        return f"{order} is on its way"

    async def retry_payment(self, event: dotdo.Event) -> None:
        self.retried.append(event.data["id"])

    async def log_failure(self, event: dotdo.Event) -> None:
        self.failures.append(f"{event.name} {event.data['id']}")

    async def open(self) -> None:
        """Wakes it for the first time."""


async def main() -> None:
    desk = ShopDesk("main")
    await desk.open()
    while not await dotdo.get(desk.failures):  # it listens from its first waking on
        await send("Payment.failed", id="o1").queued()
    for order in ("o1", "o2"):
        await send("Order.placed", id=order).queued()
    await send("Shipment.failed", id="o2").queued()
    while len(await dotdo.get(desk.confirmed)) < 2 or "Shipment.failed o2" not in await dotdo.get(desk.failures):
        await asyncio.sleep(0.01)
    print(await dotdo.get(desk.confirmed))
    print((await dotdo.get(desk.retried))[0], sorted(set(await dotdo.get(desk.failures))))


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
