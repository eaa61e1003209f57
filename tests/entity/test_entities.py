"""An entity as its caller sees it: fields, turns, errors, gates, sleep."""

import asyncio
from decimal import Decimal

import pydantic
import pytest

import dotdo
from dotdo import DO, DefinitionError, InsideTransaction, NoSuchMember, Overloaded, WouldDeadlock
from dotdo.hosting import control
from dotdo.testing import runtime


class OutOfStock(Exception):
    pass


class Stock(DO):
    on_hand: int = 0
    reserved: dict[str, int] = {}
    price: Decimal = Decimal("1.50")
    note: str
    _seen: int = 0

    async def receive(self, quantity: int) -> int:
        self.on_hand += quantity
        return self.on_hand

    async def reserve(self, order: str, quantity: int) -> int:
        self.reserved[order] = quantity
        self.on_hand -= quantity
        if self.on_hand < 0:
            raise OutOfStock(self.id, quantity)
        return self.on_hand

    async def two_stretches(self) -> None:
        self.on_hand += 1
        await asyncio.sleep(0)
        self.on_hand += 10
        raise ValueError("the second stretch is undone")

    async def set_badly(self) -> None:
        self.on_hand = "many"

    async def misspell(self) -> None:
        self.onhand = 3

    def plain(self, a: int, b: int = 2) -> int:
        return a + b

    @property
    def total(self) -> int:
        return self.on_hand + sum(self.reserved.values())

    async def _private(self) -> None:
        pass

    async def nested(self) -> None:
        self.reserved["deep"] = 1
        bucket = self.reserved
        await asyncio.sleep(0)
        bucket["later"] = 2

    async def in_transaction(self, fail: bool) -> int:
        async with self.storage.transaction():
            self.on_hand += 1
            self.storage.put("k", self.on_hand)
            await asyncio.sleep(0)
            self.on_hand += 1
            if fail:
                raise ValueError("all of it is undone")
        return self.on_hand

    async def step_in_transaction(self) -> None:
        async with self.storage.transaction():
            await self.do(self.plain, 1)

    async def call_itself(self) -> int:
        return await Stock(self.id).receive(1)

    async def call_itself_held(self) -> int:
        return await self.block_concurrency_while(self.call_itself)

    async def wait(self) -> None:
        await asyncio.get_running_loop().create_future()


@pytest.mark.feature(1, 3, 4, 5, 345)
async def test_fields_are_read_and_written(rt):
    stock = Stock("85123A")
    assert await stock.receive(6) == 6
    assert await stock.on_hand == 6
    assert await dotdo.get(stock.price) == Decimal("1.50")
    assert await stock.total == 6
    assert await stock.plain(1) == 3
    assert isinstance(stock, Stock)
    assert stock.key == "Stock/85123A"


@pytest.mark.feature(22, 81)
async def test_an_error_undoes_its_turn_in_memory_too_and_arrives_typed(rt):
    stock = Stock("s")
    await stock.receive(5)
    with pytest.raises(OutOfStock) as caught:
        await stock.reserve("o1", 9)
    assert caught.value.args == ("s", 9)
    assert await stock.on_hand == 5
    assert await stock.reserved == {}
    with pytest.raises(ValueError, match="second stretch"):
        await stock.two_stretches()
    assert await stock.on_hand == 6


@pytest.mark.feature(8, 10)
async def test_fields_and_changes_inside_containers_survive_a_crash(rt):
    await Stock("s").receive(5)
    await Stock("s").reserve("o1", 2)
    await Stock("s").nested()
    await rt.crash()
    assert await Stock("s").on_hand == 3
    assert await Stock("s").reserved == {"o1": 2, "deep": 1, "later": 2}


async def test_bad_values_and_names_are_refused_with_the_way_out(rt):
    with pytest.raises(pydantic.ValidationError):
        await Stock("s").set_badly()
    with pytest.raises(AttributeError, match="declare it"):
        await Stock("s").misspell()
    with pytest.raises(dotdo.FieldNotSet):
        await Stock("s").note
    with pytest.raises(TypeError):
        await Stock("s").receive()
    with pytest.raises(TypeError):
        await Stock("s").receive(1, 2, 3)


@pytest.mark.feature(350)
async def test_only_public_members_can_be_reached(rt):
    for name in ("nothing", "setup", "do", "storage", "abort"):
        with pytest.raises(NoSuchMember):
            await getattr(Stock("s"), name)
    with pytest.raises(AttributeError):
        Stock("s")._private  # noqa: B018


@pytest.mark.feature(13)
def test_a_class_that_takes_a_name_of_the_runtime_is_refused():
    with pytest.raises(DefinitionError, match="'do'"):
        type("Bad", (DO,), {"do": lambda self: 1})
    with pytest.raises(DefinitionError, match="setup"):
        type("Bad2", (DO,), {"__init__": lambda self: None})
    with pytest.raises(DefinitionError, match="generator"):

        class Bad3(DO):
            def numbers(self):
                yield 1

    with pytest.raises(DefinitionError, match="colour"):

        class Bad4(DO, colour="red"):
            pass


async def test_a_transaction_commits_or_undoes_everything(rt):
    stock = Stock("t")
    assert await stock.in_transaction(False) == 2
    with pytest.raises(ValueError, match="undone"):
        await stock.in_transaction(True)
    await rt.crash()
    assert await stock.on_hand == 2
    with pytest.raises(InsideTransaction):
        await stock.step_in_transaction()


@pytest.mark.feature(14)
async def test_calls_interleave_at_awaits_and_a_held_gate_says_it_would_deadlock(rt):
    assert await Stock("a").call_itself() == 1
    with pytest.raises(WouldDeadlock):
        await Stock("b").call_itself_held()


async def test_a_flooded_entity_refuses_at_once_and_others_do_not_notice():
    async with runtime(max_queue=10):
        waiting = [asyncio.ensure_future(Stock("full").wait()) for _ in range(10)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded):
            await Stock("full").receive(1)
        assert await Stock("other").receive(1) == 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.feature(8, 9, 15)
async def test_an_idle_entity_sleeps_on_disk_and_wakes_when_called(virtual):
    stock = Stock("sleepy")
    await stock.receive(4)
    assert [e["status"] for e in await _entities(virtual)] == ["active"]
    await virtual.advance("31s")
    assert virtual.host.activations == {}
    assert [e["status"] for e in await _entities(virtual)] == ["hibernated"]
    entry = (await _entities(virtual))[0]
    assert entry["size"] <= 8192
    assert await stock.on_hand == 4


async def _entities(rt):
    return await control.entities(rt.host, None, 10)


async def test_setup_runs_on_every_wake_up_and_holds_calls_back(virtual):
    order = []

    class Prepared(DO, noun="Prepared"):
        ready: int = 0

        async def setup(self) -> None:
            order.append("setup")
            await asyncio.sleep(0)
            self.ready += 1

        async def ask(self) -> int:
            order.append("ask")
            return self.ready

    assert await Prepared("p").ask() == 1
    await virtual.advance("31s")
    assert await Prepared("p").ask() == 2
    assert order == ["setup", "ask", "setup", "ask"]


async def test_max_active_puts_the_least_recently_used_to_sleep():
    async with runtime(max_active=20) as rt:
        for number in range(60):
            await Stock(f"n{number}").receive(number)
        for _ in range(200):
            if len(rt.host.activations) <= 25:
                break
            await asyncio.sleep(0.005)
        assert len(rt.host.activations) <= 25
        assert await Stock("n7").on_hand == 7


async def test_storage_keys_sql_and_alarm(virtual):
    fired = []

    class Kept(DO, noun="Kept"):
        async def use(self) -> list:
            self.storage.put("b", [1])
            self.storage.put({"a": 1, "c": {"x": (1, 2)}})
            self.storage.sql("CREATE TABLE t(x INTEGER)")
            self.storage.sql("INSERT INTO t VALUES(?), (?)", 1, 2)
            return [
                self.storage.get("c"),
                list(self.storage.list()),
                self.storage.delete("a"),
                self.storage.sql("SELECT sum(x) AS s FROM t").one(),
            ]

        async def wake_me(self) -> None:
            self.storage.set_alarm("1h")

        async def alarm(self, info) -> None:
            fired.append(info.retry_count)
            if len(fired) == 1:
                raise ValueError("once more")

    assert await Kept("k").use() == [{"x": (1, 2)}, ["a", "b", "c"], True, {"s": 3}]
    await Kept("k").wake_me()
    await virtual.advance("59m")
    assert fired == []
    await virtual.advance("2m")
    assert fired == [0, 1]


async def test_a_busy_entitys_wal_is_emptied_when_it_grows_long(rt):
    class Writing(DO, noun="Writing"):
        async def write(self, number: int) -> int:
            self.storage.put(f"k{number % 7}", b"x" * 60_000)
            return number

    for number in range(120):
        assert await Writing("w").write(number) == number
    (activation,) = rt.host.activations.values()
    assert activation.file.size_bytes() < 6 * 1024 * 1024
    await rt.crash()
    assert await Writing("w").write(1) == 1


class Converting(DO):
    counts: dict[str, int] = {}
    rows: list[list[float]] = []

    async def put(self, name: str, count: object) -> list:
        counts = self.counts
        counts[name] = count
        await self.storage.sync()
        return [counts[name], counts is self.counts]

    async def add(self, row: list) -> list:
        self.rows.append(row)
        return self.rows


async def test_what_pydantic_converts_in_a_container_is_stored_converted(rt):
    assert await Converting("c").put("k", "5") == [5, True]
    await Converting("c").add(["1", 2])
    assert await Converting("c").rows == [[1.0, 2.0]]
    await rt.crash()
    assert await Converting("c").counts == {"k": 5}
    assert [type(x) for x in (await Converting("c").rows)[0]] == [float, float]


async def test_class_options_are_inherited_unless_given_anew():
    class Base(DO, noun="OptionsBase", idle_timeout="5s", durability="normal", placement="dedicated", version=3):
        pass

    class Middle(Base, idle_timeout="7s"):
        pass

    class Last(Middle, durability=None, placement="shared"):
        pass

    options = Last._do_spec_.options
    assert (options.idle_timeout_s, options.durability, options.placement, options.version) == (7.0, None, "shared", 3)
    assert (Last._do_spec_.noun, Middle._do_spec_.noun) == ("Last", "Middle")
    assert Middle._do_spec_.options.durability == "normal"
