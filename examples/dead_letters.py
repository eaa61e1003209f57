"""What cannot be handled is tried five times, kept with why, looked at by a human, and tried again when it can be.

    python -m examples.dead_letters

Events of one sender for one entity keep their order: while the first of them is tried again, the second waits.
"""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from typing import Any

import dotdo
from dotdo import DO, N, on, send


class Ledger(DO):
    """Books payments, while it is open."""

    is_open: bool = False
    booked: list[int] = []

    @on.Invoice.paid(key="ledger")
    async def book(self, event: dotdo.Event) -> None:
        if not self.is_open:
            raise ConnectionError("the ledger is closed")
        self.booked.append(event.data["amount"])

    async def open(self) -> None:
        self.is_open = True


async def look_through() -> int:
    """What an operator does in the morning."""
    for letter in await dotdo.dead_letters.list(name="Invoice.paid"):
        print(f"{letter.event.name} for {letter.receiver}: {letter.error}, {letter.attempts} attempts")
        send(N.Notification.send, to=N.Role.Operations, priority="high", message=letter.error, action={"review": letter.id})
    await Ledger("2030").open()
    return await dotdo.dead_letters.replay(name="Invoice.paid")


@on.Notification.send
async def notify(message: dict[str, Any]) -> None:
    print(f"{message['to']}, {message['priority']}: {message['message']}")


async def main() -> None:
    for amount in (10, 20):
        await send(N.Invoice.paid, ledger="2030", amount=amount).queued()
    patience = datetime.now(UTC) + timedelta(minutes=2)  # five attempts take a quarter of a minute, for each of the two
    while len(await dotdo.dead_letters.list()) < 2 and datetime.now(UTC) < patience:
        await asyncio.sleep(0.2)
    print("replayed:", await look_through())
    while len(await dotdo.get(Ledger("2030").booked)) < 2:
        await asyncio.sleep(0.02)
    print(await dotdo.get(Ledger("2030").booked), await dotdo.dead_letters.list())


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
