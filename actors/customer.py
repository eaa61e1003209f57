"""A customer and what they ordered."""

from __future__ import annotations

from dotdo import DO


class Customer(DO):
    """One customer."""

    country: str = ""
    orders: list[str] = []

    async def ordered(self, order_id: str, country: str) -> int:
        """Note an order; how many there are now."""
        self.country = country
        if order_id not in self.orders:
            self.orders.append(order_id)
        return len(self.orders)
