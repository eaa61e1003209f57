"""Documents: what a large collection answers, and a noun's collection over thousands of sleepers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import dotdo
from benchmarks import setting as settings
from benchmarks.nouns import TrackedParcel
from benchmarks.rows import Row, at_most
from benchmarks.setting import HOSTS, Setting
from dotdo import db

DOCUMENTS = 100_000
PARCELS = 20_000
WAVE = 500
PAGE = 20
QUERIES = 300


def collection(setting: Setting) -> Iterator[Row]:
    """A collection of documents of some 200 bytes, filled and asked."""
    count = setting.many(DOCUMENTS)
    with settings.runtime(setting.folder / "documents"):
        yield Row("documents created, 500 outstanding", "/s", [settings.run(_fill(count))])
        scan, first = settings.run(_first(count))
        yield Row(f"{count:,} documents: count without an index", "ms", [scan])
        yield Row(f"{count:,} documents: the first list of its shape, which makes the index", "ms", [first])
        lists, ones, updates = [], [], []
        for _ in range(setting.rounds(3)):
            found = settings.run(_ask(count))
            lists.append(found[0])
            ones.append(found[1])
            updates.append(found[2])
        yield Row(f"{count:,} documents: indexed list of {PAGE}, p50", "ms", lists, at_most(2))
        yield Row(f"{count:,} documents: indexed find_one, p50", "ms", ones, at_most(2))
        yield Row(f"{count:,} documents: update by id, p50", "ms", updates)


def _document(number: int) -> dict[str, object]:
    return {
        "id": f"d{number}",
        "status": f"s{number % 100}",
        "customer": {"id": f"c{number % 5000}", "city": "Rome"},
        "total": number * 7 % 1000,
    }


async def _fill(count: int) -> float:
    started = time.perf_counter()
    for first in range(0, count, WAVE):
        await asyncio.gather(*(db.Documents.create(_document(number)) for number in range(first, min(first + WAVE, count))))
    return count / (time.perf_counter() - started)


async def _first(count: int) -> tuple[float, float]:
    started = time.perf_counter()
    assert await db.Documents.count({"$or": [{"status": "s7"}, {"total": -1}]}) == count // 100
    scanned = time.perf_counter()
    await db.Documents.list({"status": "s7"}, order_by="-total", limit=PAGE)
    made = time.perf_counter()
    await db.Documents.find_one({"customer.id": "c9"})
    return (scanned - started) * 1e3, (made - scanned) * 1e3


async def _ask(count: int) -> tuple[float, float, float]:
    numbers = iter(range(10 * QUERIES))
    lists = await settings.series(lambda: db.Documents.list({"status": f"s{next(numbers) % 100}"}, order_by="-total", limit=PAGE), QUERIES)
    ones = await settings.series(lambda: db.Documents.find_one({"customer.id": f"c{next(numbers) % 5000}"}), QUERIES)
    updates = await settings.series(lambda: db.Documents.update(f"d{next(numbers) % count}", {"seen": {"$increment": 1}}), QUERIES)
    return tuple(settings.percentile(found, 0.5) * 1e3 for found in (lists, ones, updates))  # type: ignore[return-value]


def followed(setting: Setting) -> Iterator[Row]:
    """A list over hibernated entities of a noun with `index=`."""
    count = setting.many(PARCELS)
    dotdo.init(data=setting.folder / "followed", hosts=HOSTS, idle_timeout="2s")
    try:
        rate, asked, awake = settings.run(_follow(count, setting.rounds(3)))
        yield Row("entities of a noun with index= made and failed", "/s", [rate])
        yield Row(f"failed ones of {count:,} hibernated entities, a page of 1,000", "ms", asked)
        yield Row("entities that this woke", "", [awake], at_most(0))
    finally:
        dotdo.shutdown()


async def _follow(count: int, rounds: int) -> tuple[float, list[float], float]:
    started = time.perf_counter()
    for first in range(0, count, WAVE):
        await asyncio.gather(
            *(TrackedParcel(f"p{n}").become("failed" if n % 20 == 0 else "sent") for n in range(first, min(first + WAVE, count)))
        )
    rate = count / (time.perf_counter() - started)
    while sum(host["active"] for host in await dotdo.hosts()):
        await asyncio.sleep(0.2)
    asked = []
    for _ in range(rounds):
        begun = time.perf_counter()
        found = await db.TrackedParcel.list(where={"status": "failed"})
        asked.append((time.perf_counter() - begun) * 1e3)
        assert len(found) == min(count // 20, 1000), len(found)
    awake = sum(host["active"] for host in await dotdo.hosts()) - 1  # the collection itself
    assert await db.TrackedParcel.count({"status": "failed"}) == count // 20
    assert await db.TrackedParcel.count() == count
    return rate, asked, awake
