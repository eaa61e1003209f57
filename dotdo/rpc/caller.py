"""Who sends what user code records: the client outside entities, the entity itself inside.

A context variable says which. Every task of an entity carries its entity's caller; code anywhere else falls back to the
default, which the application provides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Protocol

from dotdo.errors import DotdoError
from dotdo.rpc.node import Node


class Caller(Protocol):
    """Takes recorded calls and gives their values."""

    def record(self, node: Node) -> None:
        """A call was made: it goes, whether or not anybody awaits it."""

    def pull(self, node: Node) -> Awaitable[Any]:
        """Somebody awaits the node's value."""

    def result(self, node: Node, timeout_s: float | None) -> Any:
        """The node's value for code without a loop; blocks."""


CALLER: ContextVar[Caller | None] = ContextVar("dotdo_caller", default=None)

_default: Callable[[], Caller] | None = None


def set_default(provider: Callable[[], Caller] | None) -> None:
    """Who gives the caller for code outside entities."""
    global _default
    _default = provider


def current() -> Caller:
    """The caller for the code that runs now."""
    caller = CALLER.get()
    if caller is not None:
        return caller
    if _default is None:
        raise DotdoError("no runtime is running here: call dotdo.init() first")
    return _default()
