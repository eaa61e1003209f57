"""A shop over a week: what it does by the clock, and what it does once, later.

    python -m examples.schedules

It takes a second, because this runtime has a virtual clock. In a program of yours the schedules stand at
the top of its modules and `dotdo.init()` makes them known; nothing else changes.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import dotdo
from dotdo import DO, every, schedule, schedule_at, schedules
from dotdo.testing import runtime
from dotdo.testing.runtime import Runtime


def say(what: str) -> None:
    """With the time for which it runs, which is the same if it runs late or again."""
    event = dotdo.current_event()
    assert event is not None
    assert event.at is not None
    print(f"{event.at:%a %d %H:%M}  {what}")


async def daily_report() -> None:
    """A function runs durably too: it may take steps, sleep, and be interrupted."""
    sold = await dotdo.do(Shop("main").sold_today, step_id="count")
    say(f"daily report: {sold} sold")


async def clean_up() -> None:
    say("weekly clean-up")


class Shop(DO):
    """Its own schedules are in its own file; between them it is asleep."""

    sold: int = 0
    checks: int = 0

    async def setup(self) -> None:
        self.every.Monday.at("9am")(self.weekly_report)
        self.every(45).minutes(self.check_shelves)

    async def sell(self) -> None:
        self.sold += 1

    async def sold_today(self) -> int:
        sold, self.sold = self.sold, 0
        return sold

    async def weekly_report(self) -> None:
        say(f"weekly report: the shelves were checked {self.checks} times")

    async def check_shelves(self) -> None:
        self.checks += 1


class Basket(DO):
    """Left alone, it reminds its owner twice; bought, it does not."""

    last_reminder: dotdo.Scheduled | None = None

    async def leave(self) -> None:
        now = self.now()
        self.schedule_at(now + timedelta(hours=1), self.remind, "did you forget something?")
        self.last_reminder = self.schedule_at(now + timedelta(days=1), self.remind, "it is still here")

    async def buy(self) -> None:
        await Shop("main").sell()
        if self.last_reminder is not None:
            await self.last_reminder.cancel()

    async def remind(self, text: str) -> None:
        say(f"to {self.id}: {text}")


async def say_hello(name: str) -> None:
    say(f"a letter to {name}")


async def main(rt: Runtime) -> None:
    schedule("daily-report", "0 18 * * *", daily_report, timezone="Europe/Paris")
    every("first saturday").at("noon")(clean_up)
    await schedule_at(rt.now() + timedelta(days=3), say_hello, "ann")
    await Basket("ann").leave()
    await rt.advance("30m")
    await Basket("bob").leave()

    await rt.advance("2h")
    await Basket("bob").buy()
    await rt.crash()  # everything that ran is gone, and what is due rests on disk
    await rt.advance("2d")
    await schedules.pause("daily-report")
    await rt.advance("5d")

    for info in await schedules.list():
        following = info.next_time.strftime("%a %d %B") if info.next_time else "paused"
        print(f"{info.name}: {info.text}; ran {info.runs} times; next: {following}")


async def run() -> None:
    async with runtime(clock="virtual") as rt:
        await main(rt)


if __name__ == "__main__":
    asyncio.run(run())
