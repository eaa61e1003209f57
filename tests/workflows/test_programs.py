"""Workflows of a script: their runs are finished by another program, which does not have the script."""

import pytest

from ..crashes import said
from .programs import killed_and_asked

STARTS = """
import asyncio, os, signal, sys
from pydantic import BaseModel
import dotdo
from dotdo import sleep, start_child, step, workflow

class Customer(BaseModel):
    email: str

LEDGER = sys.argv[3]

def note(text):
    with open(LEDGER, "a") as ledger:
        ledger.write(text + os.linesep)
    return text

def make_approval(entity):
    async def approve(customer):
        await sleep("1s")
        return await step("approve", note, f"{entity} of {customer.email}")
    return workflow(f"{entity}-approval", approve)

leave = make_approval("leave")

@workflow("onboarding")
async def onboarding(customer: Customer):
    await step("welcome", note, f"welcome {customer.email}")
    child = await start_child("leave-approval", customer)
    return [await child.result(), await start_later(customer)]

async def start_later(customer):
    child = await start_child(leave, customer)
    return await child.result()

async def main():
    dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2]), shards=4)
    @workflow("defined-late")
    async def late():
        return "found"
    assert await late.execute(id="late") == "found"
    await onboarding.start(Customer(email="ann@example.org"), id="onboard-42")
    print("started", flush=True)
    await asyncio.sleep(100)

if __name__ == "__main__":
    asyncio.run(main())
"""

ASKS = """
import asyncio, sys
import dotdo
from dotdo.workflows import functions

async def main():
    async with dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2])):
        print(await dotdo.execution("onboard-42").result())
        print((await dotdo.execution("onboard-42").info()).method)
        print(await dotdo.execution("late").result())

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.feature(10, 124)
@pytest.mark.ray
def test_a_run_of_a_script_that_was_killed_is_finished_by_another_program(tmp_path):
    ledger = tmp_path / "ledger"
    arguments = [str(tmp_path / "data"), "2", str(ledger)]
    second = killed_and_asked(tmp_path, STARTS, ASKS, *arguments, timeout=100)
    assert said(second) == ["['leave of ann@example.org', 'leave of ann@example.org']", "onboarding", "found"], second.stderr
    assert ledger.read_text().splitlines() == ["welcome ann@example.org", "leave of ann@example.org", "leave of ann@example.org"]
