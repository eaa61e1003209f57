"""More entities in memory than files open: the least recently used are closed, and open again when they are needed."""

from __future__ import annotations

import asyncio
import os

import pytest

from dotdo import DO
from dotdo.testing import runtime


class Small(DO, noun="SmallCounter"):
    n: int = 0

    async def inc(self) -> int:
        self.n += 1
        return self.n

    async def keep(self, value: str) -> None:
        self.storage.put("value", value)

    async def kept(self) -> str:
        return str(self.storage.get("value"))

    async def steps(self) -> list[int]:
        return [await self.do(self._step, i, step_id=f"s{i}") for i in range(3)]

    async def _step(self, i: int) -> int:
        return i


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.feature(46)
async def test_files_are_closed_while_their_entities_stay_in_memory():
    async with runtime(max_open=20) as rt:
        before = descriptors()
        entities = [Small(f"e{i}") for i in range(200)]
        assert await asyncio.gather(*(e.inc() for e in entities)) == [1] * 200
        await rt.settle()
        assert len(rt.host.activations) == 200
        assert descriptors() - before < 20 * 3 + 20
        for round_ in range(2, 5):
            assert await asyncio.gather(*(e.inc() for e in entities)) == [round_] * 200
        await rt.settle()
        assert descriptors() - before < 20 * 3 + 20
        await asyncio.gather(*(e.keep(e.id) for e in entities))
        assert await asyncio.gather(*(e.kept() for e in entities)) == [e.id for e in entities]
        assert await asyncio.gather(*(e.steps() for e in entities)) == [[0, 1, 2]] * 200
        await rt.crash()
        assert await asyncio.gather(*(e.inc() for e in entities)) == [5] * 200
