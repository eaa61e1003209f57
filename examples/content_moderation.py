"""Content that is screened by a program and, where that is not sure, by people.

    python -m examples.content_moderation

What is safe beyond doubt is published at once, what is flagged is refused at once. The rest waits in the inbox of the
moderators, the urgent first; what nobody has looked at within four hours goes to their lead.
"""

import asyncio
import tempfile
from typing import Any

import dotdo
from dotdo import DO, on, send, tasks

SURE = 0.95
LEAD_AFTER = "4h"


class Post(DO):
    """One post."""

    text: str = ""
    status: str = "new"
    method: str = ""
    reason: str = ""

    async def publish(self, method: str) -> None:
        self.status, self.method = "published", method

    async def refuse(self, reason: str) -> None:
        self.status, self.reason = "rejected", reason

    async def moderate(self, text: str) -> str:
        """Have it screened, and looked at if need be; its status."""
        self.text = text
        screening = await self.do(screen, text, step_id="screen")
        if screening["safe"] and screening["confidence"] > SURE:
            await self.publish("auto")
        elif screening["flagged"]:
            await self.refuse(", ".join(screening["concerns"]))
        else:
            task = await tasks.ask(
                f"Post {self.id}", assignee="moderators", type="review", priority=screening["urgency"], escalation=[(LEAD_AFTER, "lead")],
                details={"text": text, "concerns": screening["concerns"]},
            )  # fmt: skip
            if task.approved:
                await self.publish("human")
            else:
                await self.refuse(task.comments)
        self.send("Post.moderated", {"id": self.id, "status": self.status})
        return self.status


def screen(text: str) -> dict[str, Any]:
    """A screening so plain that it needs no model; yours would ask one."""
    concerns = [word for word in ("casino", "pills") if word in text.lower()]
    shouting = text.isupper()
    return {
        "safe": not concerns and not shouting, "confidence": 0.9 if len(text) < 10 else 0.99, "flagged": len(concerns) > 1,
        "concerns": concerns or (["shouting"] if shouting else []), "urgency": "high" if concerns else "normal",
    }  # fmt: skip


@on.Post.submitted
async def moderate(post: dict[str, Any]) -> None:
    """Each post that comes in."""
    await Post(post["id"]).moderate(post["text"])


async def main() -> None:
    texts = {"a": "A walk along the river", "b": "casino pills", "c": "WIN AT THE CASINO", "d": "hm"}
    for post_id, text in texts.items():
        send("Post.submitted", {"id": post_id, "text": text})
    while len(found := await tasks.list(assignee="moderators", status="pending")) < 2:
        await asyncio.sleep(0.01)
    print("to be looked at:", [(task.title, task.priority) for task in found])
    await tasks.complete(found[0].id, by="moderators", decision="reject", comments="advertising")
    await tasks.complete(found[1].id, by="moderators", decision="approve")
    for post_id in texts:
        while (status := await Post(post_id).status) == "new":
            await asyncio.sleep(0.01)
        print(post_id, status, await Post(post_id).method or await Post(post_id).reason)


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
