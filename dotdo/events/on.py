"""`on`: let a function or a method handle events.

    @on.Order.created                           @on(N.Order.created)      @on("Order.created")
    async def fulfil(order): ...                on.Order.created(fulfil)

    class Fulfilment(DO):
        @on.Order.placed(key="order_id")
        async def placed(self, event): ...

A function runs durably with the payload, one execution per event. A method gets the event; which entity it is of, the key
says. A decorated function comes back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dotdo.errors import DefinitionError
from dotdo.events import names, registry
from dotdo.events.names import EventName


class Subscribing:
    """`on.Order.created`: waits for its handler."""

    __slots__ = ("_key", "_patterns", "_register")

    def __init__(self, register: Callable[[str, Any, str | None], Any], patterns: tuple[str, ...], key: str | None = None) -> None:
        self._register = register
        self._patterns = patterns
        self._key = key

    def __call__(self, handler: Any = None, /, *, key: str | None = None) -> Any:
        """Register the handler, or, with only keywords, give a decorator."""
        if handler is None:
            return Subscribing(self._register, self._patterns, key)
        if not callable(handler):
            raise DefinitionError(f"on {', '.join(self._patterns)}: {handler!r} is not a function or a method")
        for pattern in self._patterns:
            if names.is_signal(pattern) and "*" not in pattern:
                raise DefinitionError(f"on.{pattern} names no verb: write on.{pattern}.created, or on.{pattern}['*'] for all of them")
            result = self._register(pattern, handler, key or self._key)
        return handler if result is None else result

    def __getattr__(self, verb: str) -> Subscribing:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return self[verb]

    def __getitem__(self, verb: str) -> Subscribing:
        (pattern,) = self._patterns
        noun = "*" if pattern == "any" else pattern
        return Subscribing(self._register, (str(names.parse(f"{noun}.{verb}")),), self._key)

    def __repr__(self) -> str:
        return f"on({', '.join(self._patterns)})"


class On:
    """`on`, of a program or of one entity."""

    __slots__ = ("_register",)

    def __init__(self, register: Callable[[str, Any, str | None], Any]) -> None:
        self._register = register

    def __call__(self, what: str | EventName | Iterable[str | EventName], handler: Any = None, /, *, key: str | None = None) -> Any:
        """By name, or by a list of names."""
        wanted = [what] if isinstance(what, (str, EventName)) else list(what)
        subscribing = Subscribing(self._register, tuple(str(names.parse(name)) for name in wanted), key)
        return subscribing if handler is None else subscribing(handler)

    def __getattr__(self, noun: str) -> Subscribing:
        if noun.startswith("_"):
            raise AttributeError(noun)
        return Subscribing(self._register, (noun,))

    def __getitem__(self, noun: str) -> Subscribing:
        return Subscribing(self._register, (str(noun),))

    def __repr__(self) -> str:
        return "on"


def _declare(pattern: str, handler: Any, key: str | None) -> None:
    if registry.is_method(handler):
        handler._do_on_ = [*getattr(handler, "_do_on_", ()), (pattern, key)]
    elif key is not None:
        raise DefinitionError(f"on {pattern}: key= says which entity a method belongs to; {handler.__qualname__} is a function")
    else:
        registry.add_function(pattern, handler)


on = On(_declare)
