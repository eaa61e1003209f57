"""A refund asked for over HTTP, and a payment service that tells of payments by webhook, each once.

    python -m examples.refunds_over_http

Then: curl -X POST localhost:8000/api/refunds -H 'content-type: application/json' -d '{"order_id": "o1"}'
"""

from __future__ import annotations

from typing import Any

import pydantic

import dotdo
from dotdo import DO, on
from dotdo.http import Problem, post, serve, webhook


class RefundableOrder(DO):
    """Knows what was paid, and gives it back once."""

    paid: int = 0
    refunded: int = 0

    @on.StripePayment.succeeded(key="order_id")
    async def payment_came(self, event: Any) -> None:
        self.paid += event.data["amount"]

    async def refund(self) -> int:
        """Give back what is left; durable, so a crash in the middle is finished later and never paid twice."""
        left = self.paid - self.refunded
        if left:
            await self.do(self._pay_back, left, step_id="pay-back")
            self.refunded += left
        return left

    async def _pay_back(self, amount: int) -> str:
        return f"sent {amount}"


class Refund(pydantic.BaseModel):
    order_id: str


@post("/api/refunds")
async def refund(request: Refund) -> dict[str, Any]:
    """404 for an order nobody paid for."""
    order = RefundableOrder(request.order_id)
    if await dotdo.get(order.paid) == 0:
        raise Problem(404, "no_such_order", f"nobody has paid for {request.order_id!r}")
    return {"order": request.order_id, "refunded": await order.refund()}


webhook("/webhooks/stripe-payments", secret="STRIPE_WEBHOOK_SECRET", event={"payment_intent.succeeded": "StripePayment.succeeded"})


if __name__ == "__main__":
    serve()
