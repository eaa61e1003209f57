"""What a definition can say about failure: try again, go on without, or take another way.

    python -m examples.resilient_workflow

The definition as it is often written first has a mistake in it: its last step branches to a step that is not there. `register` says so, and
where, before anything runs. `strict=False` would let it pass until the branch is taken.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import dotdo
from dotdo import DefinitionError, Workflow
from dotdo.testing import runtime

RISKY = {"id": "risky-step", "action": "callExternalApi", "onError": "retry", "maxRetries": 5, "retryDelay": "1m"}
FALLBACK = {"id": "fallback", "action": "handleFailure", "onError": "branch", "errorBranch": "notify-admin"}

BROKEN: dict[str, Any] = {"id": "resilient-workflow", "steps": [RISKY, FALLBACK]}

REPAIRED: dict[str, Any] = {
    "id": "resilient-workflow",
    "steps": [
        {**RISKY, "onError": "branch", "errorBranch": "fallback"},
        FALLBACK,
        {"id": "notify-admin", "action": "notifyAdmin"},
        {"id": "report", "action": "report", "dependsOn": ["risky-step", "fallback", "notify-admin"]},
    ],
}


class Resilient(Workflow):
    """An interface that is down for a while, and what is done about it."""

    back_at: datetime | None = None
    can_fall_back: bool = True

    async def call_external_api(self) -> str:
        if self.back_at is None or self.now() < self.back_at:
            raise ConnectionError("503")
        return f"answered after the interface was back at {self.back_at:%H:%M}"

    async def handle_failure(self) -> str:
        if not self.can_fall_back:
            raise ConnectionError("the cache is cold")
        return "answered from the cache"

    async def notify_admin(self) -> str:
        return "the administrator knows"

    async def report(self, params: dict[str, Any], state: dict[str, Any]) -> str:
        return ", ".join(str(state[step]) for step in ("risky-step", "fallback", "notify-admin") if step in state)

    async def break_down(self, minutes: int, *, can_fall_back: bool) -> None:
        self.back_at, self.can_fall_back = self.now() + timedelta(minutes=minutes), can_fall_back


async def main() -> None:
    async with runtime(clock="virtual"):  # on its clock the minutes between attempts pass at once
        flow = Resilient("main")
        try:
            await flow.register(BROKEN)
        except DefinitionError as error:
            print(str(error).partition("\nRemote")[0])
        await flow.register(REPAIRED)
        for minutes, can_fall_back in ((3, True), (100, True), (100, False)):
            await flow.break_down(minutes, can_fall_back=can_fall_back)
            execution = await flow.start("resilient-workflow")
            print((await dotdo.execution(execution.id).result())["report"])


if __name__ == "__main__":
    asyncio.run(main())
