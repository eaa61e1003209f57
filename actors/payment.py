"""What one customer paid, to the cent."""

from __future__ import annotations

from decimal import Decimal

from dotdo import DO


class Payment(DO):
    """The account of one customer; charges and refunds by order."""

    paid: Decimal = Decimal(0)
    entries: dict[str, Decimal] = {}
    doubled: int = 0

    async def charge(self, order_id: str, amount: Decimal) -> str:
        """Take money for an order; the receipt."""
        return self._book(f"charge {order_id}", amount)

    async def refund(self, order_id: str, amount: Decimal) -> str:
        """Give money back for an order; the receipt."""
        return self._book(f"refund {order_id}", -amount)

    def _book(self, what: str, amount: Decimal) -> str:
        self.doubled += what in self.entries
        self.entries[what] = self.entries.get(what, Decimal(0)) + amount
        self.paid += amount
        return f"{self.id}: {what}"

    async def report(self) -> dict[str, Decimal | int]:
        """What was paid in all, the sum of the entries, and how many were made twice."""
        return {"paid": self.paid, "booked": sum(self.entries.values(), Decimal(0)), "twice": self.doubled}
