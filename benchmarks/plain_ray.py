"""The same calls to plain Ray actors, one actor per entity, from the same program.

An actor is a process, so a hundred of them take minutes to start on a small machine: there are twenty unless more are
asked for, which makes Ray look better than with one for each of the hundred entities dotdo is called on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import ray

from benchmarks import setting as settings
from benchmarks.rows import Row
from benchmarks.setting import Setting

CALL = "plain Ray actor: call p50"
CALL_ASYNC = "plain Ray actor with an async method: call p50"
RATE = "plain Ray actors: calls, 1,000 outstanding over all of them"
CALLS = 1000


class Plain:
    """An actor of Ray's usual kind."""

    def ping(self) -> int:
        return 1


class PlainAsync:
    """An actor on an event loop."""

    async def ping(self) -> int:
        return 1


def calls(setting: Setting) -> Iterator[Row]:
    """One call at a time to either kind of actor; then a thousand at once, over many actors."""
    for name, kind in ((CALL, Plain), (CALL_ASYNC, PlainAsync)):
        actor = _actors(kind, 1)[0]
        yield Row(name, "us", [settings.run(_p50(actor)) for _ in range(setting.rounds(3))])
        ray.kill(actor)
    started = time.perf_counter()
    actors = _actors(Plain, setting.ray_actors)
    yield Row(f"plain Ray actors: {len(actors)} of them ready", "s", [time.perf_counter() - started])
    yield Row(RATE, "/s", [settings.run(_rate(actors)) for _ in range(setting.rounds())])
    for actor in actors:
        ray.kill(actor)


def _actors(kind: type, count: int) -> list[Any]:
    actors = [ray.remote(num_cpus=0)(kind).remote() for _ in range(count)]
    ray.get([actor.ping.remote() for actor in actors])
    return actors


async def _p50(actor: Any) -> float:
    return settings.percentile(await settings.series(lambda: actor.ping.remote(), 300), 0.5) * 1e6


async def _rate(actors: list[Any]) -> float:
    return await settings.rate(lambda: [asyncio.ensure_future(_ping(actors[i % len(actors)])) for i in range(CALLS)])


async def _ping(actor: Any) -> Any:
    return await actor.ping.remote()
