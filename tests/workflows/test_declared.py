"""`Workflow`: definitions as data, run by one entity, through the public API."""

import asyncio
from collections import Counter
from datetime import timedelta

import pydantic
import pytest

import dotdo
from dotdo import (
    CallIdConflict,
    ConditionError,
    DefinitionError,
    ExecutionCancelled,
    ExecutionNotFound,
    Expr,
    InvalidTransition,
    StepTimeout,
    Trigger,
    WaitTimeout,
    Workflow,
    WorkflowDefinition,
    WorkflowNotFound,
    WorkflowStep,
)
from dotdo.testing import runtime

CALLS: Counter[str] = Counter()
SEEN: list = []
BROKEN: set[str] = set()
GATES: dict[str, asyncio.Event] = {}


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()
    SEEN.clear()
    BROKEN.clear()
    GATES.clear()


class Declined(Exception):
    pass


class Bench(Workflow):
    """Actions for every test; its definitions come from outside."""

    touched: int = 0

    async def setup(self):
        CALLS["setup"] += 1

    async def work(self, params, state):
        CALLS["work"] += 1
        SEEN.append((params, state))
        return {"total": 1500, "items": [1, 2], "deep": {"er": "x"}}

    async def count(self):
        CALLS["count"] += 1
        return CALLS["count"]

    async def flaky(self, params):
        CALLS["flaky"] += 1
        if "flaky" in BROKEN or CALLS["flaky"] < params.get("good_at", 1):
            raise Declined("Card declined")
        return "paid"

    async def brittle(self):
        CALLS["brittle"] += 1
        if "brittle" in BROKEN:
            raise Declined("broken")
        return "whole"

    async def explode(self):
        CALLS["explode"] += 1
        raise Declined("boom")

    async def helper(self):
        CALLS["helper"] += 1
        return "helped"

    async def hang(self):
        CALLS["hang"] += 1
        await asyncio.sleep(3600)

    async def gated(self, params):
        CALLS["gated"] += 1
        await GATES[params["gate"]].wait()
        return "let through"

    def plain(self, params):
        return params.orderId

    async def touch(self):
        self.touched += 1

    async def nested(self):
        return await self.do(self.count, step_id="count")


def definition(*steps, id="flow", **more):
    return {"id": id, "steps": list(steps), **more}


def step(id, action="count", *depends_on, **more):
    return {"id": id, "action": action, "dependsOn": list(depends_on), **more}


async def ran(wf, given, input=None):
    """Register, start, wait for the end, whichever; the execution."""
    await wf.register(given)
    execution = await wf.start(given["id"], input)
    try:
        await execution.result()
    except Exception:
        pass
    return await wf.status(execution.id)


def statuses(execution):
    return {name: result.status for name, result in execution.step_results.items()}


# -- data in and out ------------------------------------------------------------------------------------------------


@pytest.mark.feature(180, 181, 182, 183, 186, 187, 188, 189, 213)
async def test_actions_get_the_input_and_the_state_and_the_run_ends_with_its_state(virtual):
    execution = await ran(Bench("b"), definition(step("a", "work"), step("b", "plain", "a"), step("c", "work", "b")), {"orderId": "o1"})
    assert execution.status == "completed"
    assert execution.input == {"orderId": "o1"}
    assert execution.state == execution.output
    assert execution.state["b"] == "o1"
    assert execution.completed_steps == ["a", "b", "c"]
    assert execution.current_step_index == 3
    params, state = SEEN[1]
    assert params == {"orderId": "o1"}
    assert state["a"]["total"] == state.a.total == 1500
    assert state.a.deep.er == "x"
    assert state["a"]["items"] == [1, 2]
    assert await execution.result() == execution.output
    assert (await dotdo.execution(execution.id).info()).status == "completed"


@pytest.mark.feature(182, 221)
async def test_params_of_a_step_stand_in_the_place_of_the_input_and_may_be_computed(virtual):
    given = definition(
        step("a", "work"), step("b", "work", "a", params={"fixed": 7, "from": Expr("a.deep.er"), "id": {"$expr": "input.id"}})
    )
    await ran(Bench("b"), given, {"id": "o1"})
    assert SEEN[1][0] == {"fixed": 7, "from": "x", "id": "o1"}


@pytest.mark.feature(183)
async def test_what_an_action_does_to_its_params_and_state_is_not_seen_elsewhere(virtual):
    async def spoil(params, state):
        params["orderId"] = state["a"]["deep"]["er"] = "spoilt"
        state["a"]["items"].append(3)
        return params

    wf = Bench("b")
    virtual.mock("spoil", spoil)
    execution = await ran(wf, definition(step("a", "work"), step("spoil", "count", "a"), step("c", "work", "spoil")), {"orderId": "o1"})
    params, state = SEEN[1]
    assert params == {"orderId": "o1"}
    assert state["a"] == {"total": 1500, "items": [1, 2], "deep": {"er": "x"}}
    assert state["spoil"] == {"orderId": "spoilt"}
    assert type(execution.output["spoil"]) is dict


class Customer(pydantic.BaseModel):
    plan: str
    id: str = "c1"


async def test_an_input_may_be_a_model_whose_fields_are_the_state(virtual):
    given = definition(step("a", "work", condition='plan === "enterprise"'), step("b", "work", condition='input.plan !== "enterprise"'))
    execution = await ran(Bench("b"), given, Customer(plan="enterprise"))
    assert statuses(execution) == {"a": "completed", "b": "skipped"}
    assert SEEN[0][0] == Customer(plan="enterprise")


@pytest.mark.feature(178)
async def test_the_context_of_a_definition_is_under_the_input(virtual):
    execution = await ran(Bench("b"), definition(step("a", "work"), context={"region": "eu", "tier": 1}), {"tier": 2})
    assert SEEN[0][1] == {"region": "eu", "tier": 2}
    assert execution.state["region"] == "eu"


class _Payments:
    def __init__(self):
        self.charges = self
        self._secret = lambda: None

    async def create(self, params):
        return {"charged": params["amount"]}


@pytest.mark.feature(180, 6)
async def test_an_action_may_be_a_function_of_a_binding():
    async with runtime(clock="virtual", env={"STRIPE": _Payments()}) as rt:
        wf = Bench("b")
        execution = await ran(wf, definition(step("a", "STRIPE.charges.create")), {"amount": 5})
        assert execution.state["a"] == {"charged": 5}
        for action in ("STRIPE.nothing", "NOWHERE.create", "STRIPE._secret", "STRIPE.charges"):
            with pytest.raises(DefinitionError, match="actions?: '" + action):
                await wf.register(definition(step("a", action)))
        assert rt.host is not None


@pytest.mark.feature(180, 6)
@pytest.mark.parametrize(
    "action", ["TOKEN.upper", "TOKEN.encode", "LIST.copy", "tools.os.system", "tools.sys.exit", "PAY.charges.os.system", "TOKEN"]
)
async def test_no_action_gives_a_secret_away_or_leaves_its_binding(action):
    import shutil

    async with runtime(env={"TOKEN": "secret", "LIST": ["secret"], "tools": shutil, "PAY": _Payments()}):
        with pytest.raises(DefinitionError, match=r"steps\[0\].action"):
            await Bench("b").register(definition(step("a", action)))


# -- order ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(184)
async def test_steps_run_in_the_order_of_their_dependencies_not_of_the_list(virtual):
    execution = await ran(Bench("b"), definition(step("c", "count", "b"), step("b", "count", "a"), step("a")))
    assert execution.completed_steps == ["a", "b", "c"]


@pytest.mark.feature(195)
async def test_ready_steps_run_side_by_side(rt):
    wf = Bench("b")
    GATES.update(x=asyncio.Event())
    await wf.register(
        definition(step("a", "gated", params={"gate": "x"}), step("b", "gated", params={"gate": "x"}), step("c", "count", "a", "b"))
    )
    execution = await wf.start("flow")
    while CALLS["gated"] < 2:
        await asyncio.sleep(0.001)
    assert statuses(await wf.status(execution.id)) == {"a": "running", "b": "running"}
    GATES["x"].set()
    await execution.result()
    assert (await wf.status(execution.id)).completed_steps[-1] == "c"


@pytest.mark.feature(200, 219)
async def test_a_condition_that_does_not_hold_skips_its_step_and_what_depends_on_it_alone(virtual):
    given = definition(
        step("score", "work"), step("high", "count", "score", condition="score.total > 2000"), step("after", "count", "high"),
        step("low", "count", "score", condition="score.total <= 2000"), step("both", "count", "high", "low"),
    )  # fmt: skip
    execution = await ran(Bench("b"), given)
    assert statuses(execution) == {"score": "completed", "high": "skipped", "after": "skipped", "low": "completed", "both": "completed"}
    assert "score.total > 2000" in execution.step_results["high"].error
    assert [h.type for h in execution.history if h.step_id == "high"] == ["step_skip"]


async def test_ids_that_are_no_names_are_reached_through_steps(virtual):
    execution = await ran(
        Bench("b"), definition(step("pre-check", "work"), step("b", "count", "pre-check", condition='steps["pre-check"].total === 1500'))
    )
    assert statuses(execution)["b"] == "completed"


# -- waiting, retrying, failing ------------------------------------------------------------------------------------------


@pytest.mark.feature(139, 197, 198, 209)
async def test_a_wait_is_over_once_and_three_days_later(virtual):
    wf = Bench("b")
    await wf.register(definition(step("welcome"), step("wait", "noop", "welcome", wait="3d"), step("tips", "count", "wait")))
    execution = await wf.start("flow")
    await virtual.advance("2d")
    waiting = await wf.status(execution.id)
    assert waiting.status == "waiting"
    assert waiting.step_results["wait"].until - waiting.started_at == timedelta(days=3)
    await virtual.crash()
    await execution.result()
    done = await wf.status(execution.id)
    assert done.completed_at - done.started_at == timedelta(seconds=259_200)
    assert [h.type for h in done.history] == [
        "start", "step_start", "step_complete", "wait", "step_start", "step_complete", "step_start", "step_complete", "complete",
    ]  # fmt: skip
    assert CALLS["count"] == 2


@pytest.mark.feature(197)
async def test_one_timer_wakes_only_the_run_it_belongs_to(virtual):
    wf = Bench("b")
    await wf.register(definition(step("wait", "count", wait="1h"), id="short"))
    await wf.register(definition(step("wait", "count", wait="2h"), id="long"))
    short, long = await wf.start("short"), await wf.start("long")
    await virtual.advance("90m")
    assert ((await wf.status(short.id)).status, (await wf.status(long.id)).status) == ("completed", "waiting")


@pytest.mark.feature(190, 191, 192)
async def test_max_retries_alone_retries_with_the_given_delay(virtual):
    wf = Bench("b")
    execution = await ran(wf, definition(step("charge", "flaky", maxRetries=3, retryDelay="1m")), {"good_at": 4})
    assert CALLS["flaky"] == 4
    assert execution.step_results["charge"].retries == 3
    assert execution.completed_at - execution.started_at == timedelta(minutes=3)
    BROKEN.add("flaky")
    CALLS.clear()
    failed = await ran(
        wf, definition(step("charge", "flaky", maxRetries=3, retryDelay="1m"), step("next", "count", "charge")), {"good_at": 1}
    )
    assert failed.status == "failed"
    assert failed.error == "Card declined"
    assert CALLS["flaky"] == 4
    charge = failed.step_results["charge"]
    assert (charge.status, charge.error, charge.retries) == ("failed", "Card declined", 3)
    assert statuses(failed) == {"charge": "failed"}
    with pytest.raises(Declined, match="Card declined"):
        await failed.result()


@pytest.mark.feature(191, 193)
@pytest.mark.parametrize(
    ("options", "attempts"), [({}, 1), ({"onError": "retry"}, 4), ({"maxRetries": 0}, 1), ({"onError": "fail", "maxRetries": 1}, 2)]
)
async def test_how_often_an_action_is_called(virtual, options, attempts):
    execution = await ran(Bench("b"), definition(step("a", "explode", **options)))
    assert CALLS["explode"] == attempts
    assert execution.status == "failed"


@pytest.mark.feature(193)
async def test_a_step_that_continues_lets_its_dependents_run(virtual):
    execution = await ran(Bench("b"), definition(step("a", "explode", onError="continue", maxRetries=1), step("b", "count", "a")))
    assert execution.status == "completed"
    assert statuses(execution) == {"a": "failed", "b": "completed"}
    assert execution.step_results["a"].retries == 1
    assert "a" not in execution.state


@pytest.mark.feature(193, 194)
async def test_an_error_branch_runs_in_the_place_of_what_failed(virtual):
    given = definition(
        step("risky", "brittle", onError="branch", errorBranch="tell"), step("ship", "count", "risky"), step("tell", "helper"),
        step("close", "count", "ship", "tell"),
    )  # fmt: skip
    good = await ran(Bench("good"), given)
    assert statuses(good) == {"risky": "completed", "tell": "skipped", "ship": "completed", "close": "completed"}
    BROKEN.add("brittle")
    bad = await ran(Bench("bad"), given)
    assert bad.status == "completed"
    assert statuses(bad) == {"risky": "failed", "tell": "completed", "ship": "skipped", "close": "completed"}


@pytest.mark.feature(193)
async def test_when_a_step_fails_the_run_what_runs_is_let_end_and_what_waits_is_given_up(rt):
    wf = Bench("b")
    GATES.update(x=asyncio.Event())
    await wf.register(
        definition(
            step("slow", "gated", params={"gate": "x"}), step("late", "count", wait="10d"), step("again", "flaky", maxRetries=3, retryDelay="1h"),
            step("bad", "explode", "helper"), step("helper", "helper"), step("never", "count", "slow"),
        )
    )  # fmt: skip
    execution = await wf.start("flow", {"good_at": 9})
    while not (CALLS["explode"] and CALLS["gated"] and CALLS["flaky"]):
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    assert (await wf.status(execution.id)).status == "running"
    GATES["x"].set()
    with pytest.raises(Declined, match="boom"):
        await execution.result(timeout="20s")
    failed = await wf.status(execution.id)
    assert statuses(failed) == {"slow": "completed", "late": "pending", "again": "pending", "helper": "completed", "bad": "failed"}
    assert CALLS["count"] == 0


@pytest.mark.feature(196)
async def test_the_timeout_of_a_step_counts_as_a_failed_attempt(virtual):
    virtual.mock("a", _hang_for_a_while)
    execution = await ran(Bench("b"), definition(step("a", "hang", timeout="1s", maxRetries=1, retryDelay="1s")))
    assert execution.status == "failed"
    assert execution.step_results["a"].retries == 1
    with pytest.raises(StepTimeout):
        await execution.result()


async def _hang_for_a_while():
    await asyncio.Event().wait()


@pytest.mark.feature(178)
async def test_the_timeout_of_a_workflow_ends_the_run_and_a_retry_has_all_its_time_again(virtual):
    wf = Bench("b")
    await wf.register(
        definition(step("a"), step("long", "count", "a", wait="40m"), step("longer", "count", "long", wait="40m"), timeout="1h")
    )
    execution = await wf.start("flow")
    with pytest.raises(WaitTimeout, match="'flow' did not end within its timeout of 3600 s"):
        await execution.result()
    failed = await wf.status(execution.id)
    assert failed.completed_at - failed.started_at == timedelta(hours=1)
    assert statuses(failed) == {"a": "completed", "long": "completed", "longer": "pending"}
    await wf.retry(execution.id)
    await virtual.advance("1m")
    assert (await wf.status(execution.id)).status in ("waiting", "completed")
    await execution.result()
    assert CALLS["count"] == 3


@pytest.mark.feature(201)
async def test_a_condition_that_cannot_be_evaluated_fails_its_step(virtual):
    given = definition(
        step("score", "noop"),
        step("approve", "count", "score", condition="score.risk < 0.3"),
        step("review", "count", "score", condition="score.risk >= 0.3"),
    )
    execution = await ran(Bench("b"), given)
    assert execution.status == "failed"
    assert "score is null" in execution.error
    assert CALLS["count"] == 0
    with pytest.raises(ConditionError):
        await execution.result()


async def test_an_action_may_take_steps_and_write_fields_of_its_own(virtual):
    wf = Bench("b")
    execution = await ran(wf, definition(step("a", "nested"), step("t", "touch", "a"), step("b", "nested", "t")))
    assert execution.state["a"] == 1
    assert execution.state["b"] == 2
    assert await wf.touched == 1


async def test_a_run_without_any_durable_step_ends_too(virtual):
    execution = await ran(
        Bench("b"), definition(step("a", "noop"), step("b", "noop", "a", condition="missing === 1"), step("c", "noop", "b"))
    )
    assert statuses(execution) == {"a": "completed", "b": "skipped", "c": "skipped"}
    assert execution.status == "completed"


# -- control ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(204, 205)
async def test_a_run_paused_over_its_timer_goes_on_when_it_is_resumed(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a"), step("wait", "count", "a", wait="1d"), step("c", "count", "wait")))
    execution = await wf.start("flow")
    await virtual.advance("1h")
    assert (await wf.pause(execution.id)).status == "paused"
    await virtual.advance("5d")
    assert (await wf.status(execution.id)).status == "paused"
    await virtual.restart()
    assert (await wf.status(execution.id)).status == "paused"
    assert CALLS["count"] == 1
    await wf.resume(execution.id)
    await execution.result()
    done = await wf.status(execution.id)
    assert CALLS["count"] == 3
    assert [h.type for h in done.history][3:6] == ["wait", "pause", "resume"]


@pytest.mark.feature(204)
async def test_a_run_paused_while_an_action_runs_stays_paused_after_it(rt):
    wf = Bench("b")
    GATES.update(x=asyncio.Event())
    await wf.register(definition(step("a", "gated", params={"gate": "x"}), step("b", "count", "a")))
    execution = await wf.start("flow")
    while not CALLS["gated"]:
        await asyncio.sleep(0.001)
    await wf.pause(execution.id)
    GATES["x"].set()
    while statuses(await wf.status(execution.id)).get("a") != "completed":
        await asyncio.sleep(0.001)
    await rt.settle()
    assert (await wf.status(execution.id)).status == "paused"
    assert CALLS["count"] == 0
    await wf.resume(execution.id)
    assert (await execution.result())["b"] == 1


@pytest.mark.feature(206)
async def test_a_cancelled_run_ends_and_its_action_is_cancelled(rt):
    wf = Bench("b")
    await wf.register(definition(step("a", "hang"), step("b", "count", "a")))
    execution = await wf.start("flow")
    while not CALLS["hang"]:
        await asyncio.sleep(0.001)
    await wf.cancel(execution.id)
    with pytest.raises(ExecutionCancelled):
        await execution.result(timeout="20s")
    cancelled = await wf.status(execution.id)
    assert cancelled.status == "cancelled"
    assert cancelled.history[-1].type == "cancel"
    with pytest.raises(InvalidTransition, match="it is cancelled"):
        await wf.cancel(execution.id)


@pytest.mark.feature(206, 204)
async def test_a_paused_run_can_be_cancelled_and_everything_is_reached_through_its_id_too(virtual):
    wf = Bench("b")
    await wf.register(definition(step("wait", "count", wait="1d"), step("b", "flaky", "wait")))
    execution = await wf.start("flow")
    handle = dotdo.execution(execution.id)
    assert await handle.pause()
    assert (await wf.status(execution.id)).status == await handle.status() == "paused"
    await wf.cancel(execution.id)
    with pytest.raises(ExecutionCancelled):
        await handle.result()
    assert (await wf.status(execution.id)).status == "cancelled"
    BROKEN.add("flaky")
    other = await wf.start("flow", {"n": 2})
    with pytest.raises(Declined):
        await other.result()
    BROKEN.clear()
    assert await dotdo.execution(other.id).retry()
    assert (await other.result())["b"] == "paid"
    again = await dotdo.execution(other.id).replay()
    assert (await again.result())["b"] == "paid"
    assert (await wf.status(again.id)).input == {"n": 2}
    assert [h["type"] for h in await dotdo.execution(other.id).history()].count("retry") == 1


@pytest.mark.feature(186)
async def test_an_action_may_start_another_workflow_once_and_wait_for_it(virtual):
    wf = Parent("p")
    await wf.register(definition(step("child", "begin", maxRetries=1)))
    await wf.register(definition(step("a", "count"), id="child"))
    virtual.crash_after("a")
    execution = await wf.start("flow")
    assert (await execution.result())["child"] == {"a": "done"}
    assert [one.workflow_id for one in await wf.list_executions()] == ["child", "flow"]


class Parent(Workflow):
    async def begin(self):
        child = await self.start("child")
        return await child.result()

    async def count(self):
        return "done"


@pytest.mark.feature(207)
async def test_retry_goes_on_from_the_failed_step_with_its_attempts_renewed(virtual):
    wf = Bench("b")
    BROKEN.add("flaky")
    given = definition(step("a"), step("charge", "flaky", "a", maxRetries=2, retryDelay="1m"), step("c", "helper", "charge"))
    failed = await ran(wf, given)
    assert failed.status == "failed"
    assert (CALLS["count"], CALLS["flaky"]) == (1, 3)
    await wf.retry(failed.id)
    await virtual.advance("1h")
    assert (await wf.status(failed.id)).status == "failed"
    assert (CALLS["count"], CALLS["flaky"]) == (1, 6), "the retry had all its attempts anew"
    BROKEN.clear()
    await wf.retry(failed.id)
    assert (await failed.result())["c"] == "helped"
    done = await wf.status(failed.id)
    assert done.id == failed.id
    assert done.error is None
    assert done.step_results["charge"].error is None
    assert CALLS["count"] == 1
    assert [h.type for h in done.history].count("retry") == 2
    assert [h.type for h in done.history].count("step_retry") == 4
    assert [h.type for h in done.history].count("step_fail") == 2


@pytest.mark.feature(207, 193)
async def test_a_retry_leaves_alone_the_failures_that_the_definition_has_an_answer_to(virtual):
    wf = Bench("b")
    given = definition(
        step("a", "explode", onError="continue"), step("b", "brittle", onError="branch", errorBranch="tell"), step("tell", "helper"),
        step("c", "count", "a", "tell"), step("d", "flaky", "c"),
    )  # fmt: skip
    BROKEN.update(("flaky", "brittle"))
    failed = await ran(wf, given)
    assert failed.status == "failed"
    BROKEN.clear()
    await wf.retry(failed.id)
    assert (await failed.result())["d"] == "paid"
    assert dict(CALLS) == {"setup": 1, "explode": 1, "brittle": 1, "helper": 1, "count": 1, "flaky": 2}


@pytest.mark.feature(208)
async def test_replay_is_a_new_run_with_the_same_input_on_the_same_version(virtual):
    wf = Bench("b")
    first = await ran(wf, definition(step("a")), {"n": 1})
    await wf.register(definition(step("a"), step("b", "helper")))
    second = await wf.replay(first.id)
    assert second.id != first.id
    await second.result()
    second = await wf.status(second.id)
    assert second.input == {"n": 1}
    assert second.version == first.version == 1
    assert CALLS["helper"] == 0
    assert CALLS["count"] == 2


@pytest.mark.feature(204, 205, 206, 207)
async def test_verbs_that_do_not_fit_say_so(virtual):
    wf = Bench("b")
    done = await ran(wf, definition(step("a")))
    for verb in ("pause", "resume", "cancel", "retry"):
        with pytest.raises(InvalidTransition, match=f"cannot {verb} .*it is completed"):
            await getattr(wf, verb)(done.id)
    for verb in ("pause", "resume", "cancel", "retry", "replay", "history"):
        with pytest.raises(ExecutionNotFound):
            await getattr(wf, verb)("nothing")
        with pytest.raises(ExecutionNotFound, match="belongs to Bench/other"):
            await getattr(wf, verb)("Bench/other!x")
    assert await wf.status("nothing") is None
    assert await wf.status("Bench/other!x") is None
    with pytest.raises(WorkflowNotFound, match="Workflow not found: 'nope' .*registered: flow"):
        await wf.start("nope")


@pytest.mark.feature(186)
async def test_the_same_id_is_the_same_run(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a")))
    first = await wf.start("flow", {"n": 1}, id="onboard-42")
    again = await wf.start("flow", {"n": 1}, id="onboard-42")
    assert first.id == again.id == "Bench/b!onboard-42"
    assert (await wf.status("onboard-42")).id == first.id
    await first.result()
    assert CALLS["count"] == 1
    with pytest.raises(CallIdConflict):
        await wf.start("flow", {"n": 2}, id="onboard-42")
    assert len(await wf.list_executions()) == 1


@pytest.mark.feature(186)
async def test_a_start_that_is_sent_again_starts_once(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a", "count", wait="1d")))
    first = await wf.with_options(call_id="req-1").start("flow")
    await virtual.crash()
    again = await wf.with_options(call_id="req-1").start("flow")
    assert first.id == again.id
    assert len(await wf.list_executions()) == 1


@pytest.mark.feature(210)
async def test_executions_are_listed_newest_first_by_workflow_and_status(virtual):
    wf = Bench("b")
    BROKEN.add("flaky")
    await wf.register(definition(step("a"), id="one"))
    await wf.register(definition(step("a", "flaky"), id="two"))
    started = [await wf.start(name, {"n": n}) for n, name in enumerate(["one", "two", "one", "two", "two"])]
    await virtual.advance("1m")
    assert [e.id for e in await wf.list_executions()] == [e.id for e in reversed(started)]
    assert [e.input["n"] for e in await wf.list_executions(workflow_id="two", status="failed", limit=2)] == [4, 3]
    assert await wf.list_executions(workflow_id="one", status="failed") == []
    with pytest.raises(ValueError, match="ever 'broken'"):
        await wf.list_executions(status="broken")


# -- definitions ------------------------------------------------------------------------------------------------------


@pytest.mark.feature(177, 178, 179)
async def test_a_definition_is_a_model_or_a_dict_in_either_spelling(virtual):
    wf = Bench("b")
    camel = await wf.register(
        definition(step("a", maxRetries=2, retryDelay=1500, wait="1s", timeout=30_000), id="x", triggers=[{"event": "A.b"}], timeout=5000)
    )
    python = await wf.register({
        "id": "x", "steps": [{"id": "a", "action": "count", "max_retries": 2, "retry_delay": 1.5, "wait": timedelta(seconds=1), "timeout": 30}],
        "triggers": [{"event": "A.b"}], "timeout": 5,
    })  # fmt: skip
    model = await wf.register(
        WorkflowDefinition(
            id="x",
            steps=[WorkflowStep(id="a", action="count", max_retries=2, retry_delay="1500ms", wait=1, timeout=30)],
            triggers=[Trigger(event="A.b")],
            timeout="5s",
        )  # fmt: skip
    )
    assert camel == python == model
    assert camel.version == 1
    assert (camel.steps[0].retry_delay, camel.steps[0].timeout, camel.timeout) == ("1500ms", "30s", "5s")
    assert WorkflowDefinition.model_validate(camel.to_json() | {"version": 1}) == camel
    assert camel.to_json()["steps"] == [
        {"id": "a", "action": "count", "wait": "1s", "maxRetries": 2, "retryDelay": "1500ms", "timeout": "30s"}
    ]


@pytest.mark.feature(7, 212)
async def test_a_version_is_made_only_by_a_change(virtual):
    wf = Bench("b")
    first = await wf.register(definition(step("a")))
    assert (await wf.register(definition(step("a")))).version == first.version == 1
    assert (await wf.register(definition(step("a"), step("b")))).version == 2
    await virtual.restart()
    assert (await wf.register(definition(step("a"), step("b")))).version == 2
    assert (await wf.get_definition("flow", 1)).steps == first.steps
    assert await wf.get_definition("flow", 3) is None


@pytest.mark.feature(212)
async def test_a_run_finishes_on_the_version_it_was_started_with(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a"), step("wait", "noop", "a", wait="1d"), step("old", "helper", "wait")))
    execution = await wf.start("flow")
    await virtual.advance("1h")
    await wf.register(definition(step("new", "explode"), step("a", "explode", "new")))
    await virtual.crash()
    assert (await execution.result())["old"] == "helped"
    assert CALLS["explode"] == 0
    assert (await wf.status(execution.id)).version == 1


@pytest.mark.feature(212)
async def test_a_run_by_execute_is_read_on_the_version_of_its_time(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a")))
    assert await wf.execute("flow", {"n": 1}) == {"n": 1, "a": 1}
    await virtual.advance("1h")
    await wf.register(definition(step("b", "helper")))
    assert await wf.execute("flow") == {"b": "helped"}
    newer, older = await wf.list_executions()
    assert (older.version, statuses(older)) == (1, {"a": "completed"})
    assert (newer.version, statuses(newer)) == (2, {"b": "completed"})
    again = await wf.replay(older.id)
    assert await again.result() == {"n": 1, "a": 2}


@pytest.mark.feature(7, 177)
async def test_a_wrong_definition_in_setup_is_what_every_caller_is_told(virtual):
    for _ in range(2):
        with pytest.raises(DefinitionError, match=r"steps\[0\].action: Wrong has no method 'nothing'"):
            await Wrong("w").start("x")


class Wrong(Workflow):
    async def setup(self):
        await self.register({"id": "x", "steps": [{"id": "a", "action": "nothing"}]})


@pytest.mark.feature(211)
async def test_definitions_are_found_listed_and_deleted_and_what_runs_finishes(virtual):
    wf = Bench("b")
    await wf.register(definition(step("a", "count", wait="1d"), id="y", name="Why"))
    await wf.register(definition(step("a"), id="x"))
    assert [one.id for one in await wf.list_definitions()] == ["x", "y"]
    assert (await wf.get_definition("y")).name == "Why"
    execution = await wf.start("y")
    assert await wf.delete_definition("y") is True
    assert await wf.delete_definition("y") is False
    assert await wf.get_definition("y") is None
    with pytest.raises(WorkflowNotFound):
        await wf.start("y")
    await virtual.crash()
    assert (await execution.result())["a"] == 1
    assert (await wf.status(execution.id)).status == "completed"


@pytest.mark.feature(177)
async def test_everything_wrong_is_reported_at_once_each_with_its_place(virtual):
    wf = Bench("b")
    with pytest.raises(DefinitionError) as caught:
        await wf.register({
            "id": "bad", "colour": "red",
            "triggers": [{"event": "Customer"}, {"event": "Customer.created", "condition": "plan = 1"}, {}],
            "steps": [
                {"id": "a", "action": "validatePaymnt", "dependsOn": ["nowhere"], "retryDelay": "3 days"},
                {"id": "a", "action": "register", "maxRetries": -1},
                {"id": "b", "action": "_work", "dependsOn": ["c"], "onError": "branch", "errorBranch": "notify-admin"},
                {"id": "c", "action": "setup", "dependsOn": ["b"], "condition": "a.x and b", "onError": "explode"},
                {"id": "d", "action": "cont", "dependson": ["a"]},
                {"action": "count"},
                "e",
            ],
        })  # fmt: skip
    text = str(caught.value)
    for line in (
        "colour: is no field", "triggers[0].event: 'Customer' names no verb", "triggers[1].condition: '='", "triggers[2].event: is missing",
        "steps[0].action: Bench has no method 'validate_paymnt'", "steps[0].dependsOn: 'nowhere' is not a step",
        "steps[0].retryDelay: '3 days' is not a duration", "steps[1].id: 'a' is the id of an earlier step", "steps[1].action: 'register' is a name of the runtime",
        "steps[1].maxRetries:", "steps[2].action: '_work' is private", "steps[2].errorBranch: 'notify-admin' is not a step",
        "goes round in a circle: b needs c needs b", "steps[3].action: 'setup' is a name of the runtime", "steps[3].condition: 'and' is not a word",
        "steps[3].onError:", "steps[4].action: Bench has no method 'cont' for the action 'cont': did you mean 'count'?",
        "steps[4].dependson: is no field of a WorkflowStep; did you mean 'dependsOn'?", "steps[5].id: is missing", "steps[6]: is a dict",
    ):  # fmt: skip
        assert line in text, f"{line}\n{text}"
    assert await wf.list_definitions() == []


@pytest.mark.feature(177)
@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        [],
        {},
        {"id": "x"},
        {"id": "", "steps": [{"id": "a", "action": "count"}]},
        {"id": "x", "steps": []},
        {"id": "x", "steps": "a"},
    ],
)
async def test_what_is_no_definition_is_refused(virtual, given):
    with pytest.raises(DefinitionError):
        await Bench("b").register(given, strict=False)


@pytest.mark.feature(194, 177)
async def test_what_is_let_pass_fails_only_the_step_that_reaches_it(virtual, caplog):
    wf = Bench("b")
    given = definition(
        step("ok"), step("no-action", "nothing", "ok", onError="continue"), step("no-dep", "count", "ok", "gone", onError="continue"),
        step("bad-if", "count", "ok", condition="a b", onError="continue"), step("no-branch", "brittle", onError="branch", errorBranch="gone"), shape="round",
    )  # fmt: skip
    kept = await wf.register(given, strict=False)
    assert len(kept.warnings) == 5
    assert (await wf.register(given, strict=False)).version == 1
    assert (await wf.get_definition("flow")).warnings == kept.warnings
    execution = await wf.start("flow")
    await execution.result()
    assert statuses(await wf.status(execution.id)) == {
        "ok": "completed", "no-action": "failed", "no-dep": "failed", "bad-if": "failed", "no-branch": "completed",
    }  # fmt: skip
    BROKEN.add("brittle")
    failed = await ran_again(wf)
    with pytest.raises(Declined) as caught:
        await failed.result()
    assert any("branches to 'gone', which is no step" in note for note in getattr(caught.value, "__notes__", []))


async def ran_again(wf):
    execution = await wf.start("flow", {"again": True})
    try:
        await execution.result()
    except Exception:
        pass
    return await wf.status(execution.id)


async def test_a_condition_on_a_step_that_may_not_have_ended_is_a_warning(virtual):
    kept = await Bench("b").register(definition(step("a"), step("b", condition="a > 1 || z"), step("c", "count", "a", condition="a > 1")))
    assert kept.warnings == ["steps[1].condition: reads 'a', which may not have ended: depend on it"]


@pytest.mark.feature(13, 180)
def test_a_class_cannot_put_its_own_in_the_place_of_the_runtimes():
    with pytest.raises(DefinitionError, match="overrides 'status', a name of Workflow"):

        class BadStatus(Workflow):
            async def status(self): ...

    with pytest.raises(DefinitionError, match="overrides 'retry'"):

        class Mixin:
            def retry(self): ...

        class BadMixin(Mixin, Workflow): ...

    with pytest.raises(DefinitionError, match="do"):

        class BadDo(Workflow):
            async def do(self): ...


@pytest.mark.feature(180, 181)
async def test_methods_that_cannot_be_actions_are_reported(virtual):
    with pytest.raises(DefinitionError) as caught:
        await Strange("s").register(definition(step("a", "three"), step("b", "keyword"), step("c", "static"), step("d", "prop")))
    for line in (
        "steps[0].action: the method of 'three' wants c too",
        "steps[1].action: the method of 'keyword' wants k too",
        "steps[2].action: Strange has no",
        "steps[3]",
    ):
        assert line in str(caught.value)
    execution = await ran(Strange("s"), definition(step("a", "many"), step("b", "inheritedOne")), {"n": 1})
    assert execution.state["a"] == [2]
    assert execution.state["b"] == "inherited"


class Mixed:
    def inherited_one(self):
        return "inherited"


class Strange(Mixed, Workflow):
    async def three(self, a, b, c): ...

    async def keyword(self, a, *, k): ...

    @staticmethod
    def static(): ...

    @property
    def prop(self):
        return None

    async def many(self, *args, **kwargs):
        return [len(args)]


# -- triggers ---------------------------------------------------------------------------------------------------------

LIFECYCLE = definition(
    step("a", "work"),
    id="life",
    triggers=[{"event": "Customer.created"}, {"event": "Customer.upgraded", "condition": 'plan === "enterprise"'}],
)
WILD = definition(step("a", "work"), id="wild", triggers=[{"event": "Customer.*"}, {"event": "*.upgraded"}])


@pytest.mark.feature(202, 203)
async def test_an_event_handed_in_starts_what_it_triggers(virtual):
    wf = Bench("b")
    await wf.register(LIFECYCLE)
    await wf.register(WILD)
    started = await wf.handle_event("Customer.created", {"id": "cus_123"})
    assert [(one.workflow_id, one.input) for one in started] == [("life", {"id": "cus_123"}), ("wild", {"id": "cus_123"})]
    assert [one.workflow_id for one in await wf.handle_event("Customer.upgraded", {"plan": "enterprise"})] == ["life", "wild"]
    assert [one.workflow_id for one in await wf.handle_event("Customer.upgraded", {"plan": "free"})] == ["wild"]
    assert [one.workflow_id for one in await wf.handle_event("Customer.upgraded")] == ["wild"]
    assert await wf.handle_event("Order.created", {}) == []
    await virtual.advance("1m")
    assert {one.status for one in await wf.list_executions()} == {"completed"}


@pytest.mark.feature(202, 217)
async def test_a_condition_of_a_trigger_that_cannot_be_evaluated_starts_nothing(virtual):
    wf = Bench("b")
    await wf.register(WILD)
    await wf.register(definition(step("a"), id="deep", triggers=[{"event": "Customer.created", "condition": "a.b.c > 1"}]))
    with pytest.raises(ConditionError, match=r"workflow 'deep', triggers\[0\].condition"):
        await wf.handle_event("Customer.created", {"id": 1})
    assert await wf.list_executions() == []


@pytest.mark.feature(202, 203)
async def test_an_event_that_is_sent_starts_the_workflow_once(virtual):
    wf = Bench("main")
    await wf.register(LIFECYCLE)
    await wf.register(WILD)
    await dotdo.hibernate(wf)
    await dotdo.send("Customer.created", {"id": "c1"}).queued()
    await dotdo.send("Customer.upgraded", {"id": "c1", "plan": "free"}).queued()
    await virtual.advance("1m")
    started = await wf.list_executions()
    assert sorted((one.workflow_id, one.status) for one in started) == [("life", "completed"), ("wild", "completed"), ("wild", "completed")]
    await virtual.crash()
    await virtual.advance("1m")
    assert len(await wf.list_executions()) == 3
    await wf.delete_definition("wild")
    await dotdo.send("Customer.upgraded", {"id": "c1", "plan": "enterprise"}).queued()
    await virtual.advance("1m")
    assert len(await wf.list_executions()) == 4


# -- many ---------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(197)
async def test_runs_that_wait_are_rows_only(virtual):
    wf = Bench("many")
    await wf.register(definition(step("a", "noop"), step("wait", "count", "a", wait="3d")))
    started = []
    for _ in range(10):
        started += await asyncio.gather(*(wf.start("flow", {"n": n}) for n in range(100)))
    await virtual.advance("1h")
    assert virtual.host.activations == {}, "nobody is awake"
    assert (await wf.status(started[7].id)).status == "waiting"
    (activation,) = virtual.host.activations.values()
    ledger = activation.ledger
    assert len(ledger.dormant.rows) == 1000
    assert len(ledger.runs) == 0, "one question replays nothing"
    await virtual.advance("3d")
    assert CALLS["count"] == 1000
    assert {one.status for one in await wf.list_executions(limit=2000)} == {"completed"}


async def test_the_picture_of_a_definition_shows_what_became_of_it(virtual):
    wf = Bench("b")
    given = definition(
        step("a", "work", name='say "hi" <b>'), step("b", "explode", "a", onError="branch", errorBranch="c"), step("c", "count", wait="1d"),
        step("d", "count", "b", condition="a.total > 1"),
    )  # fmt: skip
    await wf.register(given)
    execution = await wf.start("flow")
    await virtual.advance("1h")
    drawn = (await wf.get_definition("flow")).mermaid(await wf.status(execution.id))
    assert drawn.startswith("flowchart TD\n")
    assert '    s0["say #quot;hi#quot; #lt;b#gt;"]' in drawn
    assert '    s2(["c<br/>after 1d"])' in drawn
    assert '    s3{{"d<br/>if a.total #gt; 1"}}' in drawn
    assert "    s0 --> s1" in drawn
    assert "    s1 -. on error .-> s2" in drawn
    assert "    class s2 waiting" in drawn
    assert "    class s1 failed" in drawn
    assert "    class s3 skipped" in drawn
