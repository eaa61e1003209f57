"""What can be asked of a run, and how it is read afterwards."""

import asyncio
from datetime import timedelta

import pytest

import dotdo
from dotdo import RetryPolicy, patched, progress, sleep, start_child, step, wait_for, workflow
from dotdo.durable.timeline import VALUE_LENGTH_MAX
from dotdo.workflows import rendering

LOG: list = []
BROKEN: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()
    BROKEN.clear()


def note(text: str) -> str:
    LOG.append(text)
    return text


def fragile() -> str:
    LOG.append("fragile")
    if BROKEN:
        raise ConnectionError("down")
    return "up"


@workflow("ct-job")
async def job(name: str) -> str:
    await step("first", note, "first", undo=lambda _: note("undo first"))
    await sleep("2d")
    await step("fragile", fragile, retry=RetryPolicy(max_attempts=3, initial_delay="1m", max_delay="1h"))
    answer = await wait_for("go", timeout="9d", default="nobody")
    await step("last", note, "last")
    return f"{name} {answer}"


@pytest.mark.feature(204, 205, 206)
async def test_a_run_paused_over_the_due_time_of_its_timer_continues_when_resumed(virtual):
    run = await job.start("j")
    await virtual.advance("1d")
    assert await run.pause()
    await virtual.advance("9d")
    await virtual.crash()
    await virtual.advance("1d")
    assert (await run.status(), LOG) == ("paused", ["first"])
    assert await run.resume()
    await virtual.advance("1s")
    assert (await run.status(), (await run.info()).waiting_for, LOG) == ("waiting", "go", ["first", "fragile"])
    await run.signal("go", "ann")
    assert await run.result() == "j ann"
    assert not await run.resume()


async def test_a_run_that_is_paused_is_not_woken_by_its_child(virtual):
    workflow("ct-slow", _slow)

    @workflow("ct-parent")
    async def parent():
        child = await start_child("ct-slow")
        return await child.result()

    run = await parent.start()
    await virtual.advance("1m")
    assert await run.pause()
    await virtual.advance("3d")
    assert await run.status() == "paused"
    assert await run.resume()
    assert await run.result() == "slow"


async def _slow() -> str:
    await sleep("1d")
    return await step("slow", note, "slow")


@pytest.mark.feature(207)
async def test_retry_goes_on_from_the_failed_step_with_its_attempts_renewed(virtual):
    @workflow("ct-retried")
    async def retried():
        await step("first", note, "first")
        return await step("fragile", fragile, retry=RetryPolicy(max_attempts=3, initial_delay="1m", max_delay="1h"))

    BROKEN.append(True)
    run = await retried.start(id="retried")
    with pytest.raises(ConnectionError):
        await run.result()
    assert ["first", *["fragile"] * 3] == LOG
    assert await run.retry()
    with pytest.raises(ConnectionError):
        await run.result()
    assert ["first", *["fragile"] * 6] == LOG
    BROKEN.clear()
    assert await run.retry()
    assert await run.result() == "up"
    assert (LOG, run.id) == (["first", *["fragile"] * 7], "retried")
    info = await run.info()
    assert (info.status, info.error, info.attempt) == ("completed", None, 3)


async def test_retry_of_a_parent_tries_its_failed_child_again(virtual):
    @workflow("ct-fragile")
    async def child():
        await step("begun", note, "begun")
        return await step("fragile", fragile, retry=1)

    @workflow("ct-fragile-parent")
    async def parent():
        return await (await start_child("ct-fragile")).result()

    BROKEN.append(True)
    run = await parent.start(id="fp")
    with pytest.raises(ConnectionError):
        await run.result()
    BROKEN.clear()
    assert await run.retry()
    assert await run.result() == "up"
    assert LOG == ["begun", "fragile", "fragile"]


@pytest.mark.feature(208, 416)
async def test_replay_makes_a_new_run_with_the_same_arguments(virtual):
    run = await job.start("j", id="j1")
    await run.signal("go", "ann")
    assert await run.result() == "j ann"
    again = await run.replay()
    assert again != run
    assert again.id.startswith("j1-replay-")
    assert await again.result() == "j nobody"
    assert (await run.result(), LOG.count("first")) == ("j ann", 2)
    assert len(await dotdo.entities("WorkflowRun")) == 2


@pytest.mark.feature(44)
async def test_cancelling_a_run_runs_its_compensations(virtual):
    run = await job.start("j")
    await virtual.advance("1h")
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert (await run.status(), LOG) == ("cancelled", ["first", "undo first"])
    assert not await run.cancel()


@pytest.mark.feature(383)
async def test_failed_runs_can_be_listed(virtual):
    BROKEN.append(True)

    @workflow("ct-fails")
    async def fails(n: int):
        await step("fragile", fragile, retry=1)

    runs = [await fails.start(n) for n in range(3)]
    await asyncio.gather(*(run.result() for run in runs), return_exceptions=True)
    waiting = await job.start("j")
    await virtual.settle()
    assert {one.id async for one in dotdo.executions(noun="WorkflowRun", status="failed", limit=10)} == {run.id for run in runs}
    assert [one.id async for one in dotdo.executions(noun="WorkflowRun", status="waiting")] == [waiting.id]
    assert len([one async for one in dotdo.executions(noun="WorkflowRun", limit=2)]) == 2


# -- timelines ----------------------------------------------------------------------------------------------------------


@workflow("ct-told")
async def told(order: dict, verbose: bool = False) -> str:
    await progress(1, 4)
    if patched("v2"):
        await step("big", lambda: "x" * 10_000)
    await step("fragile", fragile, retry=RetryPolicy(max_attempts=5, initial_delay="1m", max_delay="1h"))
    child = await start_child("ct-slow")
    await child.result()
    await wait_for("go", timeout="5d")
    raise dotdo.Permanent("no more")


@pytest.mark.feature(378, 417)
async def test_a_run_is_read_as_a_timeline_while_it_goes_on_and_after(virtual):
    workflow("ct-slow", _slow)
    BROKEN.append(True)
    run = await told.start({"id": "o1"}, verbose=True, id="told")
    await virtual.advance("90s")
    now = await run.timeline()
    assert [(e.kind, e.name, e.status) for e in now.entries] == [
        ("progress", "progress", "completed"), ("patch", "v2", "completed"), ("step", "big", "completed"),
        ("step", "fragile", "retrying"),
    ]  # fmt: skip
    fragile_entry = now.entries[-1]
    assert (fragile_entry.attempts, fragile_entry.errors) == (2, ["ConnectionError: down"] * 2)
    assert (fragile_entry.until - now.started_at).total_seconds() == 180
    assert (now.name, now.status, now.arguments, now.progress["total"]) == ("ct-told", "waiting", "{'id': 'o1'}, verbose=True", 4)
    assert len(now.entries[2].result) == VALUE_LENGTH_MAX

    BROKEN.clear()
    await virtual.advance("12h")
    assert [(e.kind, e.name, e.status) for e in (await run.timeline()).entries[4:]] == [
        ("child", "ct-slow", "completed"), ("result", "told/ct-slow", "waiting"),
    ]  # fmt: skip
    await virtual.advance("1d")
    waits = (await run.timeline()).entries[-1]
    assert (waits.kind, waits.name, waits.status, waits.until - waits.started_at) == ("wait", "go", "waiting", timedelta(days=5))
    await run.signal("go", "ann")
    with pytest.raises(dotdo.Permanent):
        await run.result()
    after = await run.timeline()
    assert (after.status, after.error, after.children) == ("failed", "Permanent: no more", ["told/ct-slow"])
    assert [e.result for e in after.entries if e.kind in ("result", "wait")] == ["'slow'", "'ann'"]
    assert after.entries[5].duration.total_seconds() == pytest.approx(86_400, abs=1)


@pytest.mark.feature(378)
async def test_a_timeline_can_be_printed(virtual):
    workflow("ct-slow", _slow)
    run = await told.start({"id": "o1"}, id="told")
    await virtual.advance("25h")
    head, arguments, _titles, *rows = rendering.text(await run.timeline()).splitlines()
    assert head == "ct-told told: waiting for go until 2023-11-20 22:13:20, 1 of 4, about 3d 3h left"[: len(head)]
    assert arguments == "  {'id': 'o1'}"
    assert [" ".join(row.split()) for row in rows if row[:1].strip()] == [
        "✓ 0s progress 0s 1 of 4",
        "✓ 0s patch v2 0s",
        f"✓ 0s big 0s {' '.join(rows[2].split()[4:])}",
        "✓ 0s fragile 0s 'up'",
        "✓ 0s child ct-slow 0s 'told/ct-slow'",
        "✓ 0s result told/ct-slow 1d 'slow'",
        "… 1d wait go waiting until 2023-11-20 22:13:20",
    ]
