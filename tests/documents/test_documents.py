"""Documents: made, found, changed and deleted, in every spelling, and given back as they were."""

import asyncio
import copy
import dataclasses
import enum
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pydantic
import pytest

import dotdo
from dotdo import DocumentError, DocumentExists, N, NoSuchDocument, QueryError, Record, db


class Colour(enum.Enum):
    RED = "red"


class Address(pydantic.BaseModel):
    city: str
    zip: str = ""


@dataclasses.dataclass
class Part:
    name: str
    price: Decimal


async def ids(page):
    return [record.id for record in page]


@pytest.mark.feature(320, 321, 322, 323)
async def test_every_spelling_creates_and_finds_the_same_documents(rt):
    one = await db.Orders.create({"customer": "c1", "total": 10})
    two = await db.create(N.Order, {"customer": "c2", "total": 20})
    three = await db.Order.create(customer="c3", total=30)
    assert await db.get(N.Order, one["$id"]) == await db.Orders.get(one.id) == await db["orders"].get(id=one.id) == one
    assert await db.Order.get({"id": two.id}) == await db.get(N.Order, {"customer": "c2"}) == await db.Order.get(customer="c2") == two
    assert await db.Orders.find_one(where={"total": 30}) == await db.find_one(N.Orders, {"total": 30}) == three
    assert await db.list(N.Order) == await db.Orders.list() == [one, two, three]
    assert await db.count(N.Order) == 3
    assert await db.delete(N.Order, two.id) is True
    assert await db.delete(three) is True
    assert await db.Orders.delete("never") is False
    assert await db.Orders.count() == 1


@pytest.mark.feature(322)
async def test_what_is_not_there_is_none_and_asking_makes_nothing(rt):
    assert await db.Ghosts.get("g1") is None
    assert await db.Ghost.find_one(where={"a": 1}) is None
    assert await db.Ghost.list() == []
    assert await db.Ghost.count() == 0
    assert await db.Ghost.delete("g1") is False
    await rt.settle()
    await dotdo.hibernate(dotdo.documents.collection.Collection("Ghost"))
    assert await dotdo.entities("DotdoCollection") == []


@pytest.mark.feature(331, 332)
async def test_a_record_has_its_fields_as_attributes_unless_dict_has_them(rt):
    order = await db.Orders.create({"id": "o1", "items": [1, 2], "customer": {"email": "ann@example.com"}, "get": "it"})
    assert isinstance(order, Record)
    assert order.id == order["$id"] == order["id"] == "o1"
    assert order.type == order["$type"] == "Order"
    assert order.customer.email == "ann@example.com"
    assert order["items"] == [1, 2] and callable(order.items) and callable(order.get)
    assert order["get"] == "it"
    assert (order.get("id"), order.get("total"), order.get("total", 5)) == ("o1", None, 5)
    for copied in (copy.deepcopy(order), pickle.loads(pickle.dumps(order)), order | {}):
        assert copied == order
    assert order.created_at == order["$created"] <= datetime.now(UTC)
    with pytest.raises(AttributeError, match="'colour'"):
        order.colour
    with pytest.raises(AttributeError, match="update"):
        order.total = 5
    with pytest.raises(KeyError):
        order["colour"]


async def test_a_record_is_a_copy(rt):
    order = await db.Orders.create({"lines": [1]})
    order["lines"].append(2)
    assert (await db.Orders.get(order.id))["lines"] == [1]


@pytest.mark.feature(333)
async def test_values_come_back_with_their_type(rt):
    fields = {
        "at": datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC), "there": datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=5))),
        "local": datetime(2026, 3, 1), "day": date(2026, 3, 1), "hour": time(9, 30), "took": timedelta(seconds=1.5),
        "price": Decimal("12.50"), "ref": UUID(int=7), "raw": b"\x00\xff", "big": 2**200, "nothing": None, "yes": True, "ratio": 0.1,
        "pair": (1, 2), "tags": {"a"}, "colour": Colour.RED, "address": Address(city="Rome"), "part": Part("bolt", Decimal("0.10")),
        "nested": {"$id": "x", "a.b": [{"deep": Decimal("1")}], 5: "five"}, "nul": "a\x00b", "mark": "\U0010ffff!", "text": "héllo 😀",
    }  # fmt: skip
    record = await db.Things.create(fields)
    again = await db.Things.get(record.id)
    for name, value in fields.items():
        assert again[name] == value, name
        assert type(again[name]) is type(value), name
    assert again["$created"].tzinfo is not None


@pytest.mark.feature(321)
async def test_models_and_dataclasses_become_documents_of_their_fields(rt):
    assert (await db.Addresses.create(Address(city="Rome", zip="00100")))["city"] == "Rome"
    part = await db.Parts.create(Part("bolt", Decimal("0.10")))
    assert (await db.Parts.find_one({"name": "bolt"}))["price"] == Decimal("0.10") == part["price"]


@pytest.mark.feature(331)
async def test_an_id_may_be_chosen_and_is_taken_once(rt):
    await db.Orders.create(id="o1")
    for data in ({"id": "o1"}, {"$id": "o1"}):
        with pytest.raises(DocumentExists, match="'o1'"):
            await db.Orders.create(data)
    with pytest.raises(DocumentError, match="two ids"):
        await db.Orders.create({"id": "a", "$id": "b"})
    assert (await db.Orders.create(id=7)).id == "7"
    assert (await db.Orders.get(7)).id == "7"


@pytest.mark.parametrize(
    "data",
    [
        {"$where": 1}, {"a.b": 1}, {"": 1}, {"a\x00b": 1}, {'a"': 1}, {"a'": 1}, {5: 1}, {"x" * 101: 1}, "text", 5, [1],
        {"id": ""}, {"id": "x" * 600}, {"id": [1]}, {"large": "x" * 1_100_000},
    ],
)  # fmt: skip
async def test_what_is_no_document_is_refused_and_leaves_nothing(rt, data):
    with pytest.raises(DocumentError):
        await db.Orders.create(data)
    assert await db.Orders.count() == 0


# -- updates --------------------------------------------------------------------------------------------------------


@pytest.mark.feature(325)
async def test_an_update_merges_and_a_missing_document_is_an_error(rt):
    order = await db.Orders.create(status="new", total=5, address={"city": "Rome", "zip": "1"})
    changed = await db.Orders.update(order.id, {"status": "paid", "address.city": "Oslo"})
    assert changed == await db.Orders.get(order.id)
    assert (changed.status, changed.total, changed["address"]) == ("paid", 5, {"city": "Oslo", "zip": "1"})
    assert changed["$created"] == order["$created"] <= changed["$updated"]
    assert (await db.update(N.Order, order.id, {"status": "sent"})).status == "sent"
    assert (await db.Orders.update(order.id, status="back")).status == "back"
    for attempt in (db.Orders.update("never", {"a": 1}), db.update(N.Ghost, "never", {"a": 1})):
        with pytest.raises(NoSuchDocument, match="'never'"):
            await attempt


@pytest.mark.feature(325, 171, 281)
async def test_a_record_may_be_given_back_as_it_was_read(rt):
    state = await db.WorkflowState.create(status="new", step=1)
    state["step"] = 2
    assert (await db.update(state, state)).step == 2
    assert (await db.WorkflowState.update(state["$id"], {**state, "status": "done"})).status == "done"
    with pytest.raises(QueryError, match="an id does not change"):
        await db.WorkflowState.update(state, {"id": "other"})


@pytest.mark.feature(328)
@pytest.mark.parametrize(
    ("before", "update", "after"),
    [
        ({"n": 5}, {"n": {"$increment": 2}}, {"n": 7}),
        ({"n": 5}, {"n": {"$decrement": 2}}, {"n": 3}),
        ({}, {"n": {"$increment": 2}}, {"n": 2}),
        ({}, {"n": {"$decrement": 2}}, {"n": -2}),
        ({"n": 1}, {"n": {"$increment": 0.5}}, {"n": 1.5}),
        ({"n": Decimal("1.10")}, {"n": {"$increment": 0.1}}, {"n": Decimal("1.20")}),
        ({"n": 1}, {"n": {"$decrement": Decimal("0.10")}}, {"n": Decimal("0.90")}),
        ({"stock": {"a": 1}}, {"stock.a": {"$increment": 1}, "stock.b": {"$increment": 1}}, {"stock": {"a": 2, "b": 1}}),
        ({}, {"a.b.c": 1}, {"a": {"b": {"c": 1}}}),
        ({"a": 1}, {"a": {"$unset": True}}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a.b": {"$unset": True}}, {"a": {"c": 2}}),
        ({}, {"a.b": {"$unset": True}}, {}),
        ({"tags": ["x"]}, {"tags": {"$push": "y"}}, {"tags": ["x", "y"]}),
        ({}, {"tags": {"$push": "y"}}, {"tags": ["y"]}),
        ({"tags": ["x", "y", "x"]}, {"tags": {"$pull": "x"}}, {"tags": ["y"]}),
        ({"tags": [1, True]}, {"tags": {"$pull": True}}, {"tags": [1]}),
        ({}, {"tags": {"$pull": "x"}}, {}),
        ({"lines": [{"n": 1}, {"n": 2}]}, {"lines.1.n": {"$increment": 5}}, {"lines": [{"n": 1}, {"n": 7}]}),
        ({"a": 1, "b": 1}, {"$set": {"a": 2}, "$increment": {"b": 1}, "$unset": ["c"]}, {"a": 2, "b": 2}),
        ({"a": 1}, {"a": {"$set": {"$gt": "only a value"}}}, {"a": {"$gt": "only a value"}}),
        ({"item": 1}, {"item": {"$id": "po1", "$type": "PurchaseOrder", "n": 1}}, {"item": {"$id": "po1", "$type": "PurchaseOrder", "n": 1}}),
    ],
)  # fmt: skip
async def test_an_update_does_what_it_says(rt, before, update, after):
    record = await db.Things.create(before)
    await db.Things.update(record.id, update)
    kept = await db.Things.get(record.id)
    assert {name: value for name, value in kept.items() if not name.startswith("$")} == after


@pytest.mark.feature(328, 330)
@pytest.mark.parametrize(
    ("update", "words"),
    [
        ({"$set": {"$id": "x"}}, "own"), ({"$unset": ["$type"]}, "own"), ({"$increment": {"id": 1}}, "own"),
        ({"n": {"$increment": True}}, "number"), ({"n": {"$increment": "5"}}, "number"), ({"n": {"$increment": None}}, "number"),
        ({"n": {"$increment": float("nan")}}, "number"), ({"n": {"$decrement": [1]}}, "number"),
        ({"text": {"$increment": 1}}, "a str"), ({"flag": {"$increment": 1}}, "a bool"), ({"none": {"$increment": 1}}, "None"),
        ({"text": {"$push": 1}}, "no list"), ({"text": {"$pull": 1}}, "no list"), ({"n": {"$inc": 1}}, r"\$inc"),
        ({"n": {"$increment": 1, "$set": 2}}, "one operator"), ({"n": {"$increment": 1, "m": 2}}, "mixes"), ({"$inc": {"n": 1}}, r"\$inc"),
        ({"n": 1, "$set": {"n": 2}}, "twice"), ({"a": 1, "a.b": 2}, "both"), ({"text.a": 1}, "leads into"), ({"lines.x": 1}, "no place"),
        ({"lines.5": 1}, "no place"), ({"": 1}, "no field"), ({"a'": 1}, "no field"), ({5: 1}, "no field"), ({"$set": 5}, "dict"),
        ({"n": {"$unset": 5}}, "True"), ("text", "dict"), (["n"], "dict"), ({"a.": 1}, "no field"), ({".".join("a" * 20): 1}, "parts"),
    ],
)  # fmt: skip
async def test_a_wrong_update_is_refused_by_name_and_changes_nothing(rt, update, words):
    before = await db.Things.create({"n": 1, "text": "t", "flag": True, "none": None, "lines": [1]})
    with pytest.raises(QueryError, match=words):
        await db.Things.update(before.id, update)
    assert await db.Things.get(before.id) == before


@pytest.mark.feature(328)
async def test_fifty_concurrent_writers_lose_nothing(rt):
    product = await db.Products.create(sold=0)

    async def sell(count):
        for _ in range(count):
            await db.Products.update(product.id, {"sold": {"$increment": 1}, "log": {"$push": 1}})

    await asyncio.gather(*(sell(4) for _ in range(50)))
    kept = await db.Products.get(product.id)
    assert kept.sold == len(kept["log"]) == 200


# -- upsert ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature(326, 379)
async def test_upsert_creates_then_updates_and_refuses_two_matches(rt):
    where = {"requestId": "r1", "region.name": "eu"}
    first = await db.upsert(N.WorkflowCheckpoint, where=where, data={"step": "a", "tries": {"$increment": 1}})
    again = await db.upsert(N.WorkflowCheckpoint, {"where": where, "data": {"step": "b", "tries": {"$increment": 1}}})
    assert first.id == again.id
    assert (again.requestId, again["region"], again.step, again.tries) == ("r1", {"name": "eu"}, "b", 2)
    assert await db.WorkflowCheckpoints.count() == 1
    chosen = await db.Orders.upsert(where={"id": "o9"}, data={"total": 5})
    assert chosen.id == "o9"
    await db.Orders.create(kind="x")
    await db.Orders.create(kind="x")
    with pytest.raises(QueryError, match="several"):
        await db.Orders.upsert(where={"kind": "x"}, data={"n": 1})
    with pytest.raises(QueryError, match="which document"):
        await db.Orders.upsert(where={}, data={"n": 1})


@pytest.mark.feature(326)
async def test_concurrent_upserts_make_one_document(rt):
    made = await asyncio.gather(*(db.Seats.upsert(where={"row": 1}, data={"n": {"$increment": 1}}) for _ in range(20)))
    assert len({record.id for record in made}) == 1
    assert (await db.Seats.find_one({"row": 1})).n == 20


# -- lists ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(324)
async def test_a_list_is_ordered_bounded_and_goes_on_at_its_cursor(rt):
    for n in range(25):
        await db.Items.create(id=f"i{n:02}", group=n % 3, rank=n // 2 if n % 5 else None)
    for order in (None, "rank", "-rank", ["group", "-rank"], ["-group", "rank"], {"group": "desc", "rank": "asc"}, "-$created", "id"):
        whole = await ids(await db.Items.list(order_by=order))
        assert len(whole) == 25
        assert await ids(await db.Items.list(order_by=order, limit=5, offset=7)) == whole[7:12]
        seen, cursor = [], None
        while True:
            page = await db.Items.list(order_by=order, limit=7, cursor=cursor)
            seen += await ids(page)
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == whole, order
    assert await ids(await db.Items.list({"group": 1}, order_by="-rank", limit=2)) == ["i22", "i19"]
    assert [record.id async for record in db.Items.all(page=4)] == await ids(await db.Items.list())
    assert await db.Items.list(limit=0) == []


@pytest.mark.feature(324)
async def test_a_cursor_is_not_shifted_by_what_comes_and_goes(rt):
    for n in range(10):
        await db.Items.create(id=f"i{n}", rank=n)
    page = await db.Items.list(order_by="rank", limit=4)
    await db.Items.delete("i0")
    await db.Items.delete("i3")
    await db.Items.create(id="new", rank=0)
    assert await ids(await db.Items.list(order_by="rank", limit=3, cursor=page.cursor)) == ["i4", "i5", "i6"]


async def test_a_page_is_bounded_if_nothing_is_said_and_in_bytes(rt):
    await asyncio.gather(*(db.Items.create(n=n) for n in range(1_005)))
    page = await db.Items.list()
    assert len(page) == 1_000 and page.cursor
    assert len(await db.Items.list(cursor=page.cursor)) == 5
    for n in range(110):
        await db.Blobs.create(data="x" * 200_000)
    with pytest.raises(QueryError, match="fewer"):
        await db.Blobs.list()
    assert len(await db.Blobs.list(limit=50)) == 50


# -- as calls -------------------------------------------------------------------------------------------------------


async def test_a_write_that_nobody_awaits_is_made_and_a_read_pipelines(rt):
    db.Logs.create(id="l1", stage="started", who={"name": "ann"})
    await dotdo.flush()
    before = dotdo.stats().frames_sent
    assert await db.Logs.get("l1").who.name == "ann"
    assert dotdo.stats().frames_sent == before + 1
    await db.Logs.create(id="l2", stage="ended")
    assert await db.Logs.list(order_by="id")[1].stage == "ended"
    assert await db.Logs.list(order_by="id").map(lambda log: log.stage) == ["started", "ended"]


@pytest.mark.feature(51, 362, 371, 381)
async def test_errors_and_any_payload_may_be_kept(rt):
    error = ValueError("no car")
    kept = await db.create(N.SagaError, {"order": {"$id": "o1", "a.b": 1}, "step": "ship", "error": error})
    assert isinstance(kept.error, ValueError) and str(kept.error) == "no car"
    assert (await db.SagaErrors.find_one({"error.type": "ValueError", "step": "ship"})).id == kept.id
    await db.create(N.WorkflowLog, {"workflow": "w", "orderId": "o1", "stage": "started", "timestamp": datetime.now(UTC)})
    await db.create(N.WorkflowExecution, {"requestId": "r", "status": "running", "startedAt": datetime.now(UTC)})
    assert (await db.WorkflowExecution.get({"requestId": "r"})).status == "running"


async def test_documents_outlive_a_crash(rt):
    order = await db.Orders.create(status="new")
    await db.Orders.list({"status": "new"}, order_by="-total")
    await rt.crash()
    assert await db.Orders.list({"status": "new"}, order_by="-total") == [order]
