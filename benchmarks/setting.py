"""Where a run happens and how thorough it is, and the few ways in which everything here is timed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

import dotdo

T = TypeVar("T")
Call = Callable[[], Awaitable[Any]]

HOSTS = 2
SERIES = 1000
"""Calls one after another in a round: enough for a p99."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of the benchmarks."""

    folder: Path
    is_quick: bool
    ray_actors: int = 20

    def rounds(self, usual: int = 5) -> int:
        """How often a figure is taken."""
        return 2 if self.is_quick else usual

    def many(self, usual: int) -> int:
        """How many of something there are: a tenth when it must be quick."""
        return usual // 10 if self.is_quick else usual


def start_ray() -> None:
    """A local Ray that outlives the runtimes on it, as small as the one dotdo starts."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        ray.init(include_dashboard=False, object_store_memory=80 * 1024 * 1024, log_to_driver=False, logging_level=logging.ERROR)


@contextlib.contextmanager
def runtime(folder: Path, **options: Any) -> Iterator[None]:
    """dotdo with two hosts on the Ray that runs already; no entity falls asleep by itself."""
    dotdo.init(data=folder, hosts=HOSTS, idle_timeout="10m", **options)
    try:
        yield
    finally:
        dotdo.shutdown()


def run(coroutine: Coroutine[Any, Any, T], *, fast_loop: bool = True) -> T:
    """Run on a loop of its own: uvloop's, or asyncio's."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast_loop else asyncio.new_event_loop) as runner:
        return runner.run(coroutine)


async def series(call: Call, count: int = SERIES) -> list[float]:
    """Seconds of each of `count` calls awaited one after another, sorted."""
    found = []
    for _ in range(count):
        started = time.perf_counter()
        await call()
        found.append(time.perf_counter() - started)
    return sorted(found)


def percentile(sorted_figures: list[float], part: float) -> float:
    """The figure below which this part of them lies."""
    return sorted_figures[min(len(sorted_figures) - 1, int(len(sorted_figures) * part))]


async def rate(calls: Callable[[], list[Awaitable[Any]]]) -> float:
    """Calls per second when all of them are outstanding at once."""
    started = time.perf_counter()
    done = await asyncio.gather(*calls())
    return len(done) / (time.perf_counter() - started)
