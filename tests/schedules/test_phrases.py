"""What may follow the word "every", and every way to hand it a function."""

import functools
from datetime import UTC, datetime, time, timedelta

import pytest

from dotdo import codec
from dotdo.errors import DefinitionError
from dotdo.schedules import phrases
from dotdo.schedules.daytimes import parse_daytime
from dotdo.schedules.every import Every, make_schedule
from dotdo.schedules.phrases import parse, schedule_of
from dotdo.schedules.times import Calendar, Cron, Interval

NOW = datetime(2025, 1, 15, 12, 0, tzinfo=UTC)  # a Wednesday


def times(schedule, count=2):
    """The next times after NOW, to the minute."""
    return [moment.strftime("%Y-%m-%d %H:%M") for moment in schedule.next_times(count, NOW)]


PHRASES = [
    ("day", ["2025-01-16 00:00", "2025-01-17 00:00"]),
    ("Daily at 09:00", ["2025-01-16 09:00", "2025-01-17 09:00"]),
    ("day at 6pm", ["2025-01-15 18:00", "2025-01-16 18:00"]),
    ("each day at midnight", ["2025-01-16 00:00", "2025-01-17 00:00"]),
    ("day at 9am and 5pm", ["2025-01-15 17:00", "2025-01-16 09:00"]),
    ("day at 9am, 17:30", ["2025-01-15 17:30", "2025-01-16 09:00"]),
    ("Monday at 9am", ["2025-01-20 09:00", "2025-01-27 09:00"]),
    ("monday", ["2025-01-20 00:00", "2025-01-27 00:00"]),
    ("MONDAY at 9AM", ["2025-01-20 09:00", "2025-01-27 09:00"]),
    ("every monday at 9am", ["2025-01-20 09:00", "2025-01-27 09:00"]),
    ("on mondays at 9 am", ["2025-01-20 09:00", "2025-01-27 09:00"]),
    ("tue", ["2025-01-21 00:00", "2025-01-28 00:00"]),
    ("Wednesday at 12:00", ["2025-01-22 12:00", "2025-01-29 12:00"]),
    ("wednesday at 12:01", ["2025-01-15 12:01", "2025-01-22 12:01"]),
    ("thurs", ["2025-01-16 00:00", "2025-01-23 00:00"]),
    ("friday", ["2025-01-17 00:00", "2025-01-24 00:00"]),
    ("Saturday", ["2025-01-18 00:00", "2025-01-25 00:00"]),
    ("sun at noon", ["2025-01-19 12:00", "2025-01-26 12:00"]),
    ("monday and thursday", ["2025-01-16 00:00", "2025-01-20 00:00"]),
    ("monday, thursday at 9am", ["2025-01-16 09:00", "2025-01-20 09:00"]),
    ("mon-fri at 8:30", ["2025-01-16 08:30", "2025-01-17 08:30"]),
    ("friday to monday", ["2025-01-17 00:00", "2025-01-18 00:00"]),
    ("weekday at 09:00", ["2025-01-16 09:00", "2025-01-17 09:00"]),
    ("weekdays", ["2025-01-16 00:00", "2025-01-17 00:00"]),
    ("weekend at noon", ["2025-01-18 12:00", "2025-01-19 12:00"]),
    ("week", ["2025-01-20 00:00", "2025-01-27 00:00"]),
    ("Weekly at 9am", ["2025-01-20 09:00", "2025-01-27 09:00"]),
    ("month", ["2025-02-01 00:00", "2025-03-01 00:00"]),
    ("Monthly at 6am", ["2025-02-01 06:00", "2025-03-01 06:00"]),
    ("quarter", ["2025-04-01 00:00", "2025-07-01 00:00"]),
    ("year", ["2026-01-01 00:00", "2027-01-01 00:00"]),
    ("hour", ["2025-01-15 13:00", "2025-01-15 14:00"]),
    ("Hourly", ["2025-01-15 13:00", "2025-01-15 14:00"]),
    ("hour at :15", ["2025-01-15 12:15", "2025-01-15 13:15"]),
    ("hour at :00 and :30", ["2025-01-15 12:30", "2025-01-15 13:00"]),
    ("minute", ["2025-01-15 12:01", "2025-01-15 12:02"]),
    ("15 minutes", ["2025-01-15 12:15", "2025-01-15 12:30"]),
    ("15m", ["2025-01-15 12:15", "2025-01-15 12:30"]),
    ("1h30m", ["2025-01-15 13:30", "2025-01-15 15:00"]),
    ("90 minutes", ["2025-01-15 13:30", "2025-01-15 15:00"]),
    ("1.5 hours", ["2025-01-15 13:30", "2025-01-15 15:00"]),
    ("2 hours", ["2025-01-15 14:00", "2025-01-15 16:00"]),
    ("120 seconds", ["2025-01-15 12:02", "2025-01-15 12:04"]),
    ("2 days", ["2025-01-16 00:00", "2025-01-18 00:00"]),
    ("2 days at 9am", ["2025-01-16 09:00", "2025-01-18 09:00"]),
    ("other day at 9am", ["2025-01-16 09:00", "2025-01-18 09:00"]),
    ("1 day at 9am", ["2025-01-16 09:00", "2025-01-17 09:00"]),
    ("2 weeks on friday at 9am", ["2025-01-24 09:00", "2025-02-07 09:00"]),
    ("2 weeks at 9am", ["2025-01-20 09:00", "2025-02-03 09:00"]),
    ("first monday at noon", ["2025-02-03 12:00", "2025-03-03 12:00"]),
    ("the first Monday of the month at 9:00", ["2025-02-03 09:00", "2025-03-03 09:00"]),
    ("1st monday of every month", ["2025-02-03 00:00", "2025-03-03 00:00"]),
    ("third wednesday at 11:59", ["2025-02-19 11:59", "2025-03-19 11:59"]),
    ("fifth friday", ["2025-01-31 00:00", "2025-05-30 00:00"]),
    ("last friday", ["2025-01-31 00:00", "2025-02-28 00:00"]),
    ("last friday of march at 5pm", ["2025-03-28 17:00", "2026-03-27 17:00"]),
    ("second tuesday of january and july", ["2025-07-08 00:00", "2026-01-13 00:00"]),
    ("first weekday", ["2025-02-03 00:00", "2025-03-03 00:00"]),
    ("last weekday", ["2025-01-31 00:00", "2025-02-28 00:00"]),
    ("first day", ["2025-02-01 00:00", "2025-03-01 00:00"]),
    ("last day of the month", ["2025-01-31 00:00", "2025-02-28 00:00"]),
    ("1st and 15th at 9am", ["2025-02-01 09:00", "2025-02-15 09:00"]),
    ("15th and last day", ["2025-01-31 00:00", "2025-02-15 00:00"]),
    ("31st", ["2025-01-31 00:00", "2025-03-31 00:00"]),
    ("15th of march", ["2025-03-15 00:00", "2026-03-15 00:00"]),
    ("march 15 at 8am", ["2025-03-15 08:00", "2026-03-15 08:00"]),
    ("15 March", ["2025-03-15 00:00", "2026-03-15 00:00"]),
    ("march", ["2025-03-01 00:00", "2026-03-01 00:00"]),
    ("29 february", ["2028-02-29 00:00", "2032-02-29 00:00"]),
    ("fifth saturday of february", ["2048-02-29 00:00", "2076-02-29 00:00"]),
    ("monday in june", ["2025-06-02 00:00", "2025-06-09 00:00"]),
]


@pytest.mark.feature(93, 94, 95, 96)
@pytest.mark.parametrize(("phrase", "expected"), PHRASES)
def test_a_phrase_means_these_times(phrase, expected):
    schedule = parse(phrase)
    assert times(schedule) == expected
    assert codec.decode(codec.encode(schedule)) == schedule
    assert str(schedule)


@pytest.mark.feature(93, 94)
@pytest.mark.parametrize(
    ("phrase", "expression"),
    [
        ("monday at 9am", "0 9 * * 1"),
        ("day at 6pm", "0 18 * * *"),
        ("Daily at 09:00", "0 9 * * *"),
        ("sunday at 02:00", "0 2 * * 0"),
        ("hour", "0 * * * *"),
        ("weekday at 8:15", "15 8 * * 1-5"),
        ("weekend", "0 0 * * 6,7"),
        ("first monday at noon", "0 12 * * 1#1"),
        ("last friday", "0 0 * * 5L"),
        ("last day", "0 0 L * *"),
        ("last weekday", "0 0 LW * *"),
        ("1st and 15th at 9am", "0 9 1,15 * *"),
        ("29 february", "0 0 29 2 *"),
        ("quarter", "0 0 1 1,4,7,10 *"),
        ("other day", None),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Australia/Lord_Howe"])
def test_a_phrase_and_its_cron_expression_are_the_same_times(phrase, expression, zone):
    if expression is None:
        assert isinstance(parse(phrase, timezone=zone), Interval)
        return
    assert parse(phrase, timezone=zone).next_times(40, NOW) == Cron(expression, zone).next_times(40, NOW)


@pytest.mark.feature(95)
def test_every_45_minutes_is_45_minutes():
    schedule = parse("45 minutes")
    found = schedule.next_times(100, NOW)
    assert {later - earlier for earlier, later in zip(found, found[1:], strict=False)} == {timedelta(minutes=45)}
    assert Cron("*/45 * * * *").next_times(100, NOW) != found


BAD_PHRASES = [
    ("", "says nothing"),
    ("daay", "'day'"),
    ("mondey at 9am", "'monday'"),
    ("tusday", "'tuesday'"),
    ("weakday", "'weekday'"),
    ("15 minuts", "'minutes'"),
    ("15 monkeys", "'monkeys'"),
    ("15", "'15 minutes'"),
    ("0 minutes", "1 second"),
    ("-5 minutes", "1 second"),
    ("0.5 seconds", "1 second"),
    ("99999999999 weeks", "99999999999"),
    ("monday at", "not a time of the day"),
    ("monday at 25:00", "25:00"),
    ("day at 9", "'9am' or '9pm'"),
    ("day at 13pm", "'13:00'"),
    ("15 minutes at 9am", "only days and weeks"),
    ("2 days on friday at 9am", "only days and weeks"),
    ("minute at 9am", "every.hour.at(':15')"),
    ("hour at 9am", "every.hour.at(':15')"),
    ("first foo", "'foo'"),
    ("first monday and friday", "not understood"),
    ("nth monday", "'nth'"),
    ("32nd", "'32nd'"),
    ("noon", "every.day.at('noon')"),
    ("february 30", "never comes"),
    ("april 31 at noon", "never comes"),
    ("x y z", "'x'"),
]


@pytest.mark.parametrize(("phrase", "says"), BAD_PHRASES)
def test_a_phrase_that_is_not_understood_is_refused_with_the_nearest(phrase, says):
    with pytest.raises(DefinitionError) as caught:
        parse(phrase)
    assert says in str(caught.value)
    assert repr(phrase) in str(caught.value)


def test_what_is_no_phrase_at_all_is_refused():
    for bad in (None, 5, ["monday"]):
        with pytest.raises(DefinitionError, match="monday at 9am"):
            parse(bad)
    with pytest.raises(DefinitionError, match="says its time already"):
        parse("monday at 9am", ["10am"])


@pytest.mark.feature(97)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9am", time(9)),
        ("6pm", time(18)),
        ("09:00", time(9)),
        ("9:00", time(9)),
        ("9:30am", time(9, 30)),
        ("6:30 pm", time(18, 30)),
        ("6:30 P.M.", time(18, 30)),
        (" 9 AM ", time(9)),
        ("14:30", time(14, 30)),
        ("00:00", time(0)),
        ("23:59", time(23, 59)),
        ("noon", time(12)),
        ("Midnight", time(0)),
        ("12am", time(0)),
        ("12pm", time(12)),
        ("12:30am", time(0, 30)),
        ("12:30pm", time(12, 30)),
        ("1am", time(1)),
        ("11:59pm", time(23, 59)),
        (time(7, 45), time(7, 45)),
    ],
)
def test_a_time_of_the_day_in_every_form(text, expected):
    assert parse_daytime(text) == expected


@pytest.mark.feature(97)
@pytest.mark.parametrize(
    ("bad", "way_out"),
    [
        ("25:00", "'18:00'"),
        ("24:00", "'midnight'"),
        ("13pm", "'13:00'"),
        ("14:30pm", "'14:30'"),
        ("0am", "'9am'"),
        ("12:60", "'18:00'"),
        ("9:5", "'18:00'"),
        ("9:5am", "'9am'"),
        ("", "'9am'"),
        ("-1:00", "'9am'"),
        ("-9am", "'9am'"),
        ("9", "'9am' or '9pm'"),
        ("15", "'15:00'"),
        ("99", "'9am'"),
        ("9xm", "'9am'"),
        ("09:00:00", "'18:00'"),
        ("٩am", "'9am'"),
        ("lunch", "'noon'"),
        (time(9, 0, 30), "to the minute"),
        (time(9, tzinfo=UTC), "timezone="),
        (9, "'9am'"),
        (None, "'9am'"),
    ],
)
def test_what_is_no_time_of_the_day_is_refused_with_the_way_out(bad, way_out):
    with pytest.raises(DefinitionError) as caught:
        parse_daytime(bad)
    assert way_out in str(caught.value)


@pytest.mark.feature(98)
@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("0 9 * * *", Cron("0 9 * * *")),
        (" */5 8-18 * * MON-FRI ", Cron("*/5 8-18 * * MON-FRI")),
        ("@daily", Cron("0 0 * * *")),
        ("1st and 15th at 9am", parse("1st and 15th at 9am")),
        (timedelta(minutes=45), Interval(timedelta(minutes=45))),
        (Cron("0 9 * * *", "Europe/Paris"), Cron("0 9 * * *", "Europe/Paris")),
        ("monday at 9am", parse("monday at 9am")),
    ],
)
def test_what_a_schedule_may_be_given_as(when, expected):
    assert schedule_of(when) == expected


@pytest.mark.feature(98)
def test_text_that_looks_like_cron_is_refused_as_cron():
    for bad in ("0 9 * *", "0 9 * * * *", "99 9 * * *", "@never"):
        with pytest.raises(DefinitionError, match="cron"):
            schedule_of(bad)


# -- the words `every` and `schedule` ---------------------------------------------------------------------------


class Kept:
    """Who keeps the schedules, in a list."""

    def __init__(self, gives=None):
        self.rows = []
        self.gives = gives

    def __call__(self, schedule, handler, name, /, *, overlap, catch_up):
        self.rows.append((schedule, handler, name, overlap, catch_up))
        return self.gives


def summary():
    """A function to schedule."""


class Reports:
    """Something with a method."""

    def weekly(self):
        """A method to schedule."""


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def every(kept):
    return Every(kept)


@pytest.mark.feature(93, 94, 95, 96)
@pytest.mark.parametrize(
    ("register", "phrase"),
    [
        (lambda every: every.day.at("6pm")(summary), "day at 6pm"),
        (lambda every: every.Monday.at("9am")(summary), "monday at 9am"),
        (lambda every: every.monday.at("9am", summary), "monday at 9am"),
        (lambda every: every.Daily.at("09:00", summary), "day at 9am"),
        (lambda every: every.daily.at(time(9))(summary), "day at 9am"),
        (lambda every: every.weekday.at("09:00")(summary), "weekday at 9am"),
        (lambda every: every.WEEKEND.at("9am", "5pm", summary), "weekend at 9am and 5pm"),
        (lambda every: every.day.at("9am", "5pm")(summary), "day at 9am and 5pm"),
        (lambda every: every.hour(summary), "hour"),
        (lambda every: every.hour()(summary), "hour"),
        (lambda every: every.hour.at(":15")(summary), "hour at :15"),
        (lambda every: every(15).minutes(summary), "15 minutes"),
        (lambda every: every(45).minutes()(summary), "45 minutes"),
        (lambda every: every(1).hour(summary), "1 hour"),
        (lambda every: every(1.5).hours(summary), "90 minutes"),
        (lambda every: every("15m")(summary), "15 minutes"),
        (lambda every: every(timedelta(minutes=15))(summary), "15 minutes"),
        (lambda every: every(2).days.at("9am")(summary), "2 days at 9am"),
        (lambda every: every(2).weeks.on("friday").at("9am")(summary), "2 weeks on friday at 9am"),
        (lambda every: every("first monday").at("noon")(summary), "first monday at noon"),
        (lambda every: every("first monday").at("noon", summary), "first monday at noon"),
        (lambda every: every("first monday at noon")(summary), "first monday at noon"),
        (lambda every: every.first_monday.at("noon")(summary), "first monday at noon"),
        (lambda every: every.month.on(15).at("9am")(summary), "15th at 9am"),
        (lambda every: every.month.on("last friday")(summary), "last friday"),
        (lambda every: every.month.on("last day").at("noon", summary), "last day at noon"),
        (lambda every: every.week.on("tuesday").at("noon", summary), "tuesday at noon"),
        (lambda every: every.January.on(2)(summary), "january 2"),
        (lambda every: every.march.on("first monday")(summary), "first monday of march"),
        (lambda every: every.Wednesday(summary), "wednesday"),
    ],
)
def test_every_in_every_form_registers_once(register, phrase, every, kept):
    assert register(every) is summary
    assert kept.rows == [(parse(phrase), summary, "summary", "skip", "once")]


@pytest.mark.feature(93, 94, 95)
def test_every_is_a_decorator(every, kept):
    @every.day.at("6pm", timezone="Europe/Paris", overlap="queue")
    async def daily():
        """Runs at six."""

    @every(15).minutes
    def check():
        """Runs four times an hour."""

    @every.hour(name="ticks", catch_up="none")
    def tick():
        """Runs every hour."""

    here = "test_every_is_a_decorator.<locals>."
    assert kept.rows == [
        (Calendar(parse("day").days, (time(18),), "Europe/Paris"), daily, f"{here}daily", "queue", "once"),
        (Interval(timedelta(minutes=15)), check, f"{here}check", "skip", "once"),
        (Cron("0 * * * *"), tick, "ticks", "skip", "none"),
    ]


@pytest.mark.feature(96)
def test_one_phrase_registers_many_handlers(every, kept):
    """Two handlers on one schedule are two schedules."""
    nine = every.day.at("9am")
    nine(summary)
    nine(Reports().weekly)
    assert [row[2] for row in kept.rows] == ["summary", "Reports.weekly"]
    assert repr(nine) == "<every day at 09:00>"
    assert repr(every.monday) == "<every Monday at 00:00>"
    assert nine.schedule == parse("day at 9am")


@pytest.mark.feature(93, 94, 95, 100)
def test_an_entity_schedules_its_own_methods_and_lambdas():
    class Handle:
        """What an entity's register may give back."""

    handle = Handle()
    mine = Kept(gives=handle)
    every = Every(mine)
    report = Reports()
    assert every.Monday.at("9am")(report.weekly) is handle
    every.Monday.at("9am")(lambda: report.weekly())
    every.day.at("6pm")(lambda: report.weekly())
    every(15).minutes(lambda: report.weekly())
    every.hour(functools.partial(summary))
    names = [row[2] for row in mine.rows]
    assert len(set(names)) == 5
    assert names[0] == "Reports.weekly"
    assert names[1].endswith("<lambda> every Monday at 09:00")
    assert names[4] == "summary"


def test_a_keeper_may_have_a_zone_of_its_own(kept):
    every = Every(kept, timezone="Europe/Paris")
    every.day.at("9am")(summary)
    every.day.at("9am", timezone="UTC")(summary)
    make_schedule(kept, default_timezone="Europe/Paris")("x", "0 9 * * *", summary)
    assert [row[0].timezone for row in kept.rows] == ["Europe/Paris", "UTC", "Europe/Paris"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda every: every.daay, "'day'"),
        (lambda every: every.Mondey.at("9am"), "'monday'"),
        (lambda every: every.day.at("25:00"), "'25:00'"),
        (lambda every: every.day.at(), "times of the day"),
        (lambda every: every.day.at(summary), "times of the day"),
        (lambda every: every.day.at(summary, "9am"), "times of the day"),
        (lambda every: every.day.at(9), "'9am'"),
        (lambda every: every.hour.at("9am"), "':15'"),
        (lambda every: every(15)(summary), "every(15).minutes"),
        (lambda every: every(15).monkeys, "'monkeys'"),
        (lambda every: every(15).minutes.at("9am"), "only days and weeks"),
        (lambda every: every(0).minutes, "1 second"),
        (lambda every: every(True), "every(True)"),
        (lambda every: every(summary), "every.day.at('6pm')"),
        (lambda every: every(None), "every(None)"),
        (lambda every: every.month.on(32), "'32nd'"),
        (lambda every: every.monday.on(3), "days already"),
        (lambda every: every.monday.at("9am").at, None),
        (lambda every: every.day.at("9am")(5), "a function or a workflow"),
        (lambda every: every.day.at("9am", overlap="maybe")(summary), "skip, queue, allow"),
        (lambda every: every.day.at("9am", catch_up="maybe")(summary), "once, all, none"),
        (lambda every: every.day.at("9am", timezone="Paris/Europe")(summary), "time zone"),
        (lambda every: every.day.at("9am", name="")(summary), "1 to 200"),
    ],
)
def test_a_wrong_word_fails_where_it_is_written(wrong, says, every, kept):
    with pytest.raises(DefinitionError if says else AttributeError) as caught:
        wrong(every)
    assert (says or "") in str(caught.value)
    assert kept.rows == []


def test_a_coroutine_is_refused_with_the_way_out(every):
    async def report():
        """Should have been passed, not called."""

    with pytest.raises(DefinitionError, match="without calling it"):
        every.day.at("9am")(report())


def test_every_can_be_looked_at(every):
    assert repr(every) == "every"
    assert repr(every(15)) == "every(15)"
    assert {"monday", "weekday", "day", "hour", "march"} <= set(dir(every))
    assert not hasattr(every, "_repr_html_")
    assert not hasattr(every(15), "__wrapped__")
    assert all(word in phrases.WORDS for word in ("first", "last", "noon"))


@pytest.mark.feature(98, 99)
def test_schedules_from_a_table(kept):
    class Workflow:
        """Not callable: it is executed."""

        name = "daily-report"

        async def execute(self):
            """Run it."""

    schedule, workflow = make_schedule(kept), Workflow()
    for row in (("daily-report", "0 9 * * *"), ("weekly-cleanup", "0 2 * * 0"), ("hourly-sync", "0 * * * *")):
        schedule(*row, workflow)
    assert [row[2] for row in kept.rows] == ["daily-report", "weekly-cleanup", "hourly-sync"]
    assert [times(row[0], 1) for row in kept.rows] == [["2025-01-16 09:00"], ["2025-01-19 02:00"], ["2025-01-15 13:00"]]
    Every(kept).day.at("9am", workflow)
    assert kept.rows[-1][2] == "daily-report"


@pytest.mark.feature(98, 104, 105)
def test_schedule_takes_a_zone_and_policies_and_is_a_decorator_too(kept):
    schedule = make_schedule(kept)
    schedule("daily-report", "0 9 * * *", summary, timezone="Europe/Paris", overlap="allow", catch_up="all")

    @schedule("weekly", "monday at 9am")
    def weekly():
        """Runs on Mondays."""

    assert kept.rows[0] == (Cron("0 9 * * *", "Europe/Paris"), summary, "daily-report", "allow", "all")
    assert kept.rows[1] == (parse("monday at 9am"), weekly, "weekly", "skip", "once")
    for wrong in (("", "0 9 * * *"), (5, "0 9 * * *"), ("x" * 201, "0 9 * * *"), ("x", "often"), ("x", None)):
        with pytest.raises(DefinitionError):
            schedule(*wrong, summary)
    with pytest.raises(DefinitionError, match="once, all, none"):
        schedule("x", "0 9 * * *", summary, catch_up="never")
