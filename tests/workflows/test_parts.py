"""Progress, debounced and bounded work inside runs."""

import asyncio

import pytest

import dotdo
from dotdo import debounce, gather_limited, on, progress, sleep, step, workflow

LOG: list = []
HEARD: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()
    HEARD.clear()


@on.Workflow.progress
async def heard(event):
    if event["workflow"].startswith("pt-"):
        HEARD.append((event["id"], event["step"], event["total"]))


@workflow("pt-five")
async def five():
    await progress(0, 5)
    for n in range(1, 6):
        await step(f"s{n}", LOG.append, n)
        await sleep("1h")
        await progress(n, 5)


@pytest.mark.feature(374, 376)
async def test_progress_is_durable_said_once_and_knows_the_time_remaining(virtual):
    run = await five.start(id="five")
    first = (await run.info()).progress
    assert (first["step"], first["time_remaining"]) == (0, None)
    await virtual.advance("2.5h")
    await virtual.crash()
    at_two = (await run.info()).progress
    assert (at_two["step"], at_two["total"], at_two["progress"]) == (2, 5, 0.4)
    assert at_two["time_remaining"] == pytest.approx(3 * 3600)
    await run.result()
    await virtual.crash()
    await virtual.settle()
    assert [("five", n, 5) for n in range(6)] == HEARD
    assert (await run.info()).progress["time_remaining"] == 0.0


async def test_progress_out_of_bounds_is_refused(virtual):
    @workflow("pt-too-far")
    async def too_far():
        await progress(6, 5)

    with pytest.raises(ValueError, match=r"progress\(6, 5\)"):
        await too_far.execute()


@workflow("pt-debounced")
async def debounced(user: str, text: str):
    return await debounce(f"user-{user}", "5s", process, text)


async def process(text: str) -> str:
    await step("process", LOG.append, text)
    return f"processed {text}"


@pytest.mark.feature(400)
async def test_of_debounced_calls_the_last_does_the_work_and_all_are_answered(virtual):
    runs = []
    for text in ("a", "b", "c"):
        runs.append(await debounced.start("ann", text))
        await virtual.advance("3s")
    other = await debounced.start("bob", "x")
    await virtual.crash()
    assert [await run.result() for run in runs] == [None, None, "processed c"]
    assert await other.result() == "processed x"
    assert sorted(LOG) == ["c", "x"]
    assert await debounced.execute("ann", "later") == "processed later"
    assert [await run.status() for run in runs] == ["completed"] * 3


async def test_debounce_outside_an_execution_calls_the_function(virtual):
    assert await debounce("k", "1s", lambda a: a + 1, 2) == 3


@workflow("pt-batch")
async def batch(delays: list[int], limit: int):
    running: list = []

    async def one(n: int, delay: int):
        await step("begin", lambda: LOG.append(("begin", n)))
        running.append(n)
        assert len(running) <= limit
        await sleep(delay)
        running.remove(n)
        return await step("end", lambda: n * 10)

    return await gather_limited([lambda n=n, delay=delay: one(n, delay) for n, delay in enumerate(delays)], limit)


@pytest.mark.feature(116, 126, 402)
async def test_bounded_work_comes_back_in_order_and_keeps_its_ids_over_crashes(virtual):
    delays = [500, 100, 300, 50, 400, 10, 200]
    run = await batch.start(delays, 3)
    for _ in range(6):
        await virtual.advance(95)
        await virtual.crash()
    assert await run.result() == [n * 10 for n in range(7)]
    assert sorted(LOG) == [("begin", n) for n in range(7)]


async def test_bounded_work_lets_its_execution_rest(virtual):
    run = await batch.start([90_000] * 4, 2)
    await virtual.advance("10h")
    assert virtual.host.activations == {}
    assert await run.result() == [0, 10, 20, 30]


@pytest.mark.feature(402)
async def test_bounded_work_tolerates_as_many_failures_as_it_is_told(virtual):
    async def run(fns, **options):
        return await gather_limited(fns, 2, **options)

    def good(n):
        return lambda: n

    def bad():
        raise ValueError("bad")

    assert await run([good(1), bad, good(3)], tolerated_failures=1) == [1, None, 3]
    assert await run([good(1), bad, bad], min_successful=1) == [1, None, None]
    with pytest.raises(ValueError, match="bad"):
        await run([bad, bad, good(3)], min_successful=2)
    with pytest.raises(ValueError, match="min_successful"):
        await run([good(1)], min_successful=2)
    begun = []
    with pytest.raises(ValueError, match="bad"):
        await run([bad, *[lambda n=n: begun.append(n) for n in range(50)]])
    assert len(begun) <= 2
    assert await asyncio.wait_for(run([]), 5) == []


@pytest.mark.feature(401)
async def test_what_a_workflow_gathers_runs_side_by_side(virtual):
    @workflow("pt-parallel")
    async def parallel():
        return await asyncio.gather(*(step(f"operation{n}", dotdo.in_thread(lambda n=n: n)) for n in range(3)))

    assert await parallel.execute() == [0, 1, 2]
