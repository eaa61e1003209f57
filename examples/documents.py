"""A small shop on documents: stock that cannot be oversold, a customer's subscriptions, and the orders that failed.

Products are plain documents. An order is an entity that tells its collection its status (`index=`), so the failed ones are
found without waking a single order.

    python -m examples.documents
"""

from __future__ import annotations

import asyncio

import dotdo
from dotdo import DO, N, db


class SoldOut(Exception):
    pass


class ShopOrder(DO, index=("status", "customer")):
    status: str = "new"
    customer: str = ""

    async def place(self, customer: str, product: str, quantity: int) -> str:
        self.customer = customer
        try:
            await self.do(take, product, quantity, retry=1)  # a step: whatever crashes, the stock is taken once
        except SoldOut:
            self.status = "failed"
        else:
            self.status = "placed"
        return self.status


async def take(product: str, quantity: int) -> int:
    """Take from the stock, atomically; what would oversell is given back."""
    left = await db.Products.update(product, {"stock": {"$decrement": quantity}})
    if left.stock < 0:
        await db.Products.update(product, {"stock": {"$increment": quantity}})
        raise SoldOut(product)
    return int(left.stock)


async def main() -> None:
    await db.Products.create(id="lamp", name="Lamp", stock=3, price=25)
    await asyncio.gather(*(ShopOrder(f"o{n}").place("ann" if n % 2 else "bob", "lamp", 1) for n in range(5)))
    print("left:", (await db.Product.get("lamp")).stock)

    await dotdo.flush()
    while await db.ShopOrder.count({"status": {"$ne": "new"}}) < 5:  # the collection hears of a commit a moment later
        await asyncio.sleep(0.01)
    failed = await db.ShopOrder.list(where={"status": "failed"}, order_by="id")
    print("failed:", len(failed), "of", await db.ShopOrder.count())

    ann = await db.People.create(name="Ann", address={"city": "Rome"})
    news = await db.Services.create(name="Newsletter", status="active")
    await db.relate(ann, N.subscribes, news)
    for service in await db.related(ann, N.subscribes, N.Service):
        print(f"{ann.name} of {ann.address.city} subscribes to the {service.name} ({service.status})")


if __name__ == "__main__":
    asyncio.run(main())
