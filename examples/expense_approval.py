"""An expense that people approve: its manager, and above 1000 the vice president as well, each within two days.

    python -m examples.expense_approval

Small ones are paid at once. Whoever waits for a person (this expense, the trip that waits for the expense) rests on disk
meanwhile. A person who does not decide in time has not approved.
"""

import asyncio
import tempfile
from typing import Any

import pydantic

import dotdo
from dotdo import DO, approvals

AUTO_BELOW = 100
VP_ABOVE = 1_000
PATIENCE = "48h"


class ExpenseIn(pydantic.BaseModel):
    """An expense as it is submitted."""

    description: str
    amount: int
    submitter: str
    manager: str
    vp: str


class Payroll(DO):
    """What was paid back to one person."""

    paid: dict[str, int] = {}

    async def pay(self, expense_id: str, amount: int) -> int:
        self.paid[expense_id] = amount
        return sum(self.paid.values())


class ExpenseReport(DO):
    """One expense."""

    status: str = "new"

    async def submit(self, expense: ExpenseIn) -> dict[str, Any]:
        self.status = "submitted"
        if expense.amount >= AUTO_BELOW:
            approvers = [expense.manager, expense.vp] if expense.amount > VP_ABOVE else [expense.manager]
            for approver in approvers:
                approval = await self.approval_flow.request_approval(
                    type="expense", title=f"Expense: {expense.description}", amount=expense.amount, requested_by=expense.submitter,
                    approvers=[approver], deadline=PATIENCE, expense_id=self.id,
                )  # fmt: skip
                if not approval.approved:
                    self.status = "rejected"
                    self.send("Expense.rejected", {"id": self.id, "reason": approval.rejection_reason})
                    return {"status": "rejected", "reason": approval.rejection_reason}
        await self.do(Payroll(expense.submitter).pay, self.id, expense.amount, step_id="pay")
        self.status = "approved"
        self.send("Expense.approved", {"id": self.id})
        return {"status": "approved"}


class BusinessTrip(DO):
    """Whoever waits for an expense waits as it does."""

    async def settle(self, expense: ExpenseIn) -> str:
        outcome = await ExpenseReport(f"of {self.id}").submit(expense)
        return f"{self.id}: {outcome['status']}"


async def decide(assignee: str, decision: str, comment: str = "") -> None:
    """What a person does who looks into the inbox."""
    while not (found := await approvals.list(assignee=assignee, status="pending")):
        await asyncio.sleep(0.01)
    await approvals.decide(found[0].id, decision, by=assignee, comment=comment)


async def main() -> None:
    taxi = ExpenseIn(description="taxi", amount=40, submitter="sam", manager="mia", vp="vera")
    print(await BusinessTrip("to town").settle(taxi))
    flight = taxi.model_copy(update={"description": "flight", "amount": 1_200})
    run = await dotdo.start(BusinessTrip("to Rome").settle, flight)
    await decide("mia", "approve")
    print("with vera:", [approval.title for approval in await _inbox("vera")])
    await decide("vera", "reject", "take the train")
    print(await run.result())


async def _inbox(assignee: str) -> list[dotdo.Approval]:
    while not (found := await approvals.list(assignee=assignee, status="pending")):
        await asyncio.sleep(0.01)
    return found


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
