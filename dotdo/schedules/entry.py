"""What is kept of one schedule: as the program said it, and when it is due next.

The two are apart because they change apart. A program says the same at every start, and then nothing is written; it says
something new, and the row is replaced; the times go on by themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dotdo import clock, codec
from dotdo.errors import DefinitionError
from dotdo.names import ID_BYTES_MAX
from dotdo.schedules import policies
from dotdo.schedules.policies import CatchUp, Overlap
from dotdo.schedules.times import MISSED_MAX, Schedule

NO_ARGUMENTS = codec.encode([[], {}])


@dataclass(frozen=True, slots=True)
class Definition:
    """A schedule as a program says it.

    Args:
        handler: what it runs, by a name under which it is found again (see handlers.py).
        rule: when; None for a single time.
        at: the single time, in epoch seconds.
        arguments: encoded.
    """

    name: str
    handler: str
    rule: Schedule | None
    at: float | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "once"
    arguments: bytes = NO_ARGUMENTS

    def __post_init__(self) -> None:
        if len(self.name.encode(errors="surrogatepass")) > ID_BYTES_MAX // 2:
            raise DefinitionError(f"the name of a schedule is at most {ID_BYTES_MAX // 2} bytes long: {self.name[:40]!r}...")


@dataclass(frozen=True, slots=True)
class Times:
    """Where a schedule stands.

    Args:
        rule: with its anchor.
        since: times up to here are dealt with.
        due: the next time; None while it is paused.
    """

    rule: Schedule | None
    since: float
    due: float | None


def begin(definition: Definition, now: float) -> Times:
    """A schedule registered at `now`."""
    if definition.rule is None:
        return Times(None, now, definition.at)
    rule = definition.rule.anchored(clock.to_datetime(now))
    return Times(rule, now, next_due(rule, now))


def next_due(rule: Schedule, after: float) -> float:
    """The first time of the rule after a moment."""
    return clock.to_epoch(rule.next_after(clock.to_datetime(after)))


def go_on(definition: Definition, times: Times, now: float, up_since: float) -> tuple[list[datetime], Times | None]:
    """For which times a run is to start now, and where the schedule stands then; None if that was its only time.

    Args:
        up_since: since when there is a runtime that could have run it.
    """
    assert times.due is not None
    if times.rule is None:
        return [clock.to_datetime(times.due)], None
    moment = max(clock.to_datetime(now), clock.to_datetime(times.due))
    since = min(clock.to_datetime(times.since), moment)
    found = policies.to_catch_up(times.rule, since, moment, definition.catch_up, clock.to_datetime(up_since))
    end = found[-1] if len(found) >= MISSED_MAX else moment
    return found, Times(times.rule, clock.to_epoch(end), clock.to_epoch(times.rule.next_after(end)))


def arguments_of(definition: Definition) -> tuple[list[Any], dict[str, Any]]:
    """What its handler is called with."""
    args, kwargs = codec.decode(definition.arguments)  # type: ignore[misc]
    return args, kwargs
