"""Entities of a dedicated noun on a real Ray cluster: a process each, found, killed, put to sleep and bounded."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import dotdo
from dotdo import DO, DefinitionError, Quarantined

ray = pytest.mark.ray


class OwnCell(DO, placement="dedicated"):
    value: int = 0
    seen: list[int] = []

    async def add(self, amount: int) -> int:
        self.value += amount
        return self.value

    async def note(self, number: int) -> None:
        self.seen.append(number)

    async def where(self) -> int:
        return os.getpid()

    async def relay(self, other: str) -> int:
        return await OwnCell(other).add(1)

    async def add_steps(self, count: int) -> int:
        for number in range(count):
            await self.do(self._one, step_id=f"s{number}")
        return self.value

    async def _one(self) -> int:
        self.value += 1
        return self.value

    async def doze(self, seconds: float) -> str:
        await self.sleep(seconds)
        return "woke"

    async def wait_for_word(self) -> str:
        return await self.wait_for("word")

    async def hang_up(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class OwnGpu(DO, placement="dedicated", ray_options={"num_gpus": 64}):
    async def ping(self) -> str:
        return "pong"


class OwnNeighbour(DO):
    async def ask(self, other: str, times: int) -> int:
        return [await OwnCell(other).add(1) for _ in range(times)][-1]

    async def where(self) -> int:
        return os.getpid()


def hosts_of(hosts: list[dict]) -> dict[str, str]:
    return {key: name for host in hosts for key, name in host["dedicated"].items()}


async def is_over(key: str) -> None:
    while key in hosts_of(await dotdo.hosts()):
        await asyncio.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@ray
@pytest.mark.feature(10, 11)
async def test_each_entity_has_a_process_alone_and_calls_go_straight_to_it(ray_data):
    shared = {host["pid"] for host in await dotdo.hosts()}
    pids = await asyncio.gather(OwnCell("p1").where(), OwnCell("p2").where())
    assert len({*pids, *shared}) == len(pids) + len(shared)
    assert await OwnCell("p1").add(2) == 2
    owner = next(host for host in await dotdo.hosts() if "OwnCell/p1" in host["dedicated"])
    before = dotdo.stats()
    for _ in range(20):
        await OwnCell("p1").add(1)
    after = dotdo.stats()
    assert after.frames_sent - before.frames_sent == 20
    again = next(host for host in await dotdo.hosts() if host["host"] == owner["host"])
    assert again["turns"] - owner["turns"] < 20, "the owner does not run, nor pass on, what goes straight to the entity"
    assert await OwnCell("p1").relay("p2") == 1
    assert await OwnNeighbour("n").ask("p2", 5) == 6


@ray
@pytest.mark.feature(10)
async def test_the_order_of_calls_is_kept_while_the_first_ones_still_go_through_the_owner(ray_data):
    calls = []
    for number in range(400):
        calls.append(asyncio.ensure_future(OwnCell("order").note(number)))
        if number % 7 == 0:
            await asyncio.sleep(0)
        if number % 100 == 99:
            await calls[-50]
    await asyncio.gather(*calls)
    assert await OwnCell("order").seen == list(range(400))


@ray
@pytest.mark.feature(10, 34, 43)
async def test_a_dedicated_host_that_is_killed_is_started_again_and_nothing_is_lost_or_done_twice(ray_data):
    run = await dotdo.start(OwnCell("killed").add_steps, 40)
    pids = set()
    calls = 0
    for _ in range(3):
        pid = await OwnCell("killed").where()
        pids.add(pid)
        calls += 1
        adding = asyncio.ensure_future(OwnCell("killed").add(1000))
        os.kill(pid, signal.SIGKILL)
        await adding
    assert await run.result() % 1000 == 40
    assert await OwnCell("killed").value == 40 + 1000 * calls
    assert len(pids) == 3


@ray
@pytest.mark.feature(10, 11)
async def test_a_new_owner_finds_the_living_host_of_its_entity_and_lets_it_go_on(ray_data):
    await OwnCell("adopted").add(1)
    pid = await OwnCell("adopted").where()
    owner = next(host for host in await dotdo.hosts() if "OwnCell/adopted" in host["dedicated"])
    os.kill(owner["pid"], signal.SIGKILL)
    assert await OwnCell("adopted").add(1) == 2, "straight to it, whether there is an owner or not"
    assert await OwnCell("adopted").where() == pid
    while next(host for host in await dotdo.hosts() if host["host"] == owner["host"])["pid"] == owner["pid"]:
        await asyncio.sleep(0.05)
    while "OwnCell/adopted" not in hosts_of(await dotdo.hosts()):  # it was active: its new owner looks for it by itself
        await asyncio.sleep(0.05)
    assert await OwnCell("adopted").where() == pid
    assert await dotdo.hibernate(OwnCell("adopted"))
    assert await OwnCell("adopted").add(1) == 3


@ray
@pytest.mark.feature(12)
async def test_an_idle_entity_has_no_process_and_wakes_when_it_is_due(ray_data):
    pid = await OwnCell("dozer").where()
    run = await dotdo.start(OwnCell("dozer").doze, 4)  # it is on record when this returns, so there is something to wake for
    dozing = asyncio.ensure_future(run.result())
    while not await dotdo.hibernate(OwnCell("dozer")):
        await asyncio.sleep(0.05)
    assert "OwnCell/dozer" not in hosts_of(await dotdo.hosts())
    while is_running(pid):
        await asyncio.sleep(0.05)
    assert not dozing.done(), "whoever waits for an execution at rest does not keep its process"
    entry = next(e for e in await dotdo.entities("OwnCell", limit=1000) if e["key"] == "OwnCell/dozer")
    assert entry["status"] == "hibernated"
    assert await asyncio.wait_for(dozing, 30) == "woke"
    assert await OwnCell("dozer").where() != pid


@ray
async def test_who_waits_for_a_sleeping_execution_is_answered_when_another_call_ends_it(ray_data):
    run = await dotdo.start(OwnCell("waiter").wait_for_word)
    waiting = asyncio.ensure_future(run.result())
    while not await dotdo.hibernate(OwnCell("waiter")):
        await asyncio.sleep(0.05)
    assert await run.status() == "waiting"
    await run.signal("word", "hello")
    assert await asyncio.wait_for(waiting, 30) == "hello"


@ray
async def test_an_entity_that_kills_its_own_host_three_times_is_quarantined_and_let_go_by_release(ray_data):
    with pytest.raises(Quarantined, match="OwnCell/suicidal"):
        await asyncio.wait_for(dotdo.get(OwnCell("suicidal").hang_up()), 60)
    with pytest.raises(Quarantined):
        await OwnCell("suicidal").value
    assert await OwnCell("neighbour").add(1) == 1
    assert await dotdo.release(OwnCell("suicidal"))
    assert await OwnCell("suicidal").value == 0


@ray
async def test_ray_options_that_no_node_can_give_are_a_definition_error(ray_data):
    with pytest.raises(DefinitionError, match="num_gpus"):
        await OwnGpu("g").ping()


@ray
async def test_deleting_a_dedicated_entity_ends_its_process_and_takes_its_file(ray_data):
    await OwnCell("gone").add(5)
    assert await dotdo.delete(OwnCell("gone"))
    assert await OwnCell("gone").value == 0
    await dotdo.hibernate(OwnCell("gone"))
    assert not list(Path(ray_data).glob("shards/*/OwnCell/gone.*"))


BOUNDED = """
import asyncio, os, sys
import dotdo
from dotdo import DO, Overloaded

class Solo(DO):
    count: int = 0
    async def add(self) -> int:
        self.count += 1
        return self.count
    async def hold(self, until: str) -> str:
        while not os.path.exists(until):
            await asyncio.sleep(0.02)
        return self.id
    async def where(self) -> int:
        return os.getpid()

class Together(DO, placement="shared"):
    async def where(self) -> int:
        return os.getpid()

async def main():
    flag = sys.argv[1] + ".go"
    async with dotdo.init(data=sys.argv[1], hosts=2, placement="dedicated", max_dedicated=2, shards=4):
        pids = [await Solo(f"s{n}").where() for n in range(3)]
        assert len(set(pids)) == 3, pids
        names = [key for host in await dotdo.hosts() for key in host["dedicated"]]
        assert sorted(names) == ["Solo/s1", "Solo/s2"], names
        held = [asyncio.ensure_future(Solo(f"s{n}").hold(flag)) for n in (1, 2)]
        await asyncio.gather(Solo("s1").add(), Solo("s2").add())
        try:
            await Solo("s0").add()
        except Overloaded as error:
            assert "max_dedicated" in str(error) and error.retryable, error
        else:
            raise AssertionError("there was no room")
        open(flag, "w").close()
        assert await asyncio.gather(*held) == ["s1", "s2"]
        assert await Solo("s0").add() == 1
        assert await Together("t").where() in {host["pid"] for host in await dotdo.hosts()}
    dotdo.init(data=sys.argv[1], hosts=0)
    assert [await Solo(f"s{n}").count for n in range(3)] == [1, 1, 1], "placement moves no file"
    assert await Solo("s0").where() == os.getpid()
    dotdo.shutdown()
    print("fine")

asyncio.run(main())
"""


@ray
@pytest.mark.feature(11)
async def test_a_whole_application_can_be_dedicated_and_their_number_is_bounded(tmp_path):
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", BOUNDED, str(tmp_path / "d")], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.strip().endswith("fine"), done.stderr[-3000:]


def test_options_that_the_runtime_sets_itself_are_refused_at_class_creation():
    with pytest.raises(DefinitionError, match="max_restarts"):

        class Restless(DO, placement="dedicated", ray_options={"max_restarts": 3}):
            pass

    with pytest.raises(DefinitionError, match="ray_options"):

        class Listed(DO, placement="dedicated", ray_options=["num_gpus"]):
            pass


async def test_in_process_a_dedicated_noun_runs_as_shared(rt):
    assert await OwnCell("x").where() == os.getpid()
    assert await OwnCell("x").add(1) == 1
