"""Waiting in tests: what a thousand waits of ninety days take on the virtual clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import dotdo
from benchmarks.nouns import Listener
from benchmarks.rows import Row, at_most
from benchmarks.setting import Setting
from dotdo.testing import runtime

WAITS = 1000


def waits(setting: Setting) -> Iterator[Row]:
    """One execution that sleeps again and again: awake all the time, and asleep and replayed each time."""
    count = setting.many(WAITS)
    awake = [asyncio.run(_sleep_on(count, idle_timeout="10000d")) for _ in range(setting.rounds(3))]
    yield Row(f"in a test: {count:,} sleeps of 90 days in a row, the entity stays in memory", "s", awake, at_most(2))
    yield Row("the same, hibernated and replayed at each", "s", [asyncio.run(_sleep_on(count))])


async def _sleep_on(count: int, **options: Any) -> float:
    async with runtime(clock="virtual", **options) as rt:
        started = time.perf_counter()
        run = await dotdo.start(Listener("long").sleep_on, count)
        await rt.advance(f"{90 * count + 1}d")
        assert await run.result() == count
        return time.perf_counter() - started
