"""Executions from outside: handles, verbs, idempotency, races, parking, and what a replay may not do."""

import asyncio
from datetime import UTC, datetime

import pytest

import dotdo
from dotdo import DO, CallIdConflict, InsideTransaction, ReplayDrift, RetryPolicy, WouldDeadlock

LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


class Declined(Exception):
    pass


class Job(DO):
    total: int = 0

    async def work(self, amount: int = 1) -> int:
        await self.do(self._add, amount, step_id="add")
        await self.do(self._note, step_id="note")
        return self.total

    async def _add(self, amount: int) -> None:
        LOG.append("add")
        self.total += amount

    async def _note(self) -> None:
        LOG.append("note")

    async def wait(self, timeout: str = "2d") -> str:
        await self.do(self._add, 1, step_id="before")
        answer = await self.wait_for("go", timeout=timeout, default="nobody")
        await self.do(self._add, 1, step_id="after")
        return answer

    async def long(self) -> str:
        await self.sleep("10d")
        return "rested"

    async def forever(self) -> str:
        return await self.wait_for("never")

    async def cleaning(self) -> str:
        try:
            await self.wait_for("never")
        except asyncio.CancelledError:
            await self.do(self._note, step_id="clean")
            raise
        return "done"

    async def fail_until(self, good: int) -> str:
        await self.do(self._add, 1, step_id="first")
        await self.do(self._fail_until, good, step_id="second", retry=RetryPolicy(max_attempts=2, initial_delay="1s"))
        return f"after {len(LOG)}"

    async def _fail_until(self, good: int) -> None:
        LOG.append("try")
        if LOG.count("try") < good:
            raise Declined("not yet")

    async def plain(self, value: int) -> int:
        self.total += value
        return self.total


# -- handles ----------------------------------------------------------------------------------------------------


async def test_start_keeps_a_handle_that_can_be_made_again_from_its_id(virtual):
    run = await dotdo.start(Job("j").work, 5)
    assert isinstance(run, dotdo.Execution)
    assert run.id.startswith("Job/j!")
    assert await run.result() == 5
    again = dotdo.execution(run.id)
    assert again == run
    assert hash(again) == hash(run)
    assert run.id in repr(run)
    assert await again is again
    assert await again.result() == 5
    keyword = await dotdo.start(Job("k").work, amount=7)
    assert await keyword.result() == 7


async def test_a_started_method_is_durable_before_it_has_done_anything(virtual):
    run = await dotdo.start(Job("j").long)
    await virtual.crash()
    assert await run.result() == "rested"


async def test_a_method_that_uses_no_step_can_be_started_too(virtual):
    run = await dotdo.start(Job("p").plain, 3)
    assert await run.result() == 3
    await virtual.crash()
    assert await run.status() == "completed"
    assert await run.result() == 3
    assert await Job("p").total == 3


async def test_what_cannot_be_started_says_so(virtual):
    with pytest.raises(TypeError, match="start"):
        await dotdo.start(Job.work, 1)
    with pytest.raises(dotdo.NoSuchMember):
        await dotdo.start(Job("j").unheard_of)
    with pytest.raises(TypeError):
        await dotdo.start(Job("j").work, 1, 2, 3)


@pytest.mark.parametrize("wrong", ["", "Job!x", "Job/j!"])
def test_what_is_not_an_execution_id_is_an_id_error(wrong):
    with pytest.raises(dotdo.IdError):
        dotdo.execution(wrong)


async def test_an_unknown_execution_is_reported(virtual):
    ghost = dotdo.execution("Job/j!nobody")
    for verb in (ghost.result, ghost.info, ghost.status, ghost.history, ghost.cancel, ghost.pause, ghost.resume, ghost.retry, ghost.replay):
        with pytest.raises(dotdo.OutcomeUnknown):
            await verb()


@pytest.mark.parametrize("entity_id", ["a!b", "a/b", "ü ö", "a#b|c", "!", "a!b!c"])
async def test_any_entity_id_can_have_executions(virtual, entity_id):
    run = await dotdo.start(Job(entity_id).wait)
    await virtual.settle()
    assert await dotdo.execution(run.id).status() == "waiting"
    await run.signal("go", "now")
    assert await run.result() == "now"


async def test_an_explicit_call_id_with_odd_characters_names_an_execution(virtual):
    run = await dotdo.start(Job("j").with_options(call_id="req!1#2|3").work, 2)
    assert await dotdo.execution(run.id).result() == 2


async def test_result_raises_the_error_of_the_method_each_time(virtual):
    run = await dotdo.start(Job("j").fail_until, 99)
    for _ in range(2):
        with pytest.raises(Declined, match="not yet"):
            await run.result()
    info = await run.info()
    assert info.status == "failed"
    assert isinstance(info.error, Declined)


async def test_result_gives_up_waiting_after_its_timeout_and_the_execution_goes_on(virtual):
    run = await dotdo.start(Job("j").forever)
    with pytest.raises(dotdo.CallTimeout) as caught:
        await run.result(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)
    assert run.id in str(caught.value)
    assert await run.status() == "waiting"
    assert await run.signal("never", 1) is None
    assert await run.result(timeout="10s") == 1


# -- info -------------------------------------------------------------------------------------------------------


async def test_info_is_a_snapshot(virtual):
    before = datetime.fromtimestamp(virtual.clock.now(), UTC)
    run = await dotdo.start(Job("j").wait)
    await virtual.settle()
    info = await run.info()
    assert info.id == run.id
    assert info.status == "waiting"
    assert info.waiting_for == "go"
    assert info.until is not None
    assert info.until.tzinfo is not None
    assert 47.9 * 3600 < (info.until - info.started_at).total_seconds() < 48.1 * 3600
    assert abs((info.started_at - before).total_seconds()) < 1
    assert info.error is None
    assert [(one["id"], one["status"], one["attempts"]) for one in info.steps] == [("before", "completed", 1)]
    await run.signal("go", 1)
    await run.result()
    assert info.status == "waiting"
    later = await run.info()
    assert later.status == "completed"
    assert later.waiting_for is None
    assert later.until is None
    assert [one["id"] for one in later.steps][0] == "before"
    assert [one["id"] for one in later.steps][-1] == "after"
    assert run.id in repr(later)


@pytest.mark.feature(291)
async def test_info_of_a_sleeping_execution_says_until_when(virtual):
    run = await dotdo.start(Job("j").long)
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    info = await run.info()
    assert info.status == "waiting"
    assert info.waiting_for == "sleep"
    assert round((info.until - info.started_at).total_seconds()) == 864000


async def test_a_step_that_waits_for_its_next_attempt_is_waiting_until_then(virtual):
    class Patient(DO, noun="PatientStep"):
        async def run(self) -> None:
            await self.do(self._fail, step_id="call", retry=RetryPolicy(max_attempts=2, initial_delay="1h", max_delay="1h"))

        async def _fail(self) -> None:
            raise Declined("x")

    run = await dotdo.start(Patient("p").run)
    await virtual.settle()
    info = await run.info()
    assert info.status == "waiting"
    assert "call" in info.waiting_for
    assert round((info.until - info.started_at).total_seconds()) == 3600
    with pytest.raises(Declined):
        await run.result()
    assert (await run.info()).steps[0]["attempts"] == 2


@pytest.mark.feature(209, 299, 378)
async def test_history_tells_what_happened_oldest_first(virtual):
    run = await dotdo.start(Job("j").fail_until, 2)
    await run.result()
    history = await run.history()
    told = [(entry["type"], entry.get("id"), entry.get("ok")) for entry in history if entry["type"] != "write"]
    assert told == [
        ("start", None, None), ("step", "first", True), ("attempt", "second", False), ("step", "second", True), ("completed", None, None)
    ]  # fmt: skip
    times = [entry["at"] for entry in history]
    assert times == sorted(times)
    assert "not yet" in next(entry for entry in history if entry["type"] == "attempt")["error"]


# -- verbs ------------------------------------------------------------------------------------------------------


@pytest.mark.feature(206)
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "hibernated"])
async def test_cancel_lets_the_body_clean_up(virtual, asleep):
    run = await dotdo.start(Job("j").cleaning)
    await virtual.settle()
    if asleep:
        await virtual.advance("1d")
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert LOG == ["note"]
    assert await run.status() == "cancelled"
    assert not await run.cancel()


async def test_cancel_drops_the_callers_interest_never_the_callees_work(virtual):
    class Asking(DO, noun="AskingJob"):
        async def run(self) -> str:
            return await self.do(Job("callee").wait, step_id="ask")

    run = await dotdo.start(Asking("a").run)
    await virtual.settle()
    await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    callee = [one async for one in dotdo.executions(noun="Job")]
    assert [one.status for one in callee] == ["waiting"]
    execution = dotdo.execution(callee[0].id)
    await execution.signal("go", "still here")
    assert await execution.result() == "still here"


@pytest.mark.feature(204, 205)
async def test_a_paused_execution_starts_nothing_until_it_is_resumed(virtual):
    run = await dotdo.start(Job("j").wait, "2d")
    await virtual.settle()
    assert await run.pause()
    await run.signal("go", "early")
    await virtual.advance("1d")
    await virtual.crash()
    assert await run.status() == "paused"
    assert LOG == ["add"]
    assert await run.resume()
    assert await run.result() == "early"
    assert LOG == ["add", "add"]
    assert not await run.pause()
    assert not await run.resume()


async def test_a_wait_that_ran_out_while_paused_is_due_at_once_on_resume(virtual):
    run = await dotdo.start(Job("j").wait, "1h")
    await virtual.settle()
    await run.pause()
    await virtual.advance("5h")
    assert await run.status() == "paused"
    before = virtual.clock.now()
    await run.resume()
    assert await run.result() == "nobody"
    assert virtual.clock.now() - before < 60


@pytest.mark.feature(207)
async def test_retry_goes_on_from_the_failed_step_under_the_same_id(virtual):
    run = await dotdo.start(Job("j").fail_until, 4)
    with pytest.raises(Declined):
        await run.result()
    assert LOG == ["add", "try", "try"]
    assert await run.retry()
    assert await run.result() == "after 5"
    assert LOG == ["add", "try", "try", "try", "try"]
    info = await run.info()
    assert info.id == run.id
    assert info.status == "completed"
    assert info.error is None
    assert not await run.retry()


@pytest.mark.feature(208)
async def test_replay_starts_over_as_a_new_execution(virtual):
    run = await dotdo.start(Job("j").work, 4)
    assert await run.result() == 4
    again = await run.replay()
    assert again.id != run.id
    assert await again.result() == 8
    assert await run.result() == 4
    assert await Job("j").total == 8


@pytest.mark.feature(210)
async def test_executions_are_listed_by_noun_status_and_limit(virtual):
    done = [await dotdo.start(Job(f"d{n}").work) for n in range(3)]
    for run in done:
        await run.result()
    waiting = await dotdo.start(Job("w").forever)
    failed = await dotdo.start(Job("f").fail_until, 99)
    with pytest.raises(Declined):
        await failed.result()

    class Other(DO, noun="OtherJob"):
        async def run(self) -> None:
            await self.do(str, 1)

    other = await dotdo.start(Other("o").run)
    await other.result()

    async def ids(**options) -> set[str]:
        return {one.id async for one in dotdo.executions(**options)}

    assert await ids() == {run.id for run in (*done, waiting, failed, other)}
    assert await ids(noun="OtherJob") == {other.id}
    assert await ids(noun="Job", status="completed") == {run.id for run in done}
    assert await ids(status="failed") == {failed.id}
    assert await ids(status="waiting") == {waiting.id}
    assert await ids(status="cancelled") == set()
    assert len(await ids(limit=2)) == 2
    assert len(await ids(noun="Job", status="completed", limit=1)) == 1
    async for one in dotdo.executions(status="failed"):
        assert isinstance(one, dotdo.ExecutionInfo)
        assert isinstance(one.error, Declined)


async def test_a_signal_to_an_ended_execution_is_refused(virtual):
    run = await dotdo.start(Job("j").work)
    await run.result()
    with pytest.raises(dotdo.DotdoError, match="ended"):
        await run.signal("go", 1)


# -- idempotency ------------------------------------------------------------------------------------------------


@pytest.mark.feature(245)
async def test_the_same_call_id_is_one_call(virtual):
    async def call(**options):
        return await Job("j").with_options(call_id="req-1", **options).work(3)

    assert await asyncio.gather(call(), call(), call(timeout="10s")) == [3, 3, 3]
    await virtual.crash()
    assert await call() == 3
    assert await Job("j").total == 3
    assert await Job("other").with_options(call_id="req-1").work(1) == 1
    first = await dotdo.start(Job("j").with_options(call_id="start-1").work, 2)
    second = await dotdo.start(Job("j").with_options(call_id="start-1").work, 2)
    assert first == second
    assert await first.result() == await second.result() == 5


async def test_a_plain_call_with_a_call_id_is_answered_from_its_record(virtual):
    for _ in range(3):
        assert await Job("j").with_options(call_id="p-1").plain(5) == 5
    await virtual.crash()
    assert await Job("j").with_options(call_id="p-1").plain(5) == 5
    assert await Job("j").total == 5


async def test_one_call_id_for_two_calls_is_a_conflict(virtual):
    assert await Job("j").with_options(call_id="x").work(1) == 1
    with pytest.raises(CallIdConflict, match="x"):
        await Job("j").with_options(call_id="x").work(2)
    with pytest.raises(CallIdConflict):
        await Job("j").with_options(call_id="x").plain(1)
    await virtual.crash()
    with pytest.raises(CallIdConflict):
        await Job("j").with_options(call_id="x").work(2)
    running = asyncio.create_task(_await(Job("j").with_options(call_id="y").forever()))
    await virtual.settle()
    with pytest.raises(CallIdConflict):
        await Job("j").with_options(call_id="y").work(2)
    running.cancel()


async def _await(promise):
    return await promise


async def test_a_failed_call_may_be_tried_again_under_its_call_id(virtual):
    call = Job("j").with_options(call_id="z")
    with pytest.raises(Declined):
        await call.fail_until(3)
    assert await call.fail_until(3) == "after 4"
    assert await call.fail_until(3) == "after 4"
    assert LOG == ["add", "try", "try", "try"]


async def test_a_call_that_takes_too_long_for_its_caller_goes_on(virtual):
    with pytest.raises(dotdo.CallTimeout):
        await Job("j").with_options(call_id="slow", timeout=0.05).forever()
    (info,) = [one async for one in dotdo.executions(noun="Job")]
    assert info.status == "waiting"


# -- races ------------------------------------------------------------------------------------------------------


class Races(DO):
    """Several things at once; which comes first decides the branch."""

    async def first_of(self, passes: list[int]) -> list:
        index, value = await self.first(*(self.do(self._work, n, p, step_id=f"w{n}") for n, p in enumerate(passes)))
        kept = await self.do(self._note, [index, value], step_id="after")
        return [index, value, kept]

    async def wait_first(self, passes: list[int]) -> list:
        tasks = [asyncio.create_task(self._branch(n, p)) for n, p in enumerate(passes)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        won = sorted(task.result() for task in done)
        kept = await self.do(self._note, won, step_id="after")
        for task in pending:
            task.cancel()
        return [won, kept]

    async def as_completed(self, passes: list[int]) -> list:
        order = []
        for one in asyncio.as_completed([self._branch(n, p) for n, p in enumerate(passes)]):
            order.append(await one)
        kept = await self.do(self._note, order, step_id="after")
        return [order, kept]

    async def against_time(self) -> list:
        index, value = await self.first(self.sleep("1h"), self.wait_for("go", timeout="2h", default="late"), Job("slow").long())
        await self.do(self._note, index, step_id="after")
        return [index, value]

    async def losers(self) -> list:
        index, _ = await self.first(self.do(self._work, 0, 1, step_id="fast"), self._hang())
        again = await self.do(self._work, 1, 1, step_id="again")
        return [index, again]

    async def _hang(self) -> None:
        try:
            await self.sleep("30d")
        finally:
            LOG.append("loser cancelled")

    async def failing_first(self) -> str:
        try:
            await self.first(self.do(self._fail, retry=1), self.sleep("1d"))
        except Declined as error:
            return await self.do(self._note, f"caught {error}", step_id="after")
        return "no error"

    async def deadline(self) -> str:
        try:
            async with self.timeout("1h"):
                await self.wait_for("never")
        except TimeoutError:
            return await self.do(self._note, "too late", step_id="after")
        return "in time"

    async def in_time(self) -> str:
        async with self.timeout("1h"):
            value = await self.do(self._note, "quick", step_id="quick")
        await self.sleep("2h")
        return await self.do(self._note, value, step_id="after")

    async def _fail(self) -> None:
        raise Declined("x")

    async def _branch(self, number: int, passes: int) -> int:
        return await self.do(self._work, number, passes, step_id="work")

    async def _work(self, number: int, passes: int) -> int:
        for _ in range(passes):
            await asyncio.sleep(0)
        return number

    async def _note(self, value):
        return value


RACES = [[1, 1, 1], [3, 1, 2], [2, 1, 1], [5, 4, 1], [2, 3, 1], [1, 2, 3], [9, 5, 1]]


@pytest.mark.parametrize("passes", RACES, ids=str)
@pytest.mark.parametrize("method", ["first_of", "wait_first", "as_completed"])
async def test_a_race_is_replayed_as_it_was_decided(virtual, method, passes):
    virtual.crash_after("after")
    result = await getattr(Races("r"), method)(passes)
    assert result[-2 if method != "first_of" else 0 : -1 if method != "first_of" else 2] == (
        [result[-1]] if method != "first_of" else result[-1]
    )


async def test_a_race_of_waits_is_decided_once_and_outlives_sleep_and_crash(virtual):
    run = await dotdo.start(Races("t").against_time)
    await virtual.advance("30m")
    assert ("Races", "t") not in virtual.host.activations
    await virtual.crash()
    virtual.crash_after("after")
    assert await run.result() == [0, None]


async def test_the_losers_of_a_race_are_cancelled(virtual):
    virtual.crash_after("again")
    assert await Races("l").losers() == [0, 1]
    assert set(LOG) == {"loser cancelled"}


async def test_an_error_can_come_first(virtual):
    virtual.crash_after("after")
    assert await Races("f").failing_first() == "caught x"


async def test_a_durable_deadline(virtual):
    virtual.crash_after("after")
    before = virtual.clock.now()
    assert await Races("d").deadline() == "too late"
    assert virtual.clock.now() - before >= 3600
    virtual.crash_after("after")
    assert await Races("i").in_time() == "quick"


# -- parking ----------------------------------------------------------------------------------------------------


class Boss(DO):
    async def ask(self, depth: int) -> str:
        if depth:
            return "> " + await Boss(f"b{depth - 1}").ask(depth - 1)
        return await self.wait_for("go")

    async def ask_as_step(self) -> str:
        return await self.do(Boss("b0").ask, 0, step_id="ask")

    async def ask_three(self) -> list[str]:
        return await asyncio.gather(*(Boss(f"g{n}").ask(0) for n in range(3)))


@pytest.mark.feature(8, 12, 291)
@pytest.mark.parametrize("crash", [False, True])
async def test_a_parked_callee_and_all_its_callers_hibernate_and_wake(virtual, crash):
    run = await dotdo.start(Boss("b2").ask, 2)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    if crash:
        await virtual.crash()
        await virtual.advance("1h")
    (callee,) = [one async for one in dotdo.executions(status="waiting") if one.waiting_for == "go"]
    await dotdo.execution(callee.id).signal("go", "yes")
    assert await run.result() == "> > yes"


@pytest.mark.feature(291)
async def test_a_step_that_calls_a_parked_entity_sleeps_as_well(virtual):
    run = await dotdo.start(Boss("x").ask_as_step)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    (callee,) = [one async for one in dotdo.executions(status="waiting") if one.waiting_for == "go"]
    await dotdo.execution(callee.id).signal("go", "yes")
    assert await run.result() == "yes"


async def test_gathered_calls_that_park_are_each_awaited_through_the_sleep(virtual):
    run = await dotdo.start(Boss("x").ask_three)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    waiting = [one.id async for one in dotdo.executions(status="waiting") if one.waiting_for == "go"]
    assert len(waiting) == 3
    for execution_id in sorted(waiting, reverse=True):
        await dotdo.execution(execution_id).signal("go", execution_id.partition("!")[0])
        await virtual.advance("1h")
    assert await run.result() == ["Boss/g0", "Boss/g1", "Boss/g2"]


async def test_a_call_retried_after_an_execution_failed_runs_it_again(virtual):
    class Shop(DO, noun="RetryingShop"):
        async def run(self) -> str:
            return await self.do(Job("failing").fail_until, 5, step_id="call", retry=RetryPolicy(max_attempts=4, initial_delay="1s"))

    assert await Shop("s").run() == "after 6"
    assert LOG[0] == "add"
    assert LOG[1:] == ["try"] * 5
    assert await Job("failing").total == 1


# -- determinism ------------------------------------------------------------------------------------------------


@pytest.mark.feature(36, 37)
async def test_time_and_randomness_are_the_same_in_every_branch_of_a_replay(virtual):
    class Drawing(DO, noun="DrawingLots"):
        async def run(self) -> list:
            drawn = await asyncio.gather(*(self._draw(n) for n in range(3)))
            kept = await self.do(self._keep, drawn, step_id="keep")
            return [drawn, kept]

        async def _draw(self, number: int) -> list:
            before = [self.now(), self.random.randint(0, 10**9), self.uuid4(), dotdo.now(), dotdo.uuid4()]
            await self.do(self._keep, number, step_id="in between")
            shuffled = list(range(20))
            self.random.shuffle(shuffled)
            await asyncio.sleep(0)
            return [before, self.random.gauss(0, 1), shuffled, self.random.sample(range(1000), 5), self.random.uniform(1, 2), self.uuid4()]

        async def _keep(self, value):
            return value

    for step_name in ("in between", "keep"):
        virtual.crash_after(step_name)
        drawn, kept = await Drawing(step_name).run()
        assert drawn == kept
        assert len({str(part) for part in drawn}) == 3


class Drifting(DO):
    async def put(self, text: str) -> None:
        self.storage.put("big", text)

    async def insert(self, count: int) -> None:
        self.storage.sql("CREATE TABLE IF NOT EXISTS t(text TEXT)")
        for _ in range(count):
            self.storage.sql("INSERT INTO t VALUES(?)", "x" * 1000)

    async def read(self) -> int:
        size = len(self.storage.get("big"))
        await self.do(self._note, step_id="one")
        await self.wait_for("go")
        return size

    async def query(self) -> int:
        rows = self.storage.sql("SELECT * FROM t").all()
        await self.do(self._note, step_id="one")
        await self.wait_for("go")
        return len(rows)

    async def _note(self) -> None:
        LOG.append("note")


@pytest.mark.parametrize("method", ["read", "query"])
async def test_a_large_read_that_differs_on_replay_pauses_the_execution_and_is_reported(virtual, method):
    await Drifting("d").put("x" * 100_000)
    await Drifting("d").insert(100)
    run = await dotdo.start(getattr(Drifting("d"), method))
    await virtual.settle()
    await Drifting("d").put("y" * 100_001)
    await Drifting("d").insert(1)
    await virtual.crash()
    await run.signal("go")
    with pytest.raises(ReplayDrift, match="Drifting/d"):
        await run.result()
    assert await run.status() == "paused"
    await virtual.crash()
    with pytest.raises(ReplayDrift):
        await run.result()
    assert LOG == ["note"]


@pytest.mark.parametrize("method", ["read", "query"])
async def test_a_large_read_that_is_the_same_on_replay_is_no_drift(virtual, method):
    await Drifting("d").put("x" * 100_000)
    await Drifting("d").insert(100)
    run = await dotdo.start(getattr(Drifting("d"), method))
    await virtual.settle()
    await virtual.crash()
    await run.signal("go")
    assert await run.result() in (100, 100_000)


@pytest.mark.parametrize("method", ["read", "query"])
async def test_a_small_read_is_what_it_was_whatever_changed_since(virtual, method):
    await Drifting("d").put("x" * 10)
    await Drifting("d").insert(2)
    run = await dotdo.start(getattr(Drifting("d"), method))
    await virtual.settle()
    await Drifting("d").put("y" * 11)
    await Drifting("d").insert(1)
    await virtual.crash()
    await run.signal("go")
    assert await run.result() == {"read": 10, "query": 2}[method]


# -- refusals ---------------------------------------------------------------------------------------------------


class Refusing(DO):
    count: int = 0

    async def inside(self, what: str) -> None:
        async with self.storage.transaction():
            self.count += 1
            await {
                "do": lambda: self.do(self._note),
                "sleep": lambda: self.sleep(1),
                "wait_for": lambda: self.wait_for("x", timeout=1),
                "call": lambda: Job("j").plain(1),
                "try": lambda: self.try_(self._note),
                "callback": lambda: self.callback("x"),
                "step": lambda: dotdo.step("x", self._note),
                "poll": lambda: self.poll(self._note, until=bool),
            }[what]()

    async def tell(self) -> int:
        async with self.storage.transaction():
            self.count += 1
            Job("told").plain(7)
            await asyncio.sleep(0)
            self.count += 1
        return self.count

    async def _note(self) -> str:
        LOG.append("note")
        return "x"

    async def held(self) -> None:
        await self.block_concurrency_while(self._call_back)

    async def _call_back(self) -> None:
        await Mirror("m").bounce(self.id)

    async def touch(self) -> int:
        return self.count


class Mirror(DO):
    async def bounce(self, entity_id: str) -> int:
        return await Refusing(entity_id).touch()


@pytest.mark.parametrize("what", ["do", "sleep", "wait_for", "call", "try", "callback", "step", "poll"])
async def test_nothing_durable_may_be_awaited_inside_a_transaction(virtual, what):
    with pytest.raises(InsideTransaction):
        await Refusing("r").inside(what)
    assert await Refusing("r").count == 0
    assert LOG == []


async def test_a_call_that_is_not_awaited_may_leave_a_transaction(virtual):
    assert await Refusing("r").tell() == 2
    await virtual.advance("1s")
    assert await Job("told").total == 7


async def test_a_call_that_would_wait_for_itself_fails_at_once(virtual):
    with pytest.raises(WouldDeadlock, match="Refusing/r"):
        await Refusing("r").held()
    assert await Refusing("r").touch() == 0
