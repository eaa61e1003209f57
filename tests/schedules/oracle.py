"""The slow way to know when a schedule fires: look at the clock of the zone every minute.

It shares nothing with the code under test: cron fields are read by twenty lines of its own, and the two rules for
changes of the clocks are said in their plainest form.
"""

import calendar
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def by_hand(matches, zone, begin, end):
    """Every minute at which the clock shows a wall time that matches."""
    zone, fired, moment = ZoneInfo(zone), [], begin + MINUTE
    while moment <= end:
        if matches(moment.astimezone(zone).replace(tzinfo=None)):
            fired.append(moment)
        moment += MINUTE
    return fired


def by_date(matches, zone, begin, end):
    """Every minute at which the clock reaches or leaps over a matching wall time that it never showed before."""
    zone, fired = ZoneInfo(zone), []
    moment = begin - timedelta(days=2)
    latest = moment.astimezone(zone).replace(tzinfo=None)
    while moment <= end:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        reached = False
        while latest < wall:
            latest += MINUTE
            reached = reached or matches(latest)
        if reached and moment > begin:
            fired.append(moment)
        moment += MINUTE
    return fired


def cron(expression):
    """True for the wall times of a cron expression without L and #."""
    minute, hour, day, month, weekday = expression.split()
    bounds = ((minute, 0, 59), (hour, 0, 23), (day, 1, 31), (month, 1, 12), (weekday, 0, 7))
    minutes, hours, days, months, weekdays = (_field(*bound) for bound in bounds)
    is_either = not day.startswith("*") and not weekday.startswith("*")

    def matches(wall: datetime) -> bool:
        in_days = wall.day in days
        in_week = wall.isoweekday() in weekdays or wall.isoweekday() % 7 in weekdays
        is_day = in_days or in_week if is_either else in_days and in_week
        return wall.minute in minutes and wall.hour in hours and wall.month in months and is_day

    return matches


def fires(expression, zone, begin, end):
    """The times of a cron expression after `begin` up to and with `end`."""
    minute, hour = expression.split()[:2]
    rule = by_hand if minute[0] == "*" or hour[0] == "*" else by_date
    return rule(cron(expression), zone, begin, end)


def _field(text, low, high):
    found = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (_number(side) for side in span.split("-"))
        else:
            first = _number(span)
            last = high if step else first
        found.update(range(first, last + 1, int(step or 1)))
    return found


def _number(text):
    names = {name.lower(): n for n, name in enumerate(calendar.month_abbr) if name}
    names |= dict(zip(("sun", "mon", "tue", "wed", "thu", "fri", "sat"), range(7), strict=True))
    return names[text.lower()] if text.lower() in names else int(text)


def utc(text):
    """2025-03-30 01:00 as a moment."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
