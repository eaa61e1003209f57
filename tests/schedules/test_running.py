"""Schedules that run: who is called, at which times, and what becomes of times that collide, fail or were missed."""

from __future__ import annotations

import asyncio
import functools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

import dotdo
from dotdo import DO, DefinitionError, every, schedule, schedule_at, schedules
from dotdo.clock import to_datetime
from dotdo.errors import NoSuchSchedule
from dotdo.testing import runtime

ran: list = []
"""What ran, with the time it ran for, as wall time in UTC."""


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()


@pytest.fixture
async def awake():
    """A runtime whose entities rest rarely, for weeks that are full of times."""
    async with runtime(clock="virtual", idle_timeout="1h") as running:
        yield running


def note(what: str) -> None:
    event = dotdo.current_event()
    assert event is not None
    ran.append((what, event.at.strftime("%a %d %H:%M")))


def of(what: str) -> list:
    return [time for name, time in ran if name == what]


async def summary():
    note("summary")


async def report():
    note("report")


async def cleanup():
    note("cleanup")


async def down_for(rt, duration: timedelta) -> None:
    """The runtime stops, time passes, and it starts again."""
    rt.router.host = None
    await rt.host.stop()
    rt.clock.advance_to(rt.clock.now() + duration.total_seconds())
    await rt._start()


async def until(rt, text: str) -> None:
    """Let time pass up to a moment in UTC."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    await rt.advance(moment - to_datetime(rt.clock.now()))


# -- of a program -----------------------------------------------------------------------------------------------


@pytest.mark.feature(93, 94, 95, 96)
async def test_every_form_of_a_program_runs_at_its_times(virtual):  # it is Tuesday, 14 November 2023, 22:13:20
    @every.day.at("6pm")
    async def daily():
        note("daily")

    @every.Monday.at("9am")
    async def weekly():
        note("weekly")

    @every(45).minutes
    async def often():
        note("often")

    assert every.Daily.at("09:00", summary) is summary
    assert every.weekday.at("noon")(report) is report
    await virtual.advance("7d")
    assert of("daily") == [f"{day} 18:00" for day in ("Wed 15", "Thu 16", "Fri 17", "Sat 18", "Sun 19", "Mon 20", "Tue 21")]
    assert of("weekly") == ["Mon 20 09:00"]
    assert of("summary") == [f"{day} 09:00" for day in ("Wed 15", "Thu 16", "Fri 17", "Sat 18", "Sun 19", "Mon 20", "Tue 21")]
    assert of("report") == [f"{day} 12:00" for day in ("Wed 15", "Thu 16", "Fri 17", "Mon 20", "Tue 21")]
    assert len(of("often")) == 7 * 24 * 60 // 45
    assert of("often")[:3] == ["Tue 14 22:58", "Tue 14 23:43", "Wed 15 00:28"]


@pytest.mark.feature(98, 99)
async def test_a_table_of_cron_expressions(virtual):
    table = [("daily-report", "0 9 * * *", report), ("weekly-cleanup", "0 2 * * 0", cleanup), ("hourly-sync", "0 * * * *", summary)]
    for name, when, handler in table:
        schedule(name, when, handler)
    await virtual.advance("6d")
    assert of("report") == [f"{day} 09:00" for day in ("Wed 15", "Thu 16", "Fri 17", "Sat 18", "Sun 19", "Mon 20")]
    assert of("cleanup") == ["Sun 19 02:00"]
    assert len(of("summary")) == 6 * 24


@pytest.mark.feature(100)
async def test_two_handlers_on_one_expression_both_run_and_one_can_be_cancelled(virtual):
    schedule("one", "0 9 * * *", summary)
    schedule("two", "0 9 * * *", report)
    nine = every.day.at("9am")
    nine(lambda: note("first lambda"))
    nine(lambda: note("second lambda"))
    await virtual.advance("1d")
    assert sorted(name for name, _ in ran) == ["first lambda", "report", "second lambda", "summary"]
    assert await schedules.cancel("one")
    ran.clear()
    await virtual.advance("1d")
    assert sorted(name for name, _ in ran) == ["first lambda", "report", "second lambda"]


@pytest.mark.feature(98)
async def test_a_name_registered_anew_replaces_what_it_was(virtual):
    schedule("nightly", "0 2 * * *", summary)
    await virtual.advance("1d")
    schedule("nightly", "0 3 * * *", report)
    await virtual.advance("1d")
    assert ran == [("summary", "Wed 15 02:00"), ("report", "Thu 16 03:00")]
    assert [one.name for one in await schedules.list()] == ["nightly"]


async def test_the_same_words_again_change_nothing(virtual):
    """An interval counts from when it was first registered, however often the program says it."""
    every(45).minutes(summary)
    await virtual.advance("30m")
    every(45).minutes(summary)
    schedules.registry.announce()
    await virtual.advance("30m")
    assert of("summary") == ["Tue 14 22:58"]


async def test_only_what_is_new_wakes_anybody(virtual):
    schedule("nightly", "0 2 * * *", summary)
    await virtual.advance("5m")
    assert virtual.host.activations == {}
    await schedules.registry.announce()
    await virtual.settle()
    assert [noun for noun, _ in virtual.host.activations] == ["DotdoSchedules"]


@pytest.mark.feature(104)
async def test_a_zone_keeps_its_appointments_over_both_changes_of_the_clocks(virtual):
    times: dict[str, list] = {"Europe/Paris": [], "America/New_York": []}

    async def keep(zone):
        event = dotdo.current_event()
        times[zone].append(event.at.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M%z"))

    for name, zone, hours in (("paris", "Europe/Paris", "2"), ("ny", "America/New_York", "1,2")):
        schedule(name, f"30 {hours} * * *", functools.partial(keep, zone), timezone=zone)
    for day in ("2024-03-09T12:00", "2024-03-30T12:00", "2024-10-26T12:00", "2024-11-02T12:00"):
        for name in ("paris", "ny"):
            await schedules.pause(name)
        await until(virtual, day)
        for name in ("paris", "ny"):
            await schedules.resume(name)
        await virtual.advance("2d")
    paris, new_york = times["Europe/Paris"], times["America/New_York"]
    assert [t for t in paris if t.startswith(("03-31", "04-01"))] == ["03-31 03:00+0200", "04-01 02:30+0200"]
    assert [t for t in paris if t.startswith(("10-27", "10-28"))] == ["10-27 02:30+0200", "10-28 02:30+0100"]
    assert [t for t in new_york if t.startswith("03-10")] == ["03-10 01:30-0500", "03-10 03:00-0400"]
    assert [t for t in new_york if t.startswith("11-03")] == ["11-03 01:30-0400", "11-03 02:30-0500"]


class Workflow:
    """What a workflow looks like from here: a name, `start` and `execute`."""

    name = "nightly-flow"

    async def execute(self, *args):
        await dotdo.sleep("1h")
        note("flow")
        return args


@pytest.mark.feature(98, 101)
async def test_a_workflow_is_executed_without_input_or_once_with_some(virtual):
    flow = Workflow()
    schedule("flow", "0 2 * * *", flow)
    schedule_at(to_datetime(virtual.clock.now()) + timedelta(hours=1), flow, {"cart": 7})
    await virtual.advance("1d")
    assert of("flow") == ["Tue 14 23:13", "Wed 15 02:00"]


class Cleaner(DO, noun="SchedCleaner"):
    cleaned: int = 0

    async def clean(self, by: int = 1) -> int:
        self.cleaned += by
        return self.cleaned


async def test_the_method_of_one_entity_can_be_scheduled(virtual):
    schedule("clean", "0 2 * * *", Cleaner("c").clean)
    await schedule_at(to_datetime(virtual.clock.now()), Cleaner("c").clean, 10)
    await virtual.advance("2d")
    assert await Cleaner("c").cleaned == 12
    with pytest.raises(DefinitionError, match="without calling it"):
        schedule("wrong", "0 2 * * *", Cleaner("c").clean())


async def test_ids_of_any_length_and_letters_can_be_scheduled(virtual):
    long, odd = Cleaner("ü" * 256), Cleaner("a/b:c\n d")
    at = virtual.now() + timedelta(hours=1)
    handles = [await schedule_at(at, stub.clean, 5) for stub in (long, odd)]
    assert {handle.entity for handle in handles} == {"DotdoFunction/entity:clean:SchedCleaner"}
    await virtual.advance("1h")
    assert (await long.cleaned, await odd.cleaned) == (5, 5)
    with pytest.raises(DefinitionError, match="bytes long"):
        schedule("ü" * 150, "0 9 * * *", summary)


# -- of an entity -----------------------------------------------------------------------------------------------


class Reporter(DO, noun="SchedReporter"):
    """What the seeds' `this.every` does, and what it must survive."""

    reports: int = 0
    checks: int = 0
    skips_monday: bool = False

    async def setup(self):
        if not self.skips_monday:
            self.every.Monday.at("9am")(self.weekly_report)
        self.every.day.at("6pm")(lambda: note("daily summary"))
        self.every(6).hours(self._check_health)

    async def weekly_report(self):
        await self.do(self._write, step_id="write")
        note("weekly")

    async def _write(self):
        self.reports += 1

    async def _check_health(self):
        self.checks += 1

    async def skip_mondays(self):
        self.skips_monday = True

    async def add(self, phrase: str, name: str):
        return self.every(phrase)(self.extra, name=name)

    async def extra(self):
        note("extra")


class Health(DO, noun="SchedHealth"):
    checks: int = 0

    async def setup(self):
        self.every(15).minutes(self.check)

    async def check(self):
        self.checks += 1


@pytest.mark.feature(93, 94, 95, 438)
async def test_an_entity_keeps_its_own_schedules(awake):
    reporter = Reporter("r")
    assert await reporter.reports == 0
    await awake.advance("7d")
    assert of("weekly") == ["Mon 20 09:00"]
    assert len(of("daily summary")) == 7
    assert await reporter.reports == 1
    assert await reporter.checks == 7 * 4
    assert await Health("h").checks == 0
    await awake.advance("1d")
    assert await Health("h").checks == 24 * 4


@pytest.mark.feature(106)
@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_schedules_find_their_handlers_again_after_a_restart(virtual, how):
    schedule("nightly", "0 2 * * *", summary)
    await Reporter("r").reports
    await virtual.settle()
    for _ in range(2):
        await getattr(virtual, how)()
        await virtual.advance("1d")
    assert of("summary") == ["Wed 15 02:00", "Thu 16 02:00"]
    assert of("daily summary") == ["Wed 15 18:00", "Thu 16 18:00"]
    assert await Reporter("r").checks == 2 * 4


async def test_between_its_times_an_entity_sleeps_on_disk(virtual):
    schedule("nightly", "0 2 * * *", summary)
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    await virtual.advance("3h")
    assert of("summary") == ["Wed 15 02:00"]
    assert virtual.host.activations == {}


@pytest.mark.feature(7)
async def test_what_setup_no_longer_schedules_is_removed(awake):
    reporter = Reporter("r")
    await reporter.add("friday at noon", "by hand")
    assert {one.name for one in await schedules.list(reporter)} >= {"Reporter.weekly_report", "by hand"}
    await reporter.skip_mondays()
    await awake.restart()
    names = {one.name for one in await schedules.list(reporter)}
    assert "Reporter.weekly_report" not in names
    assert "by hand" in names  # not setup's to remove
    await awake.advance("7d")
    assert of("weekly") == []
    assert of("extra") == ["Fri 17 12:00"]


async def test_a_schedule_of_an_entity_is_cancelled_by_its_handle_or_its_name(virtual):
    reporter = Reporter("r")
    handle = await reporter.add("day at noon", "one")
    await reporter.add("day at 1pm", "two")
    assert await handle.cancel() is True
    assert await handle.cancel() is False
    assert await schedules.cancel("two", reporter) is True
    await virtual.advance("1d")
    assert of("extra") == []


class Declaring(DO, noun="SchedDeclaring"):
    days: int = 0

    @every.day.at("6pm")
    async def evening(self):
        self.days += 1


async def test_a_decorated_method_runs_for_each_entity_that_was_ever_awake(virtual):
    assert await asyncio.gather(Declaring("a").days, Declaring("b").days) == [0, 0]
    await virtual.advance("3d")
    assert await asyncio.gather(Declaring("a").days, Declaring("b").days, Declaring("c").days) == [3, 3, 0]


class Rollback(DO, noun="SchedRollback"):
    async def fail(self):
        self.every.hour(self.tick)
        self.schedule_at(self.now(), self.tick)
        raise RuntimeError("no")

    async def fail_inside(self):
        try:
            async with self.storage.transaction():
                self.every.hour(self.tick)
                raise RuntimeError("no")
        except RuntimeError:
            return [row["name"] for row in []]

    async def cancel_and_fail(self, handle):
        handle.cancel()
        raise RuntimeError("no")

    async def good(self):
        return self.every.hour(self.tick)

    async def tick(self):
        note("tick")


async def test_what_a_failed_turn_scheduled_or_cancelled_did_not_happen(virtual):
    entity = Rollback("r")
    with pytest.raises(RuntimeError):
        await entity.fail()
    await entity.fail_inside()
    assert await schedules.list(entity) == []
    await virtual.advance("2h")
    assert ran == []
    handle = await entity.good()
    with pytest.raises(RuntimeError):
        await entity.cancel_and_fail(handle)
    await virtual.advance("1h")
    assert len(ran) == 1


# -- once -------------------------------------------------------------------------------------------------------


class Cart(DO, noun="SchedCart"):
    reminders: list = []
    pending: object = None
    bought: bool = False

    async def abandon(self):
        """Both are scheduled up front: the second counts from now, not from the first."""
        self.schedule_at(self.now() + timedelta(hours=1), self.remind, "first")
        self.pending = self.schedule_at(self.now() + timedelta(hours=24), "remind", which="second")

    async def remind(self, which: str):
        if not self.bought:
            self.reminders.append([which, self.now().strftime("%a %H:%M")])

    async def buy(self):
        self.bought = True
        self.pending.cancel()

    async def after(self, delay: timedelta):
        await self.schedule_at(self.now() + delay, self.remind, "soon")

    async def wrong(self, how: str):
        if how == "naive":
            self.schedule_at(datetime(2030, 1, 1), self.remind, "x")
        elif how == "lambda":
            self.schedule_at(self.now(), lambda: None)
        elif how == "text":
            self.schedule_at("tomorrow", self.remind, "x")
        elif how == "unknown":
            self.schedule_at(self.now(), "remnid")
        elif how == "argument":
            self.schedule_at(self.now(), self.remind, object())


@pytest.mark.feature(101, 102, 103, 434)
async def test_both_reminders_of_an_abandoned_cart_count_from_the_same_moment(virtual):
    await Cart("c").abandon()
    await virtual.crash()
    await virtual.advance("2d")
    assert await Cart("c").reminders == [["first", "Tue 23:13"], ["second", "Wed 22:13"]]


@pytest.mark.feature(101)
async def test_a_handle_kept_in_a_field_cancels_days_later(virtual):
    await Cart("c").abandon()
    await virtual.advance("2h")
    await virtual.restart()
    await Cart("c").buy()
    assert await schedules.list(Cart("c")) == []
    await virtual.advance("2d")
    assert await Cart("c").reminders == [["first", "Tue 23:13"]]


@pytest.mark.feature(101, 103)
async def test_a_time_in_the_past_means_now(virtual):
    await Cart("c").after(timedelta(days=-7))
    await virtual.settle()
    await virtual.advance(0)
    assert await Cart("c").reminders == [["soon", "Tue 22:13"]]


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [
        ("naive", ValueError, "no time zone"),
        ("lambda", DefinitionError, "has no name under which it is found again"),
        ("text", DefinitionError, "takes an aware datetime"),
        ("unknown", DefinitionError, "has no method 'remnid'"),
        ("argument", dotdo.CodecError, "object"),
    ],
)
async def test_what_cannot_be_kept_is_refused_where_it_is_written(virtual, how, error, text):
    with pytest.raises(error, match=text):
        await Cart("c").wrong(how)
    assert await schedules.list(Cart("c")) == []


async def renew(subscription: str, *, tries: int = 1):
    note(f"renew {subscription} {tries}")


@pytest.mark.feature(101, 107)
async def test_a_function_runs_once_from_outside_any_entity(virtual):
    at = to_datetime(virtual.clock.now()) + timedelta(days=30)
    handle = await schedule_at(at, renew, "s1", tries=2)
    other = schedule_at(at, renew, "s2")
    assert await other.cancel() is True
    await virtual.crash()
    await virtual.advance("31d")
    assert ran == [("renew s1 2", "Thu 14 22:13")]
    assert await handle.cancel() is False
    with pytest.raises(DefinitionError, match="needs a name"):
        schedule_at(at, lambda: None)


class Planner(DO, noun="SchedPlanner"):
    async def plan(self):
        handle = self.schedule_at(self.now() + timedelta(hours=1), self.act)
        await self.do(self._step, step_id="after")
        await self.sleep("3h")
        return await handle.cancel()

    async def _step(self):
        return None

    async def act(self):
        note("act")


async def test_a_replayed_execution_schedules_nothing_twice(virtual):
    virtual.crash_after("after")
    assert await Planner("p").plan() is False  # it has run long ago
    assert len(ran) == 1


async def test_a_thousand_times_in_one_entity(virtual):
    class Many(DO, noun="SchedMany"):
        done: int = 0

        async def plan(self):
            for n in range(1000):
                self.schedule_at(self.now() + timedelta(seconds=10 + n % 3), self.one)

        async def one(self):
            self.done += 1

    await Many("m").plan()
    await virtual.advance("1m")
    assert await Many("m").done == 1000
    assert await schedules.list(Many("m")) == []


# -- times that collide -----------------------------------------------------------------------------------------


def slow(name: str, hours: float):
    async def run():
        await dotdo.do(note, f"{name} begins", step_id="begin")
        await dotdo.sleep(hours * 3600)
        note(f"{name} ends")

    return run


@pytest.mark.feature(98)
@pytest.mark.parametrize(
    ("overlap", "begun", "skipped"),
    [
        ("skip", ["23:00", "02:00", "05:00"], 6),  # each takes two and a half hours
        ("queue", ["23:00", "00:00", "01:00", "02:00"], 0),
        ("allow", ["23:00", "00:00", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00", "07:00"], 0),
    ],
)
async def test_overlap(virtual, overlap, begun, skipped):
    schedule("slow", "0 * * * *", slow("slow", 2.5), overlap=overlap)
    await until(virtual, "2023-11-15T07:30")
    assert [time.split()[2] for time in of("slow begins")] == begun
    info = await schedules.get("slow")
    assert info.skipped == skipped
    assert info.runs + info.skipped == 9


async def test_a_queued_run_begins_when_the_one_before_has_ended_and_cancelling_takes_it_back(virtual):
    schedule("slow", "0 * * * *", slow("slow", 2.5), overlap="queue")
    await until(virtual, "2023-11-15T02:15")
    assert [name for name, _ in ran] == ["slow begins", "slow ends", "slow begins"]
    assert await schedules.cancel("slow")
    await virtual.advance("1d")
    assert [name for name, _ in ran] == ["slow begins", "slow ends", "slow begins", "slow ends"]
    assert await schedules.list() == []


# -- times that were missed -------------------------------------------------------------------------------------


@pytest.mark.feature(105)
@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("once", ["23:00", "02:00", "03:00"]),
        ("all", ["23:00", "00:00", "01:00", "02:00", "03:00"]),
        ("none", ["23:00", "03:00"]),
    ],
)
async def test_a_runtime_that_was_down_over_three_times(virtual, catch_up, expected):
    schedule("hourly", "0 * * * *", summary, catch_up=catch_up)
    await until(virtual, "2023-11-14T23:10")
    await down_for(virtual, timedelta(hours=3, minutes=20))
    await until(virtual, "2023-11-15T03:30")
    assert [time.split()[2] for time in of("summary")] == expected


@pytest.mark.feature(105)
async def test_what_is_caught_up_one_by_one_does_not_overlap(virtual):
    schedule("slow", "0 * * * *", slow("slow", 0.1), catch_up="all")
    await until(virtual, "2023-11-14T22:30")
    await down_for(virtual, timedelta(hours=3))
    await virtual.advance("29m")
    assert [f"{n.split()[1]} {t.split()[2]}" for n, t in ran] == [
        "begins 23:00", "ends 23:00", "begins 00:00", "ends 00:00", "begins 01:00", "ends 01:00",
    ]  # fmt: skip


@pytest.mark.feature(105)
@pytest.mark.parametrize(("catch_up", "count"), [("once", 1), ("all", 3), ("none", 0)])
async def test_an_entity_catches_up_its_own(virtual, catch_up, count):
    class Down(DO, noun="SchedDown"):
        ticks: int = 0

        async def setup(self):
            self.every(10).minutes(self.tick, catch_up=catch_up)

        async def tick(self):
            self.ticks += 1

    assert await Down("d").ticks == 0
    await virtual.settle()
    await down_for(virtual, timedelta(minutes=35))
    await virtual.advance("1m")
    assert await Down("d").ticks == count


async def test_a_backlog_longer_than_what_is_told_at_once_is_caught_up_whole(virtual):
    every(1).seconds(summary, catch_up="all", name="seconds")
    await virtual.advance("3s")
    await down_for(virtual, timedelta(seconds=1500))
    await virtual.advance(0)
    assert len(ran) == 1503


# -- runs that fail ---------------------------------------------------------------------------------------------


failures = {"left": 0}


async def shaky():
    note("try")
    if failures["left"]:
        failures["left"] -= 1
        raise RuntimeError("not yet")


async def test_a_run_that_fails_is_tried_again_and_at_last_becomes_a_dead_letter(virtual):
    schedule("shaky", "0 9 * * *", shaky)
    failures["left"] = 2
    await virtual.advance("1d")
    info = await schedules.get("shaky")
    assert (len(ran), info.status, info.runs) == (3, "completed", 1)
    failures["left"] = 100
    await virtual.advance("1d")
    info = await schedules.get("shaky")
    assert (info.status, info.error, len(ran)) == ("failed", "RuntimeError: not yet", 3 + 5)
    (letter,) = await dotdo.dead_letters.list()
    assert (letter.event.name, letter.data["schedule"], letter.attempts) == ("Schedule.due", "shaky", 5)
    failures["left"] = 0
    assert await dotdo.dead_letters.replay(letter.id) == 1
    await virtual.settle()
    assert len(ran) == 3 + 5 + 1
    assert (await schedules.get("shaky")).status == "completed"


# -- looking and steering ---------------------------------------------------------------------------------------


async def test_a_schedule_tells_how_it_stands(virtual):
    schedule("report", "0 9 * * 1-5", report, timezone="Europe/Paris", overlap="queue")
    info = await schedules.get("report")
    assert [time.strftime("%a %H:%M") for time in info.next_times] == ["Wed 08:00", "Thu 08:00", "Fri 08:00", "Mon 08:00", "Tue 08:00"]
    assert (info.last, info.status, info.runs, info.overlap, info.catch_up) == (None, None, 0, "queue", "once")
    assert "Europe/Paris" in info.text
    await virtual.advance("1d")
    info = await schedules.get("report")
    assert (info.last, info.status, info.runs) == (datetime(2023, 11, 15, 8, tzinfo=UTC), "completed", 1)
    assert info.next_time == datetime(2023, 11, 16, 8, tzinfo=UTC)


async def test_a_paused_schedule_rests_and_catches_nothing_up(virtual):
    schedule("hourly", "0 * * * *", summary)
    await virtual.settle()
    assert await schedules.pause("hourly") is True
    assert await schedules.pause("hourly") is False
    assert (await schedules.get("hourly")).is_paused
    await virtual.restart()
    await schedules.registry.announce()  # as a program that starts anew
    await virtual.advance("5h")
    assert ran == []
    assert await schedules.resume("hourly") is True
    await virtual.advance("1h")
    assert of("summary") == ["Wed 15 04:00"]


async def test_what_is_not_there_has_an_error_of_its_own(virtual):
    with pytest.raises(NoSuchSchedule, match="'nightly'"):
        await schedules.get("nightly")
    with pytest.raises(NoSuchSchedule, match="SchedCart/c"):
        await schedules.pause("nightly", Cart("c"))
    assert await schedules.cancel("nightly") is False
    with pytest.raises(TypeError, match="by a stub"):
        await schedules.list("SchedCart/c")


async def test_functions_of_one_name_in_two_modules_are_two_schedules(virtual):
    async def other():
        note("other")

    other.__qualname__, other.__module__ = "summary", "another.module"
    every.hour(summary)
    every.hour(other)
    await virtual.advance("1h")
    assert sorted(name for name, _ in ran) == ["other", "summary"]
    with pytest.raises(DefinitionError, match="say which one"):
        await schedules.cancel("summary")
    assert await schedules.cancel("another.module:summary") is True
    assert [one.entity for one in await schedules.list()] == [f"DotdoSchedule/{__name__}:summary"]


async def test_schedules_of_other_test_modules_are_not_announced(virtual):
    every.hour(summary)
    schedules.registry.hide_modules([__name__])
    every.hour(report)
    assert schedules.registry.declared() == []
    async with runtime(clock="virtual") as other:
        await other.advance("1h")
        assert ran == []
    schedules.registry.hide_modules([])
    async with runtime(clock="virtual") as other:
        await other.advance("1h")
    assert sorted(name for name, _ in ran) == ["report", "summary"]


async def test_schedule_at_in_setup_is_refused(virtual):
    class Setup(DO, noun="SchedSetup"):
        async def setup(self):
            self.schedule_at(self.now(), self.act)

        async def act(self): ...

    with pytest.raises(DefinitionError, match="at every waking"):
        await Setup("s").act()
