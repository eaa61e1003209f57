"""What a schedule does when it cannot keep its times: the last run still goes on, or nobody was there to run it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from dotdo.errors import DefinitionError
from dotdo.schedules.times import MISSED_MAX, Schedule

Overlap = Literal["skip", "queue", "allow"]
"""The last run still goes on: skip this time, run after it, or run beside it."""

CatchUp = Literal["once", "all", "none"]
"""Times were missed: run once for all of them, once for each, or not."""


def check_overlap(value: str) -> Overlap:
    """The value, if it is one. Raises DefinitionError."""
    if value not in get_args(Overlap):
        raise DefinitionError(f"overlap={value!r}: it is one of {', '.join(get_args(Overlap))}")
    return value  # type: ignore[return-value]


def check_catch_up(value: str) -> CatchUp:
    """The value, if it is one. Raises DefinitionError."""
    if value not in get_args(CatchUp):
        raise DefinitionError(f"catch_up={value!r}: it is one of {', '.join(get_args(CatchUp))}")
    return value  # type: ignore[return-value]


def to_catch_up(schedule: Schedule, since: datetime, now: datetime, catch_up: CatchUp) -> list[datetime]:
    """For which of the times missed after `since`, up to `now`, a run is started; at most MISSED_MAX at once, oldest first.

    With "once" it is the latest of them, so that a report about the last day is not one about a day last week.
    """
    if catch_up == "all":
        return schedule.missed_between(since, now, MISSED_MAX)
    latest = schedule.last_between(since, now) if catch_up == "once" else None
    return [] if latest is None else [latest]
