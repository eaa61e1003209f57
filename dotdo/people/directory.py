"""Who holds a role: the user's answer, found again in every host.

    @dotdo.directory                                     dotdo.init(env={"directory": {"manager": ["ann"]}})
    async def holders(role: str) -> list[str]: ...

A function that is declared travels as handlers do: by its module's name, or by value from a script, and is kept in the
data folder; so a host that starts again finds it. A mapping or a function in `env` is given anew with each `init`. Without
either, and for names it does not know, a name stands for itself: `by="manager"` decides for `"manager"`, and for
`N.Role.manager`, which is the same role.

The directory is asked when somebody acts and when somebody looks into an inbox, not when an approval is made: who has left
a role since may not decide any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dotdo.errors import DefinitionError
from dotdo.events.registry import function_name
from dotdo.hosting import catalog

KEY = "directory"
"""What `env` calls it."""

ROLE = "Role."

_name: str | None = None


def directory(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Let `fn(role)` say who holds a role: names, or None for what is no role. May be async; the last one declared counts."""
    global _name
    _name = function_name(fn)
    catalog.register_function(_name, fn)
    return fn


def forget() -> str | None:
    """Have no directory any more (tests); the name of the one there was."""
    global _name
    before, _name = _name, None
    return before


async def holders(role: str, env: Any) -> list[str] | None:
    """Who holds `role` now; None if it is no role, but a name that stands for itself.

    Raises DefinitionError if the directory answers something else than names.
    """
    source = _declared() or _given(env)
    if source is None:
        return None
    if isinstance(source, Mapping):
        found = source.get(role, source.get(role.removeprefix(ROLE)))
    else:
        found = source(role)
        if inspect.isawaitable(found):
            found = await found
    if found is None:
        return None
    names = [found] if isinstance(found, str) else found
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in names):
        raise DefinitionError(f"the directory says {found!r} for {role!r}: it gives a list of names, or None for what is no role")
    return list(names)


async def is_one_of(person: str, assignee: str | None, env: Any) -> bool:
    """True if `person` is, or holds, `assignee`; nobody in particular is everybody."""
    if assignee is None:
        return True
    return is_meant(person, assignee, await holders(assignee, env))


def is_meant(person: str, assignee: str, holders: list[str] | None) -> bool:
    """True if `person` is one of the holders of `assignee`, or, if there are none to ask for, of that name."""
    return person in spellings(assignee) if holders is None else person in holders


def spellings(name: str) -> tuple[str, str]:
    """A role with and without its `Role.`; who stands for itself is found under both."""
    bare = name.removeprefix(ROLE)
    return bare, ROLE + bare


def _declared() -> Callable[..., Any] | None:
    catalog.load_shipped()  # a host that has run nothing of the program so far does not know what it declares
    return catalog.find_function(_name) if _name is not None else None


def _given(env: Any) -> Any:
    found = env.get(KEY) if isinstance(env, Mapping) else getattr(env, KEY, None)
    if found is not None and not isinstance(found, Mapping) and not callable(found):
        raise DefinitionError(f"env[{KEY!r}] is {found!r}: give a mapping of roles to names, or a function of the role")
    return found


def _receive(name: str | None) -> None:
    global _name
    if name is not None:
        _name = name


def _ship() -> str | None:
    return _name if _name is not None and _name.startswith("__main__:") else None


catalog.ship_also("directory", _ship, _receive)
