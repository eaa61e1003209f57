"""A purchase order: above 10,000 the holders of a role are asked first; and one that goes through three levels.

    python -m examples.purchase_order

An event starts it, a command asks for the approval and gives a handle, `wait` parks until it is decided. Who holds the
role, the directory says.
"""

import asyncio
import tempfile
from datetime import timedelta
from typing import Any

import dotdo
from dotdo import DO, N, approvals, on, send

ASK_ABOVE = 10_000

ENV = {"directory": {"Role.ProcurementManager": ["paula", "pete"]}}
"""Who holds which role; a function instead of a mapping may ask whoever knows."""


class PurchaseOrder(DO):
    """One purchase order."""

    status: str = "new"
    reason: str | None = None
    submitted: int = 0

    async def submit(self, po: dict[str, Any]) -> None:
        self.status = "submitted"
        self.submitted += 1

    async def cancel(self, po: dict[str, Any], reason: str | None) -> None:
        self.status, self.reason = "cancelled", reason

    async def buy(self, item: str, amount: int, requester: str) -> str:
        """The long way: three levels in order, within a week."""
        approval = await self.approval_flow.request_approval(
            type="purchase", title=f"PO: {item}", amount=amount, requested_by=requester, approvers=["manager", "director", "vp"],
            deadline=self.now() + timedelta(days=7), priority="high" if amount > ASK_ABOVE else "normal",
        )  # fmt: skip
        self.status, self.reason = approval.status, approval.rejection_reason
        return self.status


@on.PurchaseOrder.created
async def decide(po: dict[str, Any]) -> None:
    """What happens to an order that comes in."""
    if po["total"] <= ASK_ABOVE:
        await send(N.PurchaseOrder.submit, to=po["id"], po=po)
        return
    approval = await send(
        N.Approval.request, type="purchase-order", item=po, approver=N.Role.ProcurementManager, reason="High-value purchase",
        amount=po["total"],
    )  # fmt: skip
    await approval.wait()
    if approval.status == "approved":
        await send(N.PurchaseOrder.submit, to=po["id"], po=po)
    else:
        await send(N.PurchaseOrder.cancel, to=po["id"], po=po, reason=approval.rejection_reason)


async def main() -> None:
    await send("PurchaseOrder.created", {"id": "pencils", "total": 10_000})
    print("pencils:", await PurchaseOrder("pencils").status)
    send("PurchaseOrder.created", {"id": "lathe", "total": 10_001})
    while not (found := await approvals.list(assignee="paula", status="pending")):
        await asyncio.sleep(0.01)
    print("for paula:", found[0].item["id"], found[0].amount, found[0].reason)
    await approvals.reject(found[0].id, by="paula", reason="we have one")
    while await PurchaseOrder("lathe").status == "new":
        await asyncio.sleep(0.01)
    print("lathe:", await PurchaseOrder("lathe").status, "-", await PurchaseOrder("lathe").reason)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0, env=ENV)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
