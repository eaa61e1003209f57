"""Services: steps of four kinds, what their failures mean, what is delivered, charged and undone, and that each happens once."""

import asyncio
from decimal import Decimal

import pytest

import dotdo
from dotdo import DO, CallIdConflict, DefinitionError, InvalidTransition, Service, ServiceNotFound, StateMachine, on, send, tasks
from dotdo.events import registry
from dotdo.testing import runtime
from tests.crashes import killed_at_commit

CALLS: list = []
SAID: list = []


@pytest.fixture(autouse=True)
def only_mine():
    CALLS.clear()
    SAID.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


@on("ServiceResult.*")
async def hear_result(message):
    SAID.append((dotdo.current_event().name, message))


@on("ServiceRequest.*")
async def hear_request(message):
    SAID.append((dotdo.current_event().name, message))


@on("Payment.*")
async def hear_payment(message):
    SAID.append((dotdo.current_event().name, message))


@on("ServiceProgress.*")
async def hear_status(message):
    SAID.append((dotdo.current_event().name, message))


@on("Notification.*")
async def hear_notification(message):
    SAID.append((dotdo.current_event().name, message))


PROGRESS: list = []


@on("WorkflowProgress.updated")
async def hear_progress(message):
    PROGRESS.append(message)


def said(name):
    return [message for event, message in SAID if event == name]


def does(step_id, result=None, error=None, times=10**9):
    """A function that notes its call, fails the first `times` times if there is an error, and gives a result."""

    async def run(inputs, state):
        CALLS.append(step_id)
        if error is not None and CALLS.count(step_id) <= times:
            raise error
        return result

    return run


async def service(*steps, functions=None, **more):
    """A service of these steps; each function of its own name, unless it is given."""
    svc = await Service.create(name="Svc", steps=list(steps), **more)
    given = functions or {}
    for step in svc.definition.all_steps().values():
        for name in [step.id, *(action.action for action in (step.compensation.steps if step.compensation else ()))]:
            svc.step(name, given.get(name) or does(name))
    return svc


async def outcome_of(svc, inputs=None, **more):
    request = await svc.request(inputs, **more)
    return await request.result()


A = {"id": "a"}
B = {"id": "b", "dependsOn": ["a"]}


# -- functions -----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(222, 223, 228, 231, 232, 237, 239)
async def test_a_request_runs_the_steps_delivers_and_charges(virtual):
    svc = await Service.create(name="Order Fulfillment", steps=[A, B], pricing={"baseRate": 0.5, "stepRates": {"b": 0.25}})

    @svc.step("a")
    async def first(inputs, state):
        return {"doubled": inputs["n"] * 2, "who": state.customer_id}

    @svc.step("b")
    def second(inputs, state):
        return state.results.a.doubled + state["results"]["a"]["doubled"]

    request = await svc.request({"n": 3}, customer_id="c1", id="r1")
    outcome = await request.result()
    assert (svc.id, outcome.success, outcome.results) == ("order-fulfillment", True, {"a": {"doubled": 6, "who": "c1"}, "b": 12})
    assert (outcome.completed_steps, outcome.failed_steps, outcome.path, outcome.cost) == (["a", "b"], [], [], Decimal("0.75"))
    assert outcome.results.a.doubled == 6
    assert await request.status() == "completed"
    assert await dotdo.execution(request.id).status() == "completed"
    await virtual.settle()
    (delivered,), (charged,) = said("ServiceResult.deliver"), said("Payment.charge")
    assert delivered["outputs"]["completed_steps"] == ["a", "b"]
    assert (charged["amount"], charged["customer_id"], charged["idempotency_key"]) == (Decimal("0.75"), "c1", "r1")
    assert len(SAID) == 2


@pytest.mark.feature(246)
@pytest.mark.parametrize("falsy", [None, 0, "", False, [], {}])
async def test_a_falsy_result_is_a_result(virtual, falsy):
    svc = await service(A, B, functions={"a": does("a", falsy)}, pricing={"rate": 2.0, "failureRefund": 1.0})
    outcome = await outcome_of(svc)
    assert (outcome.success, outcome.results["a"], outcome.failed_steps, outcome.cost) == (True, falsy, [], Decimal(2))


@pytest.mark.feature(234)
async def test_the_context_has_what_steps_gave_and_a_result_overwrites_nothing(virtual):
    seen: list = []
    svc = await service(
        A, B, {"id": "c", "dependsOn": ["b"]},
        functions={
            "a": does("a", {"n": "spoilt", "x": 1}), "b": does("b", [1, 2]), "c": lambda inputs, state: seen.append(dict(state.context)),
        },
    )  # fmt: skip
    await outcome_of(svc, {"n": 3})
    assert seen == [{"n": 3, "x": 1}]


@pytest.mark.feature(228)
async def test_a_step_without_a_function_is_said_before_anything_begins(virtual):
    svc = await Service.create(name="Bare", steps=[A, B])
    with pytest.raises(DefinitionError, match="no function is registered for 'a', 'b'"):
        await svc.request()
    assert [one["size"] for one in await dotdo.entities("ServiceRequest")] == []


@pytest.mark.feature(235)
async def test_steps_go_by_their_dependencies_not_by_their_place(virtual):
    svc = await service({"id": "last", "dependsOn": ["b"]}, B, A)
    assert (await outcome_of(svc)).completed_steps == ["a", "b", "last"]


@pytest.mark.feature(235)
async def test_without_a_word_on_it_steps_go_one_after_the_other_also_past_one_that_failed(virtual):
    svc = await service(
        {"id": "a", "required": False}, {"id": "b"}, {"id": "c", "dependsOn": ["a"]}, {"id": "d"}, {"id": "e", "dependsOn": []},
        functions={"a": takes("a", "1h", error=ValueError("no")), "e": takes("e", "1m")},
    )  # fmt: skip
    outcome = await outcome_of(svc)
    assert (outcome.failed_steps, outcome.completed_steps, outcome.skipped_steps) == (["a"], ["e", "b", "d"], ["c"])


@pytest.mark.feature(242)
@pytest.mark.parametrize(("required", "success"), [(True, False), (None, True), (False, True)])
async def test_a_step_whose_condition_does_not_hold_is_skipped_which_a_required_one_must_not_be(virtual, required, success):
    step = {"id": "c", "condition": "inputs.n > 1"} | ({} if required is None else {"required": required})
    outcome = await outcome_of(await service(step, A), {"n": 1})
    assert (outcome.success, CALLS) == (success, [] if required else ["a"])
    assert outcome.error == (None if success else "Required step skipped: c")
    assert outcome.failed_step == (None if success else "c")
    assert outcome.skipped_steps == (["c"] if success else [])


# -- conditions ------------------------------------------------------------------------------------------------------------


def verify(**more):
    return {"id": "v", "type": "condition", "condition": "inputs.kind === 'big'", "then": {"id": "t"}, "else": {"id": "e"}, **more}


@pytest.mark.feature(215, 218, 240, 243)
@pytest.mark.parametrize(("kind", "branch"), [("big", "then"), ("small", "else")])
async def test_what_a_branch_gave_is_read_as_if_the_condition_gave_it(virtual, kind, branch):
    after = {"id": "c", "type": "condition", "dependsOn": ["v"], "condition": "results.v.verified === true", "then": {"id": "yes"}}
    svc = await service(verify(), after, functions={"t": does("t", {"verified": True}), "e": does("e", {"verified": False})})
    outcome = await outcome_of(svc, {"kind": kind})
    result = outcome.results.v
    assert (result.branch, result["verified"], result.result) == (branch, branch == "then", {"verified": branch == "then"})
    assert outcome.path == [f"v:{branch}", f"c:{branch}"]  # the source's second condition is never true
    assert outcome.completed_steps == ["v", "c"]
    assert (["t", "yes"] if branch == "then" else ["e"]) == CALLS


@pytest.mark.feature(241)
async def test_a_branch_that_is_not_there_gives_nothing(virtual):
    svc = await service(
        {"id": "v", "type": "condition", "condition": "inputs.kind === 'big'", "then": {"id": "t"}}, {**B, "dependsOn": ["v"]}
    )
    outcome = await outcome_of(svc, {"kind": "small"})
    assert (outcome.success, outcome.results.v, CALLS) == (True, {"result": None, "branch": "else"}, ["b"])


@pytest.mark.feature(244)
async def test_branches_nest(virtual):
    inner = {"id": "p", "type": "parallel", "steps": [{"id": "x"}, verify()]}
    svc = await service({"id": "o", "type": "condition", "condition": "true", "then": inner}, functions={"t": does("t", 5)})
    outcome = await outcome_of(svc, {"kind": "big"})
    assert outcome.path == ["o:then", "v:then"]
    assert outcome.results.o.successes == 2


async def test_a_condition_that_cannot_be_evaluated_fails_the_request(virtual):
    outcome = await outcome_of(await service(verify(condition="results.nobody.verified")), {"kind": "big"})
    assert (outcome.success, outcome.failed_step, CALLS) == (False, "v", [])
    assert "nobody" in outcome.error


# -- parallel ----------------------------------------------------------------------------------------------------------------


def parallel(*ids, **more):
    return {"id": "p", "type": "parallel", "steps": [{"id": one} for one in ids], **more}


@pytest.mark.feature(248, 251, 252)
@pytest.mark.parametrize("strategy", [{}, {"strategy": "all"}])
async def test_all_have_to_succeed_also_when_nothing_is_said(virtual, strategy):
    good = await outcome_of(await service(parallel("x", "y", **strategy), functions={"x": does("x", 1), "y": does("y", 0)}))
    assert good.results.p == {
        "strategy": "all", "results": [{"id": "x", "success": True, "result": 1}, {"id": "y", "success": True, "result": 0}],
        "successes": 2, "failures": 0,
    }  # fmt: skip
    bad = {"x": does("x", error=ValueError("no")), "z": does("z", error=ValueError("nor this"))}
    outcome = await outcome_of(await service(parallel("x", "y", "z", **strategy), functions=bad))
    assert (outcome.success, outcome.failed_step, outcome.error) == (False, "p", "Parallel steps failed: x, z")
    assert "y" in CALLS


@pytest.mark.feature(248)
async def test_failures_of_parallel_steps_that_are_not_required_are_counted(virtual):
    bad = {"x": does("x", error=ValueError("no"))}
    outcome = await outcome_of(await service(parallel("x", "y", required=False), functions=bad))
    assert (outcome.success, outcome.results.p.failures) == (True, 1)
    assert outcome.results.p.results[0] == {"id": "x", "success": False, "error": "no"}


def takes(step_id, duration, result=None, error=None):
    async def run():
        CALLS.append(f"{step_id} begins")
        await dotdo.sleep(duration)
        CALLS.append(f"{step_id} ends")
        if error is not None:
            raise error
        return result

    return run


@pytest.mark.feature(249)
async def test_any_waits_for_the_first_success_not_for_the_first_end(virtual):
    functions = {"x": takes("x", "1s", error=ValueError("no")), "y": takes("y", "2s", 7), "z": takes("z", "3d", 8)}
    began = virtual.clock.now()
    outcome = await outcome_of(await service(parallel("x", "y", "z", strategy="any"), functions=functions))
    assert outcome.results.p == {"strategy": "any", "result": {"id": "y", "success": True, "result": 7}}  # the source: x, which failed
    assert virtual.clock.now() - began < 60
    await virtual.advance("5d")
    assert "z ends" not in CALLS  # a loser is cancelled


@pytest.mark.feature(249)
async def test_any_fails_when_all_have_failed(virtual):
    bad = {"x": does("x", error=ValueError("no")), "y": does("y", error=ValueError("no"))}
    outcome = await outcome_of(await service(parallel("x", "y", strategy="any"), functions=bad))
    assert (outcome.failed_step, outcome.error) == ("p", "Parallel steps failed: x, y")


@pytest.mark.feature(250)
@pytest.mark.parametrize("fails", [True, False])
async def test_first_is_decided_by_the_first_that_ends(virtual, fails):
    functions = {"x": takes("x", "1s", 1, ValueError("no") if fails else None), "y": takes("y", "2s", 2)}
    outcome = await outcome_of(await service(parallel("x", "y", strategy="first"), functions=functions))
    assert outcome.success is not fails
    if fails:
        assert outcome.error == "Parallel steps failed: x: no"
    else:
        assert outcome.results.p.result == {"id": "x", "success": True, "result": 1}


@pytest.mark.feature(230, 253)
async def test_a_step_that_takes_too_long_has_failed(virtual):
    steps = {"id": "p", "type": "parallel", "required": False, "steps": [{"id": "x", "timeout": 1000}, {"id": "y", "timeout": 5000}]}
    functions = {"x": takes("x", "3s"), "y": takes("y", "3s", 1)}
    outcome = await outcome_of(await service(steps, functions=functions))
    assert [one["success"] for one in outcome.results.p.results] == [False, True]


async def test_parallel_steps_have_a_time_of_their_own_as_a_whole(virtual):
    outcome = await outcome_of(await service(parallel("x", "y", timeout="1h"), functions={"x": takes("x", "2h"), "y": does("y")}))
    assert (outcome.success, outcome.failed_step) == (False, "p")
    await virtual.advance("3h")
    assert "x ends" not in CALLS


# -- failures ------------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(238, 267)
async def test_the_step_that_failed_is_named_and_nothing_after_it_is_done(virtual):
    svc = await service(A, B, {"id": "c", "dependsOn": ["b"]}, functions={"b": does("b", error=ValueError("broken"))}, pricing={"rate": 1})
    request = await svc.request({}, customer_id="c1", id="r1")
    outcome = await request.result()
    assert (outcome.success, outcome.failed_step, outcome.failed_steps, outcome.error) == (False, "b", ["b"], "broken")
    assert (outcome.completed_steps, CALLS, outcome.cost) == (["a"], ["a", "b"], 0)
    assert await request.status() == "failed"
    await virtual.settle()
    (message,) = said("ServiceRequest.fail")
    assert (message["failed_step"], message["error"], message["completed_steps"]) == ("b", "broken", ["a"])  # the source: undefined
    assert message["partial_results"] == {"a": None}
    assert said("Payment.charge") == said("ServiceResult.deliver") == []


@pytest.mark.feature(229, 247, 313)
async def test_a_step_that_is_not_required_may_fail(virtual):
    svc = await service(
        A, {**B, "required": False}, {"id": "c", "dependsOn": ["b"]}, functions={"b": does("b", error=ValueError("no"))},
        pricing={"rate": 2.0, "failureRefund": 0.5},
    )  # fmt: skip
    outcome = await outcome_of(svc, customer_id="c1")
    assert (outcome.success, outcome.error, outcome.failed_steps, outcome.skipped_steps) == (False, None, ["b"], ["c"])
    assert outcome.cost == Decimal("1.5")
    await virtual.settle()
    assert said("Payment.charge")[0]["amount"] == Decimal("1.5")
    assert said("ServiceResult.deliver")[0]["outputs"]["success"] is False


@pytest.mark.feature(235)
async def test_a_required_step_cannot_do_without_one_that_failed(virtual):
    steps = [{**A, "required": False}, {**B, "required": True}]
    outcome = await outcome_of(await service(*steps, functions={"a": does("a", error=ValueError("no"))}))
    assert (outcome.failed_step, outcome.error) == ("b", "Dependencies not met for step: b (needs a)")


@pytest.mark.feature(255, 256, 257, 258, 259)
@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ({"maxAttempts": 7, "backoff": "exponential", "baseDelay": 1000, "maxDelay": 30000}, [1, 2, 4, 8, 16, 30]),
        ({"maxAttempts": 4, "backoff": "linear", "baseDelay": 2000}, [2, 4, 6]),
        ({"maxAttempts": 3, "backoff": "constant", "initialDelay": 5000}, [5, 5]),
        ({"maxAttempts": 3, "backoff": "fixed", "baseDelay": 5000}, [5, 5]),
        ({"maxAttempts": 2}, [1]),
        (None, []),
    ],
)
async def test_a_step_is_tried_as_its_policy_says(virtual, policy, waits):
    times: list = []

    def fail():
        times.append(virtual.clock.now())
        raise ValueError("no")

    svc = await service(A if policy is None else {**A, "retryPolicy": policy}, functions={"a": fail})
    assert (await outcome_of(svc)).failed_step == "a"
    assert [round(after - before) for before, after in zip(times, times[1:], strict=False)] == waits


@pytest.mark.feature(265)
async def test_the_default_policy_holds_for_steps_without_one(virtual):
    svc = await service(
        {**A, "retryPolicy": {"maxAttempts": 3}}, {"id": "b", "required": False, "dependsOn": ["a"]},
        functions={"a": does("a", error=ValueError("no"), times=2), "b": does("b", error=ValueError("no"))},
        errorHandling={"defaultRetryPolicy": {"maxAttempts": 2, "backoff": "exponential", "baseDelay": 1000}},
    )  # fmt: skip
    await outcome_of(svc)
    assert (CALLS.count("a"), CALLS.count("b")) == (3, 2)


@pytest.mark.feature(260)
async def test_on_error_retry_tries_three_times(virtual):
    outcome = await outcome_of(await service({**A, "onError": "retry"}, functions={"a": does("a", 1, ValueError("no"), times=2)}))
    assert (outcome.success, CALLS.count("a")) == (True, 3)


@pytest.mark.feature(260, 261)
@pytest.mark.parametrize("word", ["continue", "log-and-continue"])
async def test_to_continue_wins_over_required(virtual, word):
    outcome = await outcome_of(
        await service({**A, "required": True, "onError": word}, {**B, "required": True}, functions={"a": does("a", error=ValueError("no"))})
    )
    assert (outcome.error, outcome.failed_steps, outcome.completed_steps) == (None, ["a"], ["b"])  # in the source the request fails


@pytest.mark.feature(260)
async def test_a_branch_is_done_in_the_place_of_what_failed(virtual):
    steps = [{**A, "onError": "branch", "errorBranch": "instead"}, B, {"id": "instead"}]
    outcome = await outcome_of(await service(*steps, functions={"a": does("a", error=ValueError("no"))}))
    assert (outcome.failed_steps, outcome.completed_steps, outcome.skipped_steps) == (["a"], ["instead"], ["b"])
    good = await outcome_of(await service(*steps))
    assert (good.success, good.completed_steps, good.skipped_steps) == (True, ["a", "b"], ["instead"])


@pytest.mark.feature(260, 263)
async def test_the_manager_is_told_and_the_request_fails(virtual):
    outcome = await outcome_of(await service({**A, "onError": "notify-manager"}, functions={"a": does("a", error=ValueError("no"))}))
    assert outcome.failed_step == "a"
    await virtual.settle()
    (notice,) = said("Notification.send")
    assert (notice["type"], notice["user_id"], notice["data"]["step_id"]) == ("step-failed", "manager", "a")


@pytest.mark.feature(266)
async def test_a_failure_is_told_to_who_wants_to_know(virtual):
    svc = await service(A, functions={"a": does("a", error=ValueError("no"))}, errorHandling={"notifyOnFailure": True, "notify": "ops"})
    await outcome_of(svc, id="r1")
    await virtual.settle()
    (notice,) = said("Notification.send")
    assert (notice["type"], notice["user_id"], notice["data"]["request_id"]) == ("request-failed", "ops", "r1")


# -- people ----------------------------------------------------------------------------------------------------------------------


async def the_task():
    (task,) = await tasks.list(status=["pending", "claimed"])
    return task


@pytest.mark.feature(260, 262)
@pytest.mark.parametrize(
    ("decision", "completed", "failed"), [("retry", ["a", "b"], []), ("approved", ["a", "b"], []), ("rejected", [], ["a"])]
)
async def test_a_person_decides_what_becomes_of_a_step_that_failed(virtual, decision, completed, failed):
    svc = await service({**A, "onError": "human-review"}, B, functions={"a": does("a", "done", ValueError("odd"), times=1)})
    request = await svc.request({"n": 1})
    await virtual.advance("2d")
    assert virtual.host.activations == {}
    task = await the_task()
    assert (task.title, task.details["error"]) == ("Review: a", "ValueError: odd")
    await tasks.complete(task.id, by="ann", decision=decision, comments="looked")
    outcome = await request.result()
    assert (outcome.completed_steps, outcome.failed_steps) == (completed, failed)
    assert CALLS.count("a") == (2 if decision == "retry" else 1)
    if decision == "approved":
        assert outcome.results.a.reviewed_by == "ann"


HUMAN = {
    "id": "h", "type": "human-task", "name": "Approve it", "timeout": 86400000, "assignTo": "results.a.approver",
    "escalationPolicy": {"timeout": 43200000, "escalateTo": "manager"}, "dependsOn": ["a"],
}  # fmt: skip


def human(**more):
    return [A, {**HUMAN, **more}, {"id": "z", "dependsOn": ["h"]}]


WITH_APPROVER = {"a": does("a", {"approver": "ann"})}


@pytest.mark.feature(225, 269, 276, 277, 278, 311)
async def test_a_task_for_a_person_parks_the_request_until_it_is_done(virtual):
    svc = await service(*human(), functions=WITH_APPROVER, pricing={"rates": {"automated": 0.25, "humanReview": 1.0}})
    request = await svc.request({"amount": 7}, id="r1")
    await virtual.advance("2h")
    assert virtual.host.activations == {}
    await virtual.crash()
    assert await request.status() == "waiting"
    task = await the_task()
    assert (task.assignee, task.request_id, task.step_id, task.workflow_id) == ("ann", "r1", "h", "svc")
    assert task.details["inputs"] == {"amount": 7}
    await tasks.complete(task.id, by="ann", decision="approve", comments="fine")
    outcome = await request.result()
    answer = outcome.results.h
    assert (answer.approved, answer.decision, answer.comments, answer.reviewed_by) == (True, "approved", "fine", "ann")
    assert answer.reviewed_at.tzinfo is not None
    assert (outcome.completed_steps, outcome.cost) == (["a", "h", "z"], Decimal(1))


@pytest.mark.feature(279)
@pytest.mark.parametrize("decision", ["reject", "needs-work", None])
async def test_whatever_is_not_a_yes_lets_nothing_after_it_be_done(virtual, decision):
    request = await (await service(*human(), functions=WITH_APPROVER)).request()
    await virtual.settle()
    await tasks.complete((await the_task()).id, by="ann", decision=decision, comments="too dear")
    outcome = await request.result()
    assert (outcome.success, outcome.failed_step, "z" in CALLS) == (False, "h", False)  # the source does `z`
    assert "ann: too dear" in outcome.error


@pytest.mark.feature(273, 274, 275)
async def test_a_task_is_escalated_after_half_a_day_and_fails_the_step_after_a_whole_one(virtual):
    request = await (await service(*human(), functions=WITH_APPROVER)).request()
    await virtual.advance("11h")
    assert (await the_task()).assignee == "ann"
    await virtual.advance("2h")
    assert (await the_task()).assignee == "manager"
    outcome = await request.result()
    assert (outcome.failed_step, "in time" in outcome.error) == ("h", True)
    assert (outcome.completed_at - outcome.started_at).total_seconds() == pytest.approx(86400, abs=60)


@pytest.mark.feature(221)
@pytest.mark.parametrize(("given", "assignee"), [("bob", "bob"), ("inputs.who", "eve"), ({"$expr": "inputs.who"}, "eve"), (None, None)])
async def test_who_a_task_is_for_is_a_name_or_an_expression_over_what_there_is(virtual, given, assignee):
    await (await service(*human(assignTo=given), functions=WITH_APPROVER)).request({"who": "eve"})
    await virtual.settle()
    assert (await the_task()).assignee == assignee


@pytest.mark.feature(250)
async def test_a_task_that_loses_is_called_off(virtual):
    both = {
        "id": "p",
        "type": "parallel",
        "strategy": "first",
        "steps": [{"id": "h", "type": "human-task", "assignTo": "ann"}, {"id": "x"}],
    }
    outcome = await outcome_of(await service(both, functions={"x": takes("x", "1h", 1)}))
    assert outcome.results.p.result.id == "x"
    assert await tasks.list(status=["pending", "claimed"]) == []


async def test_a_request_that_fails_waits_for_nobody(virtual):
    steps = [{"id": "h", "type": "human-task"}, {**A, "dependsOn": []}]
    outcome = await outcome_of(await service(*steps, functions={"a": does("a", error=ValueError("no"))}))
    assert outcome.failed_step == "a"
    await virtual.settle()
    assert await tasks.list(status=["pending", "claimed"]) == []


# -- undoing -----------------------------------------------------------------------------------------------------------------------


def undone_by(*actions, **more):
    return {"compensation": {"steps": [{"action": action, **more} for action in actions]}}


@pytest.mark.feature(52, 54, 55, 264, 268)
async def test_the_list_of_the_step_that_failed_comes_first_then_those_of_completed_steps_in_reverse(virtual):
    undone: list = []

    def undo(params, state):
        undone.append(dict(params))

    steps = [
        {**A, **undone_by("undo-a1", "undo-a2")}, {**B, **undone_by("undo-b", stepId="a", params={"why": "late"})},
        {"id": "c", "dependsOn": ["b"], "onError": "rollback", **undone_by("undo-c")},
    ]  # fmt: skip
    functions = {"c": takes("c", "1s", error=ValueError("no")), "a": does("a", {"booked": 7}), "undo-b": undo}
    request = await (await service(*steps, functions=functions)).request()
    outcome = await request.result()
    assert [(one["step"], one["action"], one["success"]) for one in outcome.compensations] == [
        ("c", "undo-c", True), ("b", "undo-b", True), ("a", "undo-a1", True), ("a", "undo-a2", True),
    ]  # fmt: skip
    assert undone == [{"step_id": "a", "result": {"booked": 7}, "why": "late"}]
    await virtual.settle()
    assert said("ServiceRequest.fail")[0]["compensations"] == outcome.compensations
    with pytest.raises(InvalidTransition, match="make a new request"):
        await request.retry()


@pytest.mark.feature(56)
async def test_an_action_that_fails_is_recorded_by_its_name_and_the_rest_is_done(virtual):
    steps = [{**A, **undone_by("first", "second")}, {**B, "onError": "fail"}]
    functions = {"b": does("b", error=ValueError("no")), "first": does("first", error=RuntimeError("stuck"))}
    outcome = await outcome_of(await service(*steps, functions=functions))
    assert outcome.compensations == [
        {"step": "a", "action": "first", "success": False, "error": "RuntimeError: stuck"},
        {"step": "a", "action": "second", "success": True},
    ]
    assert outcome.error == "no"


@pytest.mark.feature(264)
async def test_what_failed_within_another_step_is_undone_too(virtual):
    steps = [{"id": "p", "type": "parallel", "steps": [{"id": "x", **undone_by("undo-x")}, {"id": "y", **undone_by("undo-y")}]}]
    outcome = await outcome_of(await service(*steps, functions={"y": does("y", error=ValueError("no"))}))
    assert [one["action"] for one in outcome.compensations] == ["undo-y", "undo-x"]


@pytest.mark.feature(260, 264)
async def test_rollback_fails_the_request_even_if_the_step_is_not_required(virtual):
    outcome = await outcome_of(
        await service({**A, "required": False, "onError": "rollback"}, functions={"a": does("a", error=ValueError("no"))})
    )
    assert (outcome.error, outcome.failed_step) == ("no", "a")


async def test_a_cancelled_request_is_undone(virtual):
    steps = [{**A, **undone_by("undo-a")}, B]
    request = await (await service(*steps, functions={"b": takes("b", "3d")})).request(id="r1")
    await virtual.advance("1h")
    assert await request.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await request.result()
    await virtual.settle()
    assert CALLS == ["a", "b begins", "undo-a"]
    assert said("ServiceRequest.fail")[0]["error"] == "it was cancelled"
    assert await request.status() == "cancelled"


async def test_a_failed_request_is_not_taken_up_again(virtual):
    svc = await service(A, B, functions={"b": does("b", 5, ValueError("no"), times=1)})
    request = await svc.request(id="r1")
    assert not (await request.result()).success
    with pytest.raises(InvalidTransition, match="make a new request"):
        await request.retry()
    assert (await (await svc.request(id="r1")).result()).cached
    again = await svc.request(id="r2")
    assert (await again.result()).success
    assert await again.retry() is False


# -- requests ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(245, 382)
async def test_the_same_id_is_the_same_request(virtual):
    svc = await service(A, B, functions={"a": takes("a", "1h", 1)}, pricing={"rate": 1})
    first = await svc.request({"n": 1}, customer_id="c1", id="r1")
    await virtual.settle()
    again = await svc.request({"n": 1}, customer_id="c1", id="r1")
    assert (again, again.request_id) == (first, "r1")
    assert (await first.result()).cached is False
    third = await svc.request({"n": 1}, customer_id="c1", id="r1")
    outcome = await third.result()
    assert (outcome.cached, outcome.success, CALLS.count("a ends"), CALLS.count("b")) == (True, True, 1, 1)
    await virtual.settle()
    assert [(m["status"], m["current_step"]) for m in said("ServiceProgress.status")] == [("running", "a")]
    assert [m.get("cached", False) for m in said("ServiceResult.deliver")] == [False, True]
    assert len(said("Payment.charge")) == 1
    with pytest.raises(CallIdConflict):
        await svc.request({"n": 2}, customer_id="c1", id="r1")


@pytest.mark.feature(245)
async def test_many_ask_at_once_under_one_id_and_one_is_served(virtual):
    svc = await service(A)
    requests = await asyncio.gather(*(svc.request({"n": 1}, id="r1") for _ in range(10)))
    outcomes = await asyncio.gather(*(request.result() for request in requests))
    assert (CALLS, {outcome.success for outcome in outcomes}) == (["a"], {True})


@pytest.mark.feature(236, 375, 376, 379, 380, 381)
async def test_how_far_it_is_can_be_heard_and_asked_for(virtual):
    PROGRESS.clear()
    svc = await service(
        {**A, "name": "First"}, B, {"id": "c", "dependsOn": ["b"], "required": False}, {"id": "d", "dependsOn": ["c"]},
        functions={"a": takes("a", "10s", 1), "b": takes("b", "20s", 2), "c": does("c", error=ValueError("no"))},
    )  # fmt: skip
    request = await svc.request({}, id="r1")
    await virtual.settle()
    now = await request.progress()
    assert (now["current_step"], now["current_step_name"], now["progress"], now["estimated_time_remaining"]) == ("a", "First", 0, None)
    checkpoint = asyncio.ensure_future(request.result())
    await checkpoint
    await virtual.settle()
    steps = [(one["current_step"], one["progress"], one["estimated_time_remaining"]) for one in PROGRESS]
    assert steps == [("a", 0.0, None), ("b", 0.25, 30.0), ("c", 0.5, 30.0), (None, 1.0, 0.0)]
    kept = await request.checkpoint()
    assert (kept["completed_steps"], kept["results"], kept["progress"]) == (["a", "b"], {"a": 1, "b": 2}, 1.0)
    with pytest.raises(ServiceNotFound, match="No checkpoint found"):
        await svc.get_request("nobody").checkpoint()


@pytest.mark.feature(314, 315)
async def test_discounts_go_by_what_the_customer_was_delivered(virtual):
    svc = await service(A, pricing={"rate": 10, "discounts": {"volume": [{"min": 3, "max": None, "discount": 0.5}]}})
    costs = [(await outcome_of(svc, {"n": n}, customer_id="c1")).cost for n in range(4)]
    assert costs == [10, 10, 5, 5]
    assert (await outcome_of(svc, customer_id="c2")).cost == 10
    assert (await outcome_of(svc, customer_id="c2", volume=3)).cost == 5


@pytest.mark.feature(316)
async def test_a_time_based_service_costs_what_its_steps_took(virtual):
    steps = [{"id": "transcode"}, {"id": "analyze", "dependsOn": ["transcode"]}, {"id": "generate-thumbnails", "dependsOn": ["analyze"]}]
    seconds = {"transcode": "40s", "analyze": "10s", "generate-thumbnails": "10s"}
    pricing = {
        "model": "time-based", "rate": 0.1, "minimum": 1.0, "maximum": 100.0,
        "stepMultipliers": {"transcode": 1.5, "analyze": 1.2, "generate-thumbnails": 0.8},
    }  # fmt: skip
    svc = await service(*steps, functions={one: takes(one, duration) for one, duration in seconds.items()}, pricing=pricing)
    assert (await outcome_of(svc)).cost == Decimal("8.00")


@pytest.mark.feature(231)
async def test_an_event_asks_for_a_service_as_a_call_does(virtual):
    svc = await service(A, functions={"a": does("a", 1)})
    before = registry.use_modules([__name__, "dotdo.workflows.services.service"])
    await send("ServiceRequest.created", {"id": "r9", "serviceId": svc.id, "inputs": {"n": 1}, "customerId": "c1"})
    registry.use_modules(before)
    outcome = await svc.get_request("r9").result()
    assert (outcome.success, outcome.customer_id) == (True, "c1")


async def test_a_service_is_found_by_id_and_by_name_and_a_changed_one_serves_what_begins_then(virtual):
    svc = await service(A, B, functions={"a": takes("a", "1h")})
    running = await svc.request(id="old")
    await virtual.settle()
    changed = await service(A, {"id": "c"})
    assert (svc.definition.version, changed.definition.version) == (1, 2)
    found = await Service.get("Svc")
    assert (found.id, found.definition == changed.definition) == ("svc", True)
    assert (await running.result()).completed_steps == ["a", "b"]
    assert sorted((await outcome_of(found, {"new": 1})).completed_steps) == ["a", "c"]
    with pytest.raises(ServiceNotFound, match="'other'"):
        await Service.get("other")


class Buyer(DO, noun="SvBuyer"):
    async def buy(self) -> list:
        svc = await Service.get("svc")
        request = await svc.request({"n": 1})
        outcome = await request.result()
        return [request.request_id, outcome.results]


async def test_an_entity_asks_for_a_service_and_rests_meanwhile(virtual):
    await service(A, functions={"a": takes("a", "2d", 1)})
    run = await dotdo.start(Buyer("x").buy)
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    await virtual.crash()
    request_id, results = await run.result()
    assert results == {"a": 1}
    assert len(await dotdo.entities("ServiceRequest")) == 1


async def test_mocks_take_the_place_of_steps(virtual):
    svc = await service(A, functions={"a": does("a", "real")})
    virtual.mock("a", lambda inputs, state: f"mock of {inputs['n']}")
    assert (await outcome_of(svc, {"n": 1})).results == {"a": "mock of 1"}


# -- definitions -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.feature(224, 225, 227, 235, 260)
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"steps": [A, A]}, r"steps\[1\].id: 'a' is the id of an earlier step too"),
        ({"steps": [B]}, r"steps\[0\].dependsOn: 'a' is not a step"),
        ({"steps": [{**A, "dependsOn": ["b"]}, B]}, "goes round in a circle"),
        ({"steps": [{**A, "type": "magic"}]}, r"steps\[0\].type: input should be 'function'"),
        ({"steps": [{**A, "onError": "panic"}]}, "onError: input should be 'fail'"),
        ({"steps": [{**A, "timeout": "soon"}]}, "timeout: 'soon' is not a duration"),
        ({"steps": [{"name": "x"}]}, r"steps\[0\].id: is missing"),
        ({"steps": [{**A, "requierd": True}]}, "did you mean 'required'"),
        ({"steps": [{**A, "type": "condition"}]}, "condition: is missing"),
        ({"steps": [{**A, "type": "condition", "condition": "inputs.x"}]}, "then: is missing, and so is else"),
        ({"steps": [{**A, "type": "parallel"}]}, "steps: is missing"),
        ({"steps": [{**A, "condition": "inputs.x ==== 1"}]}, "condition: "),
        ({"steps": [{**A, "then": {"id": "x"}}]}, "then: is for steps of type 'condition'"),
        ({"steps": [{**A, "onError": "branch"}]}, "errorBranch: is missing"),
        ({"steps": [{**A, "onError": "branch", "errorBranch": "x"}]}, "errorBranch: 'x' is not a step"),
        ({"steps": [{**A, "compensation": {"steps": [{"action": "x", "stepId": "nobody"}]}}]}, "'nobody' is not a step"),
        ({"steps": [{**A, "retryPolicy": {"backoff": "wild"}}]}, "retryPolicy.backoff: input should be"),
        ({"steps": [{**A, "dependsOn": ["b"], "depends_on": ["b"]}]}, "one thing in two spellings"),
        ({"steps": [parallel("x"), {**A, "dependsOn": ["x"]}]}, "depend on the step around it"),
        ({"steps": [parallel("a"), A]}, "is the id of an earlier step too"),
        ({"steps": {}}, "steps: is a list"),
        ({"name": " "}, "name: is a text"),
        ({"errorHandling": {"compensationStrategy": "random"}}, "errorHandling.compensationStrategy: input should be 'reverse-order'"),
        ({"pricing": {"rate": 1, "baseRate": 1}}, "pricing: rate and baseRate|pricing: baseRate and rate"),
        ({"subtype": "magic"}, "subtype='magic'"),
    ],
)
async def test_what_is_wrong_with_a_definition_is_named_with_its_place(virtual, wrong, why):
    with pytest.raises(DefinitionError, match=why):
        await Service.create(**{"name": "Wrong", "steps": [A], **wrong})
    assert await dotdo.entities("DotdoService") == []


async def test_everything_wrong_is_said_at_once(virtual):
    with pytest.raises(DefinitionError, match="3 things are wrong") as caught:
        await Service.create(name="Wrong", steps=[B, {"id": "c", "type": "magic"}], pricing={"rate": -1})
    assert str(caught.value).count("\n") == 3


@pytest.mark.feature(230)
@pytest.mark.parametrize(
    ("step", "seconds"),
    [({"timeout": 5000}, 5), ({"timeout": 5, "depends_on": []}, 5), ({"timeout": "5s"}, 5), ({"timeout": 5000, "dependsOn": []}, 5)],
)
async def test_a_plain_number_counts_seconds_in_pythons_spelling(virtual, step, seconds):
    svc = await Service.create(name="Units", steps=[{"id": "a", **step}])
    assert svc.definition.steps[0].timeout == seconds


async def test_a_state_machine_is_created_as_the_sources_do(virtual):
    machine = await Service.create(
        name="sv-machine", type="automation", subtype="state-machine", states={"a": {"on": {"go": "b"}}, "b": {}}, initialState="a"
    )
    assert isinstance(machine, StateMachine)
    assert await (await machine.start()).send("go") == "b"


# -- crashes -----------------------------------------------------------------------------------------------------------------------------


class Books(DO, noun="SvBooks"):
    lines: list[str] = []

    async def write(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)


def books(line, result=None, error=None):
    async def run():
        await dotdo.do(Books("b").write, line, step_id="write")
        if error is not None:
            raise error
        return result

    return run


CRASH_STEPS = [
    {"id": "book", **undone_by("unbook")},
    {
        "id": "pay", "type": "parallel", "dependsOn": ["book"], "strategy": "any",
        "steps": [{"id": "card"}, {"id": "cash", "retryPolicy": {"maxAttempts": 2, "baseDelay": 1000}}],
    },
    {"id": "ship", "dependsOn": ["pay"], "onError": "rollback", **undone_by("unpack")},
]  # fmt: skip


async def _serve(rt):
    functions = {
        "book": books("book", 1), "card": takes("card", "2s", error=ValueError("no card")), "cash": takes("cash", "5s", "paid"),
        "ship": books("ship", error=ValueError("no ship")), "unbook": books("unbook"), "unpack": books("unpack"),
    }  # fmt: skip
    svc = await service(*CRASH_STEPS, functions=functions, pricing={"rate": 1})
    request = await svc.request({"n": 1}, customer_id="c1", id="r1")
    outcome = await request.result()
    return outcome, await Books("b").lines, await request.status()


@pytest.mark.feature(10, 45, 264, 379)
async def test_a_service_killed_after_any_commit_is_served_and_undone_once():
    async with runtime(clock="virtual", shards=1) as rt:
        with killed_at_commit(rt, 0) as commits:
            expected, lines, status = await _serve(rt)
            await rt.settle()
    assert (status, expected.completed_steps, expected.failed_step) == ("failed", ["book", "pay"], "ship")
    assert lines == ["book", "ship", "unpack", "unbook"]
    assert len(commits) > 20
    for number in range(1, len(commits) + 1):
        SAID.clear()
        async with runtime(clock="virtual", shards=1) as rt:
            with killed_at_commit(rt, number):
                outcome, lines, status = await _serve(rt)
                await rt.settle()
            shown = (outcome.results, outcome.failed_step, outcome.compensations, outcome.error, outcome.path)
            assert shown == (expected.results, "ship", expected.compensations, "no ship", []), number
            assert (lines, status) == (["book", "ship", "unpack", "unbook"], "failed"), number
            assert len(said("ServiceRequest.fail")) == 1, number


@pytest.mark.feature(239)
async def test_a_service_killed_after_any_commit_is_delivered_and_charged_once():
    async def serve(rt):
        svc = await service(A, B, functions={"a": books("a", 1), "b": books("b", 2)}, pricing={"rate": 1})
        request = await svc.request({"n": 1}, customer_id="c1", id="r1")
        return await request.result(), await Books("b").lines

    async with runtime(clock="virtual", shards=1) as rt:
        with killed_at_commit(rt, 0) as commits:
            expected, _ = await serve(rt)
            await rt.settle()
    for number in range(1, len(commits) + 1):
        SAID.clear()
        async with runtime(clock="virtual", shards=1) as rt:
            with killed_at_commit(rt, number):
                outcome, lines = await serve(rt)
                await rt.settle()
            assert (outcome.results, lines) == (expected.results, ["a", "b"]), number
            assert (len(said("ServiceResult.deliver")), len(said("Payment.charge"))) == (1, 1), number
