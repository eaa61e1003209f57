"""Encoding and decoding, and the table of extension types.

The extension codes are part of the file format: they are never reused for another meaning.
"""

from __future__ import annotations

import collections
import dataclasses
import pathlib
import threading
import traceback
import zoneinfo
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgpack
import pydantic
from pydantic_core import PydanticCustomError

from dotdo.codec import classes
from dotdo.errors import CodecError, DotdoError, RemoteError

DEPTH_MAX = 64
"""Containers within containers; deeper values are refused on both sides."""

_PLAIN_DEPTH_MAX = DEPTH_MAX + 2
"""Lists and dicts in one piece of msgpack: what a call takes stands in a list of arguments in a list."""

SIZE_BYTES_MAX = 32 * 1024 * 1024
"""One encoded value."""

TUPLE, SET, FROZENSET, INT, DATETIME, DATE, TIME, TIMEDELTA = 1, 2, 3, 4, 5, 6, 7, 8
UUID_, DECIMAL, ENUM, PATH, DATACLASS, MODEL, ERROR, ORDERED = 9, 10, 11, 12, 13, 14, 15, 16
STRANGE_TEXT = 17

_INT_BYTES_MAX = 1024 * 1024
_QUOTED_CHARACTERS_MAX = 200
_NOTE_ATTRIBUTE = "__notes__"

_extensions: dict[int, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {}
_local = threading.local()


def register_extension(code: int, cls: type, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
    """Let instances of `cls` travel as `pack(value)` under `code` (40 and up), rebuilt by `unpack`. Raises CodecError if the code is taken."""
    if code < 40 or code > 127:
        raise CodecError(f"extension code {code} is reserved: use 40 to 127")
    taken = _extensions.get(code, (cls,))[0]
    if taken.__qualname__ != cls.__qualname__:  # the same class again is a module that is loaded again
        raise CodecError(f"extension code {code} of {cls.__qualname__} belongs to {taken.__qualname__}: give it one of its own")
    _extensions[code] = (cls, pack, unpack)


def encode(value: Any) -> bytes:
    """The value as bytes. Raises CodecError naming the place in the value that cannot be encoded."""
    packer = getattr(_local, "packer", None)
    if packer is None:
        packer = _local.packer = msgpack.Packer(default=_pack, strict_types=True, use_bin_type=True, autoreset=True)
        _local.depth = 0
    elif _local.depth:
        return _encode_nested(value)
    _local.depth = 1
    try:
        data: bytes = packer.pack(value)
    except CodecError as error:
        _local.packer = None
        raise CodecError(f"{_where(value)}: {error}") from None
    except (ValueError, TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        _local.packer = None
        raise CodecError(f"{_where(value)}: {error}") from error
    finally:
        _local.depth = 0
    size = len(data)
    if size > _PLAIN_DEPTH_MAX and (size > _SHORT_BYTES_MAX or len(data.decode("latin-1").encode()) - size > _PLAIN_DEPTH_MAX):
        if size > SIZE_BYTES_MAX:
            raise CodecError(f"the value has {size} bytes, over the limit of {SIZE_BYTES_MAX}")
        _check_depth(data)
    return data


def _encode_nested(value: Any) -> bytes:
    if _local.depth >= DEPTH_MAX:
        raise CodecError(f"the value is nested deeper than {DEPTH_MAX}, or contains itself")
    _local.depth += 1
    try:
        packed: bytes = msgpack.packb(value, default=_pack, strict_types=True, use_bin_type=True)
        _check_depth(packed)
        return packed
    finally:
        _local.depth -= 1


def decode(data: bytes) -> Any:
    """The value of bytes made by `encode`. Raises CodecError for anything else."""
    size = len(data)
    if size > SIZE_BYTES_MAX:
        raise CodecError(f"{size} bytes are over the limit of {SIZE_BYTES_MAX}")
    try:
        value = msgpack.unpackb(data, ext_hook=_unpack, raw=False, strict_map_key=False, use_list=True)
        if size > _PLAIN_DEPTH_MAX and (size > _SHORT_BYTES_MAX or len(data.decode("latin-1").encode()) - size > _PLAIN_DEPTH_MAX):
            _check_depth(data)
        return value
    except CodecError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CodecError(f"these bytes are not a value: {type(error).__name__}: {error}") from error
    except msgpack.exceptions.UnpackException as error:
        raise CodecError(f"these bytes are not a value: {type(error).__name__}: {error}") from error


# msgpack bounds the nesting of lists and dicts only at 1,024, and a look at every part of a value would cost more than
# encoding it. But every container is at least one byte, its header, over 0x80: a value of few bytes, or with few that look
# like headers, cannot be deep. (For short values the fastest way to count bytes over 0x80 is what UTF-8 adds for them.) The
# others msgpack skips over, which is fast, behind so many more lists that its own bound falls on ours.
_SHORT_BYTES_MAX = 200
_NO_HEADERS = bytes(byte for byte in range(256) if not (0x81 <= byte <= 0x8F or 0x91 <= byte <= 0x9F or 0xDC <= byte <= 0xDF))
_LISTS_BEFORE = b"\x91" * (1024 - _PLAIN_DEPTH_MAX)
_HEADERS_COUNTED_BYTES_MAX = 4096
"""Longer values nearly always have more headers than that: they are skipped over at once."""


def _check_depth(data: bytes) -> None:
    """Raise CodecError if lists and dicts are nested too deep in these bytes."""
    if len(data) <= _PLAIN_DEPTH_MAX:
        return
    if len(data) <= _HEADERS_COUNTED_BYTES_MAX and len(data.translate(None, _NO_HEADERS)) <= _PLAIN_DEPTH_MAX:
        return
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + len(_LISTS_BEFORE))
    unpacker.feed(_LISTS_BEFORE)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except msgpack.StackError:
        raise CodecError(f"the value is nested deeper than {DEPTH_MAX}, or contains itself") from None


def copy(value: Any) -> Any:
    """A copy that shares nothing with `value`."""
    return decode(encode(value))


# -- packing ----------------------------------------------------------------------------------------------------


def _ext(code: int, inner: Any) -> msgpack.ExtType:
    return msgpack.ExtType(code, _encode_nested(inner))


def _pack(value: Any) -> Any:
    kind = type(value)
    packer = _PACKERS.get(kind)
    if packer is not None:
        return packer(value)
    for code, (cls, pack, _) in _extensions.items():
        if isinstance(value, cls):
            return _ext(code, pack(value))
    if isinstance(value, Enum):
        return _ext(ENUM, [*classes.name_of(kind), value.name])
    if isinstance(value, BaseException):
        return _ext(ERROR, _error_parts(value))
    if isinstance(value, pydantic.BaseModel):
        return _ext(MODEL, [*_named(kind), dict(value.__dict__), value.__pydantic_extra__, sorted(value.model_fields_set)])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if hasattr(value, f.name)}
        return _ext(DATACLASS, [*_named(kind), fields])
    if isinstance(value, pathlib.PurePath):
        return _ext(PATH, [isinstance(value, pathlib.Path), str(value)])
    if isinstance(value, str):
        return str(value) if kind is not str else _ext(STRANGE_TEXT, value.encode("utf-8", "surrogatepass"))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        raise CodecError(f"a named tuple ({kind.__name__}) cannot be encoded: use a dataclass")
    if isinstance(value, (int, float)) and kind not in (int, float):
        return int(value) if isinstance(value, int) else float(value)
    raise CodecError(f"a {kind.__module__}.{kind.__qualname__} cannot be encoded: use plain data, a dataclass or a pydantic model")


def _named(cls: type) -> tuple[str, str]:
    if "<locals>" in cls.__qualname__ and classes.find(*classes.name_of(cls)) is None:
        raise CodecError(f"{cls.__qualname__} is defined inside a function and cannot be found again: define it at module level")
    return classes.name_of(cls)


def _pack_int(value: int) -> Any:
    size = (value.bit_length() + 8) // 8
    if size > _INT_BYTES_MAX:
        raise CodecError(f"an int of {size} bytes is over the limit of {_INT_BYTES_MAX}")
    return msgpack.ExtType(INT, value.to_bytes(size, "big", signed=True))


def _zone(zone: Any) -> Any:
    if zone is None or zone is UTC:
        return None if zone is None else "UTC"
    if isinstance(zone, zoneinfo.ZoneInfo) and zone.key:
        return ["zone", zone.key]
    return None


def _zone_of(value: datetime | time) -> Any:
    zone = value.tzinfo
    named = _zone(zone)
    if named is not None or zone is None:
        return named
    offset = value.utcoffset()
    if offset is None:
        raise CodecError(f"the time zone {zone!r} has no fixed offset and no name")
    return offset.total_seconds()


def _zone_from(packed: Any) -> Any:
    if packed is None:
        return None
    if packed == "UTC":
        return UTC
    if isinstance(packed, list):
        try:
            return zoneinfo.ZoneInfo(str(packed[1]))
        except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:
            raise CodecError(f"unknown time zone {packed[1]!r}") from error
    return timezone(timedelta(seconds=float(packed)))


def _pack_datetime(value: datetime) -> Any:
    return _ext(DATETIME, [value.replace(tzinfo=None).isoformat(), _zone_of(value), value.fold])


def _pack_time(value: time) -> Any:
    return _ext(TIME, [value.replace(tzinfo=None).isoformat(), _zone_of(value), value.fold])


_PACKERS: dict[type, Callable[[Any], Any]] = {
    tuple: lambda v: _ext(TUPLE, list(v)),
    set: lambda v: _ext(SET, list(v)),
    frozenset: lambda v: _ext(FROZENSET, list(v)),
    int: _pack_int,
    datetime: _pack_datetime,
    date: lambda v: msgpack.ExtType(DATE, v.isoformat().encode()),
    time: _pack_time,
    timedelta: lambda v: _ext(TIMEDELTA, [v.days, v.seconds, v.microseconds]),
    UUID: lambda v: msgpack.ExtType(UUID_, v.bytes),
    Decimal: lambda v: msgpack.ExtType(DECIMAL, str(v).encode()),
    collections.OrderedDict: lambda v: _ext(ORDERED, [[k, x] for k, x in v.items()]),
    bytearray: bytes,
    memoryview: bytes,
}


def _is_short(value: object) -> bool:
    """True for what an error can quote wherever it goes."""
    return value is None or isinstance(value, (bool, float)) or (type(value) in (int, str) and len(str(value)) <= _QUOTED_CHARACTERS_MAX)


def _error_parts(error: BaseException, *, depth: int = 0) -> list[Any]:
    if isinstance(error, pydantic.ValidationError):
        details = [
            [e["type"], list(e["loc"]), e["msg"], [e["input"]] if _is_short(e["input"]) else []]
            for e in error.errors(include_url=False, include_context=False)
        ]
        return ["pydantic", "ValidationError", [error.title, details], {}, [], None, "", str(error)]
    attributes: dict[str, Any] = {}
    for name, value in vars(error).items():
        if name == _NOTE_ATTRIBUTE:
            continue
        try:
            _encode_nested(value)
        except (CodecError, ValueError, TypeError, OverflowError):
            attributes[name] = repr(value)
        else:
            attributes[name] = value
    if isinstance(error, OSError) and isinstance(error.filename, (str, bytes)):
        attributes["filename"] = error.filename  # neither among its args nor in its __dict__
    args = []
    for arg in error.args:
        try:
            _encode_nested(arg)
        except (CodecError, ValueError, TypeError, OverflowError):
            args.append(repr(arg))
        else:
            args.append(arg)
    cause = error.__cause__
    packed_cause = _error_parts(cause, depth=depth + 1) if cause is not None and depth < 8 else None
    notes = [str(note) for note in getattr(error, _NOTE_ATTRIBUTE, [])]
    trace = "".join(traceback.format_exception(error, chain=False)) if error.__traceback__ is not None else ""
    module, qualname = classes.name_of(type(error))
    return [module, qualname, args, attributes, notes, packed_cause, trace[-8000:], str(error)]


# -- unpacking --------------------------------------------------------------------------------------------------


def _nested(data: bytes) -> Any:
    depth = getattr(_local, "unpack_depth", 0)
    if depth >= DEPTH_MAX:
        raise CodecError(f"the value is nested deeper than {DEPTH_MAX}")
    _local.unpack_depth = depth + 1
    try:
        value = msgpack.unpackb(data, ext_hook=_unpack, raw=False, strict_map_key=False, use_list=True)
        _check_depth(data)
        return value
    finally:
        _local.unpack_depth = depth


def _unpack(code: int, data: bytes) -> Any:
    data = bytes(data)
    reader = _READERS.get(code)
    if reader is not None:
        return reader(data)
    extension = _extensions.get(code)
    if extension is not None:
        return extension[2](_nested(data))
    raise CodecError(f"unknown extension type {code}")


def _read_int(data: bytes) -> int:
    if len(data) > _INT_BYTES_MAX:
        raise CodecError("an int is too large")
    return int.from_bytes(data, "big", signed=True)


def _read_datetime(data: bytes) -> datetime:
    text, zone, fold = _nested(data)
    return datetime.fromisoformat(text).replace(tzinfo=_zone_from(zone), fold=fold)


def _read_time(data: bytes) -> time:
    text, zone, fold = _nested(data)
    return time.fromisoformat(text).replace(tzinfo=_zone_from(zone), fold=fold)


def _class(module: Any, qualname: Any, check: Callable[[Any], bool], what: str) -> Any:
    cls = classes.find(str(module), str(qualname))
    if not check(cls):
        raise CodecError(f"{what} {module}.{qualname} is not known here: import its module first")
    return cls


def _read_enum(data: bytes) -> Any:
    module, qualname, name = _nested(data)
    return _class(module, qualname, classes.is_enum, "the enum")[name]


def _read_dataclass(data: bytes) -> Any:
    module, qualname, values = _nested(data)
    cls = _class(module, qualname, classes.is_dataclass, "the dataclass")
    instance = object.__new__(cls)
    known = {f.name for f in dataclasses.fields(cls)}
    for name, value in values.items():
        if name in known:
            object.__setattr__(instance, name, value)
    for field in dataclasses.fields(cls):
        if field.name not in values:
            if field.default is not dataclasses.MISSING:
                object.__setattr__(instance, field.name, field.default)
            elif field.default_factory is not dataclasses.MISSING:
                object.__setattr__(instance, field.name, field.default_factory())
    return instance


def _read_model(data: bytes) -> Any:
    module, qualname, values, extra, fields_set = _nested(data)
    cls = _class(module, qualname, classes.is_model, "the model")
    missing = [n for n, f in cls.model_fields.items() if n not in values and f.is_required()]
    if missing:
        raise CodecError(f"a stored {qualname} has no value for {', '.join(missing)}")
    known = {n: v for n, v in values.items() if n in cls.model_fields}
    instance = cls.model_construct(_fields_set=set(fields_set), **known)
    if extra is not None:
        object.__setattr__(instance, "__pydantic_extra__", extra)
    return instance


def _read_error(data: bytes) -> BaseException:
    return _build_error(_nested(data))


def _new_error(cls: type[BaseException], args: list[Any]) -> BaseException:
    """An error with these args; only Python's own classes are called, a user's `__init__` is not run. Raises TypeError, ValueError."""
    if cls.__module__ == "builtins":
        try:
            return cls(*args)
        except TypeError:  # args that somebody changed after the error was made
            pass
    error = cls.__new__(cls, *args) if cls.__new__ is BaseException.__new__ or issubclass(cls, BaseExceptionGroup) else cls.__new__(cls)
    error.args = tuple(args)
    return error


def _build_error(parts: Any) -> BaseException:
    module, qualname, args, attributes, notes, cause, trace, text = parts
    cls = classes.find(str(module), str(qualname))
    error: BaseException
    if module == "pydantic" and qualname == "ValidationError":
        title, details = args
        inputs = [quoted[0] if quoted else [] for _, _, _, *quoted in details]
        return pydantic.ValidationError.from_exception_data(
            str(title),
            [
                {"type": PydanticCustomError(kind, "{text}", {"text": message}), "loc": tuple(place), "input": value[0] if value else None}
                for (kind, place, message, *_), value in zip(details, inputs, strict=True)
            ],
            hide_input=not all(inputs),
        )
    if not classes.is_error(cls) or not issubclass(cls, Exception):  # nobody else's SystemExit ends this process
        error = RemoteError(f"{qualname}: {text}", type_name=f"{module}.{qualname}")
    else:
        try:
            error = _new_error(cls, args)
        except (TypeError, ValueError):
            return RemoteError(f"{qualname}: {text}", type_name=f"{module}.{qualname}")
        if isinstance(attributes, dict):
            for name, value in attributes.items():
                if not str(name).startswith("__"):
                    try:
                        setattr(error, str(name), value)
                    except (AttributeError, TypeError):
                        continue
        if isinstance(error, OSError) and len(args) >= 2:
            error.errno, error.strerror = args[0], args[1]
    for note in notes:
        error.add_note(str(note))
    if trace and not isinstance(error, DotdoError) and not any(n.startswith("Remote traceback") for n in notes):
        error.add_note(f"Remote traceback:\n{trace}")
    if cause is not None:
        error.__cause__ = _build_error(cause)
    return error


def _read_path(data: bytes) -> Any:
    is_concrete, text = _nested(data)
    return pathlib.Path(text) if is_concrete else pathlib.PurePath(text)


_READERS: dict[int, Callable[[bytes], Any]] = {
    TUPLE: lambda d: tuple(_nested(d)),
    SET: lambda d: set(_nested(d)),
    FROZENSET: lambda d: frozenset(_nested(d)),
    INT: _read_int,
    DATETIME: _read_datetime,
    DATE: lambda d: date.fromisoformat(d.decode()),
    TIME: _read_time,
    TIMEDELTA: lambda d: timedelta(**dict(zip(("days", "seconds", "microseconds"), _nested(d), strict=True))),
    UUID_: lambda d: UUID(bytes=d),
    DECIMAL: lambda d: Decimal(d.decode()),
    ENUM: _read_enum,
    PATH: _read_path,
    DATACLASS: _read_dataclass,
    MODEL: _read_model,
    ERROR: _read_error,
    ORDERED: lambda d: collections.OrderedDict((k, v) for k, v in _nested(d)),
    STRANGE_TEXT: lambda d: d.decode("utf-8", "surrogatepass"),
}


# -- where it went wrong ----------------------------------------------------------------------------------------


def _where(value: Any) -> str:
    """The path to the first part of a value that cannot be encoded."""
    seen: set[int] = set()

    def look(part: Any, path: str, depth: int) -> str | None:
        if isinstance(part, (str, bytes, int, float, type(None))) and type(part) in (str, bytes, int, float, bool, type(None)):
            return None
        if id(part) in seen:
            return f"{path} (a cycle)"
        if depth > DEPTH_MAX:
            return path
        seen.add(id(part))
        try:
            for name, child in _parts(part):
                found = look(child, f"{path}{name}", depth + 1)
                if found is not None:
                    return found
        finally:
            seen.discard(id(part))
        try:
            msgpack.packb(part, default=_pack, strict_types=True)
        except Exception:  # this is the part we look for
            return path
        return None

    _local.depth = 1
    try:
        return look(value, "value", 0) or "value"
    except RecursionError:
        return "value"
    finally:
        _local.depth = 0


def _parts(part: Any) -> list[tuple[str, Any]]:
    if isinstance(part, dict):
        return [(f"[{k!r}]", v) for k, v in part.items()] + [(f"[key {k!r}]", k) for k in part]
    if isinstance(part, (list, tuple)):
        return [(f"[{i}]", v) for i, v in enumerate(part)]
    if isinstance(part, (set, frozenset)):
        return [(f"{{{v!r}}}", v) for v in part]
    if isinstance(part, pydantic.BaseModel) or (dataclasses.is_dataclass(part) and not isinstance(part, type)):
        return [(f".{k}", v) for k, v in vars(part).items()] if hasattr(part, "__dict__") else []
    return []
