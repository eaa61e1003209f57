"""`every` and `schedule`: how a program says when, and what.

    @every.day.at("6pm")                              a decorator
    every.Monday.at("9am")(report)                    a call
    every.Daily.at("09:00", report)                   the handler as the last argument
    every(15).minutes(check)     every("first monday").at("noon")(audit)
    schedule("daily-report", "0 9 * * *", report, timezone="Europe/Paris")

All of them read the phrase at once, so that a wrong one fails where it is written, and end in one call of `register`,
which is given by who owns the schedules: the application for all of it, an entity for its own. Nothing here runs anything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import time, timedelta, tzinfo
from typing import Any, Protocol

from dotdo.errors import DefinitionError
from dotdo.rpc.promise import Promise
from dotdo.schedules import phrases
from dotdo.schedules.days import ordinal
from dotdo.schedules.policies import CatchUp, Overlap, check_catch_up, check_overlap
from dotdo.schedules.times import Interval, Schedule

NAME_CHARACTERS_MAX = 200


class Register(Protocol):
    """Who keeps the schedules. What it returns, unless None, is what the program gets; else it gets its handler back."""

    def __call__(self, schedule: Schedule, handler: Any, name: str, /, *, overlap: Overlap, catch_up: CatchUp) -> Any: ...


class Appointment:
    """A schedule that has no handler yet: call it with one, or decorate one with it."""

    __slots__ = ("_options", "_register", "schedule")

    def __init__(self, register: Register, schedule: Schedule, **options: Any) -> None:
        self._register = register
        self.schedule = schedule
        self._options = options

    def __call__(self, handler: Any = None, /, *, name: str | None = None, overlap: str | None = None, catch_up: str | None = None) -> Any:
        """Register the handler; without one, the same appointment with these options."""
        given = {"name": name, "overlap": overlap, "catch_up": catch_up}
        options = self._options | {option: value for option, value in given.items() if value is not None}
        if handler is None:
            return Appointment(self._register, self.schedule, **options)
        _check_handler(handler)
        called = _check_name(options["name"]) if "name" in options else name_of(handler, self.schedule)
        overlap_, catch_up_ = check_overlap(options.get("overlap", "skip")), check_catch_up(options.get("catch_up", "once"))
        result = self._register(self.schedule, handler, called, overlap=overlap_, catch_up=catch_up_)
        return handler if result is None else result

    def __repr__(self) -> str:
        return f"<{self.schedule}>"


class Phrase:
    """`every.Monday`: when it happens, but for the time of the day."""

    __slots__ = ("_every", "_text", "schedule")

    def __init__(self, every: Every, text: str) -> None:
        self._every = every
        self._text = text
        self.schedule = phrases.schedule_of(text, every.timezone)

    def on(self, day: int | str) -> Phrase:
        """`every.month.on(15)`, `every.month.on("last friday")`, `every.January.on(1)`, `every(2).weeks.on("friday")`."""
        rule = ordinal(day) if isinstance(day, int) else day
        left = self._text.lower().split()
        if left[-1] in ("month", "monthly", "week", "weekly"):
            return Phrase(self._every, rule)
        if left[0].isdecimal() and left[-1] == "weeks":
            return Phrase(self._every, f"{self._text} on {rule}")
        if left[-1] in phrases.MONTHS:
            return Phrase(self._every, f"{rule} of {self._text}")
        raise DefinitionError(f"every {self._text!r} says its days already: .on({day!r}) follows a month, or a number of weeks")

    def at(self, *times: Any, timezone: str | tzinfo | None = None, **options: Any) -> Any:
        """At these times of the day; a handler may follow them.

        Args:
            times: "9am", "6:30 pm", "18:00", "noon", "midnight", or a `datetime.time`; for hours the minute, ":15".
            timezone: an IANA name; UTC, or what the application was given.
            options: `name`, `overlap` and `catch_up`.

        Raises:
            DefinitionError: what is not understood, and what is nearest to it.
        """
        handlers = [given for given in times if not isinstance(given, (str, time, int, float))]
        if len(handlers) > 1 or (handlers and handlers[0] is not times[-1]) or len(handlers) == len(times):
            raise DefinitionError(f"every {self._text}: .at(...) takes times of the day, and one handler after them")
        read = times[: len(times) - len(handlers)]
        schedule = phrases.parse(self._text, read, timezone or self._every.timezone)
        return Appointment(self._every.register, schedule)(*handlers, **options)

    def __call__(self, handler: Any = None, /, *, timezone: str | tzinfo | None = None, **options: Any) -> Any:
        """Register the handler, or give a decorator."""
        schedule = phrases.schedule_of(self._text, timezone or self._every.timezone)
        return Appointment(self._every.register, schedule)(handler, **options)

    def __repr__(self) -> str:
        return f"<{self.schedule}>"


class Count:
    """`every(15)`, waiting for its unit: seconds, minutes, hours, days or weeks."""

    __slots__ = ("_every", "_number")

    def __init__(self, every: Every, number: float) -> None:
        self._every = every
        self._number = number

    def __getattr__(self, unit: str) -> Phrase:
        if unit.startswith("_"):
            raise AttributeError(unit)
        return Phrase(self._every, f"{self._number} {unit}")

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise DefinitionError(f"every({self._number}) of what? Write every({self._number}).minutes, or another unit")

    def __repr__(self) -> str:
        return f"every({self._number})"


class Every:
    """`every`, of an application or of one entity.

    Args:
        register: is called with schedule, handler and name for each registration.
        timezone: for phrases that do not name one.
    """

    __slots__ = ("register", "timezone")

    def __init__(self, register: Register, *, timezone: str | tzinfo = "UTC") -> None:
        self.register = register
        self.timezone = timezone

    def __getattr__(self, word: str) -> Phrase:
        if word.startswith("_"):
            raise AttributeError(word)
        return Phrase(self, word)

    def __call__(self, what: float | str | timedelta, handler: Any = None, /, **options: Any) -> Any:
        """`every(15)`, `every("first monday")`, `every("15m")`, `every("0 9 * * *")`, `every(timedelta(minutes=15))`.

        A handler may follow, and the options of `.at`.
        """
        if isinstance(what, (int, float)) and not isinstance(what, bool):
            return Count(self, what)(handler, **options) if handler is not None or options else Count(self, what)
        if isinstance(what, timedelta):
            appointment: Any = Appointment(self.register, Interval(what))
        elif isinstance(what, str):
            appointment = Phrase(self, what)
        else:
            appointment = None
        if appointment is not None:
            return appointment(handler, **options) if handler is not None or options else appointment
        raise DefinitionError(f"every({what!r}): give a number, a phrase such as 'first monday', or write every.day.at('6pm')")

    def __dir__(self) -> list[str]:
        return [word for word in phrases.WORDS if word.isidentifier()]

    def __repr__(self) -> str:
        return "every"


def make_schedule(register: Register, *, default_timezone: str | tzinfo = "UTC") -> Callable[..., Any]:
    """The function `schedule(name, when, handler)` of who keeps the schedules."""

    def schedule(
        name: str,
        when: str | timedelta | Schedule,
        handler: Any = None,
        /,
        *,
        timezone: str | tzinfo | None = None,
        overlap: str = "skip",
        catch_up: str = "once",
    ) -> Any:
        """Run the handler, again and again, under a name; registering the name anew replaces what it was.

        Args:
            name: of the schedule.
            when: a cron expression, a phrase as after `every`, a timedelta, or a Schedule.
            handler: a function or a workflow; without it this is a decorator.
            timezone: an IANA name.
            overlap: "skip", "queue" or "allow" a time that comes while the last run still goes on.
            catch_up: "once", "all" or "none" of the times missed while nothing ran.
        """
        read = phrases.schedule_of(when, timezone or default_timezone)
        options = {"name": _check_name(name), "overlap": check_overlap(overlap), "catch_up": check_catch_up(catch_up)}
        return Appointment(register, read, **options)(handler)

    return schedule


def name_of(handler: Any, schedule: Schedule) -> str:
    """How a schedule is called that got no name: as its handler is.

    The method of one entity is named with that. A lambda has no name of its own, and several of them may stand in one method; its name is the schedule's too.
    """
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(handler, Promise):
        return f"{handler._do_name_} of {handler._do_target[1]}"
    name = getattr(handler, "__qualname__", None) or getattr(handler, "name", None)
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"{handler!r} has no name: give the schedule one, as name='daily-report'")
    return f"{name} {schedule}" if name.endswith("<lambda>") else name


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise DefinitionError(f"the name of a schedule is text of 1 to {NAME_CHARACTERS_MAX} characters, not {name!r}")
    return name


def _check_handler(handler: Any) -> None:
    if hasattr(handler, "cr_frame"):
        handler.close()
        raise DefinitionError(f"{handler.__qualname__}(...) was called: give the schedule the function itself, without calling it")
    if not callable(handler) and not hasattr(handler, "execute"):
        raise DefinitionError(f"{handler!r} cannot be scheduled: give a function or a workflow")
