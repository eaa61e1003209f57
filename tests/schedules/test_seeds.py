"""What the seeds do with schedules, each with the trap that stands beside it in the inventory."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

import dotdo
from dotdo import DO, every, on, schedule, schedule_at, schedules, send
from dotdo.events import registry

letters: list = []
"""Day of the campaign and template of each letter."""


@pytest.fixture(autouse=True)
def only_mine():
    letters.clear()
    before = registry.use_modules([__name__])
    yield
    registry.use_modules(before)


def day() -> str:
    return dotdo.now().strftime("%m-%d %H:%M")


@on.SeedEmail.send
@on.SeedEmail.schedule
async def write_letter(email):
    letters.append((day(), email["template"]))


# -- long-running: S0 353 to 431 --------------------------------------------------------------------------------


class Membership(DO, noun="SeedMembership"):
    """A subscription, as it is when somebody looks, not as it was when something was scheduled."""

    status: str = "trialing"
    email: str = "old@example.org"
    ends: datetime | None = None
    renewals: int = 0

    async def begin(self, ends: datetime):
        self.ends = ends
        self.send("SeedSubscription.created", {"id": self.id, "ends": ends})

    async def change(self, status: str, email: str):
        self.status, self.email = status, email

    async def renew(self):
        self.renewals += 1


async def offer_if_trialing(person_id: str):
    """It is the id that was kept for two weeks: what it stands for is read now."""
    if await Membership(person_id).status == "trialing":
        await send("SeedEmail.send", template="trial-to-paid")


@on.SeedPerson.registered
async def nurture(person):
    now = dotdo.now()
    await send("SeedEmail.send", template="welcome")
    for days, template in ((1, "getting-started"), (3, "feature-highlight"), (7, "checkin-week1"), (30, "month1-survey")):
        send("SeedEmail.schedule", template=template, send_at=now + timedelta(days=days))
    schedule_at(now + timedelta(days=14), offer_if_trialing, person["id"])


@pytest.mark.feature(84, 85, 103, 424)
@pytest.mark.parametrize("upgraded", [False, True])
async def test_a_nurture_campaign_over_a_month(virtual, upgraded):
    await send("SeedPerson.registered", id="ann")
    await virtual.advance("5d")
    await virtual.crash()
    if upgraded:
        await Membership("ann").change("active", "new@example.org")
    await virtual.advance("40d")
    expected = [
        ("11-14 22:13", "welcome"), ("11-15 22:13", "getting-started"), ("11-17 22:13", "feature-highlight"),
        ("11-21 22:13", "checkin-week1"), ("11-28 22:13", "trial-to-paid"), ("12-14 22:13", "month1-survey"),
    ]  # fmt: skip
    assert letters == [letter for letter in expected if not upgraded or letter[1] != "trial-to-paid"]


async def remind_of_renewal(subscription_id: str):
    letters.append((day(), f"renewal-reminder to {await Membership(subscription_id).email}"))


@on.SeedSubscription.created
async def plan_renewal(subscription):
    ends = subscription["ends"]
    schedule_at(ends - timedelta(days=7), remind_of_renewal, subscription["id"])
    schedule_at(ends, Membership(subscription["id"]).renew)


@pytest.mark.feature(85, 103, 107, 424)
async def test_a_renewal_reads_the_subscription_anew_and_a_reminder_that_is_late_goes_at_once(virtual):
    start = dotdo.clock.to_datetime(virtual.clock.now())
    await Membership("s1").begin(start + timedelta(days=60))
    await Membership("s2").begin(start + timedelta(days=3))  # seven days before that is past
    await virtual.advance("1h")
    assert letters == [("11-14 22:13", "renewal-reminder to old@example.org")]
    await Membership("s1").change("active", "new@example.org")
    await virtual.restart()
    await virtual.advance("61d")
    assert letters[1:] == [("01-06 22:13", "renewal-reminder to new@example.org")]
    assert (await Membership("s1").renewals, await Membership("s2").renewals) == (1, 1)


@on.SeedMeeting.schedule
async def book_meeting(meeting):
    letters.append((day(), f"{meeting['subject']}, {meeting['duration']} min"))
    return "booked"


@pytest.mark.feature(87)
async def test_a_meeting_is_a_command_like_any_other(virtual):
    assert await send.SeedMeeting.schedule(attendees=["ann"], duration=30, subject="Kickoff") == "booked"


# -- triggers: S1 200 to 240 and 912 to 958 ---------------------------------------------------------------------


class Workflow:
    """As the workflows of a program: a name, and `execute`."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def execute(self, *given: Any) -> str:
        await dotdo.sleep("1m")
        letters.append((day(), " ".join([self.name, *map(str, given)])))
        return self.name


daily_report, weekly_cleanup, hourly_sync = Workflow("daily-report"), Workflow("weekly-cleanup"), Workflow("hourly-sync")
cart_reminder = Workflow("cart-reminder")


@pytest.mark.feature(96, 428)
async def test_a_workflow_is_triggered_by_a_schedule_by_an_event_and_by_hand(virtual):
    every.Daily.at("09:00", lambda: daily_report.execute())
    on.SeedDay.over(by_event)
    await virtual.advance("12h")
    send("SeedDay.over", {})
    await virtual.advance("1h")
    assert letters == [("11-15 09:01", "daily-report"), ("11-15 10:14", "daily-report")]


async def by_event(_event):
    await daily_report.execute()


@pytest.mark.feature(98, 99, 434)
async def test_the_table_of_scheduled_workflows(virtual):
    table = [
        {"name": "daily-report", "schedule": "0 9 * * *", "workflow": daily_report},
        {"name": "weekly-cleanup", "schedule": "0 2 * * 0", "workflow": weekly_cleanup},
        {"name": "hourly-sync", "schedule": "0 * * * *", "workflow": hourly_sync},
    ]
    for row in table:
        schedule(row["name"], row["schedule"], row["workflow"])
    await virtual.advance("2d")
    await virtual.crash()
    await virtual.advance("3d")
    names = [name for _, name in letters]
    assert [at for at, name in letters if name == "daily-report"] == [f"11-{n} 09:01" for n in (15, 16, 17, 18, 19)]
    assert [at for at, name in letters if name == "weekly-cleanup"] == ["11-19 02:01"]
    assert names.count("hourly-sync") == 5 * 24
    assert {info.name for info in await schedules.list()} == {row["name"] for row in table}


@on.SeedCart.abandoned
async def remind(cart):
    """Both up front: the seed awaits the first before it computes the second, which then comes an hour late."""
    now = dotdo.now()
    schedule_at(now + timedelta(hours=1), cart_reminder, cart["id"], "first")
    schedule_at(now + timedelta(hours=24), cart_reminder, cart["id"], "second")
    schedule_at(now - timedelta(hours=1), cart_reminder, cart["id"], "at once")


@pytest.mark.feature(101, 102, 434)
async def test_reminders_of_an_abandoned_cart(virtual):
    send("SeedCart.abandoned", {"id": "c1"})
    await virtual.advance("10m")
    await virtual.crash()
    await virtual.advance("2d")
    assert letters == [
        ("11-14 22:14", "cart-reminder c1 at once"), ("11-14 23:14", "cart-reminder c1 first"), ("11-15 22:14", "cart-reminder c1 second"),
    ]  # fmt: skip


# -- entities: S3 108 to 115, S2 timers -------------------------------------------------------------------------


class Escalating(DO, noun="SeedEscalating"):
    """Many deadlines in one entity, none of them in memory."""

    escalated: list = []

    async def assign(self, task: str, hours: int):
        self.schedule_at(self.now() + timedelta(hours=hours), self.escalate, task)

    async def escalate(self, task: str):
        self.escalated.append([task, self.now().strftime("%d %H:%M")])


@pytest.mark.feature(108)
async def test_many_deadlines_share_one_entity_and_outlive_its_sleep(virtual):
    desk = Escalating("d")
    for task, hours in (("late", 12), ("soon", 1), ("last", 48)):
        await desk.assign(task, hours)
    await virtual.advance("2h")
    assert virtual.host.activations == {}
    await virtual.crash()
    await virtual.advance("3d")
    assert await desk.escalated == [["soon", "14 23:13"], ["late", "15 10:13"], ["last", "16 22:13"]]
