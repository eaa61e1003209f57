"""A service of a script: its requests are finished by another program, which does not have the script."""

import pytest

from ..crashes import said
from .programs import killed_and_asked

STEPS = """
import sys

async def stamp(inputs):
    return f"stamped {inputs['n']} in {__name__}"
"""

STARTS = """
import asyncio, sys
import dotdo
from dotdo import Service
sys.path.insert(0, sys.argv[3])
import stamping

async def main():
    dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2]), shards=4)
    svc = await Service.create(name="Slow", steps=[
        {"id": "wait"}, {"id": "stamp", "dependsOn": ["wait"]}, {"id": "last", "dependsOn": ["stamp"]}], pricing={"rate": 2})

    @svc.step("wait")
    async def wait(inputs, state):
        await dotdo.sleep("2s")
        return inputs["n"] + 1

    svc.step("stamp", stamping.stamp)
    svc.step("last", lambda inputs, state: [state.results.wait, state.results.stamp])
    await svc.request({"n": 7}, id="r1")
    print("started", flush=True)
    await asyncio.sleep(100)

if __name__ == "__main__":
    asyncio.run(main())
"""

ASKS = """
import asyncio, sys
import dotdo
from dotdo import Service

async def main():
    async with dotdo.init(data=sys.argv[1], hosts=int(sys.argv[2])):
        svc = await Service.get("slow")
        outcome = await svc.get_request("r1").result()
        print(outcome.results["last"], outcome.cost)
        again = await svc.request({"n": 8})
        print((await again.result()).results["last"])

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.feature(10, 228)
@pytest.mark.ray
def test_a_request_of_a_script_that_was_killed_is_finished_by_another_program(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "stamping.py").write_text(STEPS)
    arguments = [str(tmp_path / "data"), "1", str(tmp_path / "lib")]
    second = killed_and_asked(tmp_path, STARTS, ASKS, *arguments, timeout=110)
    assert said(second) == ["[8, 'stamped 7 in stamping'] 2.00", "[9, 'stamped 8 in stamping']"], second.stderr
