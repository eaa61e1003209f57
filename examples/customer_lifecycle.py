"""Events start workflows: every new customer gets one, an upgraded one only on the enterprise plan.

    python -m examples.customer_lifecycle

Whoever sends the event knows nothing of the workflow. The condition of a trigger sees the data of the event.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import Workflow, send


class Lifecycle(Workflow):
    """What we do for customers, by what happens to them."""

    async def setup(self) -> None:
        await self.register({
            "id": "customer-lifecycle",
            "triggers": [
                {"event": "Customer.created"},
                {"event": "Customer.upgraded", "condition": 'plan === "enterprise"'},
            ],
            "steps": [
                {"id": "profile", "action": "lookUp"},
                {"id": "greet", "action": "greet", "dependsOn": ["profile"]},
                {"id": "assign", "action": "assignManager", "dependsOn": ["profile"], "condition": 'profile.plan === "enterprise"'},
            ],
        })  # fmt: skip

    async def look_up(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"plan": params.get("plan", "free"), "name": params["id"].upper()}

    async def greet(self, params: dict[str, Any], state: Any) -> str:
        return f"hello {state.profile.name}"

    async def assign_manager(self, params: dict[str, Any], state: Any) -> str:
        return f"{state.profile.name} is looked after by Kim"


async def main() -> None:
    customers = Lifecycle("main")
    print("listening:", ", ".join(definition.id for definition in await customers.list_definitions()))
    await send("Customer.created", {"id": "cus_1"}).queued()
    await send("Customer.upgraded", {"id": "cus_1", "plan": "team"}).queued()
    await send("Customer.upgraded", {"id": "cus_1", "plan": "enterprise"}).queued()
    while len(runs := await customers.list_executions(status="completed")) < 2:
        await asyncio.sleep(0.01)
    for run in sorted(runs, key=lambda run: len(run.state)):
        print(run.state["greet"], *([run.state["assign"]] if "assign" in run.state else []), sep=", ")
    print("all runs:", len(await customers.list_executions()))


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
