"""Stubs and promises: one round trip, each call once, and no promise mistaken for its value."""

import asyncio
import copy
import pickle

import pydantic
import pytest

import dotdo
from dotdo import DO, NoSuchMember, NotAwaited


class Profile(pydantic.BaseModel):
    email: str
    tags: list[str] = []


class Person(DO):
    profile: Profile = Profile(email="a@b.c", tags=["x", "y"])
    friends: list = []
    calls: int = 0

    async def befriend(self, *ids: str) -> None:
        self.friends = [Person(i) for i in ids]

    async def best_friend(self) -> "Person":
        self.calls += 1
        return self.friends[0]

    async def greet(self, who: str) -> str:
        self.calls += 1
        return f"hello {who}"

    async def poke(self, fail: bool = False) -> None:
        self.calls += 1
        if fail:
            raise ValueError("poked too hard")

    async def poke_friend(self) -> None:
        Person("friend").poke()

    def name(self) -> str:
        return self.id


async def _frames(awaitable):
    before = dotdo.stats().frames_sent
    value = await awaitable
    return value, dotdo.stats().frames_sent - before


@pytest.mark.feature(346, 351, 418)
async def test_a_path_is_one_round_trip(rt):
    assert await _frames(Person("p").profile.email) == ("a@b.c", 1)
    assert await _frames(Person("p").profile.tags[1]) == ("y", 1)


@pytest.mark.feature(347, 349)
async def test_a_chain_across_entities_is_one_round_trip_and_runs_each_call_once(rt):
    await Person("a").befriend("b")
    await Person("b").befriend("c")
    assert await _frames(Person("a").best_friend().best_friend().profile.email) == ("a@b.c", 1)
    assert await _frames(Person("a").friends[0].friends[0].profile.email) == ("a@b.c", 1)
    assert await Person("a").calls == 1
    chain = Person("a").best_friend()
    first, second = await asyncio.gather(chain.profile.email, chain.name())
    assert (first, second) == ("a@b.c", "b")
    assert await Person("a").calls == 2


@pytest.mark.feature(352)
async def test_a_promise_is_an_argument(rt):
    assert await _frames(Person("x").greet(Person("p").profile.email)) == ("hello a@b.c", 1)


@pytest.mark.feature(353, 82)
async def test_gather_is_one_frame_and_promises_are_awaitable_everywhere(rt):
    values, frames = await _frames(asyncio.gather(*(Person(str(i)).greet("x") for i in range(20))))
    assert len(values) == 20
    assert frames == 1
    assert await asyncio.wait_for(Person("p").greet("w"), 5) == "hello w"
    assert await asyncio.create_task(Person("p").greet("t")) == "hello t"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(Person("p").greet("g"))
    assert task.result() == "hello g"


async def test_map_is_recorded_once_and_run_beside_the_data(rt):
    await Person("m").befriend("n1", "n2")
    assert await _frames(Person("m").friends.map(lambda f: f.profile.email)) == (["a@b.c", "a@b.c"], 1)
    assert await Person("m").friends.map(lambda f: {"name": f.name()}) == [{"name": "n1"}, {"name": "n2"}]


@pytest.mark.feature(349, 354)
async def test_a_call_nobody_awaits_is_sent_and_committed(rt):
    Person("fire").poke()
    Person("fire").poke(fail=True)
    await rt.client.flush()
    assert await Person("fire").calls == 1
    await Person("sender").poke_friend()
    await rt.settle()
    assert await Person("friend").calls == 1


@pytest.mark.feature(356, 357)
async def test_stubs_are_values(rt):
    stub = Person("s")
    assert copy.deepcopy(stub) == pickle.loads(pickle.dumps(stub)) == stub == Person("s")
    assert {stub: 1}[Person("s")] == 1
    assert repr(stub) == "Person('s')"
    assert await stub is stub
    with pytest.raises(AttributeError):
        stub.x = 1


async def test_a_promise_is_not_its_value(rt):
    promise = Person("p").profile
    for use in (bool, len, str, iter, lambda p: p == 1, lambda p: p + 1, lambda p: "x" in p, lambda p: f"{p}", lambda p: p < 1):
        with pytest.raises(NotAwaited, match="profile"):
            use(promise)
    assert "profile" in repr(promise)
    with pytest.raises(NoSuchMember):
        await Person("p").profile.nothing
    with pytest.raises(NoSuchMember):
        await Person("p").profile.email.upper()


async def test_calls_from_one_caller_arrive_in_order(rt):
    seen = []

    class Ordered(DO, noun="Ordered"):
        async def note(self, number: int) -> None:
            seen.append(number)

    for number in range(50):
        Ordered("o").note(number)
    await rt.client.flush()
    assert seen == list(range(50))


async def test_the_channel_survives_hostile_bytes(rt):
    import random

    rng = random.Random(3)
    for _ in range(200):
        transport = await rt.router.connect("local", _Sink)
        transport.write(rng.randbytes(rng.randrange(1, 10_000)))
    await asyncio.sleep(0.01)
    assert await Person("p").greet("still") == "hello still"


class _Sink(asyncio.Protocol):
    pass


async def test_a_connection_that_is_lost_while_it_is_made_is_made_again(rt):
    connect = rt.router.connect
    attempts = []

    async def flaky(host, protocol):
        transport = await connect(host, protocol)
        attempts.append(host)
        if len(attempts) < 4:
            transport.close()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return transport

    rt.router.connect = flaky
    assert await asyncio.wait_for(Person("p").greet("again"), 5) == "hello again"
    assert len(attempts) == 4
