"""The definitions of the sources, as they are printed there, and what their engine was seen to do wrong with them."""

from collections import Counter

import pytest

import dotdo
from dotdo import ConditionError, DefinitionError, Workflow
from dotdo.testing import runtime

CALLS: Counter[str] = Counter()
BROKEN: set[str] = set()

ORDER_PROCESSING = {
    "id": "order-processing",
    "name": "Process Customer Order",
    "steps": [
        {"id": "validate", "action": "validatePayment"},
        {"id": "reserve", "action": "reserveInventory", "dependsOn": ["validate"]},
        {"id": "charge", "action": "chargeCard", "dependsOn": ["reserve"], "maxRetries": 3},
        {"id": "fulfill", "action": "fulfillOrder", "dependsOn": ["charge"]},
        {"id": "notify", "action": "sendConfirmation", "dependsOn": ["fulfill"]},
    ],
}
FRAUD_CHECK = {
    "id": "fraud-check",
    "steps": [
        {"id": "score", "action": "calculateFraudScore"},
        {"id": "auto-approve", "action": "approveOrder", "condition": "score.risk < 0.3", "dependsOn": ["score"]},
        {"id": "manual-review", "action": "queueForReview", "condition": "score.risk >= 0.3", "dependsOn": ["score"]},
    ],
}
ONBOARDING = {
    "id": "onboarding",
    "steps": [
        {"id": "welcome", "action": "sendWelcomeEmail"},
        {"id": "wait", "action": "noop", "wait": "3d", "dependsOn": ["welcome"]},
        {"id": "tips", "action": "sendOnboardingTips", "dependsOn": ["wait"]},
    ],
}
CUSTOMER_LIFECYCLE = {
    "id": "customer-lifecycle",
    "triggers": [{"event": "Customer.created"}, {"event": "Customer.upgraded", "condition": 'plan === "enterprise"'}],
    "steps": ORDER_PROCESSING["steps"][:1],
}
RESILIENT = {
    "id": "resilient-workflow",
    "steps": [
        {"id": "risky-step", "action": "callExternalApi", "onError": "retry", "maxRetries": 5, "retryDelay": "1m"},
        {"id": "fallback", "action": "handleFailure", "onError": "branch", "errorBranch": "notify-admin"},
    ],
}


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()
    BROKEN.clear()


class Seeds(Workflow):
    """The actions of the sources; one that is BROKEN fails."""

    async def _did(self, name, value=None):
        CALLS[name] += 1
        if name in BROKEN:
            raise RuntimeError("Card declined")
        return value

    async def validate_payment(self, params):
        return await self._did("validate", await self.env.PAYMENTS.validate(params["orderId"]))

    async def reserve_inventory(self):
        return await self._did("reserve", {"shelf": 7})

    async def charge_card(self, params, state):
        return await self._did(
            "charge", await self.env.STRIPE["charges"].create(amount=state.validate.total, source=state.validate.paymentMethod)
        )

    async def fulfill_order(self):
        return await self._did("fulfill")

    async def send_confirmation(self):
        return await self._did("notify")

    async def calculate_fraud_score(self, params):
        return await self._did("score", params.get("score"))

    async def approve_order(self):
        return await self._did("approve")

    async def queue_for_review(self):
        return await self._did("review")

    async def send_welcome_email(self):
        return await self._did("welcome")

    async def send_onboarding_tips(self):
        return await self._did("tips")

    async def call_external_api(self):
        return await self._did("risky")

    async def handle_failure(self):
        return await self._did("fallback")

    async def _register(self):
        CALLS["private"] += 1


class Payments:
    async def validate(self, order_id):
        return {"total": 99.5, "paymentMethod": f"card for {order_id}"}

    async def create(self, amount, source):
        return {"amount": amount, "source": source}


@pytest.fixture
async def seeds():
    async with runtime(clock="virtual", env={"PAYMENTS": Payments(), "STRIPE": {"charges": Payments()}}) as rt:
        yield rt


def statuses(execution):
    return {step: result.status for step, result in execution.step_results.items()}


async def ran(wf, given, input=None, **options):
    await wf.register(given, **options)
    execution = await wf.start(given["id"], input)
    try:
        await execution.result()
    except Exception:
        pass
    return await wf.status(execution.id)


@pytest.mark.feature(177, 178, 179, 180, 183, 439)
async def test_the_order_runs_as_printed(seeds):
    execution = await ran(Seeds("s"), ORDER_PROCESSING, {"orderId": "ord_123", "customerId": "cus_456"})
    assert execution.status == "completed"
    assert execution.state["charge"] == {"amount": 99.5, "source": "card for ord_123"}
    assert execution.completed_steps == ["validate", "reserve", "charge", "fulfill", "notify"]


@pytest.mark.feature(190, 191, 207, 413)
async def test_a_failed_order_shows_what_happened_and_goes_on_from_there(seeds):
    """The engine of the sources stores no failed result, retries only with onError, and keeps the old error for ever."""
    BROKEN.add("charge")
    wf = Seeds("s")
    failed = await ran(wf, ORDER_PROCESSING, {"orderId": "ord_123"})
    assert failed.status == "failed"
    assert statuses(failed) == {"validate": "completed", "reserve": "completed", "charge": "failed"}
    assert (failed.step_results["charge"].error, failed.step_results["charge"].retries) == ("Card declined", 3)
    BROKEN.clear()
    await wf.retry(failed.id)
    await failed.result()
    done = await wf.status(failed.id)
    assert (done.status, done.error) == ("completed", None)
    assert CALLS == {"validate": 1, "reserve": 1, "charge": 5, "fulfill": 1, "notify": 1}


@pytest.mark.feature(200, 201, 439)
@pytest.mark.parametrize(
    ("score", "expected"),
    [({"risk": 0.1}, ("completed", "skipped")), ({"risk": 0.3}, ("skipped", "completed")), ({"risk": 0.9}, ("skipped", "completed"))],
)
async def test_the_fraud_check_takes_exactly_one_branch(seeds, score, expected):
    execution = await ran(Seeds("s"), FRAUD_CHECK, {"score": score})
    assert (statuses(execution)["auto-approve"], statuses(execution)["manual-review"]) == expected


@pytest.mark.feature(201, 217)
async def test_a_missing_score_fails_the_run_instead_of_skipping_both_branches(seeds):
    execution = await ran(Seeds("s"), FRAUD_CHECK, {})
    assert execution.status == "failed"
    assert "has no 'risk'" in execution.error
    missing = {
        "id": "typo",
        "steps": [{**step, "condition": step.get("condition", "true").replace("score", "scroe")} for step in FRAUD_CHECK["steps"]],
    }
    execution = await ran(Seeds("s"), missing, {"score": {"risk": 0.1}})
    assert execution.status == "failed"
    assert "scroe is undefined" in execution.error
    assert CALLS["approve"] == CALLS["review"] == 0
    with pytest.raises(ConditionError):
        await execution.result()


@pytest.mark.feature(197, 198, 439)
async def test_the_onboarding_waits_three_days_once(seeds):
    """The engine of the sources sees the wait again when it wakes, and waits for ever."""
    execution = await ran(Seeds("s"), ONBOARDING)
    assert (execution.completed_at - execution.started_at).total_seconds() == 259_200
    assert [entry.type for entry in execution.history].count("wait") == 1
    assert CALLS == {"welcome": 1, "tips": 1}


@pytest.mark.feature(202, 203, 439)
async def test_the_lifecycle_is_started_by_its_events_and_wildcards_match(seeds):
    wf = Seeds("s")
    await wf.register(CUSTOMER_LIFECYCLE)
    await wf.register({**CUSTOMER_LIFECYCLE, "id": "all", "triggers": [{"event": "Customer.*"}]})
    by_hand = await wf.handle_event("Customer.created", {"id": "cus_123", "orderId": "o"})
    assert [one.workflow_id for one in by_hand] == ["all", "customer-lifecycle"]
    assert by_hand[0].input == {"id": "cus_123", "orderId": "o"}
    dotdo.send("Customer.upgraded", {"id": "cus_123", "plan": "enterprise", "orderId": "o"})
    dotdo.send("Customer.upgraded", {"id": "cus_124", "plan": "free", "orderId": "o"})
    await seeds.advance("1m")
    assert Counter(one.workflow_id for one in await wf.list_executions()) == {"all": 3, "customer-lifecycle": 2}


@pytest.mark.feature(194, 195, 439)
async def test_the_resilient_workflow_is_reported_and_runs_when_it_is_let_pass(seeds):
    wf = Seeds("s")
    with pytest.raises(DefinitionError, match=r"steps\[1\].errorBranch: 'notify-admin' is not a step; the steps are risky-step, fallback"):
        await wf.register(RESILIENT)
    kept = await wf.register(RESILIENT, strict=False)
    assert kept.warnings == ["steps[1].errorBranch: 'notify-admin' is not a step; the steps are risky-step, fallback"]
    execution = await wf.start("resilient-workflow")
    await execution.result()
    assert statuses(await wf.status(execution.id)) == {"risky-step": "completed", "fallback": "completed"}
    BROKEN.update(("risky", "fallback"))
    CALLS.clear()
    failed = await wf.start("resilient-workflow", {"again": 1})
    await seeds.advance("10m")
    failed = await wf.status(failed.id)
    assert failed.status == "failed", "the engine of the sources stays at 'running' for ever"
    assert CALLS == {"risky": 1, "fallback": 1}, "a failing run has no further attempts"
    BROKEN.discard("fallback")
    CALLS.clear()
    later = await wf.start("resilient-workflow", {"again": 2})
    await seeds.advance("10m")
    later = await wf.status(later.id)
    assert CALLS["risky"] == 6
    assert (later.completed_at - later.started_at).total_seconds() == 5 * 60


@pytest.mark.feature(180)
@pytest.mark.parametrize(
    "action",
    ["register", "start", "deleteDefinition", "setup", "do", "storage", "_register", "__init__", "_do_", "env", "abort", "execute"],
)
async def test_no_action_reaches_the_runtime(seeds, action):
    """The engine of the sources runs an action called register like any other."""
    wf = Seeds("s")
    given = {"id": "evil", "steps": [{"id": "a", "action": action, "params": {"id": "other", "steps": []}}]}
    with pytest.raises(DefinitionError, match=r"steps\[0\].action"):
        await wf.register(given)
    execution = await ran(wf, given, strict=False)
    assert execution.status == "failed"
    assert CALLS["private"] == 0
    assert [one.id for one in await wf.list_definitions()] == ["evil"]


@pytest.mark.feature(199)
@pytest.mark.parametrize("wait", ["3 days", "", "m", "-1d", "1y", "three"])
async def test_a_duration_with_a_typo_is_no_zero(seeds, wait):
    with pytest.raises(DefinitionError, match=r"steps\[0\].wait"):
        await Seeds("s").register({"id": "x", "steps": [{"id": "a", "action": "noop", "wait": wait}]}, strict=False)


@pytest.mark.feature(182, 184, 185)
async def test_steps_are_not_lost_by_their_order_and_dependents_of_skipped_and_continued_steps_run(seeds):
    """The engine of the sources drops a step listed before its dependency, and dependents of a skipped or continued one."""
    BROKEN.add("risky")
    given = {
        "id": "order",
        "steps": [
            {"id": "last", "action": "sendConfirmation", "dependsOn": ["maybe", "tried"]},
            {"id": "tried", "action": "callExternalApi", "onError": "continue", "dependsOn": ["first"]},
            {"id": "maybe", "action": "reserveInventory", "condition": "orderId === 'none'", "dependsOn": ["first"]},
            {"id": "first", "action": "validatePayment"},
        ],
    }
    execution = await ran(Seeds("s"), given, {"orderId": "o1"})
    assert execution.status == "completed"
    assert statuses(execution) == {"first": "completed", "tried": "failed", "maybe": "skipped", "last": "completed"}
    assert execution.state["first"]["paymentMethod"] == "card for o1", "without params a step gets the input"
