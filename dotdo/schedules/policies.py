"""What a schedule does when it cannot keep its times: the last run still goes on, or nobody was there to run it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, get_args

from dotdo.errors import DefinitionError
from dotdo.schedules.times import MISSED_MAX, Schedule

QUEUE_MAX = 2 * MISSED_MAX
"""So many runs of one schedule may wait; times that come beyond that are skipped."""

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


_MOMENT = timedelta(microseconds=1)


def to_catch_up(schedule: Schedule, since: datetime, now: datetime, catch_up: CatchUp, up_since: datetime | None = None) -> list[datetime]:
    """For which of the times after `since`, up to `now`, a run is started; at most MISSED_MAX at once, oldest first.

    With "once" it is the latest of them, so that a report about the last day is not one about a day last week. With
    "none" it is the latest that came while the runtime was there, from `up_since` on: such a time is late, not missed.
    """
    if catch_up == "all":
        return schedule.missed_between(since, now, MISSED_MAX)
    if catch_up == "none":
        since = now if up_since is None else max(since, up_since - _MOMENT)
    latest = schedule.last_between(since, now) if since < now else None
    return [] if latest is None else [latest]


def may_start(overlap: Overlap, catch_up: CatchUp, *, waiting: int, is_missed: bool) -> bool:
    """Whether a time that has come starts a run, or joins the queue, while `waiting` runs of the schedule are not done.

    Times that "all" catches up wait for one another whatever `overlap` says: it is about runs that take too long.
    """
    if waiting >= QUEUE_MAX:
        return False
    return overlap != "skip" or waiting == 0 or (catch_up == "all" and is_missed)
