"""Hundreds that become idle in one tick fall asleep without all of their files being open at once."""

from __future__ import annotations

import asyncio
import os

import pytest

import dotdo
from dotdo import DO
from dotdo.hosting import bedtime
from dotdo.testing import runtime

COUNT = 400
OPEN_MAX = 30


class Dormouse(DO):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count

    async def nap(self, duration: str) -> None:
        await self.sleep(duration)


async def test_files_open_at_once_are_bounded_when_all_fall_asleep_in_one_tick(monkeypatch):
    monkeypatch.setattr(bedtime, "FALLING_ASLEEP_MAX", 10)
    async with runtime(clock="virtual", max_open=OPEN_MAX) as rt:
        before = len(os.listdir("/proc/self/fd"))
        await asyncio.gather(*(Dormouse(f"d{n}").add() for n in range(COUNT)))
        assert len(rt.host.activations) == COUNT
        await rt.settle()  # what was opened for the writes is closed again, down to the bound
        most = 0
        waking = asyncio.create_task(rt.advance("2m"))
        while not waking.done():
            most = max(most, len(os.listdir("/proc/self/fd")) - before)
            await asyncio.sleep(0)
        assert not rt.host.activations
        assert most <= 4 * (OPEN_MAX + 10), "each has a file, its -wal, and the descriptor it is synced by"
        assert set(await asyncio.gather(*(Dormouse(f"d{n}").add() for n in range(COUNT)))) == {2}
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(("nap", "stay"), [("30d", 20), ("30s", 100)])
async def test_of_many_that_only_wait_for_long_a_few_stay_in_memory(monkeypatch, nap, stay):
    monkeypatch.setattr(bedtime, "RESTING_MAX", 20)
    async with runtime(idle_timeout="1h") as rt:
        for first in range(0, 100, 10):
            await asyncio.gather(*(dotdo.start(Dormouse(f"n{n}").nap, nap) for n in range(first, first + 10)))
        while len(rt.host.activations) > stay:
            await asyncio.sleep(0.01)
        assert len(rt.host.activations) == stay
        assert await Dormouse("n0").add() == 1, "it wakes for a call"


async def test_files_that_are_being_closed_do_not_keep_who_only_waits_awake(monkeypatch):
    monkeypatch.setattr(bedtime, "RESTING_MAX", 20)
    monkeypatch.setattr(bedtime, "FALLING_ASLEEP_MAX", 2)
    async with runtime(idle_timeout="1h", max_open=10) as rt:
        await asyncio.gather(*(dotdo.start(Dormouse(f"n{n}").nap, "30d") for n in range(100)))
        while len(rt.host.activations) > 20:
            await asyncio.sleep(0.01)
