"""A state machine of a script: its instances go on in another program, which does not have the script."""

import pytest

from ..crashes import said
from .programs import killed_and_asked

STARTS = """
import asyncio, sys
import dotdo
from dotdo import StateMachine

LEDGER = sys.argv[3]

def note(context):
    with open(LEDGER, "a") as ledger:
        ledger.write(f"{context['id']} timed out\\n")

doors = StateMachine(name="door", initial="closed", key="door", states={
    "closed": {"on": {"open": {"target": "open", "guard": lambda c: c["key"] == 7, "action": lambda c: {**c, "opened": 1}}}},
    "open": {"timeout": "1s", "timeoutTransition": "closing", "exit": note},
    "closing": {"on": {"shut": "shut"}},
    "shut": {},
}, events={"Door.shut": "shut"})

async def main():
    dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2]), shards=4)
    late = StateMachine(name="made-late", initial="a", states={"a": {"on": {"go": {"target": "b", "action": lambda c: {"n": 1}}}}, "b": {}})
    assert await (await late.start(id="x")).send("go") == "b"
    door = await doors.start({"id": "d1", "key": 7}, id="d1")
    await door.send("open")
    print("started", flush=True)
    await asyncio.sleep(100)

if __name__ == "__main__":
    asyncio.run(main())
"""

ASKS = """
import asyncio, sys
import dotdo
from dotdo import send
from dotdo.workflows.machines.instance import MachineInstance

async def main():
    async with dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2])):
        door = MachineInstance("door", "d1")
        while await door.state == "open":
            await asyncio.sleep(0.1)
        print(await door.state, await door.context)
        await send("Door.shut", {"door": "d1"})
        print((await door.result()).final_state, await MachineInstance("made-late", "x").context)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.feature(8, 10)
@pytest.mark.ray
def test_an_instance_of_a_script_that_was_killed_goes_on_in_another_program(tmp_path):
    ledger = tmp_path / "ledger"
    arguments = [str(tmp_path / "data"), "1", str(ledger)]
    second = killed_and_asked(tmp_path, STARTS, ASKS, *arguments, timeout=100)
    assert said(second) == [
        "closing {'id': 'd1', 'key': 7, 'opened': 1}", "shut {'n': 1}",
    ], second.stderr  # fmt: skip
    assert set(ledger.read_text().splitlines()) == {"d1 timed out"}
