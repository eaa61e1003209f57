"""Durations as users write them: seconds as a number, a timedelta, or text such as "500ms", "30s", "2h", "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from dotdo.errors import BadDuration

Duration = float | int | str | timedelta

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")


def seconds(value: Duration) -> float:
    """The duration in seconds, 0 or more. Raises BadDuration."""
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, bool):
        raise BadDuration(f"{value!r} is not a duration")
    elif isinstance(value, (int, float)):
        result = float(value)
    elif isinstance(value, str):
        result = _parse(value)
    else:
        raise BadDuration(f"{value!r} is not a duration: give seconds, a timedelta, or text such as '30s' or '2h'")
    if not math.isfinite(result) or result < 0:
        raise BadDuration(f"{value!r} is not a duration: it must be finite and not negative")
    return result


def _parse(text: str) -> float:
    stripped = text.strip()
    total, end = 0.0, 0
    for match in _PART.finditer(stripped):
        if stripped[end : match.start()].strip():
            break
        total += float(match[1]) * _UNIT_SECONDS[match[2]]
        end = match.end()
    if not stripped or end != len(stripped):
        raise BadDuration(f"{text!r} is not a duration: use a number and one of ms, s, m, h, d, w, as in '30s' or '1h30m'")
    return total
