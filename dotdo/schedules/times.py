"""Schedules: when something happens, as a value.

    Interval    every 45 minutes: so much time passes, whatever the clocks show
    Calendar    every Monday at 09:00 in Europe/Paris: appointments on days
    Cron        0 9 * * 1: five fields, as Debian's cron reads them

A schedule knows no present: the moment is an argument, so the next time is the same wherever it is computed. It can be
stored, compared and printed as a sentence. Cron fields are read and followed by cronsim, on wall times without a zone;
the zones are ours (see walls.py), one set of rules for everything.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import ClassVar

from cronsim import CronSim, CronSimError

from dotdo.errors import DefinitionError
from dotdo.schedules import walls
from dotdo.schedules.days import Days

MISSED_MAX = 1_000
"""How many missed times are told at once."""

INTERVAL_MIN = timedelta(seconds=1)
INTERVAL_MAX = timedelta(days=36_525)
SEARCH_DAYS_MAX = 50 * 366
"""How far a calendar is searched for its next day: the fifth Saturday of February can be 40 years away."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SOME_WALL = EPOCH.replace(year=2024, tzinfo=None)
"""Where a new schedule is tried out."""

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Schedule:
    """When something happens again and again. All moments given must be aware; all moments returned are in UTC."""

    __slots__ = ()
    kind: ClassVar[str]

    def next_after(self, moment: datetime) -> datetime:
        """The first time later than `moment`. Raises ValueError for a moment without a zone."""
        raise NotImplementedError

    def anchored(self, moment: datetime) -> Schedule:
        """The schedule as registered at `moment`: intervals count from there, unless they have their anchor already."""
        walls.utc(moment)
        return self

    def next_times(self, n: int, after: datetime) -> list[datetime]:
        """The next `n` times after `after`, in order."""
        times: list[datetime] = []
        for _ in range(n):
            after = self.next_after(after)
            times.append(after)
        return times

    def missed_between(self, a: datetime, b: datetime, limit: int = MISSED_MAX) -> list[datetime]:
        """The times after `a` up to and with `b`, oldest first; of more than `limit` the oldest, ask on from the last."""
        end = walls.utc(b)
        missed: list[datetime] = []
        following = self.next_after(a)
        while following <= end and len(missed) < limit:
            missed.append(following)
            following = self.next_after(following)
        return missed

    def last_between(self, a: datetime, b: datetime) -> datetime | None:
        """The latest time after `a` up to and with `b`, or None; quick however long ago `a` is."""
        begin, end = walls.utc(a), walls.utc(b)
        back, start = timedelta(minutes=1), end
        # look back further and further until there is one, then forward to the last
        while start > begin:
            start = max(begin, end - back)
            found = self.next_after(start)
            if found <= end:
                break
            back *= 2
        else:
            return None
        while (following := self.next_after(found)) <= end:
            found = following
        return found


@dataclass(frozen=True, slots=True)
class Interval(Schedule):
    """So much time from one to the next, counted from the anchor.

    Without an anchor it counts from 1970, so the times are the same on every host and after every restart. The first time is
    one interval after the anchor; before the anchor there is none.
    """

    kind: ClassVar[str] = "interval"
    length: timedelta
    anchor: datetime | None = None

    def __post_init__(self) -> None:
        if not INTERVAL_MIN <= self.length <= INTERVAL_MAX:
            raise DefinitionError(f"an interval is 1 second to {INTERVAL_MAX.days} days long, not {self.length}")
        if self.anchor is not None:
            object.__setattr__(self, "anchor", walls.utc(self.anchor))

    def next_after(self, moment: datetime) -> datetime:
        anchor = self.anchor or EPOCH
        passed = (walls.utc(moment) - anchor) // self.length
        return anchor + (max(passed, 0) + 1) * self.length

    def anchored(self, moment: datetime) -> Interval:
        return self if self.anchor is not None else replace(self, anchor=walls.utc(moment))

    def __str__(self) -> str:
        seconds = self.length // timedelta(seconds=1)
        for unit, size in (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
            if self.length % timedelta(seconds=size) == timedelta(0):
                count = seconds // size
                return f"every {unit}" if count == 1 else f"every {count} {unit}s"
        return f"every {self.length.total_seconds()} seconds"


@dataclass(frozen=True, slots=True)
class Calendar(Schedule):
    """Appointments: at these times of the day, on these days, in this zone."""

    kind: ClassVar[str] = "calendar"
    days: Days
    at: tuple[time, ...] = (time(0, 0),)
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not self.at or any(moment.tzinfo is not None for moment in self.at):
            raise DefinitionError("a calendar needs times of the day without a zone; the zone is its own")
        object.__setattr__(self, "at", tuple(sorted(set(self.at))))
        walls.zone_of(self.timezone)
        self._following(_SOME_WALL)

    def next_after(self, moment: datetime) -> datetime:
        return walls.next_by_date(walls.utc(moment), walls.zone_of(self.timezone), self._following)

    def _following(self, wall: datetime) -> datetime:
        today = wall.date().toordinal()
        for ordinal in range(today, today + SEARCH_DAYS_MAX):
            day = date.fromordinal(ordinal)
            if self.days.match(day):
                for at in self.at:
                    if (found := datetime.combine(day, at)) > wall:
                        return found
        raise DefinitionError(f"the schedule {str(self)!r} never comes: there is no such day in {SEARCH_DAYS_MAX // 366} years")

    def __str__(self) -> str:
        return f"{self.days} at {' and '.join(at.strftime('%H:%M') for at in self.at)}{_zone_words(self.timezone)}"


@dataclass(frozen=True, slots=True)
class Cron(Schedule):
    """A cron expression: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday), or `@daily` and its like.

    Names (`MON-FRI`, `JAN`), lists, ranges, steps, `L` and `LW` (the last day and weekday of the month), `5L` (the last Friday) and
    `1#2` (the second Monday). A day passes if either of two given day fields passes; if one of them begins with a star,
    both must. An expression whose minute or hour begins with a star goes by the hands, every other one by date.
    """

    kind: ClassVar[str] = "cron"
    expression: str
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        fields = ALIASES.get(self.expression.strip().lower(), self.expression).split()
        object.__setattr__(self, "expression", " ".join(fields))
        walls.zone_of(self.timezone)
        _check(self.expression, fields)

    def next_after(self, moment: datetime) -> datetime:
        minute, hour = self.expression.split()[:2]
        by_hand = minute.startswith("*") or hour.startswith("*")
        find = walls.next_by_hand if by_hand else walls.next_by_date
        return find(walls.utc(moment), walls.zone_of(self.timezone), functools.partial(_following_cron, self.expression))

    def __str__(self) -> str:
        words = str(CronSim(self.expression, _SOME_WALL).explain())
        return f"{words[:1].lower()}{words[1:]}{_zone_words(self.timezone)} (cron {self.expression})"


def _following_cron(expression: str, wall: datetime) -> datetime:
    return next(CronSim(expression, wall))


def _check(expression: str, fields: list[str]) -> None:
    if len(fields) != 5:
        near = f"one of {', '.join(ALIASES)}" if expression.startswith("@") else "minute, hour, day of the month, month, day of the week"
        raise DefinitionError(f"{expression!r} is not a cron expression: it has {len(fields)} fields, not 5; use {near}")
    try:
        found = next(CronSim(expression, _SOME_WALL), None)
    except CronSimError as error:
        raise DefinitionError(f"{expression!r} is not a cron expression: {str(error).lower()}; 9 every morning is '0 9 * * *'") from None
    except (ValueError, AssertionError, IndexError):
        raise DefinitionError(f"{expression!r} is not a cron expression; 9 every morning is '0 9 * * *'") from None
    if found is None:
        raise DefinitionError(f"the cron expression {expression!r} never comes: there is no such day")


def _zone_words(timezone: str) -> str:
    return "" if timezone == "UTC" else f" in {timezone}"


def zone_name(zone: str | tzinfo) -> str:
    """The name under which a schedule keeps its zone. Raises DefinitionError."""
    return walls.zone_of(zone).key
