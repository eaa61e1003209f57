"""What may follow the word "every": one grammar, from text to a schedule.

    minute | hour | day | week | month | year, also hourly, daily, weekly, monthly, yearly
    Monday | mon | mondays | Monday and Thursday | monday, friday | mon-fri | weekday | weekend
    15 minutes | 45 seconds | 2 days | 2 weeks on friday | other day | 90m
    first monday | last friday of march | last weekday | first day | last day of the month
    1st | 1st and 15th | 15th of march | march 15 | March

each followed by "at" and times of the day, if wanted: "weekday at 9am and 17:30". Case, "every", "on" and "the" do not
matter. A count of minutes is an interval, not a cron step: every 45 minutes stays 45 minutes apart. Without a time,
days mean midnight, a week its Monday, a month its first day.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from datetime import date, time, timedelta, tzinfo

from dotdo import durations
from dotdo.errors import BadDuration, DefinitionError
from dotdo.schedules.days import LAST, MONTH_NAMES, WEEKDAY_NAMES, WEEKEND, WORKING, Days
from dotdo.schedules.daytimes import parse_daytime
from dotdo.schedules.times import Calendar, Cron, Interval, Schedule, zone_name

_MONDAY = date(1970, 1, 5).toordinal()

_WEEKDAYS = {form: n for n, name in enumerate(WEEKDAY_NAMES) for form in (name.lower(), name.lower() + "s", name[:3].lower())}
_WEEKDAYS |= {"tues": 1, "thur": 3, "thurs": 3}
_GROUPS = {"weekday": WORKING, "weekdays": WORKING, "workday": WORKING, "workdays": WORKING, "weekend": WEEKEND, "weekends": WEEKEND}
MONTHS = {form: n for n, name in enumerate(MONTH_NAMES, 1) for form in (name.lower(), name[:3].lower())} | {"sept": 9}
_PLACES = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": LAST, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_UNITS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs"), timedelta(seconds=1)),
    **dict.fromkeys(("minute", "minutes", "min", "mins"), timedelta(minutes=1)),
    **dict.fromkeys(("hour", "hours", "hr", "hrs"), timedelta(hours=1)),
    **dict.fromkeys(("day", "days"), timedelta(days=1)),
    **dict.fromkeys(("week", "weeks"), timedelta(weeks=1)),
}
_DAYS = {
    **dict.fromkeys(("day", "days", "daily"), Days()),
    **dict.fromkeys(("week", "weeks", "weekly"), Days(weekdays=(0,))),
    **dict.fromkeys(("month", "months", "monthly"), Days(month_days=(1,))),
    **dict.fromkeys(("year", "years", "yearly", "annually"), Days(month_days=(1,), months=(1,))),
    "quarter": Days(month_days=(1,), months=(1, 4, 7, 10)),
    "quarterly": Days(month_days=(1,), months=(1, 4, 7, 10)),
}
_HANDS = {"minute": "* * * * *", "minutely": "* * * * *", "hour": "0 * * * *", "hourly": "0 * * * *"}
_HANDS |= {"minutes": "* * * * *", "hours": "0 * * * *"}

WORDS = sorted({*_WEEKDAYS, *_GROUPS, *MONTHS, *_PLACES, *_UNITS, *_DAYS, *_HANDS, "noon", "midnight", "other"})
"""Every word of the grammar, for suggestions and completion."""

_SILENT = frozenset({"every", "each", "on", "the"})
_NUMBERED = re.compile(r"(\d{1,2})(?:st|nd|rd|th)\Z", re.ASCII)
_CRON = re.compile(r"@\w+|[\d*/,-]+\s+[\d*/,-]+(\s+[\w*?,/#-]+){2,4}", re.ASCII)


def parse(text: str, at: Sequence[str | time] = (), timezone: str | tzinfo = "UTC") -> Schedule:
    """The schedule that the phrase means, at the times that the phrase itself or `at` gives. Raises DefinitionError."""
    if not isinstance(text, str):
        raise DefinitionError(f"a schedule is text such as 'monday at 9am' or '0 9 * * 1', not {text!r}")
    zone = zone_name(timezone)
    days, at_word, late = f" {text.lower().replace('_', ' ')} ".partition(" at ")
    words = [word for word in re.sub(r"\s*(,|&|\band\b)\s*", " , ", days).split() if word not in _SILENT]
    if at_word and at:
        raise DefinitionError(f"every {text!r} says its time already: leave out .at(...)")
    times = tuple(re.split(r"\s*,\s*|\s+and\s+", late.strip())) if at_word else tuple(at)
    return _schedule(text, words, times, zone)


def schedule_of(when: str | timedelta | Schedule, timezone: str | tzinfo = "UTC") -> Schedule:
    """What `schedule(name, when, handler)` takes: a cron expression, a phrase, a timedelta, or a schedule as it is."""
    if isinstance(when, Schedule):
        return when
    if isinstance(when, timedelta):
        return Interval(when)
    if isinstance(when, str) and _CRON.fullmatch(when.strip()):
        return Cron(when, zone_name(timezone))
    return parse(when, timezone=timezone)


def _schedule(text: str, words: list[str], times: tuple[str | time, ...], zone: str) -> Schedule:
    hands = _HANDS.get(" ".join(words))
    if hands is not None:
        return Cron(_past_the_hour(text, hands, times), zone)
    interval = _interval(text, words)
    if interval is not None and not times:
        return interval
    days = _counted_days(text, words) if interval is not None else _days(text, words)
    try:
        return Calendar(days, tuple(map(parse_daytime, times)) or (time(0, 0),), zone)
    except DefinitionError as error:
        raise DefinitionError(f"every {text!r}: {error}") from None


def _past_the_hour(text: str, expression: str, times: tuple[str | time, ...]) -> str:
    """`every.hour.at(":15")`: minutes past the hour."""
    if not times:
        return expression
    minutes = [re.fullmatch(r":([0-5]\d)", at) if isinstance(at, str) else None for at in times]
    if not all(minutes) or not expression.startswith("0"):
        raise DefinitionError(f"every {text!r}: a time of the day is for days; for hours give the minute past, as every.hour.at(':15')")
    return f"{','.join(str(int(minute[1])) for minute in minutes if minute)} * * * *"


# -- intervals --------------------------------------------------------------------------------------------------


def _interval(text: str, words: list[str]) -> Interval | None:
    if words[:1] == ["other"] and words[1:] and words[1] in ("day", "week", "hour", "minute"):
        words = ["2", words[1]]
    if words in (["second"], ["seconds"]):
        words = ["1", "second"]
    is_date = len(words) == 2 and words[1] in MONTHS
    if not words or is_date or not re.match(r"-?\.?\d", words[0]) or _NUMBERED.match(words[0]):
        return None
    if len(words) == 1:
        words = [str(_seconds(text, words[0])), "seconds"]
    unit = _UNITS.get(words[1])
    if unit is None:
        raise _refusal(text, words[1], sorted(_UNITS))
    try:
        length = float(words[0]) * unit if "." in words[0] else int(words[0]) * unit
        return Interval(length)
    except (ValueError, OverflowError) as error:
        raise DefinitionError(f"every {text!r}: {words[0]!r} is not a number of {words[1]} ({error})") from None
    except DefinitionError as error:
        raise DefinitionError(f"every {text!r}: {error}") from None


def _seconds(text: str, word: str) -> float:
    try:
        return durations.seconds(word)
    except BadDuration:
        raise DefinitionError(f"every {text!r}: say of what, as '15 minutes' or '15m'; a day of the month is '15th'") from None


def _counted_days(text: str, words: list[str]) -> Days:
    """`2 days at 9am` and `2 weeks on friday at 9am`: appointments so many days apart."""
    count, unit, *rest = ["2", *words[1:]] if words[0] == "other" else words if len(words) > 1 else [*words, ""]
    begin = _WEEKDAYS.get(rest[0]) if len(rest) == 1 else None
    if not count.isdecimal() or unit.rstrip("s") not in ("day", "week") or (rest and (begin is None or not unit.startswith("week"))):
        raise DefinitionError(f"every {text!r} has a time of the day, but only days and weeks have one: leave it out")
    step = int(count) * (7 if unit.startswith("week") else 1)
    return Days(step=step, begin=_MONDAY + (begin or 0)) if step > 1 else Days()


# -- days -------------------------------------------------------------------------------------------------------


def _days(text: str, words: list[str]) -> Days:
    known = _DAYS.get(" ".join(words))
    if known is not None:
        return known
    if not words:
        raise DefinitionError(f"every {text!r} says nothing: every what? As in 'monday at 9am'")
    if words[0] in ("noon", "midnight"):
        raise DefinitionError(f"every {text!r}: write it as every.day.at({words[0]!r})")
    rule, months = _apart(words)
    for read in (_in_the_month, _weekdays, _numbers):
        found = read(rule)
        if found is not None:
            return Days(found.weekdays, found.nth, found.month_days, months)
    unknown = next((word for word in rule if word not in WORDS and word not in ("of", "in", ",", "to") and not _NUMBERED.match(word)), None)
    raise _refusal(text, unknown or " ".join(rule))


def _apart(words: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """The days, and the months at the end or the beginning: `last friday of march`, `march 15`, `15 march`."""
    rule = [word for word in words if word not in ("of", "in")]
    months = [MONTHS[word] for word in rule if word in MONTHS]
    rule = [word for word in rule if word not in MONTHS]
    while rule and rule[-1] == ",":
        rule.pop()
    while rule and rule[0] == ",":
        rule.pop(0)
    if months and len(rule) == 1 and rule[0].isdecimal():
        rule = [f"{rule[0]}th"]
    if rule[-1:] == ["month"]:
        rule.pop()
    return rule or ["1st"], tuple(sorted(set(months)))


def _in_the_month(words: list[str]) -> Days | None:
    """`first monday`, `last weekday`, `last day`."""
    if len(words) != 2 or words[0] not in _PLACES:
        return None
    place, day = _PLACES[words[0]], words[1]
    if day == "day":
        return Days(month_days=(place,))
    group = (_WEEKDAYS[day],) if day in _WEEKDAYS else _GROUPS.get(day)
    return None if group is None else Days(weekdays=group, nth=place)


def _weekdays(words: list[str]) -> Days | None:
    """`monday`, `monday , thursday`, `mon-fri`, `monday to friday`, `weekend`."""
    found: set[int] = set()
    for part in " ".join(words).replace("-", " to ").split(","):
        names = part.split()
        if len(names) == 3 and names[1] == "to" and names[0] in _WEEKDAYS and names[2] in _WEEKDAYS:
            first, last = _WEEKDAYS[names[0]], _WEEKDAYS[names[2]]
            found.update(day % 7 for day in range(first, (last if last >= first else last + 7) + 1))
        elif len(names) == 1 and names[0] in _GROUPS:
            found.update(_GROUPS[names[0]])
        elif len(names) == 1 and names[0] in _WEEKDAYS:
            found.add(_WEEKDAYS[names[0]])
        else:
            return None
    return Days(weekdays=tuple(sorted(found)))


def _numbers(words: list[str]) -> Days | None:
    """`1st`, `1st , 15th`, `1st , last day`."""
    days: set[int] = set()
    for part in " ".join(words).split(","):
        if part.strip() == "last day":
            days.add(LAST)
            continue
        match = _NUMBERED.match(part.strip())
        if match is None or not 1 <= int(match[1]) <= 31:
            return None
        days.add(int(match[1]))
    return Days(month_days=tuple(sorted(days, key=lambda day: day if day > 0 else 32)))


def _refusal(text: str, word: str, words: Sequence[str] = WORDS) -> DefinitionError:
    near = [found for found in difflib.get_close_matches(word, words, n=2) if found != word]
    way_out = f"did you mean {near[0]!r}?" if near else "as in 'day', 'monday', 'weekday', '15 minutes', 'first monday', '1st', 'march 15'"
    return DefinitionError(f"every {text!r}: {word!r} is not understood; {way_out}")
