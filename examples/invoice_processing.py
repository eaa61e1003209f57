"""Invoices, and what may go wrong with them: each step says what its failure means.

    python -m examples.invoice_processing

An invoice that is not valid is looked at by a person; a payment that fails takes the approval back; accounting can wait.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, Permanent, Service, tasks

STEPS: list[dict[str, Any]] = [
    {"id": "extract", "name": "Extract Invoice Data", "type": "function", "required": True, "timeout": 30000, "onError": "retry",
     "retryPolicy": {"maxAttempts": 3, "backoff": "exponential", "baseDelay": 1000, "maxDelay": 30000}},
    {"id": "validate", "name": "Validate Invoice", "type": "function", "required": True, "timeout": 10000, "onError": "human-review",
     "retryPolicy": {"maxAttempts": 2, "backoff": "linear", "baseDelay": 2000}},
    {"id": "approve", "name": "Get Approval", "type": "function", "required": True, "timeout": 300000, "onError": "notify-manager"},
    {"id": "process-payment", "name": "Process Payment", "type": "function", "required": True, "dependsOn": ["approve"],
     "timeout": 60000, "retryPolicy": {"maxAttempts": 3, "backoff": "exponential", "baseDelay": 5000}, "onError": "rollback",
     "compensation": {"steps": [
         {"action": "reverse-approval", "stepId": "approve"}, {"action": "notify-failure", "params": {"reason": "payment-failed"}}]}},
    {"id": "update-accounting", "name": "Update Accounting System", "type": "function", "required": True,
     "dependsOn": ["process-payment"], "timeout": 30000, "onError": "log-and-continue"},
    {"id": "notify-completion", "name": "Send Completion Notice", "type": "function", "required": False,
     "dependsOn": ["update-accounting"]},
]  # fmt: skip
ERROR_HANDLING = {
    "defaultRetryPolicy": {"maxAttempts": 2, "backoff": "exponential", "baseDelay": 1000},
    "compensationStrategy": "reverse-order",
    "notifyOnFailure": True,
}


class Approvals(DO, noun="InvoiceApprovals"):
    """Which invoices of one company are approved."""

    approved: list[str] = []

    async def grant(self, number: str) -> str:
        self.approved.append(number)
        return f"approval of {number}"

    async def withdraw(self, number: str) -> None:
        self.approved.remove(number)


async def make_service() -> Service:
    """Create the service."""
    invoices = await Service.create(
        name="Invoice Processing", steps=STEPS, errorHandling=ERROR_HANDLING,
        pricing={"model": "per-execution", "rate": 2.0, "failureRefund": 1.0},
    )  # fmt: skip

    @invoices.step("extract")
    async def extract(invoice: dict[str, Any]) -> dict[str, Any]:
        return {"number": invoice["number"], "total": sum(invoice["lines"])}

    @invoices.step("validate")
    async def validate(_invoice: dict[str, Any], state: Any) -> bool:
        if state.results.extract.total <= 0:
            raise Permanent("an invoice asks for something")
        return True

    @invoices.step("approve")
    async def approve(_invoice: dict[str, Any], state: Any) -> str:
        granted: str = await Approvals("acme").grant(state.results.extract.number)
        return granted

    @invoices.step("process-payment")
    async def pay(invoice: dict[str, Any]) -> str:
        if invoice.get("account") == "closed":
            raise Permanent("the account is closed")
        return f"paid {invoice['number']}"

    @invoices.step("update-accounting")
    async def book(invoice: dict[str, Any]) -> str:
        if invoice.get("period") == "closed":
            raise Permanent("the books of that period are closed")
        return "booked"

    @invoices.step("notify-completion")
    async def notify(invoice: dict[str, Any]) -> str:
        return f"{invoice['number']} is done"

    @invoices.action("reverse-approval")
    async def reverse(_params: dict[str, Any], state: Any) -> None:
        await Approvals("acme").withdraw(state.results.extract.number)

    @invoices.action("notify-failure")
    async def tell(params: dict[str, Any]) -> str:
        return f"told: {params['reason']}"

    return invoices


async def review(decision: str) -> None:
    """What a person does who finds an invoice in the inbox."""
    while not (found := await tasks.list(status="pending")):
        await asyncio.sleep(0.01)
    await tasks.complete(found[0].id, by="ann", decision=decision, comments="it is a credit note")


async def main() -> None:
    invoices = await make_service()
    for invoice in (
        {"number": "R1", "lines": [10, 5]},
        {"number": "R2", "lines": [10], "period": "closed"},
        {"number": "R3", "lines": [10], "account": "closed"},
        {"number": "R4", "lines": [-10]},
    ):
        request = await invoices.request(invoice, customer_id="acme")
        if invoice["number"] == "R4":
            await review("approved")
        outcome = await request.result()
        undone = [one["action"] for one in outcome.compensations]
        print(invoice["number"], outcome.cost, outcome.error or outcome.failed_steps or "paid", undone or "")
    print("approved:", await Approvals("acme").approved)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
