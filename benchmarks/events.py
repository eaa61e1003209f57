"""Events and timers: how fast an event ends a wait, how many are handled, how late sleepers wake and what they cost."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import dotdo
from benchmarks import processes
from benchmarks import setting as settings
from benchmarks.nouns import Listener, Teller
from benchmarks.rows import Row, at_most
from benchmarks.setting import HOSTS, Setting
from dotdo import application

EVENTS = 1000
WAITS = 40
NAPS = 1000
SLEEPERS = 10_000
WAVE = 500
IDLE_SECONDS = 5.0


def delivery(setting: Setting) -> Iterator[Row]:
    """From `send` to the end of the wait, and a thousand events through their log into one entity."""
    with settings.runtime(setting.folder / "events"):
        near, far, rates = [], [], []
        for round_ in range(setting.rounds(3)):
            here, there = settings.run(_latencies(round_))
            near.append(here * 1e3)
            far.append(there * 1e3)
            rates.append(settings.run(_throughput()))
        yield Row("event to the end of a wait, p50, all in one host", "ms", near, at_most(2, disk=True))
        yield Row("event to the end of a wait, p50, over two hosts", "ms", far, at_most(5, disk=True))
        yield Row("events handled by one entity, in order", "1/s", rates)


def _on_host(name: str, noun: str, prefix: str) -> str:
    """An id of this noun on this host."""
    router = application.current().router
    return next(f"{prefix}{n}" for n in range(10_000) if router.host_of(noun, f"{prefix}{n}") == name)


async def _latencies(round_: int) -> tuple[float, float]:
    """Median seconds to a waiter on the host of the sender and of the log, and to one on the other host."""
    router = application.current().router
    home = router.host_of("DotdoEventLog", "Bench.answered")
    other = next(name for name in router.host_names() if name != home)
    teller = Teller(_on_host(home, "Teller", "teller-"))
    medians = []
    for host in (home, other):
        waiter = Listener(_on_host(host, "Listener", "waiter-"))
        found = []
        for number in range(WAITS):
            identity = round_ * 1_000_000 + number + (500_000 if host == other else 0)
            run = await dotdo.start(waiter.wait, identity)
            await asyncio.sleep(0.01)  # the wait is with the log
            await teller.answer(identity)
            found.append(await run.result())
        medians.append(settings.percentile(sorted(found), 0.5))
    return medians[0], medians[1]


async def _throughput() -> float:
    """Events per second, from the first `send` to the last handler's commit."""
    before = await Listener("ear").heard
    started = time.perf_counter()
    await Teller("teller").tell(EVENTS)
    while await Listener("ear").heard < before + EVENTS:
        await asyncio.sleep(0.005)
    return EVENTS / (time.perf_counter() - started)


def timers(setting: Setting) -> Iterator[Row]:
    """A thousand sleeps that end together, and ten thousand that do not."""
    with settings.runtime(setting.folder / "naps"):
        late, answered = [], []
        for _ in range(setting.rounds(3)):
            lateness, total = settings.run(_naps(setting.many(NAPS)))
            late.append(settings.percentile(lateness, 0.99) * 1e3)
            answered.append((total - 1.0) * 1e3)
        yield Row("1,000 sleeps of 1 s at once: lateness, p99", "ms", late, at_most(100, disk=True))
        yield Row("1,000 sleeps of 1 s at once: last answer after the second", "ms", answered, at_most(400, disk=True))
    count = setting.many(SLEEPERS)
    dotdo.init(data=setting.folder / "sleepers", hosts=HOSTS, idle_timeout="2s")
    try:
        yield from _sleepers(count)
    finally:
        dotdo.shutdown()


async def _naps(count: int) -> tuple[list[float], float]:
    sleepers = [Listener(f"nap-{n}") for n in range(count)]
    await asyncio.gather(*(sleeper.late for sleeper in sleepers))
    started = time.perf_counter()
    lateness = await asyncio.gather(*(sleeper.nap(1) for sleeper in sleepers))
    return sorted(lateness), time.perf_counter() - started


def _sleepers(count: int) -> Iterator[Row]:
    settings.run(_rest(1))
    pids = [host["pid"] for host in settings.run(dotdo.hosts())]
    empty_memory, empty_cpu = processes.memory_bytes(pids), _cpu_share(pids)
    settings.run(_rest(count))
    more = (processes.memory_bytes(pids) - empty_memory) / 1e6
    yield Row(f"memory of {count:,} sleeping executions, of all hosts", "MB", [more], at_most(50))
    yield Row("processor time per second, Ray's own included: nobody there", "ms", [empty_cpu * 1e3])
    yield Row(f"the same with {count:,} sleeping executions", "ms", [_cpu_share(pids) * 1e3])


async def _rest(count: int) -> None:
    for first in range(0, count, WAVE):
        await asyncio.gather(*(dotdo.start(Listener(f"rest-{n}").rest) for n in range(first, min(first + WAVE, count))))
    while sum(host["active"] for host in await dotdo.hosts()):
        await asyncio.sleep(0.2)
    await asyncio.sleep(2.0)  # memory is given back when it is quiet


def _cpu_share(pids: list[int]) -> float:
    """Processor seconds that these processes use per second."""
    before = _cpu_seconds(pids)
    time.sleep(IDLE_SECONDS)
    return (_cpu_seconds(pids) - before) / IDLE_SECONDS


def _cpu_seconds(pids: list[int]) -> float:
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total
