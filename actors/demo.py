"""The demo: real retail orders through a local Ray cluster, with a host killed halfway and nothing lost.

    dotdo demo [--orders FILE] [--data FOLDER], or python -m examples.online_retail

FILE has the columns of the public "Online Retail" data set: InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
UnitPrice, CustomerID, Country. Invoices that begin with C are credit notes. Without FILE a small sample is made up.
Run it twice on one data folder: the second time changes nothing.

Whoever asked for a refused order is written to. One of the sample's orders names no customer: its event ends in the dead
letters, with what to do about it.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import dotdo
from dotdo import DO, Event, Permanent, on

from .inventory import Inventory
from .order import Line, Order, OrderIn, problem_of
from .payment import Payment
from .shipment import Shipment

DEFAULT_DATA = Path(".dotdo-demo")
AT_ONCE = 16
SPARE_UNITS = 100


class Apology(DO):
    """The letter to whoever asked for an order that was refused; it has the order's number."""

    customer: str = ""
    text: str = ""

    async def address_to(self, customer: str) -> str:
        """Say who gets the letter, where the order does not."""
        self.customer = customer
        return f"the letter of order {self.id} goes to customer {customer}"

    @on.Order.refused(key="order")
    async def write(self, event: Event) -> None:
        """Write it, once it is known to whom."""
        self.customer = self.customer or event.data["customer"]
        if not self.customer:
            raise Permanent(
                f"order {self.id} names no customer: dotdo call Apology/{self.id}.address_to CUSTOMER says who it was, "
                f"then dotdo dead-letters replay tries again"
            )
        self.text = f"Dear customer {self.customer}, we are sorry: {event.data['reason']}."


@dataclass
class Invoice:
    """One invoice of the file."""

    number: str
    order: OrderIn

    @property
    def is_credit(self) -> bool:
        return self.number.startswith("C")


@dataclass
class Outcome:
    """What became of the invoices."""

    completed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    recovery_s: float | None = None


def read_invoices(text: str) -> list[Invoice]:
    """The invoices of a CSV text, in its order; quantities of credit notes turned positive."""
    invoices: dict[str, Invoice] = {}
    for row in csv.DictReader(io.StringIO(text)):
        number = row["InvoiceNo"].strip()
        invoice = invoices.get(number)
        if invoice is None:
            order = OrderIn(customer=row["CustomerID"].strip(), country=row["Country"].strip(), lines=[])
            invoice = invoices[number] = Invoice(number, order)
        quantity = int(row["Quantity"])
        price = Decimal(row["UnitPrice"])
        invoice.order.lines.append(
            Line(product=row["StockCode"].strip(), quantity=-quantity if invoice.is_credit else quantity, price=price)
        )
    return list(invoices.values())


def sample(invoices: int = 40, seed: int = 7) -> str:
    """A small made-up file in the same columns, with credit notes, a zero price and a missing customer."""
    rng = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"])
    for number in range(invoices):
        credit = number % 12 == 11
        invoice = f"{'C' if credit else ''}{600000 + number}"
        customer = "" if number == 17 else str(15000 + rng.randrange(12))
        for _ in range(rng.randrange(1, 8)):
            price = "0" if number == 23 else f"{rng.randrange(20, 900) / 100:.2f}"
            quantity = rng.randrange(1, 13) * (-1 if credit else 1)
            writer.writerow(
                [invoice, f"P{rng.randrange(60):03d}", "SOMETHING NICE", quantity, "12/1/10 8:26", price, customer, "United Kingdom"]
            )
    return out.getvalue()


def initial_stock(invoices: list[Invoice]) -> Counter[str]:
    """What the shop has on the first morning: all that is asked for, and some to spare."""
    stock: Counter[str] = Counter()
    for invoice in invoices:
        for line in invoice.order.lines:
            stock[line.product] += 0 if invoice.is_credit or problem_of(invoice.order) else line.quantity
    return Counter({product: units + SPARE_UNITS for product, units in stock.items()})


async def process(invoices: list[Invoice], *, kill: bool, progress: Progress) -> Outcome:
    """Put every invoice through its Order entity; kill one host halfway."""
    outcome = Outcome()
    slots = asyncio.Semaphore(AT_ONCE)
    bar = progress.add_task("orders", total=len(invoices))
    done = 0
    victim = (await dotdo.hosts())[-1] if kill else None
    killed_at = 0.0
    entity_of_victim: asyncio.Task[float] | None = None

    async def one(invoice: Invoice) -> None:
        nonlocal done, killed_at, entity_of_victim
        async with slots:
            order = Order(invoice.number)
            try:
                if invoice.is_credit:
                    outcome.cancelled.append(invoice.number) if await order.cancel(invoice.order) else None
                else:
                    outcome.completed.append(invoice.number) if await order.process(invoice.order) else None
            except Exception as error:  # a refusal is an outcome, with its reason
                outcome.refused[invoice.number] = str(error)
                await order.refuse(str(error), invoice.order.customer)
            done += 1
            progress.advance(bar)
            if victim is not None and not killed_at and done >= len(invoices) // 2:
                killed_at = time.monotonic()
                os.kill(victim["pid"], signal.SIGKILL)
                progress.console.print(f"[bold red]host {victim['host']} (process {victim['pid']}) killed with SIGKILL")
                entity_of_victim = asyncio.create_task(recovered(victim["host"], victim["pid"], killed_at))

    await asyncio.gather(*(one(invoice) for invoice in invoices))
    if entity_of_victim is not None:
        outcome.recovery_s = await entity_of_victim
        progress.console.print(f"[bold green]host {victim['host'] if victim else ''} answered again after {outcome.recovery_s:.2f} s")
    return outcome


async def recovered(host: str, old_pid: int, killed_at: float) -> float:
    """Seconds until another process answers for the host."""
    while True:
        for status in await dotdo.hosts():
            if status["host"] == host and status["pid"] != old_pid:
                return time.monotonic() - killed_at


async def reconcile(invoices: list[Invoice], stock: Counter[str], outcome: Outcome) -> tuple[Table, bool]:
    """Compare what the entities say with sums made from the file alone."""
    expected_units = Counter(stock)
    expected_money: dict[str, Decimal] = {}
    for invoice in invoices:
        if invoice.number in outcome.refused:
            continue
        sign = -1 if invoice.is_credit else 1
        for line in invoice.order.lines:
            expected_units[line.product] -= sign * line.quantity
        customer = invoice.order.customer
        expected_money[customer] = expected_money.get(customer, Decimal(0)) + sign * invoice.order.total
    products = sorted(expected_units)
    reports = await asyncio.gather(*(Inventory(product).report() for product in products))
    accounts = await asyncio.gather(*(Payment(customer).report() for customer in expected_money))
    shipments = await asyncio.gather(*(Shipment(number).times_sent for number in outcome.completed))
    units_wrong = [
        p for p, r in zip(products, reports, strict=True) if r["on_hand"] != expected_units[p] or r["moved"] != expected_units[p]
    ]
    money_wrong = [
        c for c, r in zip(expected_money, accounts, strict=True) if r["paid"] != expected_money[c] or r["booked"] != expected_money[c]
    ]
    twice = sum(r["twice"] for r in reports) + sum(int(r["twice"]) for r in accounts) + sum(times - 1 for times in shipments)
    table = Table(title="What became of the orders", show_header=False)
    table.add_row("orders completed", str(len(outcome.completed)))
    table.add_row("credit notes booked", str(len(outcome.cancelled)))
    table.add_row("refused", str(len(outcome.refused)))
    for number, reason in outcome.refused.items():
        table.add_row(f"  {number}", reason)
    table.add_row("units on hand, by the entities", str(sum(r["on_hand"] for r in reports)))
    table.add_row("units on hand, by the file", str(sum(expected_units.values())))
    table.add_row("money, by the entities", str(sum((r["paid"] for r in accounts), Decimal(0))))
    table.add_row("money, by the file", str(sum(expected_money.values(), Decimal(0))))
    table.add_row("products or customers that do not reconcile", str(len(units_wrong) + len(money_wrong)))
    if outcome.recovery_s is not None:
        table.add_row("killed host answered again after", f"{outcome.recovery_s:.2f} s")
    table.add_row("steps that ran twice", str(twice))
    return table, not units_wrong and not money_wrong and twice == 0


async def run(text: str, data: Path, *, kill: bool = True, console: Console | None = None) -> bool:
    """The whole demo; True if everything reconciles."""
    console = console or Console()
    invoices = read_invoices(text)
    stock = initial_stock(invoices)
    async with dotdo.init(data=data, hosts=2):
        console.print(f"{len(invoices)} invoices, {len(stock)} products; data in {data}")
        await asyncio.gather(
            *(
                Inventory(product).with_options(call_id="first-delivery").receive(units, "first delivery")
                for product, units in stock.items()
            )
        )
        before = Counter(await asyncio.gather(*(Order(invoice.number).status for invoice in invoices)))
        if before["new"] < len(invoices):
            console.print(f"{len(invoices) - before['new']} of these orders ended in an earlier run: nothing is done again")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console) as progress:
            outcome = await process(invoices, kill=kill, progress=progress)
        table, fits = await reconcile(invoices, stock, outcome)
    console.print(table)
    console.print("[bold green]everything reconciles" if fits else "[bold red]it does NOT reconcile")
    console.print(f"look around: dotdo --data {data} status; dotdo --help says what else there is")
    return fits


def data_folder(orders: Path | None) -> Path:
    """Where the demo keeps its entities, a folder for each file of orders."""
    return DEFAULT_DATA / (orders.stem if orders else "sample")


def text_of(orders: Path | None) -> str:
    """The file's text, or the sample's."""
    return orders.read_text(encoding="utf-8-sig") if orders else sample()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=Path, help="a CSV file in the Online Retail columns")
    parser.add_argument("--data", type=Path, help="the data folder (default: one in .dotdo-demo)")
    parser.add_argument("--no-kill", action="store_true", help="let every host live")
    options = parser.parse_args()
    if options.orders is not None and not options.orders.is_file():
        print(f"there is no file {options.orders}", file=sys.stderr)
        return 2
    data = options.data or data_folder(options.orders)
    return 0 if asyncio.run(run(text_of(options.orders), data, kill=not options.no_kill)) else 1
