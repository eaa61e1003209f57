"""Two campaigns: one mail to each of many, a little apart, and one person over a month.

python -m examples.email_campaign
"""

import asyncio

from dotdo import now, sleep, step, workflow
from dotdo.testing import runtime

SENT: list[str] = []


def send_mail(to: str, template: str) -> str:
    SENT.append(f"{template} to {to}")
    return template


@workflow("send-campaign")
async def campaign(recipients: list[str]) -> int:
    for recipient in recipients:
        await step(f"send-{recipient}", send_mail, recipient, "spring")
        await sleep(0.1)  # the mail server's rate limit
    return len(recipients)


NURTURE = {0: "welcome", 1: "getting-started", 3: "tips", 7: "case-study", 14: "offer", 30: "how-is-it-going"}


@workflow("nurture-lead")
async def nurture(person: str) -> list[str]:
    begun = now()  # recorded: the same after any crash
    told = []
    passed = 0
    for day, template in NURTURE.items():
        await sleep((day - passed) * 86_400)
        passed = day
        await step(template, send_mail, person, template)
        told.append(f"day {(now() - begun).days}: {template}")
    return told


async def main() -> None:
    async with runtime(clock="virtual") as rt:
        print(await campaign.execute(["ann", "bob", "cyd"]), "mails")
        run = await nurture.start("dan", id="dan")
        await rt.advance("10d")
        await rt.crash()  # a month has room for some
        print(*await run.result(), sep="\n")
        print(len(SENT), "mails in all")


if __name__ == "__main__":
    asyncio.run(main())
