"""Who handles what: the handlers that a program's code declares with `on`.

Functions go by `module:qualified name`, methods by their noun and name, so that a host that has loaded the same code finds
them again after any restart. What entities subscribe to while they run is not here but in their own rows.

Handlers belong to the module that declares them. An application may be limited to some modules, so that two programs
loaded side by side, as in tests, do not answer each other's events; and what a function declares while an application of a
test runs, goes with it (`enter`, `leave`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dotdo.entity.noun import NounSpec
from dotdo.errors import DefinitionError
from dotdo.events import names
from dotdo.hosting import catalog


@dataclass(frozen=True)
class Handler:
    """One declared handler: of a function (`noun` is ""), or of the method of a noun.

    A default is the runtime's own answer to a command: it stands aside as soon as a program handles that itself.
    """

    pattern: str
    name: str
    noun: str = ""
    key: str | None = None
    module: str = ""
    is_default: bool = False
    within: str = ""
    """Before the key in the entity's id, where one noun serves several programs' things (state machines)."""

    @property
    def id(self) -> str:
        return f"{self.noun}.{self.within}{self.name}" if self.noun else self.name

    @property
    def is_exact(self) -> bool:
        return not names.is_pattern(self.pattern)


_handlers: names.PatternIndex[Handler] = names.PatternIndex()
_modules: frozenset[str] | None = None


@dataclass(frozen=True, eq=False)
class Application:
    """What `leave` needs to undo an `enter`."""

    modules_before: frozenset[str] | None
    declared: list[Handler]
    """By functions, since it was entered."""


_applications: list[Application] = []


def enter(modules: Iterable[str] | None) -> Application:
    """From here to `leave`, only handlers of these modules are found (None: of all, or of those it was limited to)."""
    global _modules
    _applications.append(Application(_modules, []))
    _modules = _modules if modules is None else frozenset(modules)
    return _applications[-1]


def leave(application: Application) -> None:
    """End what `enter` began, and forget the handlers that functions declared meanwhile."""
    global _modules
    _modules = application.modules_before
    _applications.remove(application)
    for handler in application.declared:
        _handlers.discard(handler.pattern, handler)


def use_modules(modules: Iterable[str] | None) -> frozenset[str] | None:
    """Limit the application that runs (None: no limit); what it was limited to before."""
    global _modules
    before, _modules = _modules, None if modules is None else frozenset(modules)
    return before


def _takes_part(module: str) -> bool:
    return _modules is None or module in _modules or module.startswith("dotdo.")


def _add(handler: Handler, declared_by: str) -> None:
    if _applications and "<locals>" in declared_by:
        _applications[-1].declared.append(handler)
    _handlers.add(handler.pattern, handler)


def function_name(fn: Callable[..., Any]) -> str:
    """How a function is found again. Raises DefinitionError for what has no name."""
    qualified = getattr(fn, "__qualname__", "")
    if not qualified or "<lambda>" in qualified:
        raise DefinitionError("a handler needs a name, so that it is found again after a restart: define a function with `def`")
    return f"{fn.__module__}:{qualified}"


def is_method(fn: Callable[..., Any]) -> bool:
    """True for a function that stands in a class, by its qualified name."""
    parts = getattr(fn, "__qualname__", "").split(".")
    return len(parts) > 1 and parts[-2] != "<locals>"


def add_function(pattern: str, fn: Callable[..., Any], *, is_default: bool = False) -> None:
    """Let a function handle what matches the pattern."""
    name = function_name(fn)
    catalog.register_function(name, fn)
    _add(Handler(pattern, name, module=fn.__module__, is_default=is_default), fn.__qualname__)


def add_noun(spec: NounSpec) -> None:
    """Take the handlers that a noun's class declares, in place of those it declared before."""
    for pattern in _handlers.patterns():
        for handler in _handlers.registered(pattern):
            if handler.noun == spec.noun:
                _handlers.discard(pattern, handler)
    for name in dir(spec.cls):
        for pattern, key in getattr(getattr(spec.cls, name, None), "_do_on_", ()):
            _add(Handler(pattern, name, spec.noun, key, spec.cls.__module__), spec.cls.__qualname__)


def add_handler(handler: Handler) -> None:
    """Let an entity of a noun of the runtime handle what matches the pattern."""
    _handlers.add(handler.pattern, handler)


def discard_handler(handler: Handler) -> None:
    """Take a handler back."""
    _handlers.discard(handler.pattern, handler)


def handlers_of(event: str) -> list[Handler]:
    """The declared handlers of an event, each once: exact ones in the order they were declared, then those of patterns."""
    found: dict[str, Handler] = {}
    for handler in _handlers.matching(event):
        if _takes_part(handler.module):
            found.setdefault(handler.id, handler)
    return list(found.values())


def command_noun(name: str) -> NounSpec | None:
    """The noun whose public method a command names, as `Payment.process`; None if there is none."""
    noun, verb, _ = names.split(name)
    spec = catalog.find(noun)
    if spec is None or not _takes_part(spec.cls.__module__):
        return None
    member = spec.members.get(verb) if verb else None
    return spec if member is not None and member.kind == "method" else None


def _ship() -> list[Handler]:
    """The handlers of `__main__`, for hosts, in the order they were declared."""
    return [h for pattern in _handlers.patterns() for h in _handlers.registered(pattern) if h.module == "__main__"]


def _receive(shipped: list[Handler]) -> None:
    for handler in shipped:
        _handlers.discard(handler.pattern, handler)
        _handlers.add(handler.pattern, handler)


def _forget(name: str) -> None:
    """A function is gone, or the class of a noun (`Noun.`) is replaced: what it declared no longer counts."""
    for pattern in _handlers.patterns():
        for handler in _handlers.registered(pattern):
            if handler.name == name if not handler.noun else f"{handler.noun}." == name:
                _handlers.discard(pattern, handler)


catalog.ship_also("handlers", _ship, _receive)
catalog.on_forgotten(_forget)
