"""When schedules fire: cron and calendars against a clock that is looked at every minute, intervals by arithmetic."""

import pickle
import random
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from dotdo import codec
from dotdo.errors import DefinitionError
from dotdo.schedules import walls
from dotdo.schedules.days import LAST, Days
from dotdo.schedules.policies import check_catch_up, check_overlap, to_catch_up
from dotdo.schedules.times import Calendar, Cron, Interval

from . import oracle
from .oracle import utc

PARIS, NEW_YORK, LORD_HOWE = "Europe/Paris", "America/New_York", "Australia/Lord_Howe"


def local(moments, zone):
    """As the clocks of the zone show it, with the offset."""
    return [moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M%z") for moment in moments]


# -- vectors written by hand ------------------------------------------------------------------------------------

# expression, zone, after (local), the next times (local, with offset)
CRON = [
    ("0 9 * * *", "UTC", "2025-01-15 08:59", ["2025-01-15 09:00+0000", "2025-01-16 09:00+0000"]),
    ("0 9 * * *", "UTC", "2025-01-15 09:00", ["2025-01-16 09:00+0000"]),
    ("0 2 * * 0", "UTC", "2025-01-15 12:00", ["2025-01-19 02:00+0000", "2025-01-26 02:00+0000"]),
    ("0 2 * * 7", "UTC", "2025-01-15 12:00", ["2025-01-19 02:00+0000", "2025-01-26 02:00+0000"]),
    ("0 * * * *", "UTC", "2025-01-15 12:00", ["2025-01-15 13:00+0000", "2025-01-15 14:00+0000"]),
    ("*/15 * * * *", "UTC", "2025-01-15 12:01", ["2025-01-15 12:15+0000", "2025-01-15 12:30+0000"]),
    ("*/45 * * * *", "UTC", "2025-01-15 12:01", ["2025-01-15 12:45+0000", "2025-01-15 13:00+0000", "2025-01-15 13:45+0000"]),
    ("0 9 * * 1", "UTC", "2025-01-15 12:00", ["2025-01-20 09:00+0000"]),
    ("0 18 * * *", "UTC", "2025-01-15 18:00", ["2025-01-16 18:00+0000"]),
    ("0 9 * * MON-FRI", "UTC", "2025-01-17 12:00", ["2025-01-20 09:00+0000", "2025-01-21 09:00+0000"]),
    ("0 9 * * mon,wed", "UTC", "2025-01-17 12:00", ["2025-01-20 09:00+0000", "2025-01-22 09:00+0000"]),
    ("30 8-10 * * *", "UTC", "2025-01-15 09:00", ["2025-01-15 09:30+0000", "2025-01-15 10:30+0000", "2025-01-16 08:30+0000"]),
    ("5/20 * * * *", "UTC", "2025-01-15 09:00", ["2025-01-15 09:05+0000", "2025-01-15 09:25+0000", "2025-01-15 09:45+0000"]),
    ("0 0 1 JAN *", "UTC", "2025-01-15 09:00", ["2026-01-01 00:00+0000"]),
    ("0 0 31 * *", "UTC", "2025-01-31 00:00", ["2025-03-31 00:00+0000", "2025-05-31 00:00+0000", "2025-07-31 00:00+0000"]),
    ("0 0 30 * *", "UTC", "2025-01-30 00:00", ["2025-03-30 00:00+0000", "2025-04-30 00:00+0000"]),
    ("0 0 29 2 *", "UTC", "2025-01-01 00:00", ["2028-02-29 00:00+0000", "2032-02-29 00:00+0000"]),
    ("0 0 29 2 *", "UTC", "2096-03-01 00:00", ["2104-02-29 00:00+0000"]),
    ("0 0 29 2 */7", "UTC", "2024-03-01 00:00", ["2032-02-29 00:00+0000", "2060-02-29 00:00+0000"]),
    ("0 12 L * *", "UTC", "2024-01-31 12:00", ["2024-02-29 12:00+0000", "2024-03-31 12:00+0000", "2024-04-30 12:00+0000"]),
    (
        "0 12 LW * *",
        "UTC",
        "2025-01-31 12:00",
        ["2025-02-28 12:00+0000", "2025-03-31 12:00+0000", "2025-04-30 12:00+0000", "2025-05-30 12:00+0000"],
    ),
    ("0 12 * * 5L", "UTC", "2025-01-31 12:00", ["2025-02-28 12:00+0000", "2025-03-28 12:00+0000"]),
    ("0 12 * * 1#1", "UTC", "2025-01-31 12:00", ["2025-02-03 12:00+0000", "2025-03-03 12:00+0000"]),
    ("0 12 * * 1#5", "UTC", "2025-01-31 12:00", ["2025-03-31 12:00+0000", "2025-06-30 12:00+0000"]),
    ("0 0 13 * 5", "UTC", "2025-06-01 00:00", ["2025-06-06 00:00+0000", "2025-06-13 00:00+0000", "2025-06-20 00:00+0000"]),
    ("0 0 */2 * 1", "UTC", "2025-01-31 12:00", ["2025-02-03 00:00+0000", "2025-02-17 00:00+0000"]),
    ("@hourly", "UTC", "2025-01-15 12:30", ["2025-01-15 13:00+0000"]),
    ("@daily", "UTC", "2025-01-15 12:30", ["2025-01-16 00:00+0000"]),
    ("@midnight", "UTC", "2025-01-15 12:30", ["2025-01-16 00:00+0000"]),
    ("@weekly", "UTC", "2025-01-15 12:30", ["2025-01-19 00:00+0000"]),
    ("@monthly", "UTC", "2025-01-15 12:30", ["2025-02-01 00:00+0000"]),
    ("@Yearly", "UTC", "2025-01-15 12:30", ["2026-01-01 00:00+0000"]),
    (" @annually ", "UTC", "2025-01-15 12:30", ["2026-01-01 00:00+0000"]),
    # clocks go forward: 02:00 to 03:00
    ("30 2 * * *", PARIS, "2025-03-29 12:00", ["2025-03-30 03:00+0200", "2025-03-31 02:30+0200"]),
    ("0 2,3 * * *", PARIS, "2025-03-29 12:00", ["2025-03-30 03:00+0200", "2025-03-31 02:00+0200"]),
    ("0,30 2 * * *", PARIS, "2025-03-29 12:00", ["2025-03-30 03:00+0200", "2025-03-31 02:00+0200"]),
    ("*/30 * * * *", PARIS, "2025-03-30 01:00", ["2025-03-30 01:30+0100", "2025-03-30 03:00+0200", "2025-03-30 03:30+0200"]),
    ("30 2 * * *", NEW_YORK, "2025-03-08 12:00", ["2025-03-09 03:00-0400", "2025-03-10 02:30-0400"]),
    ("0 3 * * *", NEW_YORK, "2025-03-08 12:00", ["2025-03-09 03:00-0400", "2025-03-10 03:00-0400"]),
    ("0 9 * * *", NEW_YORK, "2025-03-08 12:00", ["2025-03-09 09:00-0400"]),
    ("15 2 * * *", LORD_HOWE, "2025-10-04 12:00", ["2025-10-05 02:30+1100", "2025-10-06 02:15+1100"]),
    ("*/15 * * * *", LORD_HOWE, "2025-10-05 01:30", ["2025-10-05 01:45+1030", "2025-10-05 02:30+1100"]),
    ("* 5 * * *", LORD_HOWE, "2025-10-04 14:10", ["2025-10-05 05:00+1100", "2025-10-05 05:01+1100"]),
    # clocks go back: 03:00 to 02:00
    ("30 2 * * *", PARIS, "2025-10-25 12:00", ["2025-10-26 02:30+0200", "2025-10-27 02:30+0100"]),
    ("0 3 * * *", PARIS, "2025-10-25 12:00", ["2025-10-26 03:00+0100", "2025-10-27 03:00+0100"]),
    ("0 * * * *", PARIS, "2025-10-26 01:30", ["2025-10-26 02:00+0200", "2025-10-26 02:00+0100", "2025-10-26 03:00+0100"]),
    ("*/30 * * * *", PARIS, "2025-10-26 02:00", ["2025-10-26 02:30+0200", "2025-10-26 02:00+0100", "2025-10-26 02:30+0100"]),
    ("30 1 * * *", NEW_YORK, "2025-11-01 12:00", ["2025-11-02 01:30-0400", "2025-11-03 01:30-0500"]),
    ("0 * * * *", NEW_YORK, "2025-11-02 00:30", ["2025-11-02 01:00-0400", "2025-11-02 01:00-0500", "2025-11-02 02:00-0500"]),
    ("45 1 * * *", LORD_HOWE, "2025-04-05 12:00", ["2025-04-06 01:45+1100", "2025-04-07 01:45+1030"]),
    ("*/15 * * * *", LORD_HOWE, "2025-04-06 01:30", ["2025-04-06 01:45+1100", "2025-04-06 01:30+1030", "2025-04-06 01:45+1030"]),
    ("0 */2 * * *", LORD_HOWE, "2025-04-05 23:00", ["2025-04-06 00:00+1100", "2025-04-06 02:00+1030", "2025-04-06 04:00+1030"]),
    # midnight itself does not exist in Havana that day
    ("0 0 * * *", "America/Havana", "2025-03-08 12:00", ["2025-03-09 01:00-0400", "2025-03-10 00:00-0400"]),
    # 30 December 2011 does not exist in Samoa
    ("0 9 * * *", "Pacific/Apia", "2011-12-29 12:00", ["2011-12-31 00:00+1400", "2011-12-31 09:00+1400"]),
]


@pytest.mark.feature(98, 104)
@pytest.mark.parametrize(("expression", "zone", "after", "expected"), CRON)
def test_a_cron_expression_fires_when_cron_would(expression, zone, after, expected):
    begin = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    times = Cron(expression, zone).next_times(len(expected), begin)
    assert local(times, zone) == expected
    assert all(moment.tzinfo is UTC for moment in times)


@pytest.mark.feature(98)
@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "0 fields"),
        ("0 9 * *", "4 fields"),
        ("0 0 9 * * *", "6 fields"),
        ("@reboot", "@daily"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("0 0 0 * *", "bad day-of-month"),
        ("0 0 * 13 *", "bad month"),
        ("0 0 * * 8", "bad day-of-week"),
        ("0 0 * * FOO", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("5-1 * * * *", "bad minute"),
        ("a b c d e", "bad minute"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 30 2 */7", "bad day-of-month"),
        ("* * */20 * 1L", "never comes"),
        ("0 0 * * L", "bad day-of-week"),
    ],
)
def test_a_bad_cron_expression_is_refused(expression, says):
    with pytest.raises(DefinitionError) as caught:
        Cron(expression)
    assert says in str(caught.value)
    assert repr(expression) in str(caught.value)


# -- against the oracle -----------------------------------------------------------------------------------------

CHANGES = [
    (PARIS, "2025-03-29 12:00"),
    (PARIS, "2025-10-25 12:00"),
    (NEW_YORK, "2025-03-08 18:00"),
    (NEW_YORK, "2025-11-01 18:00"),
    (LORD_HOWE, "2025-04-05 03:00"),
    (LORD_HOWE, "2025-10-04 03:00"),
    ("America/Havana", "2025-11-01 18:00"),
    ("Africa/Cairo", "2025-04-24 12:00"),
    ("UTC", "2024-02-28 12:00"),
]
MINUTES = ["*", "0", "*/15", "30", "*/30", "15,45", "5-10", "45"]
HOURS = ["*", "0", "1", "2", "3", "*/2", "0-4", "1,2", "5", "23"]


@pytest.mark.feature(98, 104)
@pytest.mark.parametrize(("zone", "begin"), CHANGES)
def test_cron_agrees_with_the_clock_around_every_change(zone, begin):
    choose = random.Random(begin + zone)
    for _ in range(10):
        expression = f"{choose.choice(MINUTES)} {choose.choice(HOURS)} {choose.choice(['*', '*', '*', '1', '30,26'])} * *"
        start = utc(begin) + timedelta(minutes=choose.randrange(600))
        end = start + timedelta(hours=36)
        assert Cron(expression, zone).missed_between(start, end, 10_000) == oracle.fires(expression, zone, start, end), expression


@pytest.mark.feature(98)
@pytest.mark.parametrize(
    "expression",
    [
        "0 9 * * 1-5",
        "30 17 28-31 * *",
        "0 0 13 * 5",
        "*/20 6 1,15 * *",
        "0 0 */2 * 1",
        "15 3 * 2,3 sun",
        "0 12 29 2 *",
        "0 4 1 */3 *",
        "59 23 31 * *",
    ],
)
def test_cron_agrees_with_the_clock_through_the_months(expression):
    start, end = utc("2024-01-20 00:00"), utc("2024-04-20 00:00")
    assert Cron(expression).missed_between(start, end) == oracle.fires(expression, "UTC", start, end)


NAMED_DAYS = [
    (Days(), lambda day: True),
    (Days(weekdays=(0,)), lambda day: day.isoweekday() == 1),
    (Days(weekdays=(0, 1, 2, 3, 4)), lambda day: day.isoweekday() < 6),
    (Days(weekdays=(5, 6)), lambda day: day.isoweekday() > 5),
    (Days(weekdays=(0,), nth=1), lambda day: day.isoweekday() == 1 and day.day <= 7),
    (Days(weekdays=(4,), nth=LAST), lambda day: day.isoweekday() == 5 and (day + timedelta(days=7)).month != day.month),
    (Days(weekdays=(1,), nth=5), lambda day: day.isoweekday() == 2 and day.day > 28),
    (Days(month_days=(LAST,)), lambda day: (day + timedelta(days=1)).day == 1),
    (Days(month_days=(31,)), lambda day: day.day == 31),
    (Days(month_days=(29,), months=(2,)), lambda day: (day.month, day.day) == (2, 29)),
    (Days(month_days=(1, 15)), lambda day: day.day in (1, 15)),
    (Days(weekdays=(6,), months=(3, 10)), lambda day: day.isoweekday() == 7 and day.month in (3, 10)),
    (Days(step=2), lambda day: (day - date(1970, 1, 1)).days % 2 == 0),
    # the first weekday is the 1st, or the Monday after a weekend
    (
        Days(weekdays=(0, 1, 2, 3, 4), nth=1),
        lambda day: day.isoweekday() < 6 and (day.day == 1 or (day.isoweekday() == 1 and day.day in (2, 3))),
    ),
    (
        Days(weekdays=(0, 1, 2, 3, 4), nth=LAST),
        lambda day: day.isoweekday() < 6 and all(later.month != day.month or later.isoweekday() > 5 for later in week_after(day)),
    ),
]


def week_after(day):
    """The seven days that follow."""
    return [day + timedelta(days=n) for n in range(1, 8)]


@pytest.mark.feature(93, 94)
@pytest.mark.parametrize(("days", "predicate"), NAMED_DAYS, ids=lambda value: str(value) if isinstance(value, Days) else "")
def test_days_pass_as_their_words_say(days, predicate):
    day = date(2023, 12, 1)
    while day < date(2029, 1, 1):
        assert days.match(day) == predicate(day), day
        day += timedelta(days=1)


@pytest.mark.feature(93, 94, 104)
@pytest.mark.parametrize(("zone", "begin"), CHANGES)
@pytest.mark.parametrize("number", [0, 2, 12])
def test_a_calendar_agrees_with_the_clock_around_every_change(number, zone, begin):
    days, predicate = NAMED_DAYS[number]
    at = (time(0, 0), time(1, 45), time(2, 15), time(2, 30), time(3, 0))
    start = utc(begin) - timedelta(hours=12)
    end = start + timedelta(days=3)
    expected = oracle.by_date(lambda wall: predicate(wall.date()) and wall.time() in at, zone, start, end)
    assert Calendar(days, at, zone).missed_between(start, end) == expected


@pytest.mark.feature(93)
def test_a_time_between_two_seconds_is_no_obstacle():
    nine = utc("2025-01-15 09:00")
    for schedule in (Cron("0 9 * * *"), Calendar(Days(), (time(9),))):
        for before in (timedelta(microseconds=1), timedelta(seconds=0.5), timedelta(seconds=59)):
            assert schedule.next_after(nine - before) == nine
        for after in (timedelta(0), timedelta(microseconds=1), timedelta(seconds=0.5)):
            assert schedule.next_after(nine + after) == nine + timedelta(days=1)


# -- intervals --------------------------------------------------------------------------------------------------


@pytest.mark.feature(95)
@pytest.mark.parametrize("minutes", [1, 7, 15, 45, 90, 1000])
def test_an_interval_is_as_long_as_it_says_across_hours_and_changes_of_the_clock(minutes):
    anchor = utc("2025-03-29 11:11")
    times = Interval(timedelta(minutes=minutes), anchor).next_times(200, anchor)
    assert times == [anchor + n * timedelta(minutes=minutes) for n in range(1, 201)]


@pytest.mark.feature(95)
def test_an_interval_without_an_anchor_is_the_same_everywhere_and_an_anchor_is_given_once():
    interval = Interval(timedelta(minutes=45))
    now = utc("2025-01-15 12:01")
    assert interval.next_after(now) == utc("2025-01-15 12:45")
    anchored = interval.anchored(now)
    assert anchored.next_after(now) == utc("2025-01-15 12:46")
    assert anchored.anchored(now + timedelta(minutes=5)) == anchored
    assert Cron("0 9 * * *").anchored(now) == Cron("0 9 * * *")


def test_an_interval_has_no_time_before_its_anchor():
    anchor = utc("2025-01-15 12:00")
    interval = Interval(timedelta(hours=1), anchor)
    assert interval.next_after(anchor - timedelta(days=3)) == anchor + timedelta(hours=1)
    assert interval.missed_between(anchor - timedelta(days=3), anchor) == []


@pytest.mark.feature(95)
def test_an_interval_takes_moments_of_any_zone():
    anchor = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo(PARIS), fold=1)
    interval = Interval(timedelta(minutes=45), anchor)
    assert local([interval.next_after(anchor)], PARIS) == ["2025-10-26 03:15+0100"]
    assert interval.anchor == utc("2025-10-26 01:30")


@pytest.mark.parametrize("length", [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=999), timedelta(days=40_000)])
def test_an_interval_too_short_or_too_long_is_refused(length):
    with pytest.raises(DefinitionError, match="1 second"):
        Interval(length)


# -- what was missed --------------------------------------------------------------------------------------------


@pytest.mark.feature(105)
def test_what_was_missed_is_what_came_after_the_first_moment_up_to_the_second():
    schedule = Cron("0 9 * * 1")
    begin, end = utc("2025-01-06 09:00"), utc("2025-01-27 09:00")
    expected = [utc("2025-01-13 09:00"), utc("2025-01-20 09:00"), end]
    assert schedule.missed_between(begin, end) == expected
    assert schedule.missed_between(begin, end - timedelta(seconds=1)) == expected[:2]
    assert schedule.missed_between(end, begin) == []
    assert schedule.missed_between(begin, begin) == []
    assert schedule.missed_between(begin, end, limit=2) == expected[:2]


@pytest.mark.feature(105)
@pytest.mark.parametrize(
    "schedule",
    [
        Interval(timedelta(seconds=1)),
        Interval(timedelta(minutes=45)),
        Cron("* * * * *", PARIS),
        Cron("*/7 3 * * 1"),
        Cron("0 0 29 2 *"),
        Calendar(Days(weekdays=(0,), nth=1), (time(9), time(17)), NEW_YORK),
    ],
    ids=str,
)
def test_the_last_time_before_now_is_found_however_long_ago_we_looked(schedule):
    now = utc("2025-04-07 12:34")
    last = schedule.last_between(utc("2015-01-01 00:00"), now)
    assert last <= now < schedule.next_after(last)
    assert schedule.last_between(last, now) is None
    assert schedule.last_between(last - timedelta(microseconds=1), now) == last
    assert schedule.last_between(now, now) is None


@pytest.mark.feature(105)
def test_after_downtime_a_schedule_runs_once_for_each_or_not_at_all():
    schedule, since, now = Cron("0 9 * * *"), utc("2025-01-10 12:00"), utc("2025-01-13 10:00")
    each = [utc(f"2025-01-{day} 09:00") for day in (11, 12, 13)]
    assert to_catch_up(schedule, since, now, "all") == each
    assert to_catch_up(schedule, since, now, "once") == each[-1:]
    assert to_catch_up(schedule, since, now, "none") == []
    assert to_catch_up(schedule, now, now + timedelta(hours=1), "once") == []


def test_policies_are_checked():
    assert (check_overlap("queue"), check_catch_up("all")) == ("queue", "all")
    with pytest.raises(DefinitionError, match="skip, queue, allow"):
        check_overlap("sometimes")
    with pytest.raises(DefinitionError, match="once, all, none"):
        check_catch_up("twice")


# -- schedules as values ----------------------------------------------------------------------------------------

VALUES = [
    (Interval(timedelta(minutes=15)), "every 15 minutes"),
    (Interval(timedelta(minutes=60)), "every hour"),
    (Interval(timedelta(minutes=90), utc("2025-01-01 00:00")), "every 90 minutes"),
    (Interval(timedelta(days=14)), "every 2 weeks"),
    (Interval(timedelta(seconds=1.5)), "every 1.5 seconds"),
    (Cron("0 9 * * 1"), "at 09:00 on Monday (cron 0 9 * * 1)"),
    (Cron("@daily", PARIS), "at 00:00 every day in Europe/Paris (cron 0 0 * * *)"),
    (Calendar(Days(), (time(18),)), "every day at 18:00"),
    (Calendar(Days(weekdays=(0, 3)), (time(17), time(9), time(9)), PARIS), "every Monday and Thursday at 09:00 and 17:00 in Europe/Paris"),
    (Calendar(Days(weekdays=(4,), nth=LAST, months=(3,))), "on the last Friday of March at 00:00"),
    (Calendar(Days(month_days=(1, 2, 3, 11, 22, LAST))), "on the 1st, 2nd, 3rd, 11th, 22nd and last day of every month at 00:00"),
    (Calendar(Days(step=3), (time(9),)), "every 3 days at 09:00"),
]


@pytest.mark.feature(106)
@pytest.mark.parametrize(("schedule", "sentence"), VALUES, ids=[sentence for _, sentence in VALUES])
def test_a_schedule_is_a_value_that_says_itself(schedule, sentence):
    assert str(schedule) == sentence
    for travelled in (codec.decode(codec.encode(schedule)), pickle.loads(pickle.dumps(schedule))):
        assert travelled == schedule
        assert hash(travelled) == hash(schedule)
        assert travelled.next_after(utc("2025-01-15 12:00")) == schedule.next_after(utc("2025-01-15 12:00"))


@pytest.mark.feature(103, 104)
def test_moments_without_a_zone_are_refused():
    naive = datetime(2025, 1, 1)
    for schedule in (Interval(timedelta(minutes=1)), Cron("* * * * *"), Calendar(Days())):
        with pytest.raises(ValueError, match="no time zone"):
            schedule.next_after(naive)
        with pytest.raises(ValueError, match="no time zone"):
            schedule.missed_between(utc("2025-01-01 00:00"), naive)
        with pytest.raises(ValueError, match="no time zone"):
            schedule.anchored(naive)


@pytest.mark.feature(104)
def test_an_unknown_zone_is_refused_with_the_nearest():
    for make in (lambda zone: Cron("0 9 * * *", zone), lambda zone: Calendar(Days(), timezone=zone)):
        with pytest.raises(DefinitionError, match="'Europe/Paris'"):
            make("Europe/Pariss")
        for bad in ("", "Mars", "../etc/passwd", "/etc/passwd"):
            with pytest.raises(DefinitionError, match="time zone"):
                make(bad)


def test_a_wall_time_in_a_gap_has_no_moment_and_one_that_comes_twice_has_two():
    zone = ZoneInfo(PARIS)
    assert walls.moments_of(datetime(2025, 3, 30, 2, 30), zone) == []
    assert walls.moments_of(datetime(2025, 10, 26, 2, 30), zone) == [utc("2025-10-26 00:30"), utc("2025-10-26 01:30")]
    assert walls.moments_of(datetime(2025, 7, 1, 2, 30), zone) == [utc("2025-07-01 00:30")]


def test_a_day_that_never_comes_is_refused():
    with pytest.raises(DefinitionError, match="never comes"):
        Calendar(Days(month_days=(30,), months=(2,)))
