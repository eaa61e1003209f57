"""A few figures of the machine at hand, in a minute at most. The full comparison is `make bench` in a checkout."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dotdo
from dotdo import DO

TOGETHER = 100
WARM_UP_CALLS = 50


class DotdoBench(DO):
    """What is measured with."""

    count: int = 0

    async def echo(self, value: int) -> int:
        """Nothing durable."""
        return value

    async def add(self) -> int:
        """One durable write."""
        self.count += 1
        return self.count

    async def ten_steps(self) -> int:
        """An execution of ten steps."""
        for number in range(10):
            await self.do(self.add, step_id=f"s{number}")
        return self.count


def measure(seconds: float, hosts: int, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """Latencies in microseconds and rates, each measured for so many seconds."""
    with tempfile.TemporaryDirectory(prefix="dotdo-bench-", ignore_cleanup_errors=True) as folder:
        return asyncio.run(_measure(folder, seconds, hosts, progress))


async def _measure(folder: str, seconds: float, hosts: int, progress: Callable[[int, int], None]) -> list[dict[str, Any]]:
    many = [DotdoBench(f"n{number}") for number in range(TOGETHER)]
    one = DotdoBench("one")
    measurements: list[tuple[str, Callable[[], Awaitable[Any]], int]] = [
        ("call, one after another", lambda: one.echo(1), 1),
        (f"calls, {TOGETHER} at once", lambda: asyncio.gather(*(each.echo(1) for each in many)), TOGETHER),
        ("durable write, one after another", one.add, 1),
        (f"durable writes, {TOGETHER} at once", lambda: asyncio.gather(*(each.add() for each in many)), TOGETHER),
        ("execution of ten steps", one.ten_steps, 1),
    ]
    found = []
    async with dotdo.init(data=folder, hosts=hosts):
        for done, (what, act, weight) in enumerate(measurements):
            progress(done, len(measurements))
            found.append({"what": what, **await _repeat(act, seconds, weight)})
        progress(len(measurements), len(measurements))
    return found


async def _repeat(act: Callable[[], Awaitable[Any]], seconds: float, weight: int) -> dict[str, Any]:
    for _ in range(max(1, WARM_UP_CALLS // weight)):
        await act()
    times: list[float] = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds or len(times) < 2:
        before = time.perf_counter()
        await act()
        times.append(time.perf_counter() - before)
    took = time.perf_counter() - started
    ranked = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "p50_us": round(ranked[49] * 1e6), "p99_us": round(ranked[98] * 1e6), "per_second": round(len(times) * weight / took),
        "times": len(times),
    }  # fmt: skip
