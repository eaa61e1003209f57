"""The examples of events: each does what its text says, alone in its runtime, in days of virtual time, and over a crash."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import N, send
from dotdo.testing import runtime
from examples import (
    confirmations,
    dead_letters,
    order_fulfilment,
    order_saga,
    product_launch,
    subscription_lifecycle,
)


def alone(module):
    """A runtime in which only the handlers of this example are called: several of them want the same events."""
    return runtime(clock="virtual", modules=[module.__name__])


@pytest.mark.feature(67, 75, 80, 152, 358, 373, 419)
async def test_orders_are_fulfilled_or_cancelled_with_the_reason(capsys):
    order_fulfilment.OUTCOMES.clear()
    async with alone(order_fulfilment):
        await order_fulfilment.main()
    assert capsys.readouterr().out.splitlines() == [
        "o1 confirmed", "o2 cancelled", "o3 cancelled", "ann@example.org: order-confirmed, shipment of o1", "o2 cancelled: payment-failed",
        "o3 cancelled: an order of nothing",
    ]  # fmt: skip


@pytest.mark.feature(420, 83, 86)
async def test_a_launch_is_over_when_all_departments_are_done_at_once(capsys):
    product_launch.DONE.clear()
    async with alone(product_launch) as rt:
        before = rt.clock.now()
        await product_launch.main()
        assert rt.clock.now() - before < 0.2, "one after the other"
    assert capsys.readouterr().out.splitlines() == [
        "Inventory is ready for Teapot", "Marketing is ready for Teapot", "Role.SalesTeam was told", "Website is ready for Teapot",
        "posted on mastodon and linkedin", "launched: Teapot",
    ]  # fmt: skip


@pytest.mark.feature(153, 422, 84, 88)
@pytest.mark.parametrize(("logins", "offer"), [(9, "trial-to-paid, 20% off"), (1, "success-call")])
async def test_a_subscription_goes_from_event_to_event_and_the_trial_ends_on_time(logins, offer):
    subscription_lifecycle.MAILS.clear()
    async with alone(subscription_lifecycle) as rt:
        ann = subscription_lifecycle.TrialSubscription("ann@example.org")
        await send(N.Person.registered, email=ann.id).queued()
        await rt.settle()
        assert await ann.features == ["mail", "calendar"]
        for _ in range(logins):
            await ann.log_in()
        await rt.advance("10d")
        await rt.crash()
        assert subscription_lifecycle.MAILS == ["ann@example.org: onboarding-start"]
        await rt.advance("2d")
        assert subscription_lifecycle.MAILS[1:] == [f"ann@example.org: {offer}"]
        await send(N.Subscription.upgraded, id=ann.id, plan="team").queued()
        await rt.settle()
        assert await ann.features == ["mail", "calendar", "reports"]
        assert subscription_lifecycle.MAILS[2:] == ["ann@example.org: upgrade-confirmation"]


@pytest.mark.feature(423, 81)
@pytest.mark.parametrize("crash", [None, "reserve", "pay", "undo pay"])
async def test_what_was_done_for_an_order_that_cannot_be_shipped_is_undone_once_newest_first(crash):
    async with alone(order_saga) as rt:
        if crash:
            rt.crash_after(crash)
        order = {"id": "a", "items": ["lamp"], "price": 40, "town": "Atlantis", "email": "ann@example.org"}
        with pytest.raises(order_saga.NoCourier, match="Atlantis"):
            await send(N.SagaOrder.created, order)
        assert await order_saga.ShopBooks("2030").lines == [
            "Stock reserve: ['lamp']", "Money take: 40", "Money give_back: Money take: 40", "Stock release: Stock reserve: ['lamp']",
        ]  # fmt: skip


@pytest.mark.feature(426, 362, 363)
async def test_what_a_closed_ledger_refused_is_booked_in_order_when_it_is_open(capsys):
    async with alone(dead_letters) as rt:
        for amount in (10, 20):
            await send(N.Invoice.paid, ledger="2030", amount=amount).queued()
        await rt.advance("5m")
        assert await dead_letters.look_through() == 2
        await rt.settle()
        assert await dead_letters.Ledger("2030").booked == [10, 20]
        assert await dotdo.dead_letters.list() == []
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "Invoice.paid for Ledger/2030: ConnectionError: the ledger is closed, 5 attempts"
    assert said[-1].startswith("Role.Operations, high: ConnectionError")


@pytest.mark.feature(438, 60, 61, 64, 74)
async def test_every_order_is_confirmed_by_a_desk_that_sleeps():
    async with alone(confirmations) as rt:
        desk = confirmations.ShopDesk("main")
        await desk.open()
        await rt.advance("1h")
        assert not rt.host.activations
        await rt.crash()
        for order in ("o1", "o2"):
            await send("Order.placed", id=order).queued()
        await send("Payment.failed", id="o1").queued()
        await rt.settle()
        assert await desk.confirmed == ["o1 is on its way", "o2 is on its way"]
        assert (await desk.retried, await desk.failures) == (["o1"], ["Payment.failed o1"])


@pytest.mark.feature(438)
async def test_the_program_of_the_desk_runs(capsys):
    async with runtime(modules=[confirmations.__name__]):
        await asyncio.wait_for(confirmations.main(), 30)
    assert capsys.readouterr().out.startswith("['o1 is on its way', 'o2 is on its way']\no1 [")
