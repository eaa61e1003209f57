"""The examples of services and state machines, with what they print, and killed where it matters."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dotdo import send, tasks
from dotdo.events import registry
from examples import (
    content_pipeline,
    document_processing,
    invoice_processing,
    onboarding_service,
    order_fulfilment_service,
    order_states,
)

EXAMPLES = (content_pipeline, document_processing, invoice_processing, onboarding_service, order_fulfilment_service, order_states)


@pytest.fixture(autouse=True)
def only_these():
    before = registry.use_modules([__name__, *(module.__name__ for module in EXAMPLES)])
    yield
    registry.use_modules(before)


@pytest.mark.feature(174, 175, 432, 437)
async def test_orders_go_through_their_states(virtual, capsys):
    await order_states.main()
    said = capsys.readouterr().out
    assert "shop: completed with pay-1" in said
    assert "draft -> pending -> processing -> completed" in said
    assert said.count("payment failed: processing-payment") == 2 and "carrier: payment-failed" in said
    assert "class s12 current" in said


@pytest.mark.feature(158, 173, 174)
async def test_an_order_is_returned_after_a_crash_and_not_after_a_month(virtual):
    order = await order_states.shop_order.start(order_states.OrderIn(id="o7", items=["lamp"]), id="o7")
    await order.send("submit")
    await send("Order.paid", {"id": "o7"})
    await virtual.crash()
    await send("Order.fulfilled", {"id": "o7"})
    await virtual.advance("30d")
    assert virtual.host.activations == {}
    await virtual.crash()
    assert await order.can("return")
    await virtual.advance("1d")
    assert not await order.can("return")
    assert await order_states.Payments("shop").taken == ["o7"]


@pytest.mark.feature(437)
async def test_orders_are_fulfilled_paid_and_charged(virtual, capsys):
    await order_fulfilment_service.main()
    assert capsys.readouterr().out.splitlines() == [
        "o0 costs 0.90 - parcel of 2",
        "o1 costs 0.85 - done but for ['notification']",
        "o2 costs 0 - Parallel steps failed: reserve",
    ]


@pytest.mark.feature(10, 437)
@pytest.mark.parametrize("step", ["validate", "payment", "check-stock", "reserve", "shipping", "notification"])
async def test_an_order_whose_host_is_killed_after_a_step_takes_from_the_shelf_once(virtual, step):
    fulfilment = await order_fulfilment_service.make_service()
    virtual.crash_after(step)
    request = await fulfilment.request({"items": {"lamp": 3}, "email": "ann@example.org"}, customer_id="c1", id="o1")
    outcome = await request.result()
    assert (outcome.success, outcome.cost) == (True, Decimal("0.90"))
    assert await order_fulfilment_service.Warehouse("main").on_hand == 7


@pytest.mark.feature(218, 437)
async def test_verified_customers_get_everything(virtual, capsys):
    await onboarding_service.main()
    first, second, third = capsys.readouterr().out.splitlines()
    assert "'verify-identity:then', 'setup-features:then'" in first and "verified by the register" in first
    assert "'verify-identity:then', 'setup-features:else'" in second
    assert "'verify-identity:else', 'setup-features:then'" in third and "verified by the passport" in third


@pytest.mark.feature(437)
async def test_content_is_published_only_when_every_check_was_passed(virtual, capsys):
    began = virtual.clock.now()
    await content_pipeline.main()
    assert capsys.readouterr().out.splitlines() == [
        "published: write-article from 3 findings and 3 more - 45.00",
        "quality-check: Parallel steps failed: plagiarism-check - 0",
    ]
    assert virtual.clock.now() - began < 1  # four assets of 200 ms each, at once, twice


@pytest.mark.feature(264, 437)
async def test_invoices_are_paid_rolled_back_or_looked_at(virtual, capsys):
    await invoice_processing.main()
    assert capsys.readouterr().out.splitlines() == [
        "R1 2.00 paid ",
        "R2 1.00 ['update-accounting'] ",
        "R3 0 the account is closed ['reverse-approval', 'notify-failure']",
        "R4 2.00 paid ",
        "approved: ['R1', 'R2', 'R4']",
    ]


@pytest.mark.feature(262)
async def test_an_invoice_waits_for_its_reviewer_across_a_crash_and_is_refused(virtual):
    invoices = await invoice_processing.make_service()
    request = await invoices.request({"number": "R9", "lines": [-1]}, customer_id="acme")
    await virtual.advance("9d")
    assert virtual.host.activations == {}
    await virtual.crash()
    (task,) = await tasks.list()
    await tasks.complete(task.id, by="ann", decision="rejected")
    outcome = await request.result()
    assert (outcome.failed_step, outcome.error) == ("validate", "an invoice asks for something")
    assert await invoice_processing.Approvals("acme").approved == []


@pytest.mark.feature(314, 316, 437)
async def test_documents_cost_less_in_volume(virtual, capsys):
    await document_processing.main()
    said = capsys.readouterr().out
    assert [line.split(" costs ")[1].partition(",")[0] for line in said.splitlines()] == ["1.05", "0.945", "0.84", "0.735", "8.00"]
