"""`make bench`: what a call, a commit and a step cost on this machine, beside plain Ray actors and a bare SQLite loop.

One run, one machine: compare the columns with each other, not with another day. Prints a table, and JSON to `bench.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import ray
from rich.console import Console
from rich.table import Table

import dotdo
from dotdo import DO


class Counter(DO):
    n: int = 0

    async def ping(self) -> int:
        return 1

    async def inc(self) -> int:
        self.n += 1
        return self.n

    async def ask_other(self, other: str, times: int) -> float:
        """Seconds per call to another entity."""
        await Counter(other).ping()
        started = time.perf_counter()
        for _ in range(times):
            await Counter(other).ping()
        return (time.perf_counter() - started) / times


class Flow(DO):
    async def run(self) -> float:
        """Seconds per step of ten."""
        started = time.perf_counter()
        for number in range(10):
            await self.do(self._step, number, step_id=f"s{number}")
        return (time.perf_counter() - started) / 10

    async def _step(self, number: int) -> int:
        return number


async def times_of(call: Callable[[], Awaitable[Any]], count: int) -> list[float]:
    """Microseconds of each of `count` awaited calls, sorted."""
    found = []
    for _ in range(count):
        started = time.perf_counter()
        await call()
        found.append((time.perf_counter() - started) * 1e6)
    return sorted(found)


async def rate_of(calls: Callable[[], list[Awaitable[Any]]], rounds: int) -> float:
    """Calls per second when all are outstanding at once; the median of the rounds."""
    rates = []
    for _ in range(rounds):
        started = time.perf_counter()
        done = await asyncio.gather(*calls())
        rates.append(len(done) / (time.perf_counter() - started))
    return statistics.median(rates)


def sync_floor(folder: Path) -> dict[str, float]:
    """The disk and SQLite alone: fdatasync, and a commit with synchronous=FULL."""
    descriptor = os.open(folder / "floor", os.O_RDWR | os.O_CREAT)
    syncs = []
    for number in range(500):
        os.pwrite(descriptor, b"x" * 1024, number * 1024)
        started = time.perf_counter()
        os.fdatasync(descriptor)
        syncs.append((time.perf_counter() - started) * 1e6)
    os.close(descriptor)
    connection = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t(x)")
    started = time.perf_counter()
    for number in range(1000):
        connection.execute("INSERT INTO t VALUES(?)", (number,))
    rate = 1000 / (time.perf_counter() - started)
    connection.close()
    return {"fdatasync p50 us": statistics.median(syncs), "bare SQLite commits/s (FULL)": rate}


async def measure(folder: Path) -> dict[str, float]:
    """Everything, in one run."""
    found: dict[str, float] = sync_floor(folder)
    async with dotdo.init(data=folder / "data", hosts=2):
        counter = Counter("a")
        await counter.ping()
        calls = await times_of(counter.ping, 3000)
        found["call p50 us"], found["call p99 us"] = calls[1500], calls[2970]
        entities = [Counter(f"e{i}") for i in range(100)]
        await asyncio.gather(*(e.ping() for e in entities))
        found["calls/s, 1000 outstanding, 100 entities"] = await rate_of(lambda: [entities[i % 100].ping() for i in range(1000)], 15)

        @ray.remote(num_cpus=0)
        class Plain:
            async def ping(self) -> int:
                return 1

        actors = [Plain.remote() for _ in range(4)]
        await asyncio.gather(*(a.ping.remote() for a in actors))
        plain = await times_of(lambda: actors[0].ping.remote(), 500)
        found["plain Ray call p50 us"] = plain[250]
        found["plain Ray calls/s, 1000 outstanding, 1 actor"] = await rate_of(lambda: [actors[0].ping.remote() for _ in range(1000)], 3)
        for actor in actors:
            ray.kill(actor)
        found["times faster, call p50"] = found["plain Ray call p50 us"] / found["call p50 us"]
        found["times faster, calls/s"] = (
            found["calls/s, 1000 outstanding, 100 entities"] / found["plain Ray calls/s, 1000 outstanding, 1 actor"]
        )
        host = {i: await _host_of(f"e{i}") for i in range(10)}
        other = next(i for i in range(1, 10) if host[i] == host[0])
        found["entity to entity, same host, us"] = await Counter("e0").ask_other(f"e{other}", 3000) * 1e6
        fresh = [Counter(f"new{i}") for i in range(1500)]
        started = time.perf_counter()
        await asyncio.gather(*(e.inc() for e in fresh))
        found["create + first durable write/s"] = 1500 / (time.perf_counter() - started)
        await counter.inc()
        increments = await times_of(counter.inc, 2000)
        found["durable increment p50 us"] = increments[1000]
        found["durable increments/s, one entity, one after another"] = 2000 / (sum(increments) / 1e6)
        found["durable increments/s, 500 entities at once"] = await rate_of(lambda: [e.inc() for e in fresh[:500]], 9)
        await Flow("f").run()
        found["step of 10, p50 ms"] = statistics.median([await Flow("f").run() for _ in range(60)]) * 1e3
        found["steps/s, 100 executions at once"] = 10 * await rate_of(lambda: [Flow(f"f{i}").run() for i in range(100)], 9)
        wakes = []
        for entity in fresh[:100]:
            await dotdo.hibernate(entity)
            started = time.perf_counter()
            await entity.inc()
            wakes.append((time.perf_counter() - started) * 1e3)
        found["wake + durable write p50 ms"] = statistics.median(wakes)
        sizes = [e["size"] for e in await dotdo.entities("Counter", limit=100_000) if e["status"] == "hibernated"]
        if sizes:
            found["bytes on disk, hibernated counter"] = statistics.median(sizes)
    return found


async def _host_of(entity_id: str) -> str:
    from dotdo import application

    return str(application.current().router.host_of("Counter", entity_id))


def main() -> int:
    """The command."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder)))
    versions = f"dotdo {dotdo.__version__}, Python {platform.python_version()}, Ray {ray.__version__}, SQLite {apsw.sqlite_lib_version()}, {os.cpu_count()} cores, durability full"
    table = Table(title=versions)
    table.add_column("what")
    table.add_column("figure", justify="right")
    for what, figure in found.items():
        table.add_row(what, f"{figure:,.2f}" if figure < 100 else f"{figure:,.0f}")
    Console().print(table)
    Path("bench.json").write_text(json.dumps({"versions": versions, **found}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
