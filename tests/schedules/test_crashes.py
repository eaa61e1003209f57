"""Every time runs once, whatever dies: hosts killed at each commit around it, programs killed while times come."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import dotdo
from dotdo import DO, schedule, schedules
from dotdo.schedules.agenda import Agenda
from dotdo.testing import runtime

from ..crashes import Killed, killed_at_commit
from ..hosting.test_kill_everything import tree_of


class Ticker(DO, noun="SchedTicker"):
    """Every hour: a field, a step, a field, and a single time in ten minutes."""

    begun: list = []
    steps: int = 0
    ended: list = []
    once: int = 0

    async def setup(self):
        self.every.hour(self.tick, overlap="queue", catch_up="all")

    async def tick(self):
        at = dotdo.current_event().at.strftime("%H:%M")
        self.begun.append(at)
        await self.do(self._step, step_id="step")
        self.ended.append(at)
        self.schedule_at(self.now(), self._once)

    async def _step(self):
        self.steps += 1

    async def _once(self):
        self.once += 1

    async def state(self):
        return self.begun, self.steps, self.ended, self.once


async def let_pass(rt, hours: float) -> None:
    """Let time pass; whoever moves the clock may be the one in whose call the host is killed."""
    end = rt.clock.now() + hours * 3600
    while rt.clock.now() < end:
        with contextlib.suppress(Killed):
            await rt.advance(end - rt.clock.now())
    with contextlib.suppress(Killed):
        await rt.settle()
    await rt.advance(0)


def each_once(times: list[str]) -> bool:
    """One time after another, none left out; how many there are depends on how long the test took to look."""
    first = 23
    return len(times) >= 2 and times == [f"{(first + n) % 24:02}:00" for n in range(len(times))]


async def killed_at(number: int) -> tuple[bool, int]:
    """Whether two hours leave behind what they should if the host is killed at that commit, and how many commits there were."""
    async with runtime(clock="virtual", idle_timeout="10m") as rt:
        with killed_at_commit(rt, number) as commits:
            await Ticker("t").state()
            await let_pass(rt, 2)
        begun, steps, ended, once = await Ticker("t").state()
        return each_once(begun) and begun == ended and steps == once == len(begun), len(commits)


@pytest.mark.feature(8, 106)
@pytest.mark.timeout(300)
async def test_a_host_killed_at_any_commit_runs_each_time_once():
    _, commits = await killed_at(10**6)
    for number in range(1, commits + 1):
        is_right, _ = await killed_at(number)
        assert is_right, f"killed at commit {number} of {commits}"


@pytest.mark.timeout(300)
async def test_the_check_above_sees_a_time_that_is_taken_in_a_commit_of_its_own(monkeypatch):
    """Teeth: an agenda that starts runs in one commit and moves on in the next runs some time twice."""
    take, write, held = Agenda._take, Agenda.write, {}

    def write_later(self, sql, *params):
        if self not in held:
            return write(self, sql, *params)
        held[self].append((sql, *params))
        return 0

    def take_without_moving_on(self, *args):
        held[self] = []
        lines = take(self, *args)
        moves = held.pop(self)
        self._activation.host.loop.call_soon(self._activation.exclusively, lambda: [write(self, *move) for move in moves] and self.arm)
        return lines

    monkeypatch.setattr(Agenda, "write", write_later)
    monkeypatch.setattr(Agenda, "_take", take_without_moving_on)
    is_right, commits = await killed_at(10**6)
    assert is_right
    assert not all([(await killed_at(number))[0] for number in range(1, commits + 1)])


class Hits(DO, noun="SchedHits"):
    times: list = []

    async def hit(self, at: str):
        self.times.append(at)


async def strike():
    at = dotdo.current_event().at.strftime("%H:%M")
    await dotdo.do(Hits("h").hit, at, step_id="hit")


@pytest.mark.feature(98, 106)
@pytest.mark.timeout(300)
async def test_a_function_of_a_program_runs_once_a_time_over_kills():
    commits, number = 10**6, 0
    while number < commits:
        async with runtime(clock="virtual") as rt:
            with killed_at_commit(rt, number or 10**6) as counted:
                schedule("strike", "0 * * * *", strike, catch_up="all")
                await let_pass(rt, 2)
            assert each_once(await Hits("h").times), f"killed at commit {number} of {commits}"
            commits = len(counted) if number == 0 else commits
        number += 1


PROGRAM = """
import asyncio, os, sys
import dotdo
from dotdo import DO, every

class Log(DO):
    times: list = []

    async def write(self, at):
        self.times.append(at)

@every(1).seconds(catch_up="all")
async def tick():
    await dotdo.do(Log("l").write, dotdo.current_event().at.timestamp(), step_id="write")

async def main():
    dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2]), shards=4)
    print("up", flush=True)
    if sys.argv[3] == "die":
        await asyncio.sleep(600)
    while len(await Log("l").times) < int(sys.argv[3]):
        await asyncio.sleep(0.05)
    print(await Log("l").times, flush=True)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def _start(script: Path, *args: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(sys.executable, str(script), *args, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    return process


async def _killed_between_starts(tmp_path: Path, hosts: str) -> list[float]:
    script = tmp_path / "ticking.py"
    script.write_text(textwrap.dedent(PROGRAM))
    data = str(tmp_path / "data")
    first = await _start(script, data, hosts, "die")
    await asyncio.sleep(1.4)  # the moment of the kill
    for pid in tree_of(first.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await first.wait()
    await asyncio.sleep(1.2)  # nothing runs over at least one time
    second = await _start(script, data, hosts, "5")
    assert second.stdout is not None
    times = eval(await second.stdout.readline())
    await second.wait()
    return times


def _every_second_once(times: list[float]) -> bool:
    return [round(time - times[0]) for time in times] == list(range(len(times)))


@pytest.mark.feature(105, 106)
async def test_a_script_that_is_killed_finds_its_schedule_again(tmp_path):
    assert _every_second_once(await _killed_between_starts(tmp_path, "0"))


@pytest.mark.ray
@pytest.mark.feature(105, 106)
async def test_a_schedule_of_a_script_survives_the_kill_of_everything_with_its_handler(tmp_path):
    """The hosts are Ray's: the function of `__main__` reaches them, and again those of the second cluster."""
    assert _every_second_once(await _killed_between_starts(tmp_path, "2"))


async def to_file(path: str):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{dotdo.current_event().at.timestamp()}\n".encode())
    os.close(descriptor)


class ClusterTicker(DO, noun="SchedClusterTicker"):
    times: list = []

    async def begin(self):
        self.every(1).seconds(self.tick, catch_up="all")

    async def tick(self):
        self.times.append(dotdo.current_event().at.timestamp())


@pytest.mark.ray
@pytest.mark.feature(101, 106)
async def test_schedules_go_on_when_their_hosts_are_killed(ray_data, tmp_path):
    path = tmp_path / "times"
    ticker = ClusterTicker("t")
    await ticker.begin()
    for host in await dotdo.hosts():
        soon = dotdo.clock.to_datetime(dotdo.clock.wall_now() + 1.0)
        await dotdo.schedule_at(soon, to_file, str(path))
        os.kill(host["pid"], signal.SIGKILL)
        while host["pid"] in [other["pid"] for other in await dotdo.hosts()]:
            await asyncio.sleep(0.01)
    while len(await ticker.times) < 4 or not path.exists() or len(path.read_text().splitlines()) < 2:
        await asyncio.sleep(0.05)
    assert _every_second_once(await ticker.times)
    assert await schedules.cancel("ClusterTicker.tick", ticker) is True
    assert len(path.read_text().splitlines()) == 2
