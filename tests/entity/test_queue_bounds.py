"""SEMANTICS 27: what may wait for one entity is bounded, in calls and in the bytes of their arguments."""

from __future__ import annotations

import asyncio

import pytest

from dotdo import DO, Overloaded
from dotdo.durable.run import Run
from dotdo.testing import runtime

GATE = asyncio.Event()


class Bounded(DO, noun="QueueBounded"):
    async def wait(self, data: bytes = b"") -> int:
        await GATE.wait()
        return len(data)

    async def park(self, data: bytes = b"") -> str:
        await self.wait_for("go")
        await GATE.wait()
        return "went"

    async def through(self, other: str, data: bytes) -> int:
        return await Bounded(other).back(self.id, data)

    async def back(self, first: str, data: bytes) -> int:
        return await Bounded(first).size(data)

    async def size(self, data: bytes) -> int:
        return len(data)

    async def hold(self) -> None:
        async with self.storage.transaction():
            await asyncio.wait_for(GATE.wait(), 5)


@pytest.fixture(autouse=True)
def gate():
    global GATE
    GATE = asyncio.Event()
    return GATE


def runs_of(rt, entity_id="q"):
    return rt.host.activations["QueueBounded", entity_id].ledger.runs


async def test_the_bytes_of_waiting_calls_are_bounded_and_free_again_when_they_are_answered(gate):
    async with runtime(max_queue_bytes=1_000_000) as rt:
        waiting = [asyncio.ensure_future(Bounded("q").wait(b"x" * 300_000)) for _ in range(5)]
        done, _pending = await asyncio.wait(waiting, timeout=0.2)
        assert len(done) == 2
        for task in done:
            with pytest.raises(Overloaded, match="max_queue_bytes") as caught:
                task.result()
            assert caught.value.retryable
        gate.set()
        await asyncio.wait(waiting)
        assert await Bounded("q").wait(b"x" * 900_000) == 900_000
        assert (runs_of(rt).waiting, runs_of(rt).waiting_bytes) == (0, 0)


async def test_a_call_larger_than_the_bound_runs_when_nothing_else_waits(gate):
    async with runtime(max_queue_bytes=1000):
        gate.set()
        assert await Bounded("q").wait(b"x" * 5000) == 5000


async def test_calls_held_back_by_a_transaction_count_too(gate):
    async with runtime(max_queue_bytes=1_000_000) as rt:
        await Bounded("q").size(b"")
        holding = asyncio.ensure_future(Bounded("q").hold())
        await asyncio.sleep(0.02)
        waiting = [asyncio.ensure_future(Bounded("q").size(b"x" * 300_000)) for _ in range(5)]
        done, _pending = await asyncio.wait(waiting, timeout=0.2)
        assert [type(task.exception()) for task in done] == [Overloaded] * 2
        gate.set()
        await holding
        await asyncio.wait(waiting)
        assert rt.host.activations["QueueBounded", "q"].queue_bytes == 0


async def test_parked_executions_do_not_count_until_they_move_again(gate):
    async with runtime(max_queue=3, max_queue_bytes=1_000_000) as rt:
        runs = [await rt.execute(Bounded("q").park, b"x" * 400_000) for _ in range(6)]
        await rt.settle()
        assert (runs_of(rt).waiting, runs_of(rt).waiting_bytes) == (0, 0)
        for run in runs[:2]:
            await run.signal("go")
        await asyncio.sleep(0.05)
        assert runs_of(rt).waiting == 2
        assert runs_of(rt).waiting_bytes > 800_000
        with pytest.raises(Overloaded):
            await Bounded("q").wait(b"x" * 400_000)
        gate.set()
        assert await asyncio.gather(*(run.result() for run in runs[:2])) == ["went", "went"]
        assert (runs_of(rt).waiting, runs_of(rt).waiting_bytes) == (0, 0)


async def test_a_chain_that_is_inside_already_may_come_back(gate):
    async with runtime(max_queue=1, max_queue_bytes=1000):
        assert await Bounded("a").through("b", b"x" * 5000) == 5000


async def test_a_full_entity_is_not_counted_anew_for_every_call(gate, monkeypatch):
    async with runtime(max_queue=50) as rt:
        runs = [await rt.execute(Bounded("q").park) for _ in range(60)]
        await rt.settle()
        looked = 0
        parked = Run.is_parked

        def count(self: Run) -> bool:
            nonlocal looked
            looked += 1
            return parked.fget(self)

        monkeypatch.setattr(Run, "is_parked", property(count))
        for _ in range(10):
            await Bounded("q").size(b"x")
        assert looked < 20
        assert len(runs) == 60
