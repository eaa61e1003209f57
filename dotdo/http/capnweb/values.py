"""Python values as Cap'n Web writes them: JSON, with arrays that begin with a name for what JSON lacks.

An array of values is an array in an array. What JavaScript has no class for goes as pydantic writes it in JSON. Whole
numbers that a JavaScript number cannot hold are bigints.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import pydantic
from pydantic_core import to_jsonable_python

from dotdo import clock
from dotdo.durable.handle import Execution
from dotdo.errors import CodecError
from dotdo.http import answers
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem, code_of, is_retryable, name_of, status_of, text_of
from dotdo.nouns.connections import ClientObject
from dotdo.rpc.stub import Stub

SAFE_INTEGER_MAX = 2**53 - 1
_INVISIBLE = frozenset({"name", "message", "stack"})


class Malformed(Exception):
    """A message that breaks the protocol: the connection ends."""


Export = Callable[[Any], list[Any]]
"""How a stub, or an object of a client, is written: ["export", id] or ["import", id]."""


def write(value: Any, export: Export, depth: int) -> Any:
    """The expression of a value. Raises CodecError for what is nested deeper than `depth`."""
    if depth <= 0:
        raise CodecError("the value is nested too deeply for a client")
    if value is None or (isinstance(value, (bool, str)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return write(value.value, export, depth)
    if isinstance(value, int):
        return int(value) if -SAFE_INTEGER_MAX <= value <= SAFE_INTEGER_MAX else ["bigint", str(int(value))]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else ["nan"] if math.isnan(value) else ["inf"] if value > 0 else ["-inf"]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return ["bytes", base64.b64encode(bytes(value)).decode().rstrip("=")]
    if isinstance(value, datetime):
        return ["date", clock.to_epoch(value if value.tzinfo is not None else value.replace(tzinfo=UTC)) * 1000.0]
    if isinstance(value, (Stub, ClientObject)):
        return export(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [[write(part, export, depth - 1) for part in value]]
    if isinstance(value, BaseException):
        return write_error(value)
    fields = _fields(value)
    if fields is not None:
        return {str(key): write(part, export, depth - 1) for key, part in fields.items()}
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings", fallback=answers.plain)


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if isinstance(value, pydantic.BaseModel):
        computed = {name: getattr(value, name) for name in type(value).model_computed_fields}
        return {**{name: getattr(value, name) for name in type(value).model_fields}, **(value.model_extra or {}), **computed}
    if isinstance(value, Execution):
        return {"id": value.id}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def write_error(error: BaseException) -> list[Any]:
    """An error as the client sees it: its class's name, its message and its code; never a stack."""
    return [
        "error",
        name_of(error),
        text_of(error),
        None,
        {"code": code_of(error), "type": name_of(error), "retryable": is_retryable(error)},
    ]


def is_ours(error: BaseException) -> bool:
    """True for an error that says something to the client, False for a fault of the door."""
    return isinstance(error, Problem) or bool(getattr(error, "remote", False)) or status_of(error) != 500


def read_plain(kind: str, parts: list[Any], limits: Limits) -> Any:
    """The value of an array that begins with the name of a type; NotImplemented for one that is no plain value. Raises Malformed."""
    reader = _READERS.get(kind)
    if reader is None:
        return NotImplemented
    try:
        return reader(parts, limits)
    except (ValueError, TypeError, IndexError, OverflowError, KeyError) as error:
        raise Malformed(f"bad {kind} value: {type(error).__name__}") from None


def _bigint(parts: list[Any], limits: Limits) -> int:
    (text,) = parts
    if not isinstance(text, str) or len(text) > limits.bigint_digits_max or not text.removeprefix("-").isdecimal() or not text.isascii():
        raise ValueError
    return int(text)


def _date(parts: list[Any], _limits: Limits) -> datetime | None:
    (number,) = parts
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        raise TypeError
    return clock.to_datetime(number / 1000.0)


def _bytes(parts: list[Any], _limits: Limits) -> bytes:
    text = parts[0]
    if not isinstance(text, str) or len(parts) > 2:
        raise TypeError
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise ValueError from None


def _text(parts: list[Any], _limits: Limits) -> str:
    (text,) = parts
    if not isinstance(text, str):
        raise TypeError
    return text


def _headers(parts: list[Any], _limits: Limits) -> dict[str, str]:
    (pairs,) = parts
    if not all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair) for pair in pairs):
        raise TypeError
    return {name: value for name, value in pairs}


def _constant(value: Any) -> Callable[[list[Any], Limits], Any]:
    def read(parts: list[Any], _limits: Limits) -> Any:
        if parts:
            raise ValueError
        return value

    return read


_READERS: dict[str, Callable[[list[Any], Limits], Any]] = {
    "bigint": _bigint, "date": _date, "bytes": _bytes, "url": _text, "headers": _headers,
    "undefined": _constant(None), "inf": _constant(math.inf), "-inf": _constant(-math.inf), "nan": _constant(math.nan),
}  # fmt: skip
