"""Walking a path over a value, beside the data.

Values are walked as data: keys of mappings first, then fields of models and dataclasses, then indexes. Nothing else of a
Python object can be reached, no method, no underscore. A stub in the way ends the walk; the rest of the path goes on to
the entity it names.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pydantic

from dotdo import codec
from dotdo.errors import NoSuchMember
from dotdo.rpc.stub import Stub


def walk(value: Any, path: list[Any] | tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """The value at the end of the path, or a stub (or a list to map) and the rest of the path. Raises NoSuchMember."""
    for position, op in enumerate(path):
        if isinstance(value, Stub) or (not isinstance(op, str) and op[0] == "m"):
            return value, list(path[position:])
        value = member(value, op) if isinstance(op, str) else index(value, codec.decode(op[1]))
    return value, []


def member(value: Any, name: str) -> Any:
    """A key or a field of a value."""
    if name.startswith("_"):
        raise NoSuchMember(f"{name!r} is private")
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
    elif isinstance(value, pydantic.BaseModel):
        if name in type(value).model_fields or name in type(value).model_computed_fields:
            return getattr(value, name)
        extra = value.__pydantic_extra__
        if extra and name in extra:
            return extra[name]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        if any(f.name == name for f in dataclasses.fields(value)):
            return getattr(value, name)
    raise NoSuchMember(f"a {type(value).__name__} has no key or field {name!r}; methods of plain values are not called remotely")


def index(value: Any, key: Any) -> Any:
    """An element of a mapping or a sequence."""
    if isinstance(value, (Mapping, list, tuple, str, bytes)):
        try:
            return value[key]
        except (KeyError, IndexError, TypeError) as error:
            raise NoSuchMember(f"no element {key!r} in this {type(value).__name__}: {type(error).__name__}") from None
    if isinstance(key, str):
        return member(value, key)
    raise NoSuchMember(f"a {type(value).__name__} cannot be indexed")
