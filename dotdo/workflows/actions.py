"""From the name of an action to the function behind it, and nothing else behind it.

A definition is data, perhaps from outside: the names in it may reach what the author of the class wrote as an action, a
binding of `env`, and `noop`. They reach no private name, no hook, nothing of `Workflow` or `DO` themselves.
"""

from __future__ import annotations

import difflib
import inspect
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

from dotdo.entity.noun import HOOKS

NOOP = "noop"


class NoSuchAction(LookupError):
    """No action goes by this name; the text says why."""


def find(entity: Any, base: type, name: str) -> Callable[..., Any]:
    """The bound function an action's name means. `base` and what it inherits are the runtime's. Raises NoSuchAction."""
    if name == NOOP and NOOP not in actions_of(type(entity), base):
        return _noop
    if "." in name:
        return _binding(entity, name)
    method = method_name(type(entity), base, name)
    bound: Callable[..., Any] = getattr(entity, method)
    return bound


async def _noop() -> None:
    """Do nothing."""


def actions_of(cls: type, base: type) -> dict[str, Any]:
    """The methods that may be actions, by name: public ones of the class and its mixins."""
    found: dict[str, Any] = {}
    for part in cls.__mro__:
        if part is base or part is object or issubclass(base, part):
            continue
        for name, member in vars(part).items():
            if not name.startswith("_") and name not in HOOKS and inspect.isfunction(member):
                found.setdefault(name, member)
    return found


def method_name(cls: type, base: type, name: str) -> str:
    """The method a name means: spelled as it is, or in camelCase. Raises NoSuchAction."""
    known = actions_of(cls, base)
    for spelled in (name, snake(name)):
        if spelled in known:
            _check_signature(name, known[spelled])
            return spelled
    if name.startswith("_"):
        raise NoSuchAction(f"{name!r} is private: an action is a public method")
    if any(hasattr(base, spelled) or spelled in HOOKS for spelled in (name, snake(name))):
        raise NoSuchAction(f"{name!r} is a name of the runtime: call your method something else")
    near = difflib.get_close_matches(snake(name), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"write `async def {snake(name)}(self, params, state)`"
    raise NoSuchAction(f"{cls.__name__} has no method {snake(name)!r} for the action {name!r}: {hint}")


def snake(name: str) -> str:
    """`validatePayment` as `validate_payment`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _check_signature(name: str, function: Any) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise NoSuchAction(f"the method of {name!r} is a generator: return a list")
    parameters = list(inspect.signature(function).parameters.values())[1:]
    required = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keywords = [p.name for p in parameters if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    if len(required) > 2 or keywords:
        more = ", ".join([p.name for p in required[2:]] + keywords)
        raise NoSuchAction(f"the method of {name!r} wants {more} too: an action is called with (), (params) or (params, state)")


def _binding(entity: Any, name: str) -> Callable[..., Any]:
    """`PAYMENTS.validate`: a function of what `init(env=...)` was given."""
    parts = name.split(".")
    value, path = entity.env, "env"
    for part in parts:
        if not part or part.startswith("_"):
            raise NoSuchAction(f"{name!r}: {part!r} is private")
        found = next((f for f in (_part(value, spelled) for spelled in (part, snake(part))) if f is not None), None)
        if found is None:
            raise NoSuchAction(f"{name!r}: {path} has no {part!r}; bindings are given as dotdo.init(env={{{parts[0]!r}: ...}})")
        value, path = found, f"{path}.{part}"
    if not callable(value):
        raise NoSuchAction(f"{name!r}: {path} is not a function")
    bound: Callable[..., Any] = value
    return bound


def _part(value: Any, name: str) -> Any:
    """A part of a binding; None if there is none that a definition may name.

    Nothing of plain data is, for the methods of a secret that is a text give it away; nor is a module that another one
    happens to import.
    """
    if isinstance(value, dict):
        return value.get(name)
    if type(value).__module__ == "builtins" and not isinstance(value, (type, types.ModuleType)):
        return None
    found = getattr(value, name, None)
    if isinstance(found, types.ModuleType) and not found.__name__.startswith(f"{getattr(value, '__name__', None)}."):
        return None
    return found


def arity(function: Callable[..., Any]) -> int:
    """How many of (params, state) an action takes: 0, 1 or 2. What does not say takes the params alone."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    return min(2, sum(_count(parameter) for parameter in parameters))


def _count(parameter: inspect.Parameter) -> int:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return 2
    return int(parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD))


def names_taken(cls: type, base: type) -> Iterator[str]:
    """Public names of the runtime that a class, or a mixin it brings, would put something else in the place of."""
    for part in cls.__mro__:
        if part is base or part is object or issubclass(base, part) or (issubclass(part, base) and part is not cls):
            continue
        for name in {**vars(part), **vars(part).get("__annotations__", {})}:
            if not name.startswith("_") and name not in HOOKS and name in vars(base):
                yield name
