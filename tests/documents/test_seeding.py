"""Documents for tests: `rt.seed`, `rt.reset`, `db.test`."""

import pytest

from dotdo import DO, DefinitionError, N, db


class SeededTally(DO):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count


@pytest.mark.feature(335, 389, 390)
async def test_the_runtime_is_seeded_and_reset(rt):
    lamp, chair = await rt.seed("products", [{"id": "lamp", "stock": 10}, {"stock": 5}])
    assert await db.Product.list() == [lamp, chair]
    assert await SeededTally("t").add() == 1
    await rt.reset()
    assert await db.Product.list() == []
    assert await SeededTally("t").add() == 1, "entities are forgotten as well"
    await rt.seed("products", [{"id": "lamp", "stock": 10}])
    assert (await db.Product.update("lamp", {"stock": {"$decrement": 2}})).stock == 8
    await rt.crash()
    assert (await db.Product.get("lamp")).stock == 8


@pytest.mark.feature(335, 390)
async def test_fixtures_are_declared_once_and_seeded_by_name(rt):
    db.test.fixture("products", [{"id": "product-1", "stock": 10}])
    db.test.fixture("customers", [{"id": "c1"}])
    assert len(await db.test.seed("products", "customers")) == 2
    await db.test.seed("orders", [{"id": "o1"}])
    await db.relate((N.Customer, "c1"), N.likes, (N.Product, "product-1"))
    await db.test.reset()
    for collection in ("products", "customers", "orders"):
        assert await db[collection].count() == 0
    assert await db.related((N.Customer, "c1"), N.likes) == []
    with pytest.raises(DefinitionError, match="nothing is declared"):
        await db.test.seed("ghosts")
    with pytest.raises(DefinitionError, match="list"):
        await rt.seed("products", {"id": 1})
