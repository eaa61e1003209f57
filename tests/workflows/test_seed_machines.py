"""The sources' two order machines: the first as it is printed, the second with the state it forgets."""

import datetime

import pytest

import dotdo
from dotdo import DefinitionError, GuardFailed, StateMachine, send
from dotdo.events import registry
from tests.workflows.seed_definitions import ORDER_STATES_B

SAID: list = []


@pytest.fixture(autouse=True)
def only_mine():
    SAID.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


async def process_payment(order):
    return {"id": "pay-1"}


async def create_shipment(order):
    SAID.append(f"shipped {order['$id']}")


async def announce(order):
    send("Order.submitted", order)


async def pay(order):
    payment = await process_payment(order)
    return {**order, "paymentId": payment["id"]}


async def say_pending():
    SAID.append("Order pending, waiting for payment")


async def say_processing():
    SAID.append("Processing order")


async def say_completed():
    SAID.append("Order completed")


def within_30_days(order):
    return (dotdo.now() - order["completedAt"]).days <= 30


def order_machine_a():
    return StateMachine(
        name="order",
        initial="draft",
        states={
            "draft": {
                "on": {"submit": {"target": "pending", "guard": lambda order: len(order["items"]) > 0, "action": announce}},
            },
            "pending": {
                "entry": say_pending,
                "on": {"pay": {"target": "processing", "action": pay}, "cancel": {"target": "cancelled"}},
            },
            "processing": {
                "entry": say_processing,
                "on": {"fulfill": {"target": "completed", "action": create_shipment}, "fail": {"target": "failed"}},
            },
            "completed": {"entry": say_completed, "on": {"return": {"target": "returned", "guard": within_30_days}}},
            "cancelled": {},
            "failed": {"on": {"retry": {"target": "processing"}}},
            "returned": {},
        },
        events={
            "Order.submitted": "submit",
            "Order.paid": {"event": "pay", "key": "order", "data": lambda payment: {"paymentId": payment["id"]}},
            "Order.fulfilled": "fulfill",
            "Order.cancelled": "cancel",
        },
    )


@pytest.mark.feature(154, 157, 158, 160, 173, 174, 432)
async def test_order_machine_a_runs_as_it_is_printed(virtual):
    machine = order_machine_a()
    m = await machine.start({"$id": "o1", "items": ["lamp"]}, id="o1")
    assert await m.send("submit") == "pending"
    assert (await m.context)["items"] == ["lamp"]  # the source's context is undefined from here on
    await send("Order.paid", {"id": "p1", "order": "o1"})
    assert (await m.context)["paymentId"] == "pay-1"
    await send("Order.fulfilled", {"$id": "o1"})
    assert await m.state == "completed"
    assert SAID == ["Order pending, waiting for payment", "Processing order", "shipped o1", "Order completed"]
    await virtual.advance("1h")
    assert await dotdo.dead_letters.list() == []


@pytest.mark.feature(157, 162)
async def test_an_empty_order_is_not_submitted_and_a_cancelled_one_stays_so(virtual):
    m = await order_machine_a().start({"$id": "o1", "items": []}, id="o1")
    with pytest.raises(GuardFailed):
        await m.send("submit")
    full = await order_machine_a().start({"$id": "o2", "items": [1]}, id="o2")
    await full.send("submit")
    await send("Order.cancelled", {"$id": "o2"})
    with pytest.raises(dotdo.InvalidTransition):  # the source: TypeError
        await full.send("pay")
    assert await full.state == "cancelled"


@pytest.mark.feature(158, 174)
@pytest.mark.parametrize(("days", "returned"), [(30, True), (31, False)])
async def test_an_order_can_be_returned_for_30_days(virtual, days, returned):
    m = await order_machine_a().start({"$id": "o1", "items": [1]}, id="o1")
    await m.send("submit")
    await m.send("pay")
    now = datetime.datetime.fromtimestamp(virtual.clock.now(), datetime.UTC)
    await m.send("fulfill", {"completedAt": now})
    await virtual.advance(f"{days}d")
    assert await m.can("return") is returned
    if returned:
        assert await m.send("return") == "returned"


@pytest.mark.feature(174, 176)
async def test_a_failed_order_is_retried(virtual):
    m = await order_machine_a().start({"$id": "o1", "items": [1]}, id="o1")
    for event in ("submit", "pay", "fail", "retry", "fulfill"):
        await m.send(event)
    assert await m.state == "completed"


@pytest.mark.feature(155, 156, 175)
def test_order_machine_b_as_it_is_printed_is_reported_with_the_state_it_forgets():
    with pytest.raises(DefinitionError, match="states.shipped.on.RETURN_REQUESTED: the state 'returning' is not defined"):
        StateMachine(name="order-b", initialState="pending", states=ORDER_STATES_B)


@pytest.fixture
def order_machine_b():
    return StateMachine(
        name="order-b", type="automation", subtype="state-machine", initialState="pending", states=ORDER_STATES_B, strict=False
    )


@pytest.mark.feature(156, 164, 175, 176)
async def test_order_machine_b_runs_with_strict_false_until_the_state_that_is_not_there(virtual, order_machine_b):
    (warning,) = order_machine_b.warnings
    assert "'returning' is not defined" in warning
    path = ("VALIDATE", "VALIDATION_SUCCESS", "PROCESS_PAYMENT", "PAYMENT_SUCCESS", "FULFILL", "FULFILLMENT_FAILED", "RETRY", "SHIPPED")
    m = await order_machine_b.start({}, id="o1")
    for event in path:
        await m.send(event)
    with pytest.raises(DefinitionError, match="'returning' is not defined"):
        await m.send("RETURN_REQUESTED")
    assert await m.state == "shipped"
    assert await m.send("DELIVERED") == "delivered"
    assert "returning?" in order_machine_b.mermaid()


@pytest.mark.feature(165, 175)
async def test_a_validation_that_takes_over_30_seconds_has_failed(virtual, order_machine_b):
    m = await order_machine_b.start({}, id="o1")
    await m.send("VALIDATE")
    assert (await m.result()).final_state == "validation-failed"
    started, validating, failed = (move["at"] for move in await m.history)
    assert failed - validating == datetime.timedelta(seconds=30)


@pytest.mark.feature(166, 175)
async def test_the_payment_may_fail_twice(virtual, order_machine_b):
    m = await order_machine_b.start({}, id="o1")
    for event in ("VALIDATE", "VALIDATION_SUCCESS", "PROCESS_PAYMENT"):
        await m.send(event)
    assert [await m.send("PAYMENT_FAILED") for _ in range(3)] == ["processing-payment", "processing-payment", "payment-failed"]
