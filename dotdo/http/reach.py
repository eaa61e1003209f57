"""What can be reached from outside: public nouns and their public members.

The runtime's own nouns (those defined inside `dotdo`, but for the ready-made ones in `dotdo.actors`) are no more there,
seen from a door, than a noun that does not exist. What is public about a noun is what its class says
(`dotdo.entity.noun.Members`): no underscore, no hook, no name of the runtime.
"""

from __future__ import annotations

from typing import Any

from dotdo.entity.noun import Member, NounSpec
from dotdo.errors import NounNotLoadable
from dotdo.hosting import catalog
from dotdo.http.problems import Problem

OWN_PREFIX = "Dotdo"
NAME_LENGTH_MAX = 100


def is_public(noun: str) -> bool:
    """True for a noun that may be named from outside."""
    return _find(noun) is not None


def nouns() -> dict[str, NounSpec]:
    """Every public noun known here, by name."""
    return {name: spec for name, spec in sorted(catalog.known().items()) if _is_public(spec)}


def noun_of(name: str) -> NounSpec:
    """The public noun of this name. Raises Problem (404)."""
    spec = _find(name)
    if spec is None:
        raise Problem(404, "no_such_noun", f"there is no noun {name[:NAME_LENGTH_MAX]!r}")
    return spec


def member_of(spec: NounSpec, name: str) -> Member:
    """A public member of a noun. Raises Problem (404) that does not say what else there is."""
    member = spec.members.get(name)
    if member is None:
        raise Problem(404, "no_such_member", f"{spec.noun} has no public method or field {name[:NAME_LENGTH_MAX]!r}")
    return member


def check_path(path: list[Any]) -> None:
    """Raise Problem (404) for a path with a name that nothing public has: `_x`, or the runtime's own `!`."""
    for name in path:
        if isinstance(name, str) and (not name or name[0] in "_!"):
            raise Problem(404, "no_such_member", f"{name[:NAME_LENGTH_MAX]!r} is private")


def _find(name: str) -> NounSpec | None:
    if not name[:1].isupper() or len(name) > NAME_LENGTH_MAX or name.startswith(OWN_PREFIX):
        return None
    spec = catalog.find(name)
    if spec is None:
        try:
            spec = catalog.lookup(name)
        except NounNotLoadable:
            return None
    return spec if _is_public(spec) else None


def _is_public(spec: NounSpec) -> bool:
    module = spec.cls.__module__
    is_own = module.startswith("dotdo.") and not module.startswith("dotdo.actors")
    return not is_own and not spec.noun.startswith(OWN_PREFIX)
