"""The stock of one product, with every movement on record."""

from __future__ import annotations

from typing import Any

from dotdo import DO


class OutOfStock(Exception):
    """There is not as much as was asked for: product, asked, on hand."""


class Inventory(DO):
    """The stock of one product; its movements are rows, its stock their sum."""

    on_hand: int = 0

    async def setup(self) -> None:
        """Have the table of movements."""
        self.storage.sql("CREATE TABLE IF NOT EXISTS movements(place INTEGER PRIMARY KEY, what TEXT, quantity INTEGER)")

    async def receive(self, quantity: int, what: str = "received") -> int:
        """Goods come in; the stock after."""
        return self._move(what, quantity)

    async def take(self, order_line: str, quantity: int) -> int:
        """Goods leave for an order; the stock after. Raises OutOfStock."""
        if quantity > self.on_hand:
            raise OutOfStock(self.id, quantity, self.on_hand)
        return self._move(order_line, -quantity)

    async def put_back(self, order_line: str, quantity: int) -> int:
        """Goods of an order come back; the stock after."""
        return self._move(f"back {order_line}", quantity)

    async def report(self) -> dict[str, int]:
        """Stock, the sum of all movements, and how many movements were made twice."""
        total = self.storage.sql("SELECT coalesce(sum(quantity), 0) AS total FROM movements").one()["total"]
        twice = self.storage.sql("SELECT count(*) - count(DISTINCT what) AS twice FROM movements").one()["twice"]
        return {"on_hand": self.on_hand, "moved": total, "twice": twice}

    def _move(self, what: str, quantity: int) -> int:
        self.on_hand += quantity
        self.storage.sql("INSERT INTO movements(what, quantity) VALUES(?, ?)", what, quantity)
        return self.on_hand

    async def movements(self) -> list[dict[str, Any]]:
        """Every movement, oldest first."""
        return self.storage.sql("SELECT what, quantity FROM movements ORDER BY place").all()
