"""An order, from its lines to its shipment, as one method that survives whatever crashes.

`process` reserves every line, charges the customer and ships; if a part fails for good, what was done is undone, newest
first. `cancel` is a credit note: goods go back, money goes back. Both can be asked again at any time: an order that has
ended gives its answer and does nothing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import pydantic

from dotdo import DO, Permanent

from .customer import Customer
from .inventory import Inventory, OutOfStock
from .payment import Payment
from .shipment import Shipment


class OrderRefused(Permanent):
    """The order makes no sense; the text says why."""


class Line(pydantic.BaseModel):
    """One line of an order."""

    product: str
    quantity: int
    price: Decimal


class OrderIn(pydantic.BaseModel):
    """An order as it comes in."""

    customer: str
    country: str = ""
    lines: list[Line]

    @property
    def total(self) -> Decimal:
        return sum((line.price * line.quantity for line in self.lines), Decimal(0))


class Order(DO):
    """One order."""

    status: str = "new"
    reason: str = ""
    is_told: bool = False
    total: Decimal = Decimal(0)

    async def process(self, order: OrderIn) -> str:
        """Fulfil the order; its final status. Raises OrderRefused when it makes no sense."""
        if self.status in ("completed", "cancelled"):
            return self.status
        self._check(order)
        self.status = "processing"
        try:
            for number, line in enumerate(order.lines):
                place = f"{self.id}/{number}"
                await self.do(
                    Inventory(line.product).take, place, line.quantity, step_id=f"take-{number}", undo=partial(_put_back, line, place)
                )
            total = order.total
            await self.do(Payment(order.customer).charge, self.id, total, step_id="charge")
            await self.do(Shipment(self.id).send_out, sum(line.quantity for line in order.lines), step_id="ship")
            await self.do(Customer(order.customer).ordered, self.id, order.country, step_id="customer")
        except OutOfStock as error:
            self.status, self.reason = "refused", f"out of stock: {error.args[0]}"
            raise
        self.total = total
        self.status = "completed"
        return self.status

    async def cancel(self, order: OrderIn) -> str:
        """A credit note: the goods come back, the money goes back; the final status."""
        if self.status == "cancelled":
            return self.status
        self._check(order)
        self.status = "cancelling"
        for number, line in enumerate(order.lines):
            await self.do(Inventory(line.product).put_back, f"{self.id}/{number}", line.quantity, step_id=f"back-{number}")
        total = order.total
        await self.do(Payment(order.customer).refund, self.id, total, step_id="refund")
        self.total = -total
        self.status = "cancelled"
        return self.status

    async def refuse(self, reason: str, customer: str = "") -> str:
        """Keep an order that makes no sense, with the reason, and say so with the event Order.refused, once; the final status."""
        if (self.status, self.reason) != ("refused", reason) or not self.is_told:
            self.status, self.reason, self.is_told = "refused", reason, True
            self.send("Order.refused", order=self.id, customer=customer, reason=reason)
        return self.status

    def _check(self, order: OrderIn) -> None:
        problem = problem_of(order)
        if problem:
            raise OrderRefused(problem)


def problem_of(order: OrderIn) -> str:
    """Why an order makes no sense; "" if it does."""
    problems = [] if order.customer else ["no customer"]
    if not order.lines:
        problems.append("no lines")
    for line in order.lines:
        if line.price <= 0:
            problems.append(f"{line.product} has price {line.price}")
        if line.quantity <= 0:
            problems.append(f"{line.product} has quantity {line.quantity}")
    return "; ".join(problems)


async def _put_back(line: Line, place: str, _taken: int) -> None:
    await Inventory(line.product).put_back(place, line.quantity)
