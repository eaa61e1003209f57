"""Which classes bytes may name.

A class travels as (module, qualified name). It is found in the table of registered classes first (those of a script's
`__main__`, shipped by value), then among modules that are imported already. Nothing is ever imported here.
"""

from __future__ import annotations

import dataclasses
import sys
from enum import Enum
from typing import Any

import pydantic

_registered: dict[tuple[str, str], type] = {}
_KINDS: dict[str, Any] = {}


def register_class(cls: type, module: str | None = None) -> None:
    """Let bytes name `cls`, also where its module is not imported under that name (scripts, notebooks)."""
    _registered[(module or cls.__module__, cls.__qualname__)] = cls


def registered_in(module: str) -> dict[str, type]:
    """The registered classes of a module, by name: what the type hints of its functions may mean."""
    return {name: cls for (its_module, name), cls in _registered.items() if its_module == module}


def name_of(cls: type) -> tuple[str, str]:
    """How a class is named in bytes."""
    return cls.__module__, cls.__qualname__


def find(module: str, qualname: str) -> Any:
    """The class of that name, or None."""
    found = _registered.get((module, qualname))
    if found is not None:
        return found
    if "<locals>" in qualname:
        return None
    target: Any = sys.modules.get(module)
    if target is None:
        return None
    for part in qualname.split("."):
        if part.startswith("__"):
            return None
        target = vars(target).get(part) if hasattr(target, "__dict__") else None
        if target is None:
            return None
    return target if isinstance(target, type) else None


def is_enum(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Enum)


def is_dataclass(cls: Any) -> bool:
    return isinstance(cls, type) and dataclasses.is_dataclass(cls)


def is_model(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, pydantic.BaseModel)


def is_error(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, BaseException)
