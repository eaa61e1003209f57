"""The demo, in process on a made-up file, and its reading of the columns."""

import subprocess
import sys
from pathlib import Path

import pytest

from actors import demo as online_retail
from actors.order import problem_of

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


@pytest.mark.ray
def test_the_demo_reconciles_with_a_host_killed_halfway_and_a_second_run_changes_nothing(tmp_path):
    """The whole program, twice on one data folder; with the real file where there is one."""
    orders = ["--orders", str(REAL)] if REAL.exists() else []
    reports = []
    for _ in range(2):
        command = [sys.executable, "-m", "examples.online_retail", *orders, "--data", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        reports.append(done.stdout)
    completed = [next(line for line in report.splitlines() if "orders completed" in line).split("│")[2].strip() for report in reports]
    assert completed[0] == completed[1] == ("61" if REAL.exists() else "36")
    assert "nothing is done again" in reports[1]
    assert "nothing is done again" not in reports[0]
