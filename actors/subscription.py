"""A subscription: a trial, then a charge at the beginning of every period, until it is cancelled.

It sleeps from one event to the next, for months if need be. Every period is an execution of its own, so no history grows
without end, and each charge has the period in its name, so none is made twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from dotdo import DO

from .payment import Payment

WARN_BEFORE = timedelta(days=3)


class Subscription(DO):
    """One customer's subscription to one plan; the id is yours to choose."""

    customer: str = ""
    plan: str = ""
    price: Decimal = Decimal(0)
    status: str = "new"
    period: timedelta = timedelta(days=30)
    period_ends: datetime | None = None
    charges: int = 0

    async def start(
        self, customer: str, plan: str, price: Decimal, *, trial: timedelta = timedelta(days=14), period: timedelta = timedelta(days=30)
    ) -> datetime:
        """Begin with a trial; when it ends. Asked again, it changes nothing. Sends `Subscription.created`."""
        if self.status != "new" and self.period_ends is not None:
            return self.period_ends
        if price < 0 or period <= timedelta(0) or trial < timedelta(0):
            raise ValueError(
                f"a subscription of {price} every {period} after {trial}: none of them can be negative, the period is more than 0"
            )
        self.customer, self.plan, self.price, self.period = customer, plan, price, period
        self.status = "trialing" if trial else "active"
        self.period_ends = self.now() + trial
        self.send("Subscription.created", id=self.id, customer=customer, plan=plan, status=self.status)
        Subscription(self.id).run_to_end_of_period(0)
        return self.period_ends

    async def run_to_end_of_period(self, number: int) -> None:
        """Wait for the end of a period, then charge the next. Called by the subscription itself."""
        if number != self.charges or self.status in ("new", "cancelled") or self.period_ends is None:
            return
        ends = self.period_ends
        if number == 0 and ends - self.now() > WARN_BEFORE:
            await self.sleep(ends - WARN_BEFORE - self.now())
            if self.status == "trialing":
                self.send("Subscription.trialEnding", id=self.id, customer=self.customer, plan=self.plan, ends=ends)
        await self.sleep(max(ends - self.now(), timedelta(0)))
        if self.status == "cancelling":
            self.status = "cancelled"
            self.send("Subscription.ended", id=self.id, customer=self.customer)
        if self.status == "cancelled":
            return
        try:
            await self.do(Payment(self.customer).charge, f"{self.id}/{number + 1}", self.price, step_id="charge")
        except Exception as error:  # whatever kept the money from coming
            self.status = "past_due"
            self.send("Subscription.paymentFailed", id=self.id, customer=self.customer, error=f"{type(error).__name__}: {error}")
            return
        self.charges = number + 1
        self.status = "active"
        self.period_ends = ends + self.period
        self.send("Subscription.renewed", id=self.id, customer=self.customer, period=self.charges, until=self.period_ends)
        Subscription(self.id).run_to_end_of_period(self.charges)

    async def pay(self) -> None:
        """Try the charge that failed again."""
        if self.status == "past_due":
            self.status = "active"
            Subscription(self.id).run_to_end_of_period(self.charges)

    async def change_plan(self, plan: str, price: Decimal) -> None:
        """From the next period on. Sends `Subscription.upgraded`, or `downgraded` if it costs less."""
        verb = "upgraded" if price >= self.price else "downgraded"
        self.plan, self.price = plan, price
        self.send(f"Subscription.{verb}", id=self.id, customer=self.customer, plan=plan)

    async def cancel(self, *, at_once: bool = False) -> str:
        """End it with its period, or at once; its status now."""
        if self.status not in ("new", "cancelled"):
            self.status = "cancelled" if at_once or self.status == "past_due" else "cancelling"
            self.send("Subscription.cancelled", id=self.id, customer=self.customer, until=self.now() if at_once else self.period_ends)
        return self.status
