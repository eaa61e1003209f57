"""Every process killed with SIGKILL while executions run; started again, all finish and recorded steps do not run again."""

import asyncio
import collections
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dotdo import DO
from dotdo.testing import runtime

COUNT = 200
STEPS = 10

PROGRAM = """
import asyncio, sys
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("kill_everything_nouns", sys.argv[2])
module = importlib.util.module_from_spec(spec)
sys.modules["kill_everything_nouns"] = module
spec.loader.exec_module(module)
import dotdo
async def main():
    dotdo.init(data=sys.argv[1], hosts=0, shards=4)
    runs = await asyncio.gather(*(dotdo.start(module.Walker(f"w{n}").walk, sys.argv[3]) for n in range(int(sys.argv[4]))))
    print("started", flush=True)
    await asyncio.gather(*(run.result() for run in runs))
    print("finished", flush=True)
asyncio.run(main())
"""


class Walker(DO):
    """Walks ten steps; each writes a line to a ledger outside, then to the entity."""

    walked: int = 0

    async def walk(self, ledger: str) -> int:
        for number in range(STEPS):
            await self.do(self._step, ledger, number, step_id=f"s{number}")
        return self.walked

    async def _step(self, ledger: str, number: int) -> None:
        descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{self.id} {number}\n".encode())
        os.close(descriptor)
        self.walked += 1


@pytest.mark.feature(10, 23, 34, 43)
async def test_all_executions_finish_after_a_kill_of_everything(tmp_path: Path):
    ledger, data = tmp_path / "ledger", tmp_path / "data"
    process = await asyncio.to_thread(
        subprocess.Popen,
        [sys.executable, "-c", PROGRAM, str(data), __file__, str(ledger), str(COUNT)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "started\n"
    while not ledger.exists() or ledger.stat().st_size < 4000:
        await asyncio.sleep(0)
        assert process.poll() is None, "the program ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.wait)
    process.stdout.close()
    begun = collections.Counter(ledger.read_text().splitlines())
    assert sum(begun.values()) < COUNT * STEPS
    started = time.monotonic()
    async with runtime(data=data, shards=4):
        for number in range(COUNT):
            stub = Walker(f"w{number}")
            while not [e async for e in _completed(stub)]:
                await asyncio.sleep(0)
            assert await stub.walked == STEPS
    assert time.monotonic() - started < 60
    lines = collections.Counter(ledger.read_text().splitlines())
    assert set(lines) == {f"w{n} {s}" for n in range(COUNT) for s in range(STEPS)}
    repeated = collections.Counter(line.split()[0] for line, times in lines.items() for _ in range(times - 1))
    assert all(times == 1 for times in repeated.values()), "only a step whose record was not committed may run again"


async def _completed(stub):
    from dotdo.durable.handle import control_call

    for entry in await control_call(stub, "list", "completed", 10):
        yield entry
