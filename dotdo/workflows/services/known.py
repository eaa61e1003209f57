"""Where the function of a service's step is: registered in this program, or shipped by the one that registered it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
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
    catalog.register_function(_place(service_id, name), fn)


def find(service_id: str, name: str) -> Function:
    """The function, called with what it takes of what is offered to it. Raises DefinitionError."""
    try:
        fn = catalog.find_function(_place(service_id, name))
    except NounNotLoadable:
        raise DefinitionError(
            f"service {service_id!r}: no function is registered for {name!r} here; write @service.step({name!r}) above it"
        ) from None
    return _fitted(fn)


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
