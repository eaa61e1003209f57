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
from typing import TYPE_CHECKING, Any, TypeVar, overload

from dotdo.errors import DefinitionError
from dotdo.events import names, registry
from dotdo.events.names import EventName

if TYPE_CHECKING:
    from dotdo.events.subscriptions import Subscription

Handler = TypeVar("Handler", bound=Callable[..., Any])
Register = Callable[[str, Any, str | None], Any]
Names = str | EventName | Iterable[str | EventName]


class _Named:
    """The name of an event that waits for its handler."""

    __slots__ = ("_key", "_patterns", "_register")

    def __init__(self, register: Register, patterns: tuple[str, ...], key: str | None = None) -> None:
        self._register = register
        self._patterns = patterns
        self._key = key

    def _take(self, handler: Any, key: str | None) -> Any:
        if not callable(handler):
            raise DefinitionError(f"on {', '.join(self._patterns)}: {handler!r} is not a function or a method")
        key = self._key if key is None else key
        if key is not None and (not isinstance(key, str) or not key):
            raise DefinitionError(f"on {', '.join(self._patterns)}: key= is the name of a field of the payload, not {key!r}")
        result: Any = None
        for pattern in self._patterns:
            if names.is_signal(pattern) and "*" not in pattern:
                raise DefinitionError(f"on.{pattern} names no verb: write on.{pattern}.created, or on.{pattern}['*'] for all of them")
            result = self._register(pattern, handler, key)
        return handler if result is None else result

    def _of_verb(self, verb: str) -> str:
        (pattern,) = self._patterns
        noun = "*" if pattern == "any" else pattern
        return str(names.parse(f"{noun}.{verb}"))

    def __repr__(self) -> str:
        return f"on({', '.join(self._patterns)})"


class Declaring(_Named):
    """`on.Order.created` in a module or a class: takes a function and gives it back."""

    __slots__ = ()

    @overload
    def __call__(self, handler: Handler, /, *, key: str | None = None) -> Handler: ...
    @overload
    def __call__(self, /, *, key: str) -> Declaring: ...
    def __call__(self, handler: Any = None, /, *, key: str | None = None) -> Any:
        """Register the handler, or, with only keywords, give a decorator."""
        return Declaring(self._register, self._patterns, key) if handler is None else self._take(handler, key)

    def __getattr__(self, verb: str) -> Declaring:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return self[verb]

    def __getitem__(self, verb: str) -> Declaring:
        return Declaring(self._register, (self._of_verb(verb),), self._key)


class Subscribing(_Named):
    """`self.on.Order.created` in an entity: takes a method of it and gives the subscription."""

    __slots__ = ()

    def __call__(self, handler: Callable[..., Any], /, *, key: str | None = None) -> Subscription:
        """This method gets these events from now on."""
        return self._take(handler, key)  # type: ignore[no-any-return]

    def __getattr__(self, verb: str) -> Subscribing:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return self[verb]

    def __getitem__(self, verb: str) -> Subscribing:
        return Subscribing(self._register, (self._of_verb(verb),), self._key)


class On:
    """`on`, of a program."""

    __slots__ = ("_register",)

    def __init__(self, register: Register) -> None:
        self._register = register

    @overload
    def __call__(self, what: Names, handler: Handler, /, *, key: str | None = None) -> Handler: ...
    @overload
    def __call__(self, what: Names, /, *, key: str | None = None) -> Declaring: ...
    def __call__(self, what: Names, handler: Any = None, /, *, key: str | None = None) -> Any:
        """By name, or by a list of names."""
        declaring = Declaring(self._register, _patterns_of(what), key)
        return declaring if handler is None else declaring(handler)

    def __getattr__(self, noun: str) -> Declaring:
        if noun.startswith("_"):
            raise AttributeError(noun)
        return Declaring(self._register, (noun,))

    def __getitem__(self, noun: str) -> Declaring:
        return Declaring(self._register, (str(noun),))

    def __repr__(self) -> str:
        return "on"


class OnEntity:
    """`self.on`, of one entity."""

    __slots__ = ("_register",)

    def __init__(self, register: Register) -> None:
        self._register = register

    @overload
    def __call__(self, what: Names, handler: Callable[..., Any], /) -> Subscription: ...
    @overload
    def __call__(self, what: Names, /) -> Subscribing: ...
    def __call__(self, what: Names, handler: Any = None, /) -> Any:
        """By name, or by a list of names."""
        subscribing = Subscribing(self._register, _patterns_of(what))
        return subscribing if handler is None else subscribing(handler)

    def __getattr__(self, noun: str) -> Subscribing:
        if noun.startswith("_"):
            raise AttributeError(noun)
        return Subscribing(self._register, (noun,))

    def __getitem__(self, noun: str) -> Subscribing:
        return Subscribing(self._register, (str(noun),))

    def __repr__(self) -> str:
        return "self.on"


def _patterns_of(what: Names) -> tuple[str, ...]:
    wanted = [what] if isinstance(what, (str, EventName)) else list(what)
    return tuple(str(names.parse(name)) for name in wanted)


def _declare(pattern: str, handler: Any, key: str | None) -> None:
    if registry.is_method(handler):
        handler._do_on_ = [*getattr(handler, "_do_on_", ()), (pattern, key)]
    elif key is not None:
        raise DefinitionError(f"on {pattern}: key= says which entity a method belongs to; {handler.__qualname__} is a function")
    else:
        registry.add_function(pattern, handler)


on = On(_declare)
