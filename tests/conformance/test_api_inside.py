"""What code inside an entity may rely on: asyncio as usual, hooks that use everything, values that hold stubs."""

import asyncio
import contextvars
import functools
from collections.abc import Callable
from datetime import datetime

import pydantic
import pytest

import dotdo
from dotdo import DO, DotdoError, InsideTransaction
from dotdo.testing import runtime

REQUEST: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")


class ApiLine(pydantic.BaseModel):
    product: "ApiShelf"
    quantity: int = 1


class ApiShelf(DO):
    count: int = 0
    lines: list[ApiLine] = []
    started: datetime | None = None
    trace: list[str] = []
    limits: dict[str, int] = {"a": 1}
    _cache: dict[str, int] = {}

    async def setup(self) -> None:
        self._cache = {}
        if self.storage.get("schema") is None:
            self.storage.sql("CREATE TABLE IF NOT EXISTS log(line TEXT)")
            self.storage.put("schema", 1)

        async def load() -> None:
            await asyncio.sleep(0)
            self._cache["loaded"] = 1

        await self.block_concurrency_while(load)
        self.started = self.started or self.now()

    async def add(self, n: int = 1) -> int:
        self.count += n
        return self.count

    async def cache(self) -> dict[str, int]:
        return self._cache

    async def gathers(self) -> list[int]:
        async def one(n: int) -> int:
            self.count += 1
            await asyncio.sleep(0)
            self.count += 1
            return n

        return list(await asyncio.gather(*(one(n) for n in range(5))))

    async def groups(self) -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ApiShelf(f"{self.id}-{n}").add(n)) for n in range(3)]
        return [task.result() for task in tasks]

    async def times_out(self) -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.get_running_loop().create_future()
        except TimeoutError:
            self.count += 1
            return "timed out"
        return "?"

    async def queues(self) -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def produce() -> None:
            for n in range(3):
                await queue.put(n)

        producing = asyncio.create_task(produce())
        got = [await queue.get() for _ in range(3)]
        await producing
        return got

    async def locked(self) -> int:
        async with self._lock_of():
            value = self.count
            await asyncio.sleep(0)
            self.count = value + 1
        return self.count

    def _lock_of(self) -> asyncio.Lock:
        if not hasattr(self, "_lock"):
            self._lock = asyncio.Lock()
        return self._lock

    async def to_thread(self) -> int:
        return await asyncio.to_thread(sum, [1, 2, 3])

    async def order(self, *products: str) -> list[ApiLine]:
        self.lines = [ApiLine(product=ApiShelf(p), quantity=n) for n, p in enumerate(products)]
        self.storage.put("lines", self.lines)
        return self.lines

    async def stored_lines(self) -> list[ApiLine]:
        return self.storage.get("lines")

    async def take_model(self, line: ApiLine) -> int:
        return await line.product.add(line.quantity)

    async def ping(self, other: str, depth: int) -> int:
        if depth == 0:
            return 0
        return 1 + await ApiShelf(other).ping(self.id, depth - 1)

    async def call_inside_transaction(self) -> None:
        async with self.storage.transaction():
            self.count += 1
            ApiShelf("told").add(5)
            await ApiShelf("awaited").add(1)

    async def tell_inside_transaction(self, *, fail: bool) -> None:
        async with self.storage.transaction():
            self.count += 1
            ApiShelf("told").add(5)
            await asyncio.sleep(0)
            if fail:
                raise ValueError("undone")

    async def tell_and_fail(self) -> None:
        ApiShelf("told").add(100)
        raise ValueError("undone")

    async def break_field_in_transaction(self) -> None:
        async with self.storage.transaction():
            self.count += 1
            self.limits["b"] = "many"

    async def break_field_at_an_await(self) -> str:
        self.limits["b"] = "many"
        try:
            await asyncio.sleep(0)
        except pydantic.ValidationError:
            return f"told at the await: {self.limits}"
        return "?"

    @functools.cached_property
    def expensive(self) -> str:
        return f"made for {self.id}"

    @property
    def nothing(self) -> None:
        return None

    async def context(self) -> str:
        before = REQUEST.get()
        REQUEST.set(self.id)
        await asyncio.sleep(0)
        return f"{before} {REQUEST.get()}"

    async def background_fails(self) -> str:
        async def fail() -> None:
            await asyncio.sleep(0)
            raise ValueError("nobody listens")

        self.wait_until(fail())
        return "ok"

    async def set_alarm_without_a_hook(self) -> None:
        self.storage.set_alarm("1s")

    async def no_return(self):
        self.trace.append("ran")

    async def with_callable(self, fn: Callable[[], int]) -> int:
        return fn()

    async def swallow(self) -> str:
        try:
            await ApiShelf("none").no_such()
        except AttributeError as error:
            return type(error).__name__
        return "?"

    async def cancelled(self) -> None:
        self.trace.append("begun")
        try:
            await asyncio.sleep(0.05)
        finally:
            self.trace.append("ended")


async def test_setup_may_use_storage_sql_fields_and_the_gate(virtual):
    assert await ApiShelf("s").cache() == {"loaded": 1}
    first = await ApiShelf("s").started
    await virtual.advance("1h")
    assert await ApiShelf("s").started == first
    assert await ApiShelf("s").cache() == {"loaded": 1}


@pytest.mark.feature(14)
async def test_asyncio_works_as_usual(rt):
    shelf = ApiShelf("s")
    assert await shelf.gathers() == [0, 1, 2, 3, 4]
    assert await shelf.count == 10
    assert await shelf.groups() == [0, 1, 2]
    assert await shelf.times_out() == "timed out"
    assert await shelf.queues() == [0, 1, 2]
    assert await shelf.to_thread() == 6
    assert sorted(await asyncio.gather(*(ApiShelf("l").locked() for _ in range(5)))) == [1, 2, 3, 4, 5]
    assert await shelf.context() == "none s"
    assert await ApiShelf("t").context() == "none t"
    assert REQUEST.get() == "none"


@pytest.mark.feature(357)
async def test_models_hold_stubs_everywhere(rt):
    lines = await ApiShelf("o").order("a", "b")
    assert lines == [ApiLine(product=ApiShelf("a"), quantity=0), ApiLine(product=ApiShelf("b"), quantity=1)]
    await rt.crash()
    assert await ApiShelf("o").lines == lines
    assert await ApiShelf("o").stored_lines() == lines
    assert await ApiShelf("o").lines[1].product.id == "b"
    assert await ApiShelf("o").lines.map(lambda line: line.product.count) == [0, 0]
    assert await ApiShelf("x").take_model(lines[1]) == 1
    assert await lines[1].product.count == 1


@pytest.mark.feature(14)
async def test_entities_call_each_other_in_circles(rt):
    assert await ApiShelf("a").ping("b", 9) == 9
    assert await ApiShelf("a").ping("a", 5) == 5


@pytest.mark.feature(349)
async def test_what_a_failed_stretch_sent_is_not_sent(rt):
    with pytest.raises(ValueError, match="undone"):
        await ApiShelf("s").tell_and_fail()
    with pytest.raises(ValueError, match="undone"):
        await ApiShelf("s").tell_inside_transaction(fail=True)
    with pytest.raises(InsideTransaction):
        await ApiShelf("s").call_inside_transaction()
    await rt.settle()
    assert await ApiShelf("told").count == 0
    assert await ApiShelf("s").count == 0
    await ApiShelf("s").tell_inside_transaction(fail=False)
    await rt.settle()
    assert await ApiShelf("told").count == 5


async def test_a_container_made_wrong_is_told_at_the_await_and_undone(rt):
    with pytest.raises(pydantic.ValidationError):
        await ApiShelf("s").break_field_in_transaction()
    assert await ApiShelf("s").count == 0
    assert await ApiShelf("s").break_field_at_an_await() == "told at the await: {'a': 1}"
    assert await ApiShelf("s").limits == {"a": 1}


async def test_properties_of_every_kind_are_read(rt):
    assert await ApiShelf("s").nothing is None
    assert await ApiShelf("s").expensive == "made for s"
    assert await ApiShelf("s").no_return() is None
    assert await ApiShelf("s").swallow() == "NoSuchMember"


async def test_a_background_error_harms_nobody(rt):
    assert await ApiShelf("s").background_fails() == "ok"
    await rt.settle()
    assert await ApiShelf("s").add() == 1


async def test_an_alarm_without_a_hook_is_refused_or_harmless(virtual):
    try:
        await ApiShelf("s").set_alarm_without_a_hook()
    except DotdoError:
        pass
    await virtual.advance("1m")
    assert await ApiShelf("s").add() == 1


async def test_a_caller_that_gives_up_does_not_stop_the_callee(rt):
    task = asyncio.ensure_future(ApiShelf("s").cancelled())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ApiShelf("s").trace == ["begun"]
    await asyncio.sleep(0.06)
    assert await ApiShelf("s").trace == ["begun", "ended"]


@pytest.mark.feature(12)
async def test_many_calls_to_many_sleeping_entities_are_all_answered():
    async with runtime(max_active=10) as rt:
        for _ in range(3):
            values = await asyncio.gather(*(ApiShelf(f"m{n % 40}").add() for n in range(400)))
            assert len(values) == 400
        await rt.restart()
        assert [await ApiShelf(f"m{n}").count for n in range(40)] == [30] * 40


async def test_two_runtimes_one_after_the_other_share_nothing(tmp_path):
    async with runtime(data=tmp_path / "one"):
        await ApiShelf("s").add(5)
    async with runtime(data=tmp_path / "two"):
        assert await ApiShelf("s").count == 0
    async with runtime(data=tmp_path / "one"):
        assert await ApiShelf("s").count == 5
        assert [e["key"] for e in await dotdo.entities()] == ["ApiShelf/s"]
