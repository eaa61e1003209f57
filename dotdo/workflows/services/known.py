"""Where the function of a service's step is: registered in this program, or found as the one that registered it said.

Functions of a script or a notebook travel by value, as its nouns do. For those of importable modules the service keeps
where they are, `module:name`, so that a host finds one that was registered inside a `main()` it never runs. What is defined
within another function of an importable module cannot be found from outside.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dotdo.errors import DefinitionError, NounNotLoadable
from dotdo.hosting import catalog
from dotdo.workflows.course import plain

Function = Callable[..., Any]


def register(service_id: str, name: str, fn: Function) -> None:
    """Let requests of the service find the function of the step, or of the compensating action, `name`."""
    if not callable(fn):
        raise DefinitionError(f"step {name!r}: {fn!r} is not a function")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise DefinitionError(f"step {name!r}: its function is a generator: return a list")
    if not isinstance(getattr(fn, "__module__", None), str):
        raise DefinitionError(f"step {name!r}: {fn!r} belongs to no module, so no host could find it: define a function with `def`")
    catalog.register_function(_place(service_id, name), fn)


def find(service_id: str, name: str, places: Mapping[str, str]) -> Function:
    """The function, called with what it takes of what is offered to it; one that raises DefinitionError if there is none."""
    try:
        return _fitted(catalog.find_function(_place(service_id, name)))
    except NounNotLoadable:
        fn = _import(places.get(name, ""))
    return _missing(service_id, name) if fn is None else _fitted(fn)


def place_of(service_id: str, name: str) -> str | None:
    """Where the function registered here can be imported from, if it can."""
    try:
        fn = catalog.find_function(_place(service_id, name))
    except NounNotLoadable:
        return None
    place = f"{fn.__module__}:{getattr(fn, '__qualname__', '')}"
    return place if fn.__module__ != "__main__" and _import(place) is fn else None


def _import(place: str) -> Function | None:
    module, _, path = place.partition(":")
    if not module or not path or "<" in path:
        return None
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found if callable(found) else None


def _missing(service_id: str, name: str) -> Function:
    async def missing(*_offered: Any) -> None:
        raise DefinitionError(
            f"service {service_id!r}: no function is registered for {name!r} here; write @service.step({name!r}) above it"
        )

    return missing


def is_known(service_id: str, name: str) -> bool:
    """True if the function can be found here."""
    try:
        catalog.find_function(_place(service_id, name))
    except NounNotLoadable:
        return False
    return True


def forget(service_id: str, name: str) -> None:
    """Take a function out of the program (tests)."""
    catalog.forget_function(_place(service_id, name))


def _place(service_id: str, name: str) -> str:
    return f"service:{service_id}:{name}"


def _fitted(fn: Function) -> Function:
    takes = _takes(fn)

    @functools.wraps(fn)
    async def call(*offered: Any) -> Any:
        result = fn(*offered[:takes])
        if inspect.isawaitable(result):
            result = await result
        return plain(result)

    return call


def _takes(fn: Function) -> int:
    """How many of the arguments offered it takes: a step's function is called with (), (inputs) or (inputs, state)."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    return sum(parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters)
