"""A customer and what they ordered."""

from __future__ import annotations

from dotdo import DO


class Customer(DO):
    """One customer."""

    name: str = ""
    email: str = ""
    country: str = ""
    orders: list[str] = []

    async def introduce(self, name: str, email: str = "", country: str = "") -> None:
        """Say who they are; what is left out stays as it is."""
        self.name, self.email, self.country = name or self.name, email or self.email, country or self.country

    async def ordered(self, order_id: str, country: str) -> int:
        """Note an order; how many there are now."""
        self.country = country
        if order_id not in self.orders:
            self.orders.append(order_id)
        return len(self.orders)
