"""What layers above `DO` bring to `self`: approvals, cascades.

`DO` cannot import them, and they need `DO` for nouns of their own. So each layer says here, when it is imported, what
answers which attribute of an entity; `DO` asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotdo.durable_object.do import DO

_makers: dict[str, Callable[[DO], Any]] = {}


def provide(name: str, make: Callable[[DO], Any]) -> None:
    """Let `make(entity)` answer `entity.<name>`."""
    _makers[name] = make


def of(entity: DO, name: str) -> Any:
    """The capability of this name, for this entity. Raises AttributeError if no layer provides it."""
    make = _makers.get(name)
    if make is None:
        raise AttributeError(f"no part of dotdo that is imported here provides self.{name}")
    return make(entity)
