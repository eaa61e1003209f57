"""The entities that are measured: a counter, a method of ten steps, and who sends, hears and waits."""

from __future__ import annotations

import asyncio
import os
import time

from dotdo import DO, Event, on

STEPS = 10


class Counter(DO):
    """Adds one, durably; and calls other counters."""

    n: int = 0

    async def ping(self) -> int:
        return 1

    async def inc(self) -> int:
        self.n += 1
        return self.n

    async def park(self) -> None:
        """An execution that is there as long as it is watched."""
        await self.sleep("1h")

    async def ask(self, other: str, times: int) -> list[float]:
        """Seconds of each call to another entity; nothing unsynced is pending meanwhile."""
        found = []
        for _ in range(times):
            started = time.perf_counter()
            await Counter(other).ping()
            found.append(time.perf_counter() - started)
        return sorted(found)


class TrackedParcel(DO, index=("status",)):
    """One whose collection knows its status."""

    status: str = "new"

    async def become(self, status: str) -> None:
        self.status = status


class Flow(DO):
    """Ten steps that do nothing, each on record before the next begins."""

    reached: int = 0

    async def run(self) -> float:
        """Seconds per step."""
        started = time.perf_counter()
        for number in range(STEPS):
            await self.do(self._step, number, step_id=f"s{number}")
        return (time.perf_counter() - started) / STEPS

    async def run_held(self, hold: str) -> int:
        """The same, held in the middle as long as the file `hold` is there."""
        for number in range(STEPS):
            if number == STEPS // 2:
                self.reached = number
                await self.do(self._wait, hold, step_id="hold")
            else:
                await self.do(self._step, number, step_id=f"s{number}")
        return STEPS

    async def _step(self, number: int) -> int:
        return number

    async def _wait(self, hold: str) -> int:
        while os.path.exists(hold):
            await asyncio.sleep(1)
        return STEPS // 2


class Listener(DO):
    """Hears events, and waits for them."""

    heard: int = 0
    late: float = 0.0

    @on.Bench.happened
    async def happened(self, event: Event) -> None:
        self.heard += 1

    async def wait(self, number: int) -> float:
        """When the event came, in seconds since the epoch, its sender's time and ours one machine's."""
        sent: float = (await self.wait_for("Bench.answered", match={"number": number}))["at"]
        return time.time() - sent

    async def nap(self, seconds: float) -> float:
        """How late it woke, in seconds."""
        started = time.time()
        await self.sleep(seconds)
        return time.time() - started - seconds

    async def rest(self) -> None:
        await self.sleep("30d")

    async def sleep_on(self, count: int) -> int:
        for _ in range(count):
            await self.sleep("90d")
        return count


class Teller(DO):
    """Sends events."""

    async def tell(self, count: int) -> None:
        for number in range(count):
            self.send("Bench.happened", {"id": "ear", "number": number})
            if number % 10 == 9:
                await asyncio.sleep(0)

    async def answer(self, number: int) -> None:
        self.send("Bench.answered", {"number": number, "at": time.time()})
