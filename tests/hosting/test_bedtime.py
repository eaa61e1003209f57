"""Hundreds that become idle in one tick fall asleep without all of their files being open at once."""

from __future__ import annotations

import asyncio
import os

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
