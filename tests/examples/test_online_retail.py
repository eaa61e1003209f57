"""The demo, in process on a made-up file, and its reading of the columns."""

from pathlib import Path

import pytest

from actors.order import problem_of
from examples import online_retail

REAL = Path(__file__).parents[3] / "shared" / "data" / "online_retail.csv"


def test_the_sample_has_every_kind_of_invoice():
    invoices = online_retail.read_invoices(online_retail.sample())
    assert len(invoices) == 40
    assert any(i.is_credit for i in invoices)
    assert sum(bool(problem_of(i.order)) for i in invoices) == 2


@pytest.mark.skipif(not REAL.exists(), reason="the real file is not beside this checkout")
def test_the_real_file_has_61_good_invoices():
    invoices = online_retail.read_invoices(REAL.read_text(encoding="utf-8-sig"))
    good = [i for i in invoices if not i.is_credit and not problem_of(i.order)]
    assert (len(invoices), len(good)) == (66, 61)


async def test_orders_are_processed_cancelled_and_refused(rt):
    from decimal import Decimal

    from actors import Inventory, Line, Order, OrderIn, OrderRefused, OutOfStock, Payment, Shipment

    await Inventory("p").receive(10)
    order = OrderIn(customer="c", lines=[Line(product="p", quantity=4, price=Decimal("2.50"))])
    assert await Order("1").process(order) == "completed"
    assert await Order("1").process(order) == "completed"
    assert await Inventory("p").on_hand == 6
    assert await Shipment("1").times_sent == 1
    assert await Order("C1").cancel(order) == "cancelled"
    assert await Inventory("p").on_hand == 10
    assert (await Payment("c").report())["paid"] == 0
    too_many = OrderIn(customer="c", lines=[order.lines[0], Line(product="p", quantity=40, price=Decimal(1))])
    with pytest.raises(OutOfStock):
        await Order("2").process(too_many)
    assert await Inventory("p").on_hand == 10
    with pytest.raises(OrderRefused, match="price 0"):
        await Order("3").process(OrderIn(customer="c", lines=[Line(product="p", quantity=1, price=Decimal(0))]))
