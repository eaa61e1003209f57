"""A trip of a flight, a hotel and a car, where the car cannot be had: what was booked is cancelled, newest first.

    python -m examples.trip_booking

`undo=` beside a step is called with the step's recorded result when the execution fails. `saga()` does the same by hand.
Either way each cancellation is a step of its own: made once, also when the process dies between two of them, and the
caller gets the error that began it all.
"""

import asyncio
import tempfile

import dotdo
from dotdo import DO


class NoCarLeft(Exception):
    """All cars are out."""


class Agency(DO):
    """Whoever sells flights, hotels and cars; it writes down what it did."""

    cars: int = 0
    diary: list[str] = []

    async def book(self, what: str, traveller: str) -> str:
        if what == "car" and not self.cars:
            raise NoCarLeft(f"no car for {traveller}")
        self.diary.append(f"{what} booked")
        return f"{what} of {traveller}"

    async def cancel(self, booking: str) -> None:
        what, _, _traveller = booking.partition(" of ")
        self.diary.append(f"{what} cancelled")


class Journey(DO):
    """One trip."""

    async def book(self, agency: Agency, traveller: str) -> dict[str, str]:
        flight = await self.do(agency.book, "flight", traveller, step_id="flight", undo=agency.cancel)
        hotel = await self.do(agency.book, "hotel", traveller, step_id="hotel", undo=agency.cancel)
        car = await self.do(agency.book, "car", traveller, step_id="car", undo=agency.cancel)
        return {"flight": flight, "hotel": hotel, "car": car, "status": "confirmed"}

    async def book_by_hand(self, agency: Agency, traveller: str) -> dict[str, str]:
        async with self.saga() as saga:
            flight = await self.do(agency.book, "flight", traveller, step_id="flight")
            saga.add(agency.cancel, flight)
            hotel = await self.do(agency.book, "hotel", traveller, step_id="hotel")
            saga.add(agency.cancel, hotel)
            car = await self.do(agency.book, "car", traveller, step_id="car")
        return {"flight": flight, "hotel": hotel, "car": car, "status": "confirmed"}


async def main() -> None:
    agency = Agency("sunny")
    try:
        print(await Journey("to-rome").book(agency, "ann"))
    except NoCarLeft as error:
        print("the trip failed:", error)
    print(await agency.diary)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
