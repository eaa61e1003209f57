"""What happens to a subscription, as a chain of events: nobody directs it, everybody knows the next event.

    python -m examples.subscription_lifecycle

The end of the trial is an event that is sent at once and comes in eleven days (`send_at=`): it is kept meanwhile, whatever
is switched off. Ids lead from link to link, and what was true when it was sent is read again when it comes.
"""

import asyncio
import tempfile
from datetime import timedelta
from typing import Any

import dotdo
from dotdo import DO, N, on, send

MAILS: list[str] = []


class TrialSubscription(DO):
    """One customer's subscription."""

    plan: str = "none"
    email: str = ""
    features: list[str] = []
    logins: int = 0

    @on.Person.registered(key="email")
    async def begin(self, event: dotdo.Event) -> None:
        self.plan, self.email = "trial", event.data["email"]
        self.send(N.Subscription.created, id=self.id, email=self.email)
        self.send(N.Subscription.trialEnding, id=self.id, send_at=self.now() + timedelta(days=14 - 3))

    @on.Account.provision
    async def provision(self, event: dotdo.Event) -> None:
        self.features = event.data["features"]
        self.send(N.Account.provisioned, id=self.id, email=self.email)

    @on.Subscription.trialEnding
    async def offer(self, event: dotdo.Event) -> None:
        if self.logins > 5:
            self.send(N.Offer.send, to=self.email, offer="trial-to-paid", discount=0.2)
        else:
            self.send(N.Meeting.schedule, customer=self.email, type="success-call")

    @on.Subscription.upgraded
    async def upgrade(self, event: dotdo.Event) -> None:
        self.plan, self.features = event.data["plan"], [*self.features, "reports"]
        self.send(N.Email.send, to=self.email, template="upgrade-confirmation")

    async def log_in(self) -> None:
        self.logins += 1


@on.Subscription.created
async def ask_for_an_account(subscription: dict[str, Any]) -> None:
    send(N.Account.provision, id=subscription["id"], features=["mail", "calendar"])


@on.Account.provisioned
async def welcome(account: dict[str, Any]) -> None:
    send(N.Email.send, to=account["email"], template="onboarding-start")


@on.Email.send
async def mail(message: dict[str, Any]) -> None:
    MAILS.append(f"{message['to']}: {message['template']}")


@on.Offer.send
async def make_offer(message: dict[str, Any]) -> None:
    MAILS.append(f"{message['to']}: {message['offer']}, {message['discount']:.0%} off")


@on.Meeting.schedule
async def meet(message: dict[str, Any]) -> None:
    MAILS.append(f"{message['customer']}: {message['type']}")


async def main() -> None:
    await send(N.Person.registered, email="ann@example.org").queued()
    ann = TrialSubscription("ann@example.org")
    while not MAILS:
        await asyncio.sleep(0.01)
    await send(N.Subscription.upgraded, id=ann.id, plan="team").queued()
    while len(MAILS) < 2:
        await asyncio.sleep(0.01)
    print(await dotdo.get(ann.plan), await dotdo.get(ann.features))
    print(*MAILS, sep="\n")


if __name__ == "__main__":
    dotdo.init(data=tempfile.mkdtemp(), hosts=0)  # in this process, on a new folder
    asyncio.run(main())
    dotdo.shutdown()
