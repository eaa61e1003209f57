"""Random documents, filters, orders and updates, against a plain Python list."""

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dotdo
from dotdo import QueryError, db
from dotdo.documents.collection import Collection
from dotdo.testing import runtime

FIELDS = ["a", "b", "c.d"]
DAY = datetime(2026, 3, 1, tzinfo=UTC)
FEW = st.sampled_from(
    [
        None,
        True,
        False,
        -1,
        0,
        1,
        2,
        0.5,
        1.0,
        Decimal("0.5"),
        Decimal(2),
        "",
        "a",
        "B",
        "b",
        "[",
        "[1]",
        "\x00",
        DAY,
        DAY + timedelta(days=1),
    ]
)
"""So few that a filter often names a value that is there."""

MANY = st.one_of(st.integers(), st.floats(allow_nan=False), st.text(max_size=3), st.datetimes().map(lambda t: t.replace(tzinfo=UTC)))
LISTS = st.lists(st.integers(-2, 2), max_size=2)
SCALARS = st.integers(0, 9).flatmap(lambda n: MANY if n == 9 else FEW)
VALUES = st.integers(0, 9).flatmap(lambda n: MANY if n == 9 else LISTS if n == 8 else FEW)
DOCUMENTS = st.lists(
    st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES, "c": st.fixed_dictionaries({}, optional={"d": VALUES})}),
    min_size=2,
    max_size=12,
)
ORDERED = SCALARS.filter(lambda v: v is not None and not isinstance(v, bool))
OPERATORS = st.one_of(
    VALUES,
    st.fixed_dictionaries({"$eq": VALUES}), st.fixed_dictionaries({"$ne": VALUES}), st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$in": st.lists(VALUES, max_size=3)}), st.fixed_dictionaries({"$nin": st.lists(VALUES, max_size=3)}),
    *[st.builds(lambda op, value: {op: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ORDERED)] * 2,
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ORDERED, min_size=1, max_size=2),
)  # fmt: skip
OPERATORS = st.one_of(OPERATORS, st.builds(lambda ops: {"$not": ops}, OPERATORS.filter(lambda v: isinstance(v, dict))))
SIMPLE = st.dictionaries(st.sampled_from(FIELDS), OPERATORS, min_size=1, max_size=2)
WHERES = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.builds(lambda name, some: {name: some}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda one: {"$not": one}, inner),
    ),
    max_leaves=4,
)
UPDATES = st.dictionaries(
    st.sampled_from(["a", "b"]),
    st.one_of(
        VALUES, st.fixed_dictionaries({"$increment": st.integers(-5, 5)}), st.fixed_dictionaries({"$push": st.integers(-2, 2)}),
        st.fixed_dictionaries({"$pull": st.integers(-2, 2)}), st.just({"$unset": True}),
    ),
    max_size=2,
)  # fmt: skip
MISSING = object()


# -- the model: Python's own comparisons, by kind --------------------------------------------------------------------


def kind(value):
    if value is None or isinstance(value, (bool, str, list)):
        return type(value)
    return "number" if isinstance(value, (int, float, Decimal)) else type(value)


def look(document, path):
    for part in path.split("."):
        if not isinstance(document, dict) or part not in document:
            return MISSING
        document = document[part]
    return document


def number(value):
    """As SQLite compares: what is beyond 64 bits, and Decimals, as doubles."""
    return value if isinstance(value, int) and -(2**63) <= value < 2**63 else float(value)


def equal(value, other):
    value = None if value is MISSING else value
    if kind(value) != kind(other):
        return False
    if kind(value) == "number":
        return number(value) == number(other)
    return value == other


def holds(value, op, operand):
    if op == "$eq":
        return equal(value, operand)
    if op == "$ne":
        return not equal(value, operand)
    if op == "$in":
        return any(equal(value, one) for one in operand)
    if op == "$nin":
        return not any(equal(value, one) for one in operand)
    if op == "$exists":
        return (value is not MISSING) == operand
    if op == "$not":
        return not all(holds(value, name, one) for name, one in operand.items())
    if value is MISSING or kind(value) != kind(operand):
        return False
    one, two = (number(value), number(operand)) if kind(value) == "number" else (value, operand)
    return {"$gt": one > two, "$gte": one >= two, "$lt": one < two, "$lte": one <= two}[op]


def matches(document, where):
    for name, value in where.items():
        if name == "$and":
            found = all(matches(document, one) for one in value)
        elif name == "$or":
            found = any(matches(document, one) for one in value)
        elif name == "$not":
            found = not matches(document, value)
        else:
            operators = value if isinstance(value, dict) else {"$eq": value}
            found = all(holds(look(document, name), op, operand) for op, operand in operators.items())
        if not found:
            return False
    return True


def compare(one, other):
    """None first, then numbers, then text, then the rest."""
    ranks = [0 if v is None or v is MISSING else 1 if kind(v) == "number" else 2 for v in (one, other)]
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    one, other = (number(v) if r == 1 else v for v, r in zip((one, other), ranks, strict=True))
    return 0 if ranks[0] == 0 or one == other else -1 if one < other else 1


def updated(document, update):
    """The document after an update; None if it is refused."""
    document = dict(document)
    for name, value in update.items():
        op, operand = next(iter(value.items())) if isinstance(value, dict) else ("$set", value)
        current = document.get(name, MISSING)
        if op == "$set":
            document[name] = operand
        elif op == "$unset":
            document.pop(name, None)
        elif op == "$increment":
            current = 0 if current is MISSING else current
            if kind(current) != "number":
                return None
            document[name] = current + operand
        elif current is MISSING:
            if op == "$push":
                document[name] = [operand]
        elif not isinstance(current, list):
            return None
        else:
            document[name] = [*current, operand] if op == "$push" else [v for v in current if v != operand]
    return document


# -- the comparison -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loop_with_runtime():
    loop = asyncio.new_event_loop()
    rt = runtime(shards=1)
    loop.run_until_complete(rt.__aenter__())
    yield loop
    loop.run_until_complete(rt.__aexit__(None, None, None))
    loop.close()


@pytest.mark.feature(322, 324, 325, 328, 329, 330)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS, st.lists(WHERES, min_size=3, max_size=8), st.sampled_from(["a", "-a"]), UPDATES, st.integers(1, 4))
def test_a_collection_answers_as_a_list_of_dicts_does(loop_with_runtime, documents, wheres, order, update, limit):
    async def check():
        await dotdo.delete(Collection("Sample"))
        kept = []
        for n, document in enumerate(documents):
            await db.Samples.create({"id": str(n), **document})
            kept.append((str(n), document))
        for n, document in enumerate(documents[:3]):
            after = updated(document, update)
            try:
                await db.Samples.update(str(n), update)
            except QueryError:
                assert after is None, (document, update)
            else:
                assert after is not None, (document, update)
                kept[n] = (str(n), after)
        for where in wheres:
            wanted = [id for id, document in kept if matches(document, where)]
            assert [r.id for r in await db.Samples.list(where)] == wanted, where
            assert await db.Samples.count(where) == len(wanted), where
            by_text = all(
                not isinstance(look(d, "a"), (list, bool)) and kind(look(d, "a")) is not datetime
                for _, d in kept
                if look(d, "a") is not MISSING
            )
            if by_text:
                rows = [(id, look(document, "a")) for id, document in kept if matches(document, where)]
                sign = -1 if order == "-a" else 1
                rows.sort(key=functools.cmp_to_key(lambda x, y: sign * (compare(x[1], y[1]) or int(x[0]) - int(y[0]))))
                seen, cursor = [], None
                while True:
                    page = await db.Samples.list(where, order_by=order, limit=limit, cursor=cursor)
                    seen += [r.id for r in page]
                    cursor = page.cursor
                    if cursor is None:
                        break
                assert seen == [id for id, _ in rows], (where, order)

    loop_with_runtime.run_until_complete(check())
