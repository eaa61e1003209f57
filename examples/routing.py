"""Two events that take different ways: an order by its customer and its worth, a support ticket by how hard it is.

python -m examples.routing
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, on, send

HIGH_VALUE_ABOVE = 1_000


class WorkDesk(DO):
    """Where work arrives; `line` is what, in order."""

    line: list[dict[str, Any]] = []

    async def take(self, **work: Any) -> None:
        self.line.append(work)


@on.ShopOrder.created
async def route_order(order: dict[str, Any]) -> None:
    """Premium customers first, then orders worth a second look."""
    if order["customer"]["level"] == "premium":
        await send("WorkDesk.take", to="priority", order=order["id"], shipping="express", support="dedicated")
    elif order["total"] > HIGH_VALUE_ABOVE:
        await send("WorkDesk.take", to="high value", order=order["id"], verification="enhanced", shipping="priority")
    else:
        await send("WorkDesk.take", to="standard", order=order["id"])


@on.SupportTicket.created
async def route_ticket(ticket: dict[str, Any]) -> None:
    """What can be answered is; the rest goes to whoever can."""
    analysis = await dotdo.do(analyse, ticket, step_id="analyse")
    if analysis["can_auto_resolve"]:
        await send("WorkDesk.take", to="robot", ticket=ticket["id"], answer=analysis["answer"])
    elif analysis["complexity"] in ("low", "medium"):
        await send("WorkDesk.take", to="tier 1" if analysis["complexity"] == "low" else "tier 2", ticket=ticket["id"])
    else:
        await send("WorkDesk.take", to="seniors", ticket=ticket["id"], reason=analysis["reason"])


def analyse(ticket: dict[str, Any]) -> dict[str, Any]:
    """How hard a ticket is; yours would ask a model (`ai.analyze`)."""
    text = ticket["text"].lower()
    words = len(text.split())
    complexity = "low" if words < 5 else "medium" if words < 12 else "high"
    return {"can_auto_resolve": "password" in text, "answer": "use the link", "complexity": complexity, "reason": f"{words} words"}


async def main() -> None:
    for order in (
        {"id": "o1", "total": 20, "customer": {"level": "premium"}},
        {"id": "o2", "total": 1_000, "customer": {"level": "basic"}},
        {"id": "o3", "total": 1_000.01, "customer": {"level": "basic"}},
    ):
        await send("ShopOrder.created", order)
    for ticket in ({"id": "t1", "text": "I forgot my password"}, {"id": "t2", "text": "It broke"}):
        await send("SupportTicket.created", ticket)
    for desk in ("priority", "high value", "standard", "robot", "tier 1"):
        print(f"{desk}: {await WorkDesk(desk).line}")


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
