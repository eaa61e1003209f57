"""A welcome now, tips in three days: a run that waits is a row, and wakes when its time has come.

    python -m examples.onboarding_wait

The program runs on the virtual clock of `dotdo.testing`, on which three days pass at once.
"""

import asyncio
from typing import Any

from dotdo import Workflow
from dotdo.testing import runtime


class Onboarding(Workflow):
    """New customers."""

    letters: list[str] = []

    async def setup(self) -> None:
        await self.register({
            "id": "onboarding",
            "steps": [
                {"id": "welcome", "action": "sendWelcomeEmail"},
                {"id": "wait", "action": "noop", "wait": "3d", "dependsOn": ["welcome"]},
                {"id": "tips", "action": "sendOnboardingTips", "dependsOn": ["wait"]},
            ],
        })  # fmt: skip

    async def send_welcome_email(self, params: dict[str, Any]) -> None:
        self.letters.append(f"{self.now():%b %d}: welcome, {params['name']}")

    async def send_onboarding_tips(self, params: dict[str, Any]) -> None:
        self.letters.append(f"{self.now():%b %d}: tips for {params['name']}")


async def main() -> None:
    async with runtime(clock="virtual") as rt:
        customers = Onboarding("main")
        runs = [await customers.start("onboarding", {"name": name}) for name in ("Ann", "Ben")]
        await rt.advance("1d")
        print("in memory:", len(rt.host.activations))
        waiting = await customers.list_executions(status="waiting")
        print("waiting:", ", ".join(run.input["name"] for run in waiting))
        for run in runs:
            await run.result()
        for letter in await customers.letters:
            print(letter)


if __name__ == "__main__":
    asyncio.run(main())
