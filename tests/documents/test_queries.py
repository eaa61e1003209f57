"""Filters: what each operator finds, what is refused, and which index is used."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from dotdo import N, QueryError, db
from dotdo.documents import indexes

MOMENT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def things(rt):
    documents = {
        "int": {"v": 5}, "float": {"v": 5.5}, "decimal": {"v": Decimal("7.25")}, "big": {"v": 2**70}, "text": {"v": "5"}, "word": {"v": "apple"},
        "upper": {"v": "Zebra"}, "true": {"v": True}, "false": {"v": False}, "null": {"v": None}, "missing": {}, "list": {"v": [1, "a"]},
        "dict": {"v": {"a": 1}}, "time": {"v": MOMENT}, "later": {"v": MOMENT + timedelta(hours=1)}, "day": {"v": date(2026, 3, 1)},
        "uuid": {"v": UUID(int=1)}, "bytes": {"v": b"\x01"}, "like-json": {"v": '[1,"a"]'}, "mark": {"v": "\U0010ffffb1"}, "nul": {"v": "a\x00"},
        "inf": {"v": float("inf")}, "nan": {"v": float("nan")},
    }  # fmt: skip
    for id, fields in documents.items():
        await db.Things.create({"id": id, **fields})
    return documents


@pytest.mark.feature(329, 330, 333)
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (5, "int"), (5.0, "int"), (Decimal(5), "int"), (5.5, "float"), (7.25, "decimal"), (Decimal("7.250"), "decimal"), (2**70, "big"),
        ("5", "text"), (True, "true"), (False, "false"), (None, "null missing"), ([1, "a"], "list"), ((1, "a"), "list"), ({"a": 1}, "dict"),
        ({}, ""), ([], ""), (MOMENT, "time"), (MOMENT.astimezone(), "time"), (date(2026, 3, 1), "day"), (UUID(int=1), "uuid"),
        (b"\x01", "bytes"), ('[1,"a"]', "like-json"), ("\U0010ffffb1", "mark"), ("a\x00", "nul"), (float("inf"), "inf"), (float("nan"), "nan"),
        ({"$gt": 5}, "float decimal big inf"), ({"$gte": 5}, "int float decimal big inf"), ({"$lt": 5.5}, "int"), ({"$lte": 5.5}, "int float"),
        ({"$gte": 5, "$lt": 7}, "int float"), ({"$gt": "apple"}, "mark"), ({"$lt": "apple"}, "text upper like-json nul"),
        ({"$gte": "Z", "$lte": "b"}, "word upper like-json nul"), ({"$gt": MOMENT}, "later"), ({"$lte": MOMENT}, "time"),
        ({"$gte": 5, "$lt": "a"}, ""), ({"$gt": date(2025, 1, 1)}, "day"), ({"$gte": UUID(int=0)}, "uuid"), ({"$in": []}, ""),
        ({"$in": [5, "apple", None, True]}, "int word null missing true"), ({"$in": [[1, "a"], '[1,"a"]', MOMENT]}, "list like-json time"),
        ({"$in": (5, 5.5)}, "int float"), ({"$exists": False}, "missing"), ({"$like": "%p%e"}, "word"), ({"$like": "APPLE"}, "word"),
        ({"$like": "5"}, "text"), ({"$not": {"$exists": True}}, "missing"), ({"$eq": 5, "$exists": True}, "int"), ({"$eq": {"a": 1}}, "dict"),
    ],
    ids=repr,
)  # fmt: skip
async def test_an_operator_finds_values_of_its_own_kind(things, value, found):
    wanted = set(found.split())
    assert {r.id for r in await db.Things.list({"v": value})} == wanted
    assert {r.id for r in await db.Things.list({"$not": {"v": value}})} == things.keys() - wanted
    assert await db.Things.count({"$or": [{"v": value}, {"id": "int"}]}) == len(wanted | {"int"})
    assert {r.id for r in await db.Things.list({"$and": [{"v": value}, {"v": value}]})} == wanted


@pytest.mark.feature(330)
async def test_negations_are_true_of_documents_without_the_field(things):
    assert {r.id for r in await db.Things.list({"v": {"$ne": 5}})} == things.keys() - {"int"}
    assert {r.id for r in await db.Things.list({"v": {"$nin": [5, None]}})} == things.keys() - {"int", "null", "missing"}
    assert {r.id for r in await db.Things.list({"v": {"$ne": None}})} == things.keys() - {"null", "missing"}
    assert {r.id for r in await db.Things.list({"v": {"$not": {"$gt": 0}}})} == things.keys() - {"int", "float", "decimal", "big", "inf"}


async def test_paths_lead_into_dicts_and_lists_and_to_the_runtimes_own_fields(rt):
    await db.Orders.create(id="o1", customer={"email": "a", "zip code": 5}, lines=[{"n": 1}, {"n": 2}], Größe=1)
    await db.Orders.create(id="o2", customer={"email": "b"}, lines=[])
    for where in (
        {"customer.email": "a"},
        {"customer.zip code": 5},
        {"lines.1.n": 2},
        {"Größe": 1},
        {"$id": "o1"},
        {"id": {"$in": ["o1"]}},
    ):
        assert [r.id for r in await db.Orders.list(where)] == ["o1"], where
    assert await db.Orders.count({"$created": {"$gt": MOMENT - timedelta(days=9000)}, "$type": "Order", "id": {"$like": "o%"}}) == 2


HOSTILE = [
    ({"a": {"$regex": "x"}}, r"\$regex"), ({"a": {"$where": "1"}}, r"\$where"), ({"$where": "1=1"}, r"\$where"), ({"a": {"$gt": None}}, r"\$gt"),
    ({"a": {"$gt": True}}, "order"), ({"a": {"$lt": [1]}}, "order"), ({"a": {"$in": "abc"}}, "list"), ({"a": {"$in": {"a": 1}}}, "list"),
    ({"a": {"$nin": 5}}, "list"), ({"a": {"$exists": 1}}, "True or False"), ({"a": {"$exists": "no"}}, "True or False"), ({"a": {"$like": 5}}, "text"),
    ({"a": {"$like": "%" * 2000}}, "1000"), ({"a": {"$not": 5}}, "operators"), ({"a": {"$not": {}}}, "operators"), ({"$and": {"a": 1}}, "list"),
    ({"$or": []}, "list"), ({"$or": [5]}, "dict"), ({"$not": [{"a": 1}]}, "dict"), ({"a": {"$gt": 1, "b": 2}}, "mixes"), ({"a": {"$GT": 1}}, r"\$GT"),
    ("status = 'x'", "dict"), ([{"a": 1}], "dict"), (5, "dict"), ({5: 1}, "no field"), ({"": 1}, "no field"), ({"a.": 1}, "no field"), ({".a": 1}, "no field"),
    ({"a'": 1}, "no field"), ({'a"': 1}, "no field"), ({"a) OR 1=1 --": 1}, "no field"), ({"a\\": 1}, "no field"), ({"a\x00": 1}, "no field"),
    ({"a[0]": 1}, "no field"), ({"a;b": 1}, "no field"), ({"json_extract(body,'$')": 1}, "no field"), ({"a.$gt": 1}, "no field"), ({"x" * 101: 1}, "no field"),
    ({".".join("a" * 17): 1}, "parts"), ({f"f{n}": 1 for n in range(41)}, "40 conditions"), ({"a": {"$in": list(range(10_001))}}, "10000"),
    ({"$or": [{"$and": [{"a": {"$foo": 1}}]}]}, r"\$foo"), ({"a": {"$in": [1], "$nope": 2}}, r"\$nope"),
]  # fmt: skip


def _nested(depth):
    where = {"a": 1}
    for _ in range(depth):
        where = {"$not": where}
    return where


@pytest.mark.feature(330)
@pytest.mark.parametrize(("where", "words"), [*HOSTILE, (_nested(9), "deeper")])
async def test_a_hostile_where_is_refused_by_name_wherever_it_stands(rt, where, words):
    await db.Orders.create(id="o1", a=1)
    for ask in (db.Orders.list, db.Orders.find_one, db.Orders.count, db.Orders.explain):
        with pytest.raises(QueryError, match=words):
            await ask(where)
    with pytest.raises(QueryError):
        await db.Orders.upsert(where=where, data={"a": 2})
    assert [r["a"] for r in await db.Orders.list()] == [1]


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1}, {"limit": 10_001}, {"limit": "5"}, {"limit": True}, {"offset": -1}, {"offset": 1.5}, {"order_by": 5}, {"order_by": "a'"},
        {"order_by": ["a", 5]}, {"order_by": {"a": "up"}}, {"order_by": ["a"] * 9}, {"order_by": "a; DROP TABLE documents"}, {"cursor": "nonsense"},
        {"cursor": 5}, {"cursor": ""}, {"cursor": "WyIiLDEsWzFdXQ"}, {"cursor": "WyJhIiwxLFtdXQ"}, {"order_by": "--a"}, {"order_by": "a DESC, b(1)"},
    ],
)  # fmt: skip
async def test_hostile_options_are_refused(rt, options):
    await db.Orders.create(a=1)
    with pytest.raises(QueryError):
        await db.Orders.list(**options)


async def test_a_cursor_of_another_order_is_refused(rt):
    for n in range(3):
        await db.Orders.create(a=n)
    page = await db.Orders.list(order_by="a", limit=1)
    with pytest.raises(QueryError, match="another order_by"):
        await db.Orders.list(order_by="-a", cursor=page.cursor)


# -- indexes --------------------------------------------------------------------------------------------------------


async def plan(where=None, order_by=None):
    return " | ".join(await db.Orders.explain(where, order_by=order_by))


async def test_a_query_makes_the_index_it_needs_and_uses_it(rt):
    await db.Orders.create(status="new", customer={"city": "Rome"}, total=5)
    assert await plan({"status": "new"}) == "SEARCH documents USING INDEX by status (<expr>=?)"
    assert "USING INDEX by status (<expr>=?)" in await plan({"status": {"$in": ["new", "old"]}})
    assert "SEARCH documents USING INDEX by customer.city, status, total (<expr>=? AND <expr>=? AND <expr>>?" in await plan(
        {"status": "new", "customer.city": "Rome", "total": {"$gt": 2}}
    )
    for order_by in ("total", "-total"):
        assert "TEMP B-TREE" not in await plan({"status": "new"}, order_by), "the order comes from the index"
    assert "SEARCH documents USING INDEX by day (<expr>>? AND <expr><?)" in await plan(
        {"day": {"$gte": MOMENT, "$lt": MOMENT + timedelta(days=1)}}
    )
    assert "SCAN documents USING INDEX by rank" in await plan(None, "rank")
    assert "sqlite_autoindex_documents_1 (id=?)" in await plan({"id": "o1"})
    assert "SCAN documents" in await plan({"$or": [{"a": 1}, {"b": 1}]})


async def test_a_query_that_begins_as_an_index_does_needs_no_other(rt):
    await db.Orders.create(status="new")
    await db.Orders.index("status", "total")
    assert "by status, total" in await plan({"status": "new"})
    assert "by status, total" in await plan({"status": "new"}, "-total")
    assert "by status, total" in await plan({"status": "new", "total": 5})


async def test_what_queries_make_by_themselves_is_bounded_and_the_rest_can_be_declared(rt):
    await db.Orders.create(status="new")
    for n in range(indexes.MADE_MAX + 5):
        await db.Orders.list({f"f{n}": 1})
    assert "USING INDEX" in await plan({"f3": 1})
    assert await plan({"f18": 1}) == "SCAN documents"
    await db.Orders.index("f18")
    assert "USING INDEX by f18" in await plan({"f18": 1})
    for fields in ((), ("a",) * 6, ("a'",), (5,)):
        with pytest.raises(QueryError):
            await db.Orders.index(*fields)


async def test_a_large_collection_is_not_indexed_unasked(rt, monkeypatch):
    monkeypatch.setattr(indexes, "DOCUMENTS_MAX", 10)
    for n in range(12):
        await db.Orders.create(n=n)
    assert await plan({"n": 3}) == "SCAN documents"
    assert [r["n"] for r in await db.Orders.list({"n": 3})] == [3]
    await db.Orders.index("n")
    assert "USING INDEX by n" in await plan({"n": 3})


async def test_an_index_that_was_not_committed_is_made_again(rt):
    await db.Orders.create(status="new")
    await db.Orders.create(status="new")
    with pytest.raises(QueryError, match="several"):  # made in a turn that is undone
        await db.Orders.upsert(where={"status": "new"}, data={"a": 1})
    assert "USING INDEX by status" in await plan({"status": "new"})
    assert await db.get(N.Order, {"status": "new"}) is not None
