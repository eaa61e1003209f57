"""An expense that waits for a human, for days if need be, without anything of it in memory.

    python -m examples.approval_by_callback

`self.callback()` makes a promise that the outside world keeps. Its id goes out, in a letter here; whoever answers calls
`dotdo.complete(id, value)`, once. Meanwhile the execution is a row in the expense's file.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, WaitTimeout


class Desk(DO):
    """A manager's desk, where letters arrive."""

    letters: list[dict[str, Any]] = []

    async def put(self, letter: dict[str, Any]) -> None:
        self.letters.append(letter)


class Expense(DO):
    """One expense report."""

    decision: str = "open"

    async def submit(self, amount: int, manager: str) -> str:
        approval = self.callback("approve", timeout="7d")
        letter = {"expense": self.id, "amount": amount, "answer_to": approval.id}
        await self.do(Desk(manager).put, letter, step_id="ask")
        try:
            answer = await approval
        except WaitTimeout:
            answer = {"approved": False, "by": "nobody, for a week"}
        self.decision = f"{'approved' if answer['approved'] else 'refused'} by {answer['by']}"
        return self.decision


async def main() -> None:
    run = await dotdo.start(Expense("taxi").submit, 120, "mia")
    while not (letters := await dotdo.get(Desk("mia").letters)):
        await asyncio.sleep(0.01)
    print("waiting:", await run.status())
    await dotdo.complete(letters[-1]["answer_to"], {"approved": True, "by": "mia"})
    print(await run.result())


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
