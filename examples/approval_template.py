"""A template of workflows: one approval for expenses, one for leave, each waiting for a person.

python -m examples.approval_template
"""

import asyncio
from typing import Any

from dotdo import N, send, step, wait_for, workflow
from dotdo.testing import runtime
from dotdo.workflows.functions import WorkflowFunction

MAILS: list[str] = []


def make_approval(entity: str) -> WorkflowFunction[[dict[str, Any]], dict[str, str]]:
    """A workflow that asks the manager, reminds after two days, and gives up after a week."""

    async def approve(item: dict[str, Any]) -> dict[str, str]:
        about = {"entity": entity, "id": item["id"]}
        await step("ask", MAILS.append, f"{item['manager']}: please look at {entity} {item['id']}")
        decision = await wait_for(N.Approval.decided, match=about, timeout="2d", default=None)
        if decision is None:
            await step("remind", MAILS.append, f"{item['manager']}: {entity} {item['id']} still waits for you")
            decision = await wait_for(N.Approval.decided, match=about, timeout="5d", default={"approved": False})
        return {"status": "approved" if decision["approved"] else "rejected"}

    return workflow(f"approve-{entity}", approve)


expense_approval = make_approval("expense")  # while the module is imported, so that every host knows them
leave_approval = make_approval("leave")


async def main() -> None:
    async with runtime(clock="virtual") as rt:
        expense = await expense_approval.start({"id": 7, "manager": "mia"})
        leave = await leave_approval.start({"id": 7, "manager": "mia"})
        await rt.advance("3d")  # nobody has answered: both have sent a reminder
        await send("Approval.decided", {"entity": "expense", "id": 7, "approved": True}).queued()
        print("expense", await expense.result())
        print("leave", await leave.result())  # nobody answers within the week
        print(*MAILS, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
