"""A shipment: one per order."""

from __future__ import annotations

from dotdo import DO


class Shipment(DO):
    """The parcel of one order."""

    status: str = "none"
    units: int = 0
    times_sent: int = 0

    async def send_out(self, units: int) -> str:
        """Hand the parcel to the carrier; its label."""
        self.status = "sent"
        self.units = units
        self.times_sent += 1
        return f"label-{self.id}"
