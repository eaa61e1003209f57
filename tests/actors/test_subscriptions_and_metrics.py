"""Months of a subscription in a moment, and numbers that are counted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from actors import Metric, Payment, Subscription
from dotdo import send


@pytest.mark.feature(422)
async def test_a_subscription_is_charged_once_a_period_over_crashes_and_upgrades(virtual):
    ann = Subscription("ann-pro")
    await ann.start("ann", "pro", Decimal("9.90"))
    assert await ann.status == "trialing"
    await virtual.advance("13d")
    assert virtual.host.activations == {}
    await virtual.crash()
    await virtual.advance("2d")
    assert (await ann.status, await Payment("ann").paid) == ("active", Decimal("9.90"))
    await virtual.advance("30d")
    await ann.change_plan("team", Decimal("19.90"))
    await virtual.crash()
    await virtual.advance("30d")
    assert await Payment("ann").paid == Decimal("39.70")
    assert await ann.cancel() == "cancelling"
    await virtual.advance("60d")
    assert await ann.status == "cancelled"
    assert await Payment("ann").report() == {"paid": Decimal("39.70"), "booked": Decimal("39.70"), "twice": 0}
    assert await ann.charges == 3


async def test_asking_twice_for_the_same_subscription_changes_nothing(virtual):
    first = await Subscription("bob").start("bob", "pro", Decimal(5), trial=timedelta(0))
    again = await Subscription("bob").start("bob", "pro", Decimal(5), trial=timedelta(0))
    await virtual.advance("1d")
    assert again >= first
    assert await Payment("bob").paid == Decimal(5)
    with pytest.raises(ValueError, match="negative"):
        await Subscription("carl").start("carl", "pro", Decimal(-1))


@pytest.mark.feature(377)
async def test_a_metric_counts_by_label(rt):
    await send.Metric.record(id="checkout", value=1.5, labels={"status": "success"})
    await Metric("checkout").record(2.5, labels={"status": "failed"})
    found = await Metric("checkout").sum
    assert (found.count, found.total, found.minimum, found.maximum, found.mean) == (2, 4.0, 1.5, 2.5, 2.0)
    assert (await Metric("checkout").by_label)["status=failed"].count == 1
