"""An expense whose category a rule finds, or a model, or a person: whoever is cheapest and sure enough.

    python -m examples.categorise_expense

Each tier is asked once and recorded: while a person takes days to answer, and after any crash, nothing is paid again.
"""

import asyncio
import tempfile

import dotdo
from dotdo import DO, Tiered, tasks

RULES = {"taxi": "travel", "hotel": "travel", "paper": "office"}


class CostItem(DO):
    """One item of an expense report."""

    category: str = ""
    decided_by: str = ""

    async def categorise(self, description: str) -> str:
        def by_rule() -> str | None:
            return next((category for word, category in RULES.items() if word in description.lower()), None)

        async def by_model() -> Tiered:
            return await guess(description)

        async def by_person() -> str:
            task = await tasks.ask("Which category?", assignee="accounting", details=description)
            return str(task.decision)

        result = await self.cascade(
            task="categorise-expense", tiers={"code": by_rule, "generative": by_model, "human": by_person}, confidence_threshold=0.9
        )
        self.category, self.decided_by = result.value, result.tier
        return f"{result.value} ({result.tier}, {result.confidence:.2f})"


async def guess(description: str) -> Tiered:
    """What a model would say; this one knows meals only."""
    return Tiered("meals", 0.95) if "lunch" in description.lower() else Tiered("other", 0.4)


async def main() -> None:
    print("taxi:", await CostItem("1").categorise("Taxi to the airport"))
    print("lunch:", await CostItem("2").categorise("Lunch with a client"))
    run = await dotdo.start(CostItem("3").categorise, "Xylophone")
    while not (found := await tasks.list(assignee="accounting", status="pending")):
        await asyncio.sleep(0.01)
    await tasks.complete(found[0].id, by="accounting", decision="team event")
    print("xylophone:", await run.result())


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
