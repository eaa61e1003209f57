"""Wall clocks and moments: what a clock on a wall in some zone shows, and when that is.

Twice a year in half of the world one wall time does not exist (clocks go forward) and another comes twice (clocks go
back). There are two rules here, and every schedule follows one of them.

- **By date**: the wall times are appointments. One that does not exist is kept at the first moment after the gap; one
  that comes twice is kept once, the first time.
- **By hand**: the wall times are what the hands pass. One that does not exist is not passed, one that comes twice is passed
  twice, so that "every 15 minutes" never pauses for an hour.

Both are Debian's rules for cron. Results are in UTC: moments of one zone compare by their walls in Python, which is wrong
in the hour that comes twice.
"""

from __future__ import annotations

import difflib
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from dotdo.errors import DefinitionError

SHIFT_MAX = timedelta(hours=26)
"""No zone ever put its clocks back by more than this (a change of the date line); two changes are further apart."""

_SECOND = timedelta(seconds=1)

Following = Callable[[datetime], datetime]
"""The first wall time of a schedule that is later than the given one. Both have no zone."""


def zone_of(name: str | tzinfo) -> zoneinfo.ZoneInfo:
    """The zone of that name in the IANA database. Raises DefinitionError with the nearest name."""
    text = name if isinstance(name, str) else getattr(name, "key", None) or str(name)
    try:
        return zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(text, sorted(zoneinfo.available_timezones()), n=1, cutoff=0.5)
        way_out = f"did you mean {near[0]!r}?" if near else "use a name such as 'Europe/Paris' or 'UTC'"
        raise DefinitionError(f"there is no time zone {text!r}: {way_out}") from None


def utc(moment: datetime) -> datetime:
    """The moment in UTC. Raises ValueError for one without a zone."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone: schedules take aware datetimes only, as datetime.now(UTC)")
    return moment.astimezone(UTC)


def wall_at(moment: datetime, zone: tzinfo) -> datetime:
    """What the clocks of the zone show, without the zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def moments_of(wall: datetime, zone: tzinfo) -> list[datetime]:
    """When the clocks show it: one moment, none (in a gap), or two."""
    found = []
    for fold in (0, 1):
        moment = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if wall_at(moment, zone) == wall and moment not in found:
            found.append(moment)
    return found


def appointment(wall: datetime, zone: tzinfo) -> datetime:
    """The moment at which an appointment at that wall time is kept."""
    found = moments_of(wall, zone)
    if found:
        return found[0]
    # in a gap, fold=1 computes with the offset after it and lands before it, fold=0 the other way round
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    return _change_between(before, after, zone)


def next_by_date(moment: datetime, zone: tzinfo, following: Following) -> datetime:
    """The first appointment after the moment."""
    wall = wall_at(moment, zone)
    while True:
        # in an hour that comes the second time, walls ahead may have been kept already: those are passed over
        wall = following(wall)
        kept = appointment(wall, zone)
        if kept > moment:
            return kept


def next_by_hand(moment: datetime, zone: tzinfo, following: Following) -> datetime:
    """The first moment after `moment` at which the hands pass a wall time of the schedule."""
    offset = _offset(moment, zone)
    wall = following(wall_at(moment, zone))
    if _offset(moment + SHIFT_MAX, zone) != offset:
        change = _change_between(moment, moment + SHIFT_MAX, zone)
        if (wall - offset).replace(tzinfo=UTC) < change:
            return (wall - offset).replace(tzinfo=UTC)
        # the clocks are set before that wall time comes: begin again at what they show then, that moment included
        wall = following(wall_at(change, zone) - _SECOND)
    while True:
        later = [passed for passed in moments_of(wall, zone) if passed > moment]
        if later:
            return later[0]
        wall = following(wall)


def _offset(moment: datetime, zone: tzinfo) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _change_between(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The first second with the offset of `after`; there is one change between the two."""
    low, high = before.replace(microsecond=0), after.replace(microsecond=0)
    new = _offset(high, zone)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if _offset(middle, zone) == new:
            high = middle
        else:
            low = middle
    return high
