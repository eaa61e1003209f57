"""A document that several people review at once: a week each, a reminder, two more days, then what they said is put together.

    python -m examples.document_review

The reviews come as events; each wait knows what it waits for by `match`. Any rejection rejects, else any wish for changes
asks for changes, else it is approved. Who stays silent even after the reminder is taken to want changes.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, WaitTimeout, send

FIRST_WAIT = "7d"
SECOND_WAIT = "2d"


class Document(DO):
    """One document."""

    status: str = "draft"

    async def review(self, reviewers: list[str]) -> dict[str, Any]:
        """Have it reviewed; the status, and what each reviewer said."""
        self.status = "in review"
        for reviewer in reviewers:
            await self.do(self._ask, reviewer, step_id=f"request-review-{reviewer}")
        said = await asyncio.gather(*(self._review_of(reviewer) for reviewer in reviewers))
        self.status = verdict(said)
        self.send(f"Document.{self.status}", {"id": self.id, "reviews": said})
        return {"status": self.status, "reviews": dict(zip(reviewers, said, strict=True))}

    async def _ask(self, reviewer: str) -> None:
        self.send("Review.requested", {"document_id": self.id, "reviewer_id": reviewer})

    async def _review_of(self, reviewer: str) -> str:
        wanted = {"document_id": self.id, "reviewer_id": reviewer}
        try:
            review = await self.wait_for("Review.submitted", match=wanted, timeout=FIRST_WAIT)
        except WaitTimeout:
            await self.do(self._remind, reviewer, step_id=f"remind-{reviewer}")
            review = await self.wait_for("Review.submitted", match=wanted, timeout=SECOND_WAIT, default={"status": "silent"})
        return str(review["status"])

    async def _remind(self, reviewer: str) -> None:
        self.send("Email.send", {"to": reviewer, "template": "review-reminder", "data": {"document": self.id}})


def verdict(said: list[str]) -> str:
    """What follows from what the reviewers said."""
    if "rejected" in said:
        return "rejected"
    return "approved" if all(one == "approved" for one in said) else "needs_changes"


async def main() -> None:
    run = await dotdo.start(Document("lease").review, ["ann", "bob"])
    for reviewer, status in (("bob", "approved"), ("ann", "changes-requested")):
        await send("Review.submitted", {"document_id": "lease", "reviewer_id": reviewer, "status": status}).queued()
    print(await run.result())


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
