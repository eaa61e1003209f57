"""What section 5 of the public page says, as a user would write it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

import dotdo
from dotdo import DO, every, schedule
from dotdo.testing import runtime

ran: Counter[str] = Counter()


async def report():
    ran["report"] += 1


def declare():
    """What a module of a user has at its top; here it goes with the test."""

    @every.day.at("6pm")
    async def summary():
        ran["summary"] += 1

    @every.weekday.at("09:00")
    async def on_weekdays():
        ran["weekday"] += 1

    @every.hour
    async def hourly():
        ran["hour"] += 1

    @every(45).minutes
    async def each_45_minutes():
        ran["45 minutes"] += 1

    @every("first monday").at("noon")
    async def first_monday():
        ran["first monday"] += 1

    @every("2h", overlap="queue", catch_up="none")
    async def each_two_hours():
        ran["2 hours"] += 1

    @every(timedelta(hours=6), name="six-hourly")
    async def each_six_hours():
        ran["6 hours"] += 1

    def daily():
        ran["daily"] += 1

    every.Daily.at("09:00", daily)
    every("12h", report)
    schedule("daily-report", "0 9 * * *", report, timezone="Europe/Paris", overlap="skip", catch_up="once")


class ApiCart(DO):
    reminders: list[str] = []
    weeks: int = 0

    async def setup(self):
        self.every.Monday.at("9am")(self.weekly_report)

    async def weekly_report(self):
        self.weeks += 1

    async def remind(self, cart_id):
        self.reminders.append(cart_id)

    async def begin(self):
        self.schedule_at(self.now() + timedelta(hours=1), self.remind, "c1")
        self.schedule_at(self.now() + timedelta(hours=1), self.remind, "c2").cancel()
        self.schedule_at(self.now() + timedelta(hours=2), self.remind, cart_id="c3")


async def test_each_form_of_the_page_runs_when_it_says():
    ran.clear()
    declare()
    async with runtime(clock="virtual") as rt:  # begins on a Tuesday, 2023-11-14 22:13:20 UTC
        await rt.advance("3d")
        assert ran == {"summary": 3, "weekday": 3, "hour": 72, "45 minutes": 96, "2 hours": 36, "6 hours": 12, "daily": 3, "report": 3 + 6}
        assert {"daily-report", "six-hourly"} <= {found.name for found in await dotdo.schedules.list()}


async def test_an_entity_keeps_its_own_schedules_and_reminders(virtual):
    await ApiCart("a").begin()
    await virtual.crash()
    await virtual.advance("3h")
    assert await ApiCart("a").reminders == ["c1", "c3"]
    await virtual.advance("6d")
    assert await ApiCart("a").weeks == 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: every("Funday").at("9am"),
        lambda: every.day.at("25pm"),
        lambda: every(15, report),
        lambda: schedule("api-x", "99 9 * * *", report),
        lambda: schedule("api-x", "0 9 * * *", report, timezone="Mars/X"),
        lambda: schedule("api-x", "0 9 * * *", report, overlap="sometimes"),
        lambda: every("2h", overlap="sometimes")(report),
    ],
)
async def test_what_is_not_understood_is_said_at_once(wrong):
    with pytest.raises(dotdo.DefinitionError):
        wrong()
