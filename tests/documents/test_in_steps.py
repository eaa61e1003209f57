"""`db` from inside entities: writes belong to the step that makes them, and happen once."""

import asyncio

import pytest

import dotdo
from dotdo import DO, N, QueryError, db
from tests.crashes import killed_at_commit


class DocumentTill(DO):
    sold: list[str] = []

    async def sell(self, product: str) -> str:
        sale = await self.do(db.Sales.create, {"product": product}, step_id="record")
        await self.do(lambda: db.Products.update(product, {"stock": {"$decrement": 1}, "sales": {"$push": sale.id}}), step_id="take")
        await db.Log.create(text=f"sold {product}")  # awaited outside a step: a step of its own
        db.Tally.upsert(where={"product": product}, data={"count": {"$increment": 1}})  # not awaited: with the commit
        self.sold.append(sale.id)
        return sale.id

    async def look(self, product: str) -> int:
        before = (await db.Products.get(product)).stock
        await self.do(self._pause, step_id="pause")
        return before

    def _pause(self) -> None:
        return None

    async def wrong(self) -> None:
        await self.do(lambda: db.Products.update("p", {"stock": {"$increment": "5"}}), step_id="wrong")


@pytest.mark.feature(328, 334)
async def test_a_crash_at_any_commit_makes_every_write_once(rt):
    number, was_killed = 1, True
    while was_killed:
        product = f"p{number}"
        await db.Products.create(id=product, stock=10)
        with killed_at_commit(rt, number) as commits:
            sale = await asyncio.wait_for(DocumentTill(f"t{number}").sell(product), 20)
            await dotdo.flush()
            await rt.settle()
            was_killed = len(commits) >= number
        kept = await db.Products.get(product)
        assert (kept.stock, kept.sales) == (9, [sale]), number
        assert await db.Sales.count({"product": product}) == 1
        assert await db.Log.count({"text": f"sold {product}"}) == 1
        assert (await db.Tally.find_one({"product": product}))["count"] == 1
        number += 1
    assert number > 6


async def test_a_replay_sees_the_document_it_saw_at_first(rt):
    await db.Products.create(id="p", stock=10)
    rt.crash_after("pause")
    assert await DocumentTill("t").look("p") == 10


async def test_an_error_of_the_database_is_not_tried_again(rt):
    await db.Products.create(id="p", stock=1)
    with pytest.raises(QueryError, match="number"):
        await DocumentTill("t").wrong()
    assert (await db.get(N.Product, "p")).stock == 1


@pytest.mark.ray
async def test_a_program_and_entities_share_documents_on_a_cluster(ray_data):
    await db.Products.create(id="ray-1", stock=5)
    await asyncio.gather(*(DocumentTill(f"ray-{n}").sell("ray-1") for n in range(4)))
    assert (await db.Product.get("ray-1")).stock == 1
    assert len(await db.Sales.list({"product": "ray-1"}, order_by="-$created")) == 4
    with pytest.raises(QueryError, match="regex"):
        await db.Sales.list({"a": {"$regex": 1}})
