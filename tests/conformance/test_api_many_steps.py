"""Steps that run side by side: gather_limited and task groups, over crashes too."""

import asyncio
import functools

import pytest

from dotdo import DO, gather_limited
from dotdo.testing import runtime

LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


class Declined(Exception):
    pass


class Many(DO):
    async def run(self, count: int, limit: int, failing: list[int], options: dict) -> list:
        return await gather_limited([functools.partial(self._one, n, failing) for n in range(count)], limit, **options)

    async def keyword(self) -> list:
        return await gather_limited([lambda: self.do(self._work, 1, [], step_id="w"), lambda: 2], limit=10, min_successful=None)

    async def empty(self) -> list:
        return await gather_limited([], limit=3)

    async def _one(self, number: int, failing: list[int]) -> int:
        await self.sleep("1s")
        return await self.do(self._work, number, failing, step_id="work", retry=1)

    async def _work(self, number: int, failing: list[int]) -> int:
        LOG.append(("begin", number))
        for _ in range(30):
            await asyncio.sleep(0)
        LOG.append(("end", number))
        if number in failing:
            raise Declined(f"number {number}")
        return number * 10


@pytest.mark.feature(126)
async def test_gather_limited_keeps_order_and_limit(virtual):
    assert await Many("m").run(7, 2, [], {}) == [0, 10, 20, 30, 40, 50, 60]
    running = most = 0
    for what, _ in LOG:
        running += 1 if what == "begin" else -1
        most = max(most, running)
    assert most == 2
    assert await Many("m").keyword() == [10, 2]
    assert await Many("m").empty() == []


@pytest.mark.feature(126)
async def test_gather_limited_counts_its_failures(virtual):
    with pytest.raises(Declined, match="number 3"):
        await Many("a").run(5, 2, [3], {})
    assert await Many("b").run(5, 2, [3], {"tolerated_failures": 1}) == [0, 10, 20, None, 40]
    assert await Many("c").run(5, 2, [0, 3], {"min_successful": 3}) == [None, 10, 20, None, 40]
    with pytest.raises(Declined):
        await Many("d").run(5, 2, [0, 3], {"min_successful": 4})
    with pytest.raises(ValueError, match="limit"):
        await Many("e").run(5, 0, [], {})


@pytest.mark.feature(27, 116)
@pytest.mark.parametrize("number", [1, 3, 5])
async def test_steps_inside_gather_limited_keep_their_ids_over_a_crash(number):
    async with runtime(clock="virtual") as rt:
        seen = []

        def crash_at(_key, _run_id, name, original=rt._step_recorded):
            seen.append(name)
            if len(seen) == number:
                rt.crash_now()

        rt._step_recorded = crash_at
        rt.host.on_step = crash_at
        assert await Many("m").run(5, 2, [], {}) == [0, 10, 20, 30, 40]
        done = [n for what, n in LOG if what == "end"]
        assert sorted(set(done)) == [0, 1, 2, 3, 4]
        assert len(done) <= 6


@pytest.mark.feature(116)
async def test_steps_in_a_task_group_and_under_asyncio_timeout(virtual):
    class Grouped(DO, noun="GroupedSteps"):
        async def run(self) -> list:
            async with asyncio.timeout(60):
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(self._branch(n)) for n in range(3)]
            return [task.result() for task in tasks]

        async def _branch(self, number: int) -> list:
            return [await self.do(self._work, number, step_id="a"), await self.do(self._work, number + 10, step_id="b")]

        async def _work(self, number: int) -> int:
            LOG.append(number)
            await asyncio.sleep(0)
            return number

        async def failing(self) -> str:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._branch(1))
                    group.create_task(self._fail())
            except ExceptionGroup as errors:
                await self.do(self._work, 99, step_id="after")
                return f"{len(errors.exceptions)} failed"
            return "none"

        async def _fail(self) -> None:
            await self.do(self._raise, step_id="raise", retry=1)

        async def _raise(self) -> None:
            raise Declined("x")

    virtual.crash_after("b")
    assert await Grouped("g").run() == [[0, 10], [1, 11], [2, 12]]
    virtual.crash_after("after")
    assert await Grouped("f").failing() == "1 failed"
