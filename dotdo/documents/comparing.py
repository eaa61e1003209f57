"""How values compare in SQL: the JSON that queries see of a document, and what a filter's value is bound as.

A document is kept twice: encoded, which is what `get` gives back, type for type; and as JSON made here, which only queries
see. In that JSON each kind of value has a range of its own in SQLite's order, so that a comparison finds values of its
kind and no others:

    numbers (Decimal too)            as they are; beyond 64 bits and in Decimals compared as doubles
    text                             as it is
    everything else that is one      text that begins with MARK and a letter for its kind, written so that texts sort as
                                     the values do: true, aware and naive times, dates, durations, UUIDs, bytes
    null, and no such field          NULL, before everything else

Text with the code points 0 and 1 is escaped (SQLite ends JSON text at 0); text that begins with MARK gets the lowest kind.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import pydantic

from dotdo.errors import QueryError
from dotdo.events.names import EventName
from dotdo.rpc.stub import Stub

MARK = "\U0010ffff"
AFTER_TEXT = MARK + '"'
"""Sorts after every text, before every marked value of another kind."""

_NOT_A_NUMBER = MARK + "n"
_INT64 = range(-(2**63), 2**63)
_MICROSECOND = timedelta(microseconds=1)
_DURATION_OFFSET = 10**20


def json_of(value: Any) -> str:
    """The JSON that queries see of a value."""
    return "".join(_pieces(value))


def _pieces(value: Any) -> Iterator[str]:
    if value is None:
        yield "null"
        return
    if is_object(value):
        yield "{"
        before = ""
        for name, inner in sorted(((n, v) for n, v in _fields(value) if isinstance(n, str)), key=lambda field: field[0]):
            yield f"{before}{_quoted(name)}:"
            yield from _pieces(inner)
            before = ","
        yield "}"
        return
    if isinstance(value, (list, tuple, set, frozenset)):
        yield "["
        before = ""
        for inner in value:
            yield before
            yield from _pieces(inner)
            before = ","
        yield "]"
        return
    yield _scalar_json(value) if is_scalar(value) else "null"


def is_object(value: Any) -> bool:
    """True for what has fields of its own."""
    return (
        isinstance(value, (Mapping, pydantic.BaseModel, BaseException))
        or (dataclasses.is_dataclass(value) and not isinstance(value, type))
    )  # fmt: skip


def _fields(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return iter(value.items())
    if isinstance(value, pydantic.BaseModel):
        return iter(value)
    if isinstance(value, BaseException):
        return iter({"type": type(value).__name__, "message": str(value)}.items())
    return ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))


def _quoted(text: str) -> str:
    return json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)


def _scalar_json(value: Any) -> str:
    key = key_of(value)
    return _quoted(key) if isinstance(key, str) else key.decode() if isinstance(key, bytes) else str(key)


def key_of(value: Any) -> str | int | bytes:
    """What stands for a scalar: text, an int of 64 bits, or a number as JSON text (bytes), which SQLite reads as a double.

    Raises QueryError for what has no place in a comparison.
    """
    if isinstance(value, Enum):
        return key_of(value.value) if is_scalar(value.value) else _marked("e", value.name)
    if isinstance(value, bool):
        return _marked("b", "1" if value else "0")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value) if value in _INT64 else str(int(value)).encode() if abs(value) < 10**300 else _infinite(value > 0)
    if isinstance(value, (float, Decimal)):
        return _number(value)
    for kind, write in _KINDS:
        if isinstance(value, kind):
            found: str = write(value)
            return found
    raise QueryError(f"a {type(value).__name__} cannot be compared: use text, numbers, times, UUIDs, bytes or true and false")


def is_scalar(value: Any) -> bool:
    """True for what `key_of` takes."""
    return isinstance(value, (str, int, float, Decimal, Enum)) or any(isinstance(value, kind) for kind, _ in _KINDS)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return _marked("s", value.encode("utf-8", "surrogatepass").hex())
    if "\x01" in value or "\x00" in value:
        value = value.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")
    return _marked("!", value) if value.startswith(MARK) else str(value)


def _number(value: float | Decimal) -> str | bytes:
    if isinstance(value, Decimal):
        if value.is_nan():
            return _NOT_A_NUMBER
        as_double = float(value)
        return _infinite(value > 0) if math.isinf(as_double) else str(value).encode()
    if math.isnan(value):
        return _NOT_A_NUMBER
    return _infinite(value > 0) if math.isinf(value) else repr(float(value)).encode()


def _infinite(is_positive: bool) -> bytes:
    return b"9e999" if is_positive else b"-9e999"


def _marked(kind: str, text: str) -> str:
    return f"{MARK}{kind}{text}"


def _datetime(value: datetime) -> str:
    if value.tzinfo is None:
        return _marked("l", value.isoformat(timespec="microseconds"))
    try:
        value = value.astimezone(UTC)
    except OverflowError:  # within a day of the first or the last year
        value = value.replace(tzinfo=UTC)
    return _marked("t", value.replace(tzinfo=None).isoformat(timespec="microseconds"))


_KINDS: tuple[tuple[type, Any], ...] = (
    (datetime, _datetime),
    (date, lambda v: _marked("d", v.isoformat())),
    (time, lambda v: _marked("h", v.isoformat(timespec="microseconds"))),
    (timedelta, lambda v: _marked("p", f"{v // _MICROSECOND + _DURATION_OFFSET:021d}")),
    (UUID, lambda v: _marked("u", v.hex)),
    (bytes, lambda v: _marked("x", v.hex())),
    (PurePath, lambda v: _text(str(v))),
    (Stub, lambda v: _marked("r", v.key)),
    (EventName, lambda v: _text(str(v))),
)


def range_of(key: str | int | bytes) -> tuple[str, str] | None:
    """The texts between which values of the same kind lie, or None for numbers."""
    if not isinstance(key, str):
        return None
    if key.startswith(MARK) and key[1:2] != "!":
        return key[:2], MARK + chr(ord(key[1]) + 1)
    return "", AFTER_TEXT
