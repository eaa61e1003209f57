"""Entities on a real local Ray cluster: two hosts, killed and blocked."""

import asyncio
import os
import signal
import time

import pytest

import dotdo
from dotdo import DO, Quarantined

pytestmark = pytest.mark.ray


class Cell(DO):
    value: int = 0

    async def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    async def where(self) -> int:
        return os.getpid()

    async def add_steps(self, count: int) -> int:
        for number in range(count):
            await self.do(self._one, step_id=f"s{number}")
        return self.value

    async def _one(self) -> int:
        self.value += 1
        return self.value

    async def relay(self, other: str) -> int:
        return await Cell(other).add(1)

    async def block(self) -> None:
        await self.do(self._block, step_id="block")

    async def _block(self) -> None:
        time.sleep(60)  # noqa: ASYNC251  # the very thing the watchdog is for


@pytest.mark.feature(10, 11)
async def test_calls_steps_and_relays_on_two_hosts(ray_data):
    assert await asyncio.gather(*(Cell(f"c{i}").add(i) for i in range(20))) == list(range(20))
    assert len({await Cell(f"c{i}").where() for i in range(20)}) == 2
    assert await Cell("r").relay("c5") == 6
    assert await Cell("steps").add_steps(10) == 10


@pytest.mark.feature(10, 34, 43)
async def test_a_host_killed_again_and_again_loses_and_doubles_nothing(ray_data):
    async def client(number: int) -> list[int]:
        return [await Cell(f"k{number}").add(1) for _ in range(60)]

    async def killer() -> None:
        for _ in range(3):
            victim = (await dotdo.hosts())[0]
            os.kill(victim["pid"], signal.SIGKILL)
            while (await dotdo.hosts())[0]["pid"] == victim["pid"]:
                await asyncio.sleep(0)

    runs = [dotdo.start(Cell(f"run{n}").add_steps, 10) for n in range(20)]
    executions = await asyncio.gather(*runs)
    results, _ = await asyncio.gather(asyncio.gather(*(client(n) for n in range(10))), killer())
    assert results == [list(range(1, 61))] * 10
    assert await asyncio.gather(*(e.result() for e in executions)) == [10] * 20


@pytest.mark.feature(73)
async def test_an_entity_that_blocks_its_host_is_quarantined_and_its_neighbours_go_on(ray_data):
    pid = await Cell("blocker").where()
    names = [f"n{i}" for i in range(200)]
    neighbour = next([n for n in names if await Cell(n).where() == pid].__iter__()) if False else None
    for name in names:
        if await Cell(name).where() == pid:
            neighbour = name
            break
    assert neighbour is not None
    blocked = asyncio.ensure_future(Cell("blocker").block())
    await asyncio.sleep(0)
    started = time.monotonic()
    assert await Cell(neighbour).add(1) == 1
    assert time.monotonic() - started < 15
    with pytest.raises(Quarantined):
        await asyncio.wait_for(blocked, 60)
    assert await Cell(neighbour).add(1) == 2


async def test_a_second_runtime_on_the_folder_is_refused_or_joins(ray_data):
    import subprocess
    import sys

    program = (
        "import asyncio, sys, dotdo\n"
        "from dotdo.rpc.stub import make_stub\n"
        "async def main():\n"
        "    async with dotdo.init(data=sys.argv[1]):\n"
        "        print(await make_stub('Cell', 'joined').add(7))\n"
        "asyncio.run(main())\n"
    )
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(ray_data)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "7", done.stderr
    assert await Cell("joined").value == 7
