"""Which sleepers a host keeps in memory, and that none of the others is forgotten."""

from __future__ import annotations

import asyncio
import gc
import random

import pytest

import dotdo
from dotdo import DO
from dotdo.clock import VirtualClock, _Timer
from dotdo.hosting import wakes as wakes_module
from dotdo.hosting.wakes import Wakes
from dotdo.testing import runtime


class Napper(DO):
    """Sleeps once."""

    async def nap(self, seconds: float) -> float:
        before = self.now()
        await self.sleep(seconds)
        return (self.now() - before).total_seconds()


class _Rows:
    """The indexes of three shards, and time passing while they are read."""

    def __init__(self) -> None:
        self.shards: list[set[tuple[float, str]]] = [set(), set(), set()]
        self.reads = 0

    async def read(self, after: tuple[float, str], limit: int) -> list[list[tuple[float, str]]]:
        self.reads += 1
        pages = []
        for rows in self.shards:
            pages.append(sorted(row for row in rows if row > after)[:limit])
            await asyncio.sleep(0)
        return pages


async def _settle(tasks: list[asyncio.Task[None]]) -> None:
    while tasks:
        await tasks.pop()


@pytest.mark.parametrize("seed", range(20))
async def test_everyone_is_woken_once_in_order_with_few_in_memory(seed, monkeypatch):
    monkeypatch.setattr(wakes_module, "IN_MEMORY_MAX", 20)
    monkeypatch.setattr(wakes_module, "PAGE", 5)
    rng = random.Random(seed)
    clock, rows, woken = VirtualClock(0.0), _Rows(), []
    tasks: list[asyncio.Task[None]] = []

    def wake(key: str) -> None:
        woken.append((clock.now(), key))
        for shard in rows.shards:
            shard.difference_update({row for row in shard if row[1] == key})

    wakes = Wakes(clock, rows.read, lambda c: tasks.append(asyncio.ensure_future(c)), wake)
    expected = {}

    def sleeps(number: int) -> None:
        key, due = f"k{number}", clock.now() + rng.choice([1.0, rng.random() * 100])  # many at the very same time, too
        expected[key] = due
        rng.choice(rows.shards).add((due, key))

        def is_written() -> None:
            wakes.slept(key, due)

        asyncio.get_running_loop().call_soon(is_written)

    for number in range(100):
        sleeps(number)
    await wakes.read_on()
    for number in range(100, 400):
        sleeps(number)
        if number % 10 == 0:
            await asyncio.sleep(0)
            await _settle(tasks)
            assert len(wakes) <= 20
            due = clock.next_due()
            if due is not None and rng.random() < 0.5:
                clock.advance_to(due)
    await asyncio.sleep(0)
    await _settle(tasks)
    while (due := clock.next_due()) is not None:
        clock.advance_to(due)
        await _settle(tasks)
    assert sorted(key for _, key in woken) == sorted(expected)
    assert all(at == pytest.approx(expected[key]) or at > expected[key] for at, key in woken)


async def test_hundreds_of_sleepers_leave_nothing_in_memory(monkeypatch):
    monkeypatch.setattr(wakes_module, "IN_MEMORY_MAX", 40)
    monkeypatch.setattr(wakes_module, "PAGE", 10)
    async with runtime(clock="virtual") as rt:
        before = sum(isinstance(o, _Timer) for o in gc.get_objects())  # other tests leave some
        runs = []
        for first in range(0, 600, 200):
            runs += await asyncio.gather(*(dotdo.start(Napper(f"n{n}").nap, 86400 + n // 60) for n in range(first, first + 200)))
        await rt.advance("2m")
        assert not rt.host.activations
        assert not rt.host._listeners
        assert len(rt.host.shards.wakes) <= wakes_module.IN_MEMORY_MAX
        assert sum(isinstance(o, _Timer) for o in gc.get_objects()) < before + 100
        turns = rt.host.turns_run
        await rt.advance("20h")
        assert rt.host.turns_run == turns, "somebody was woken before its time"
        await rt.crash()
        await rt.advance("6h")
        waited = await asyncio.gather(*(run.result() for run in runs))
        assert all(86400 + n // 60 <= seconds < 86401 + n // 60 for n, seconds in enumerate(waited))


async def test_a_sleep_that_ends_while_its_entity_falls_asleep_is_not_missed():
    async with runtime(idle_timeout="100ms"):
        for round_ in range(3):
            naps = [Napper(f"r{round_}-{n}").nap(0.1 + n * 0.0005) for n in range(100)]
            lateness = await asyncio.wait_for(asyncio.gather(*naps), 20)
            assert len(lateness) == 100


async def test_timers_cancelled_long_before_their_time_are_let_go():
    clock = VirtualClock(0.0)
    fired = []
    for number in range(1000):
        clock.call_at(1e9, lambda: fired.append("never")).cancel()
        if number % 100 == 0:
            clock.call_at(number + 1.0, lambda number=number: fired.append(number))
    assert len(clock._timers._heap) < 100
    while (due := clock.next_due()) is not None:
        clock.advance_to(due)
    assert fired == list(range(0, 1000, 100))
