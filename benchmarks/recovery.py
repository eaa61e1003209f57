"""A thousand executions in flight, every process killed, and the time until a new program has finished them all.

The executions run in a program of their own, which starts a Ray of its own, and are held in the middle of their ten steps
when all of it gets SIGKILL. The next program's time counts to the last result, from before Ray's start and from after it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dotdo
from benchmarks import processes
from benchmarks.nouns import STEPS, Flow
from benchmarks.rows import Row, at_most
from benchmarks.setting import HOSTS, Setting, start_ray

EXECUTIONS = 1000
WAIT_SECONDS_MAX = 60


def recovery(setting: Setting) -> Iterator[Row]:
    """Seconds to the end of every execution, with Ray's start and without."""
    count = setting.many(EXECUTIONS)
    beyond_ray, in_all = [], []
    for number in range(setting.rounds(2)):
        folder = setting.folder / f"recovery-{number}"
        folder.mkdir()
        (folder / "hold").touch()
        _begin_and_kill(folder, count)
        (folder / "hold").unlink()
        ray_s, all_s = map(float, _program("finish", folder, count).communicate(timeout=WAIT_SECONDS_MAX)[0].split())
        beyond_ray.append(all_s - ray_s)
        in_all.append(all_s)
    yield Row(f"recovery of {count:,} executions of ten steps", "s", beyond_ray, at_most(5))
    yield Row("the same, with the start of a new Ray", "s", in_all)


def _program(verb: str, folder: Path, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "benchmarks.recovery", verb, str(folder), str(count)], stdout=subprocess.PIPE, text=True)


def _begin_and_kill(folder: Path, count: int) -> None:
    program = _program("begin", folder, count)
    assert program.stdout is not None
    try:
        assert program.stdout.readline() == "held\n"
    finally:
        processes.kill(processes.family(program.pid))
        program.wait()


async def _begin(folder: Path, count: int) -> None:
    flows = [Flow(f"f{number}") for number in range(count)]
    async with dotdo.init(data=folder / "data", hosts=HOSTS):
        runs = await asyncio.gather(*(dotdo.start(flow.run_held, str(folder / "hold")) for flow in flows))
        (folder / "ids").write_text("\n".join(run.id for run in runs))
        while set(await asyncio.gather(*(flow.reached for flow in flows))) != {STEPS // 2}:
            await asyncio.sleep(0.05)
        print("held", flush=True)
        await asyncio.sleep(WAIT_SECONDS_MAX)


async def _finish(folder: Path, count: int) -> None:
    began = time.perf_counter()
    start_ray()
    started = time.perf_counter()
    async with dotdo.init(data=folder / "data", hosts=HOSTS):
        ids = (folder / "ids").read_text().split("\n")
        results = await asyncio.gather(*(dotdo.execution(id).result() for id in ids))
        ended = time.perf_counter()
        assert results == [STEPS] * count
    print(started - began, ended - began, flush=True)


if __name__ == "__main__":
    asyncio.run({"begin": _begin, "finish": _finish}[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3])))
