"""Publisher, log and receiver killed with SIGKILL at random moments: every effect once, in order."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dotdo
from dotdo import DO, on
from dotdo.testing import runtime

ROUNDS = 20 if os.environ.get("DOTDO_FULL") else 5
EVENTS = 1000

PROGRAM = """
import asyncio, os, sys
sys.path.insert(0, os.path.dirname(sys.argv[2]))
import test_kills as module
import dotdo
async def main():
    dotdo.init(data=sys.argv[1], hosts=0, shards=4)
    await dotdo.start(module.KillPublisher("p").with_options(call_id=f"round-{sys.argv[3]}").publish, int(sys.argv[4]))
    print("started", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


class KillPublisher(DO):
    """Publishes numbers without a gap, some in every turn."""

    sent: int = 0

    async def publish(self, count: int) -> int:
        for number in range(count):
            self.send("KillTick.happened", {"id": "r", "n": self.sent})
            self.sent += 1
            if number % 7 == 6:
                await self.do(self._step, step_id="breath")
        return self.sent

    async def _step(self) -> None:
        return None


class KillReceiver(DO):
    seen: int = 0
    out_of_order: int = 0

    @on.KillTick.happened
    async def happened(self, event) -> None:
        if event.data["n"] != self.seen:
            self.out_of_order += 1
        if event.data["n"] % 3 == 0:
            await self.do(self._effect, step_id="effect")
        self.seen += 1

    async def _effect(self) -> None:
        return None


@pytest.mark.feature(72, 73)
@pytest.mark.timeout(600)
async def test_every_effect_once_and_in_order_over_kills(tmp_path: Path):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    data = tmp_path / "data"
    for round_ in range(ROUNDS):
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-c", PROGRAM, str(data), __file__, str(round_), str(EVENTS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "started\n"
        await asyncio.sleep(rng.random() * 0.8)  # the moment of the kill
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(process.wait)
        process.stdout.close()
    async with runtime(data=data, shards=4, modules=[KillReceiver.__module__]):
        while await KillReceiver("r").seen < ROUNDS * EVENTS:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert await KillReceiver("r").seen == ROUNDS * EVENTS
        assert await KillReceiver("r").out_of_order == 0
        assert await KillPublisher("p").sent == ROUNDS * EVENTS
        assert await dotdo.dead_letters.list() == []
