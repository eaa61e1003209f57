"""Calls that write nothing: one at a time, a thousand at once, and from entity to entity."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from benchmarks import plain_ray
from benchmarks import setting as settings
from benchmarks.nouns import Counter
from benchmarks.rows import Row, Sheet, at_least, at_most
from benchmarks.setting import HOSTS, Setting
from dotdo import application

TIMES_RAY = 20
ENTITIES = 100
CALLS = 1000
BATCHES = 5


def from_a_program(setting: Setting, sheet: Sheet) -> Iterator[Row]:
    """Warm calls from a program, on asyncio's loop and on uvloop's."""
    ray_p50 = min((p for p in (sheet.median(plain_ray.CALL), sheet.median(plain_ray.CALL_ASYNC)) if p is not None), default=None)
    ray_rate = sheet.median(plain_ray.RATE)
    with settings.runtime(setting.folder / "calls"):
        for loop, fast in (("asyncio", False), ("uvloop", True)):
            pairs = [settings.run(_one_at_a_time(), fast_loop=fast) for _ in range(setting.rounds())]
            yield Row(f"call p50, {loop} in the client", "us", [p50 for p50, _ in pairs], at_most(ray_p50 / TIMES_RAY) if ray_p50 else None)
            yield Row(f"call p99, {loop} in the client", "us", [p99 for _, p99 in pairs])
        for loop, fast in (("asyncio", False), ("uvloop", True)):
            yield Row(
                f"calls, 1,000 outstanding over 100 entities, {loop}",
                "/s",
                [settings.run(_outstanding(), fast_loop=fast) for _ in range(setting.rounds())],
                at_least(ray_rate * TIMES_RAY) if ray_rate else None,
            )


async def _one_at_a_time() -> tuple[float, float]:
    counter = Counter("a")
    await settings.series(counter.ping, 100)
    found = await settings.series(counter.ping)
    return settings.percentile(found, 0.5) * 1e6, settings.percentile(found, 0.99) * 1e6


async def _outstanding() -> float:
    counters = [Counter(f"e{number}") for number in range(ENTITIES)]
    await asyncio.gather(*(counter.ping() for counter in counters))
    rates = [await settings.rate(lambda: [counters[i % ENTITIES].ping() for i in range(CALLS)]) for _ in range(BATCHES)]
    return settings.percentile(sorted(rates), 0.5)


def from_an_entity(setting: Setting) -> Iterator[Row]:
    """Calls between two entities of one host."""
    with settings.runtime(setting.folder / "entity-to-entity"):
        caller, other = _neighbours()
        rounds = [settings.run(_asked(caller, other)) for _ in range(setting.rounds())]
        yield Row("entity to entity in one host, p50", "us", rounds, at_most(30))


async def _asked(caller: str, other: str) -> float:
    await Counter(other).ping()
    await Counter(caller).ask(other, 200)
    return settings.percentile(await Counter(caller).ask(other, 2000), 0.5) * 1e6


def _neighbours() -> tuple[str, str]:
    """Two ids that live in one host."""
    router = application.current().router
    ids = [f"n{number}" for number in range(HOSTS + 1)]
    for number, one in enumerate(ids):
        for other in ids[number + 1 :]:
            if router.host_of("Counter", one) == router.host_of("Counter", other):
                return one, other
    raise AssertionError("more ids than hosts, and yet no two in one")
