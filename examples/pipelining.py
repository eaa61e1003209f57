"""A path over three entities in one round trip.

    python -m examples.pipelining

A stub held in a field is a stub again on the way: `.receiver.depot.opens` is recorded here, sent as one message, and
followed from entity to entity beside the data. `dotdo.stats()` counts the frames, so nobody has to believe it.
"""

import asyncio
import tempfile

import dotdo
from dotdo import DO


class Depot(DO):
    opens: str = "08:00"

    async def reserve_locker(self, size: str) -> str:
        return f"locker {size}-1 of {self.id}"


class Receiver(DO):
    depot: Depot
    size: str = "L"

    async def move_near(self, depot: Depot) -> None:
        self.depot = depot


class Parcel(DO):
    receiver: Receiver

    async def address_to(self, receiver: Receiver) -> None:
        self.receiver = receiver


async def main() -> None:
    await asyncio.gather(Receiver("ann").move_near(Depot("north")), Parcel("p1").address_to(Receiver("ann")))

    before = dotdo.stats().frames_sent
    opens = await dotdo.get(Parcel("p1").receiver.depot.opens)
    print(f"opens at {opens}: {dotdo.stats().frames_sent - before} frame for three entities")

    before = dotdo.stats().frames_sent
    # a promise as an argument: the size is asked for where it is, and does not come here first
    locker = await Parcel("p1").receiver.depot.reserve_locker(Receiver("ann").size)
    print(f"{locker}: {dotdo.stats().frames_sent - before} frame, an argument from a third entity included")


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
