"""Times of the day as people write them: "9am", "6:30 pm", "18:00", "noon", "midnight"."""

from __future__ import annotations

import re
from datetime import time

from dotdo.errors import DefinitionError

_NAMED = {"noon": time(12, 0), "midday": time(12, 0), "midnight": time(0, 0)}
_TWELVE = re.compile(r"(\d{1,2})(?::(\d\d))? ?([ap])\.?m\.?\Z", re.ASCII)
_TWENTY_FOUR = re.compile(r"(\d{1,2}):(\d\d)\Z", re.ASCII)


def parse_daytime(value: str | time) -> time:
    """The time of the day, to the minute. 12am is midnight, 12pm is noon. Raises DefinitionError."""
    if isinstance(value, time):
        return _checked(value)
    if not isinstance(value, str):
        raise DefinitionError(f"a time of the day is text such as '9am' or '18:00', not {value!r}")
    text = " ".join(value.lower().split())
    if text in _NAMED:
        return _NAMED[text]
    if match := _TWELVE.match(text):
        hour, minute = int(match[1]), int(match[2] or 0)
        if 1 <= hour <= 12 and minute <= 59:
            return time(hour % 12 + (12 if match[3] == "p" else 0), minute)
    elif match := _TWENTY_FOUR.match(text):
        hour, minute = int(match[1]), int(match[2])
        if hour <= 23 and minute <= 59:
            return time(hour, minute)
    raise DefinitionError(f"{value!r} is not a time of the day: {_way_out(text)}")


def _checked(value: time) -> time:
    if value.tzinfo is not None:
        raise DefinitionError(f"{value!r} has a time zone: give the zone to the schedule, as timezone='Europe/Paris'")
    if value.second or value.microsecond:
        raise DefinitionError(f"{value!r} has seconds: schedules are kept to the minute")
    return value


def _way_out(text: str) -> str:
    if text.isdecimal() and 1 <= int(text) <= 12:
        return f"say which one, '{int(text)}am' or '{int(text)}pm'"
    if text.isdecimal() and int(text) <= 23:
        return f"write '{int(text):02}:00'"
    if text == "24:00":
        return "the day ends where the next begins, at 'midnight'"
    if match := re.match(r"(1[3-9]|2[0-3])(:[0-5]\d)? ?[ap]m\Z", text, re.ASCII):
        return f"write '{match[1]}{match[2] or ':00'}'"
    return "write it as '9am', '6:30pm', '18:00', 'noon' or 'midnight'"
