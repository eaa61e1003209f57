"""The sources' services, as printed: they load and are served, the broken ones with the report that names what is wrong."""

from decimal import Decimal

import pytest

from dotdo import DefinitionError, Service, tasks
from dotdo.events import registry
from tests.workflows import seed_definitions as seeds

CALLS: list = []


@pytest.fixture(autouse=True)
def only_mine():
    CALLS.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


async def load(definition, results=None, failing=(), **more):
    """The service, with a function for each step that notes its call; those of `failing` raise."""
    svc = await Service.create(**definition, **more)
    for step in svc.definition.all_steps().values():
        for name in [step.id, *(action.action for action in (step.compensation.steps if step.compensation else ()))]:
            svc.step(name, _function(name, (results or {}).get(name), name in failing))
    return svc


def _function(name, result, fails):
    async def run(inputs, state):
        CALLS.append(name)
        if fails:
            raise RuntimeError(f"{name} is broken")
        return result

    return run


async def serve(svc, inputs=None):
    return await (await svc.request(inputs, customer_id="c1")).result()


# -- order fulfilment -------------------------------------------------------------------------------------------------


@pytest.mark.feature(222, 226, 230, 309, 437)
async def test_order_fulfilment_runs_as_printed_and_costs_90_cents(virtual):
    svc = await load(seeds.ORDER_FULFILLMENT)
    outcome = await serve(svc, {"orderId": "o1"})
    assert outcome.success
    assert outcome.completed_steps == ["validate", "payment", "inventory", "shipping", "notification"]
    assert sorted(CALLS[2:4]) == ["check-stock", "reserve"]  # they have no type: the source's executor throws
    assert outcome.cost == Decimal("0.90")
    assert svc.definition.steps[0].timeout == 5
    assert svc.definition.steps[0].retry_policy.policy().max_attempts == 3
    assert any("steps[2].steps[0].type: is missing" in warning for warning in svc.warnings)


@pytest.mark.feature(229, 309)
async def test_order_fulfilment_without_its_confirmation_costs_85(virtual):
    outcome = await serve(await load(seeds.ORDER_FULFILLMENT, failing=["notification"]))
    assert (outcome.failed_steps, outcome.error, outcome.cost) == (["notification"], None, Decimal("0.85"))


@pytest.mark.feature(238, 267)
async def test_an_order_that_cannot_be_paid_fails_by_that_step(virtual):
    outcome = await serve(await load(seeds.ORDER_FULFILLMENT, failing=["payment"]))
    assert (outcome.failed_step, outcome.failed_steps, outcome.completed_steps) == ("payment", ["payment"], ["validate"])


# -- onboarding -------------------------------------------------------------------------------------------------------


@pytest.mark.feature(214, 215, 218, 240, 243, 437)
@pytest.mark.parametrize(
    ("kind", "verified", "path", "features"),
    [
        ("business", True, ["verify-identity:then", "setup-features:then"], ["api-access", "integrations", "team-invite"]),
        ("business", False, ["verify-identity:then", "setup-features:else"], ["limited-access"]),
        ("person", True, ["verify-identity:else", "setup-features:then"], ["api-access", "integrations", "team-invite"]),
        ("person", 1, ["verify-identity:else", "setup-features:else"], ["limited-access"]),
    ],
)
async def test_a_verified_customer_is_not_given_limited_access(virtual, kind, verified, path, features):
    result = {"verified": verified}
    svc = await load(seeds.ONBOARDING, {"business-verification": result, "personal-verification": result})
    outcome = await serve(svc, {"accountType": kind})
    assert (outcome.success, outcome.path, outcome.cost) == (True, path, Decimal(1))
    assert set(features) <= set(CALLS)  # the source gives everybody limited access
    assert ("limited-access" in CALLS) is (features == ["limited-access"])
    assert outcome.results["verify-identity"].branch == path[0].partition(":")[2]
    assert CALLS[-1] == "send-welcome"


# -- content ----------------------------------------------------------------------------------------------------------


@pytest.mark.feature(248, 251, 253, 312, 437)
async def test_the_content_pipeline_runs_its_steps_at_once_and_has_its_discount(virtual):
    svc = await load(seeds.CONTENT)
    outcome = await serve(svc)
    assert (outcome.success, outcome.cost) == (True, Decimal("45.00"))
    assert (outcome.results["create-assets"].successes, outcome.results["quality-check"].successes) == (4, 3)
    assert [one.timeout for one in svc.definition.steps[1].steps] == [300, 180, 120, 240]


@pytest.mark.feature(251)
async def test_a_failed_quality_check_publishes_nothing(virtual):
    outcome = await serve(await load(seeds.CONTENT, failing=["plagiarism-check"]))
    assert (outcome.failed_step, "publish" in CALLS) == ("quality-check", False)  # the source publishes
    assert outcome.error == "Parallel steps failed: plagiarism-check"


# -- invoices ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature(54, 264, 437)
async def test_a_payment_that_fails_is_rolled_back_by_its_own_list(virtual):
    outcome = await serve(await load(seeds.INVOICE, failing=["process-payment"]))
    assert CALLS.count("process-payment") == 3
    assert [one["action"] for one in outcome.compensations] == ["reverse-approval", "notify-failure"]  # the source: none
    assert (outcome.failed_step, outcome.success) == ("process-payment", False)


@pytest.mark.feature(261, 313)
async def test_accounting_that_fails_stops_nothing_and_half_is_paid(virtual):
    outcome = await serve(await load(seeds.INVOICE, failing=["update-accounting"]))
    assert (outcome.error, outcome.failed_steps, outcome.cost) == (None, ["update-accounting"], Decimal("1.00"))
    assert outcome.compensations == []  # the source fails the request, and rolls the payment back
    assert CALLS[-1] == "notify-completion"
    assert CALLS.count("update-accounting") == 2  # as the default policy says: the source tries once


@pytest.mark.feature(246)
@pytest.mark.parametrize("falsy", [None, 0, "", False])
async def test_an_invoice_whose_steps_give_nothing_is_paid_in_full(virtual, falsy):
    names = ["extract", "validate", "approve", "process-payment", "update-accounting", "notify-completion"]
    outcome = await serve(await load(seeds.INVOICE, dict.fromkeys(names, falsy)))
    assert (outcome.success, outcome.failed_steps, outcome.cost) == (True, [], Decimal(2))  # the source: all failed, 1.00


@pytest.mark.feature(262)
async def test_an_invoice_that_is_not_valid_is_looked_at_by_a_person(virtual):
    request = await (await load(seeds.INVOICE, failing=["validate"])).request({}, customer_id="c1")
    await virtual.advance("1h")
    (task,) = await tasks.list()
    assert task.title == "Review: Validate Invoice"
    assert "approve" not in CALLS and "process-payment" not in CALLS
    await tasks.complete(task.id, by="ann", decision="approved")
    assert (await request.result()).success


# -- expenses ---------------------------------------------------------------------------------------------------------


@pytest.mark.feature(278, 311, 437)
async def test_a_small_expense_is_approved_by_itself(virtual):
    outcome = await serve(await load(seeds.EXPENSE, {"policy-check": {"autoApprove": True}}))
    assert (outcome.success, outcome.path, outcome.cost) == (True, ["approval-routing:then"], Decimal("0.25"))


@pytest.mark.feature(221, 269, 278, 279, 311, 437)
@pytest.mark.parametrize("decision", ["approved", "rejected"])
async def test_an_expense_is_processed_only_after_a_yes(virtual, decision):
    svc = await load(seeds.EXPENSE, {"policy-check": {"autoApprove": False, "approver": "vera"}})
    request = await svc.request({"amount": 700}, customer_id="c1")
    await virtual.advance("3h")
    (task,) = await tasks.list(assignee="vera")
    assert (task.due_at - task.created_at).total_seconds() == 86_400
    assert (task.escalates_at - task.created_at).total_seconds() == 43_200
    await tasks.complete(task.id, by="vera", decision=decision)
    outcome = await request.result()
    assert ("process" in CALLS) is (decision == "approved")  # the source processes what was rejected
    if decision == "approved":
        assert (outcome.results["approval-routing"].approved, outcome.cost) == (True, Decimal(1))
        assert outcome.completed_steps[-2:] == ["approval-routing", "process"]  # the source waits for ever for the routing
    else:
        assert (outcome.failed_step, outcome.cost) == ("approval-routing", 0)


@pytest.mark.feature(273, 274, 275)
async def test_an_expense_nobody_looks_at_goes_to_the_manager_and_fails_after_a_day(virtual):
    svc = await load(seeds.EXPENSE, {"policy-check": {"autoApprove": False, "approver": "vera"}})
    request = await svc.request({"amount": 700})
    await virtual.advance("13h")
    (task,) = await tasks.list()
    assert task.assignee == "manager"
    assert (await request.result()).failed_step == "approval-routing"


# -- the short ones ---------------------------------------------------------------------------------------------------


@pytest.mark.feature(309, 314, 316, 437)
@pytest.mark.parametrize("definition", [seeds.DOCUMENTS, seeds.VIDEO])
async def test_a_service_that_is_a_price_alone_loads_with_a_hint(virtual, definition):
    svc = await Service.create(**definition)
    assert svc.warnings[0] == "steps: is empty: a request has nothing to do"
    outcome = await serve(svc)
    assert (outcome.success, outcome.cost) == (True, svc.definition.pricing.cost(_nothing()))


def _nothing():
    from dotdo.workflows.pricing import Usage

    return Usage()


@pytest.mark.feature(227, 318, 437)
@pytest.mark.parametrize(
    ("definition", "place"),
    [(seeds.SUPPORT, r"steps\[2\].condition: is missing"), (seeds.ECOMMERCE, r"steps\[3\].steps: is missing")],
)
async def test_what_is_left_out_is_reported_or_does_nothing(virtual, definition, place):
    with pytest.raises(DefinitionError, match=place):
        await Service.create(**definition)
    svc = await load(definition, strict=False)
    outcome = await serve(svc)
    left_out = {"route", "pick-pack"}
    assert outcome.success
    assert outcome.completed_steps == [step["id"] for step in definition["steps"]]  # in the order of the list: paid, then shipped
    assert [step["id"] for step in definition["steps"] if step["id"] not in left_out] == CALLS
    assert outcome.cost == Decimal(str(definition["pricing"]["rate"]))
