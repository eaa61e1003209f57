"""Entities on a real local Ray cluster: two hosts, killed and blocked."""

import asyncio
import os
import signal
import time
import uuid

import pytest

import dotdo
from dotdo import DO, Quarantined, application
from tests.crashes import said

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


class BuyerProfile(DO):
    name: str = ""

    async def rename(self, name: str) -> None:
        self.name = name


class Buyer(DO):
    profile: BuyerProfile | None = None

    async def set_profile(self, profile_id: str) -> None:
        self.profile = BuyerProfile(profile_id)


class Purchase(DO):
    customer: Buyer | None = None

    async def set_customer(self, customer_id: str) -> None:
        self.customer = Buyer(customer_id)


@pytest.mark.feature(10, 11)
async def test_calls_steps_and_relays_on_two_hosts(ray_data):
    assert await asyncio.gather(*(Cell(f"c{i}").add(i) for i in range(20))) == list(range(20))
    assert len({await Cell(f"c{i}").where() for i in range(20)}) == 2
    assert await Cell("r").relay("c5") == 6
    assert await Cell("steps").add_steps(10) == 10


@pytest.mark.feature(10, 34, 43)
async def test_a_host_killed_ten_times_loses_and_doubles_nothing(ray_data):
    """Clients call on while it happens; each sees its own additions, each once, and no error."""
    over = asyncio.Event()

    async def client(number: int) -> int:
        calls = 0
        while not over.is_set() or calls < 60:
            calls += 1
            assert await Cell(f"k{number}").add(1) == calls
        return calls

    async def killer() -> None:
        for _ in range(10):
            victim = (await dotdo.hosts())[0]
            os.kill(victim["pid"], signal.SIGKILL)
            while (await dotdo.hosts())[0]["pid"] == victim["pid"]:
                await asyncio.sleep(0)
        over.set()

    executions = await asyncio.gather(*(dotdo.start(Cell(f"run{n}").add_steps, 10) for n in range(20)))
    calls, _ = await asyncio.gather(asyncio.gather(*(client(n) for n in range(10))), killer())
    assert await asyncio.gather(*(Cell(f"k{n}").value for n in range(10))) == calls
    assert await asyncio.gather(*(e.result() for e in executions)) == [10] * 20


@pytest.mark.feature(73)
async def test_an_entity_that_blocks_its_host_is_quarantined_and_its_neighbours_go_on(ray_data):
    pid = await Cell("blocker").where()
    names = [f"n{i}" for i in range(200)]
    neighbour = None
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
        "        print(await make_stub('Cell', sys.argv[2]).add(7))\n"
        "asyncio.run(main())\n"
    )
    joined = f"joined-{uuid.uuid4().hex}"  # tried again, it must not find what the first try left
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(ray_data), joined], capture_output=True, text=True, timeout=60
    )
    assert said(done) == ["7"], done.stderr
    assert await Cell(joined).value == 7


@pytest.mark.feature(1, 6)
async def test_a_path_across_three_entities_on_two_hosts_is_one_frame(ray_data):
    def on(host: str, noun: type, prefix: str) -> str:
        """An id of this noun that lives on this host."""
        router = application.current().router
        return next(f"{prefix}{i}" for i in range(1000) if router.host_of(noun.__name__, f"{prefix}{i}") == host)

    first, second = sorted(h["host"] for h in await dotdo.hosts())
    order, customer, profile = on(first, Purchase, "o"), on(second, Buyer, "c"), on(first, BuyerProfile, "p")
    await BuyerProfile(profile).rename("Ann")
    await Buyer(customer).set_profile(profile)
    await Purchase(order).set_customer(customer)
    before = dotdo.stats()
    assert await Purchase(order).customer.profile.name == "Ann"
    after = dotdo.stats()
    assert after.frames_sent - before.frames_sent == 1
    assert after.frames_received - before.frames_received == 1
