"""Hosts that are stopped (SIGSTOP) are killed from outside and started again; callers see a late answer."""

import asyncio
import subprocess
import sys

import pytest

from dotdo.hosting.supervision import is_overdue

PROGRAM = """
import asyncio, os, signal, sys, time
import dotdo
from dotdo import DO

class Still(DO):
    count: int = 0
    async def add(self) -> int:
        self.count += 1
        return self.count
    async def where(self) -> int:
        return os.getpid()
    async def count_slowly(self) -> int:
        for number in range(3):
            await self.do(self._one, step_id=f"s{number}")
        return self.count
    async def _one(self) -> None:
        await asyncio.sleep(0.3)
        self.count += 1

class StillAlone(Still, placement="dedicated"):
    pass

def stat(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"

async def main():
    async with dotdo.init(data=sys.argv[1], hosts=2, shards=4, host_timeout="3s"):
        for stub in (Still("a"), StillAlone("a")):
            assert await stub.add() == 1
            pid = await stub.where()
            run = await dotdo.start(stub.count_slowly)
            os.kill(pid, signal.SIGSTOP)
            while stat(pid) not in ("T", "gone"):
                await asyncio.sleep(0.01)
            late = [asyncio.ensure_future(stub.add()) for _ in range(5)]
            await asyncio.sleep(0.2)
            assert not any(call.done() for call in late)
            await asyncio.gather(*late)
            assert stat(pid) != "T", "the stopped process was killed"
            assert await stub.where() != pid
            await run.result()
            assert await stub.count == 9, await stub.count
        both = {host["pid"] for host in await dotdo.hosts()}
        for pid in both:
            os.kill(pid, signal.SIGSTOP)
        assert await Still("a").add() == 10, "nobody in the ring can help: the program does"
        assert not both & {host["pid"] for host in await dotdo.hosts()}
    print("fine")

asyncio.run(main())
"""


@pytest.mark.ray
@pytest.mark.feature(73)
async def test_a_stopped_host_is_killed_and_started_again_and_callers_wait(tmp_path):
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", PROGRAM, str(tmp_path / "d")], capture_output=True, text=True, timeout=110
    )
    assert done.stdout.strip().endswith("fine"), done.stderr[-3000:]


def test_only_a_process_that_is_there_is_overdue():
    assert is_overdue(10.1, 10, is_here=True, is_there=True)
    assert not is_overdue(9.9, 10, is_here=True, is_there=True)
    assert not is_overdue(99, 10, is_here=True, is_there=False), "it is being started again"
    assert not is_overdue(30, 10, is_here=False, is_there=False), "elsewhere nobody can see which it is"
    assert is_overdue(61, 10, is_here=False, is_there=False)
