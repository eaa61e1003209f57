"""Pull the plug while an order is on its way; start again, and it ships.

    python -m examples.survives_a_kill

The program runs itself twice on one data folder. The first life is ended by SIGKILL once the order is paid; the second
finds the order in its file and goes on after the payment, which is on record and not made again.
"""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile

import dotdo
from dotdo import DO


class PluggedOrder(DO):
    paid: bool = False

    async def process(self) -> str:
        paid_by = await self.do(self._pay, step_id="pay")
        await self.sleep("1s")
        return f"paid by process {paid_by}, shipped by process {await self.do(self._ship, step_id='ship')}"

    async def _pay(self) -> int:
        self.paid = True
        return os.getpid()

    async def _ship(self) -> int:
        return os.getpid()


async def life(data: str, plug: str) -> None:
    async with dotdo.init(data=data, hosts=0):
        # the same call id is the same call, in this life and the next
        order = asyncio.ensure_future(PluggedOrder("o1").with_options(call_id="the-order").process())
        while plug == "pull" and not await PluggedOrder("o1").paid:
            await asyncio.sleep(0.01)
        if plug == "pull":
            os.kill(os.getpid(), signal.SIGKILL)
        print(await order)


def main() -> str:
    with tempfile.TemporaryDirectory() as data:
        first, second = (
            subprocess.run([sys.executable, "-m", "examples.survives_a_kill", data, plug], stdout=subprocess.PIPE, text=True, check=False)
            for plug in ("pull", "leave")
        )
    return f"the first life ended by signal {-first.returncode}\n{second.stdout}"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        asyncio.run(life(*sys.argv[1:]))
    else:
        print(main())
