"""The nouns of the tests of the command."""

from datetime import timedelta
from decimal import Decimal

import pydantic

from dotdo import DO, Event, Permanent, on


class Broken(Exception):
    """It does not work."""


class Purchase(pydantic.BaseModel):
    item: str
    price: Decimal


class Till(DO):
    taken: dict[str, int] = {}
    callback_id: str = ""
    repaired: bool = False

    async def pay(self, who: str, amount: int) -> int:
        if amount < 0:
            raise Broken(f"nobody pays {amount}")
        self.taken[who] = amount
        return sum(self.taken.values())

    async def buy(self, purchase: Purchase) -> str:
        return f"{purchase.item} for {purchase.price}"

    async def close(self) -> int:
        total = await self.do(self._count, step_id="count")
        await self.do(self._seal, step_id="seal")
        return total

    async def _count(self) -> int:
        return sum(self.taken.values())

    async def _seal(self) -> None:
        pass

    async def break_down(self) -> str:
        return await self.do(self._break, step_id="break", retry=1)

    async def _break(self) -> str:
        raise Broken("out of paper")

    async def wait_for_someone(self) -> dict:
        callback = self.callback("someone", timeout="7d")
        self.callback_id = callback.id
        return await callback

    async def remind_in(self, delay: timedelta) -> None:
        self.schedule_at(self.now() + delay, self.close)

    @on.Till.emptied(key="till")
    async def note_emptied(self, event: Event) -> None:
        raise Permanent("the till is stuck")
