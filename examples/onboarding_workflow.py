"""Customer onboarding as a workflow: steps in order, days of waiting between them, and how far it has come.

python -m examples.onboarding_workflow
"""

import asyncio

from pydantic import BaseModel

from dotdo import progress, sleep, step, workflow
from dotdo.testing import runtime
from dotdo.workflows import rendering


class Customer(BaseModel):
    id: str
    email: str


def send_welcome(customer: Customer) -> str:
    return f"welcome, {customer.email}"


def create_account(customer: Customer) -> dict[str, str]:
    return {"id": f"acc-{customer.id}", "status": "active"}


def send_tips(customer: Customer) -> str:
    return f"tips for {customer.email}"


@workflow("onboard-customer")
async def onboarding(customer: Customer) -> dict[str, str]:
    await step("welcome-email", send_welcome, customer)
    account = await step("create-account", create_account, customer, retry=5)
    await progress(2, 3)
    await sleep("3d")  # the run is a row on disk meanwhile
    await step("tips", send_tips, customer)
    await progress(3, 3)
    return account


async def main() -> None:
    async with runtime(clock="virtual"):  # days pass at once; `await onboarding.execute(customer)` alone uses a Ray cluster
        ann = Customer(id="c1", email="ann@example.org")
        run = await onboarding.start(ann, id="onboard-c1")
        again = await onboarding.start(ann, id="onboard-c1")  # the same id is the same run
        print(await run.result(), run == again)
        print(rendering.text(await run.timeline(), width=80), end="")


if __name__ == "__main__":
    asyncio.run(main())
