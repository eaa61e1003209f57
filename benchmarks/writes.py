"""Calls that write, and steps: nothing of these is answered before it is safe on the disk."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator

import dotdo
from benchmarks import setting as settings
from benchmarks.nouns import STEPS, Counter, Flow
from benchmarks.rows import Row, at_least, at_most
from benchmarks.setting import Setting

NEW = 1500
AT_ONCE = 500
FLOWS = 100
WAKES = 100

_numbers = itertools.count()


def create(setting: Setting) -> Iterator[Row]:
    """New entities, each with its first write."""
    with settings.runtime(setting.folder / "create"):
        rounds = [settings.run(_create(setting.many(NEW))) for _ in range(setting.rounds(3))]
        yield Row("create + first durable write", "/s", rounds, at_least(1500, disk=True))


async def _create(count: int) -> float:
    fresh = [Counter(f"new-{next(_numbers)}") for _ in range(count)]
    return await settings.rate(lambda: [counter.inc() for counter in fresh])


def wake(setting: Setting) -> Iterator[Row]:
    """A sleeping entity's next write."""
    with settings.runtime(setting.folder / "wake"):
        rounds = [settings.run(_wake(setting.many(WAKES))) for _ in range(setting.rounds())]
        yield Row("wake + durable write, p50", "ms", rounds, at_most(2, disk=True))


async def _wake(count: int) -> float:
    sleepers = [Counter(f"sleeper-{number}") for number in range(count)]
    await asyncio.gather(*(sleeper.inc() for sleeper in sleepers))
    found = []
    for sleeper in sleepers:
        await dotdo.hibernate(sleeper)
    for sleeper in sleepers:
        found += await settings.series(sleeper.inc, 1)
    return settings.percentile(sorted(found), 0.5) * 1e3


def increments(setting: Setting) -> Iterator[Row]:
    """One durable increment after another; then 500 entities at once."""
    with settings.runtime(setting.folder / "increments"):
        series = [settings.run(_one_after_another()) for _ in range(setting.rounds())]
        yield Row("durable increment of one entity, p50", "us", [p50 for p50, _ in series])
        yield Row("durable increments, one after another", "/s", [rate for _, rate in series], at_least(3000, disk=True))
        rounds = [settings.run(_at_once()) for _ in range(setting.rounds())]
        yield Row("durable increments, 500 entities at once", "/s", rounds, at_least(6000, disk=True))


async def _one_after_another() -> tuple[float, float]:
    counter = Counter("one")
    await settings.series(counter.inc, 50)
    found = await settings.series(counter.inc)
    return settings.percentile(found, 0.5) * 1e6, len(found) / sum(found)


async def _at_once() -> float:
    counters = [Counter(f"many-{number}") for number in range(AT_ONCE)]
    await asyncio.gather(*(counter.inc() for counter in counters))
    rates = [await settings.rate(lambda: [counter.inc() for counter in counters]) for _ in range(3)]
    return settings.percentile(sorted(rates), 0.5)


def steps(setting: Setting) -> Iterator[Row]:
    """Executions of ten steps: one at a time, then a hundred at once."""
    with settings.runtime(setting.folder / "steps"):
        rounds = [settings.run(_step()) for _ in range(setting.rounds())]
        yield Row("step of an execution of ten, p50", "ms", rounds, at_most(0.32, disk=True))
        rounds = [settings.run(_steps()) for _ in range(setting.rounds())]
        yield Row("steps, 100 executions of ten at once", "/s", rounds, at_least(5000, disk=True))


async def _step() -> float:
    """Milliseconds per step, seen from outside: the call and the answer are shared among the ten."""
    flow = Flow("one")
    await flow.run()
    return settings.percentile(await settings.series(flow.run, 40), 0.5) / STEPS * 1e3


async def _steps() -> float:
    flows = [Flow(f"many-{number}") for number in range(FLOWS)]
    await asyncio.gather(*(flow.run() for flow in flows))
    rates = []
    for _ in range(3):
        started = time.perf_counter()
        await asyncio.gather(*(flow.run() for flow in flows))
        rates.append(FLOWS * STEPS / (time.perf_counter() - started))
    return settings.percentile(sorted(rates), 0.5)
