"""The program of the README: a shelf that counts, and an order that takes from it and ships later."""

import asyncio

from dotdo import DO


class Shelf(DO):
    on_hand: int = 0  # a durable field, in the entity's own file

    async def receive(self, quantity: int) -> int:
        self.on_hand += quantity
        return self.on_hand


class Checkout(DO):
    async def order(self, product: str) -> str:
        left = await self.do(Shelf(product).receive, -1, step_id="take")  # recorded once, whatever crashes
        await self.sleep("2s")  # with "3d" the entity would rest on disk meanwhile
        return f"{self.id} shipped, {left} left"


async def main() -> None:
    print(await Shelf("lamp").receive(6))  # first use starts a local Ray cluster
    print(await Checkout("o1").order("lamp"))


if __name__ == "__main__":
    asyncio.run(main())
