"""A hibernated entity costs its file: no memory, no descriptor, no timer; one that is due costs one timer."""

import asyncio
import gc
import os
import tracemalloc

import pytest

import dotdo
from dotdo import DO
from dotdo.entity.activation import Activation

COUNT = 150
FILE_BYTES_MAX = 8 * 1024


class RestingCounter(DO):
    count: int = 0

    async def add(self) -> int:
        self.count += 1
        return self.count


async def _use_and_put_to_sleep(first: int) -> None:
    names = [f"r{number}" for number in range(first, first + COUNT)]
    await asyncio.gather(*(RestingCounter(name).add() for name in names))
    assert all(await asyncio.gather(*(dotdo.hibernate(RestingCounter(name)) for name in names)))


@pytest.mark.feature(12)
async def test_hibernated_counters_hold_no_memory_no_descriptor_and_no_timer(rt):
    await _use_and_put_to_sleep(0)
    gc.collect()
    descriptors = len(os.listdir("/proc/self/fd"))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for wave in range(1, 4):
            await _use_and_put_to_sleep(wave * COUNT)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert rt.host.activations == {}
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Activation) and thing.spec.noun == "RestingCounter"]
    assert len(os.listdir("/proc/self/fd")) <= descriptors
    assert rt.host.shards.wakes._timers == {}
    assert grown / (3 * COUNT) < 1000, "what remains are bounded caches and timers that were cancelled, not the 46 KB of an entity"
    sizes = [path.stat().st_blocks * 512 for path in rt.path.glob("shards/*/RestingCounter*/*")]
    assert len(sizes) == 4 * COUNT
    assert max(sizes) <= FILE_BYTES_MAX
