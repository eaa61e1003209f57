"""The words people and programs use for a decision, and the one that is kept.

Sources say `approve`, `approved` or True for the same thing. All are understood; `approved` and `rejected` are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dotdo import durations
from dotdo.errors import DefinitionError
from dotdo.events.names import EventName
from dotdo.rpc.stub import Stub

APPROVED = "approved"
REJECTED = "rejected"

PRIORITIES = ("low", "normal", "high", "critical")
"""Lowest first."""

NAME_CHARACTERS_MAX = 200

_SAME: Mapping[str, str] = {"approve": APPROVED, "approved": APPROVED, "reject": REJECTED, "rejected": REJECTED}


def canonical(decision: Any) -> Any:
    """A decision in the words that are kept; what is no synonym stays as it is."""
    return _SAME.get(decision.strip().lower(), decision) if isinstance(decision, str) else decision


def yes_or_no(decision: Any) -> str:
    """`approved` or `rejected`. Raises DefinitionError for anything that means neither."""
    if isinstance(decision, bool):
        return APPROVED if decision else REJECTED
    found = canonical(decision)
    if found not in (APPROVED, REJECTED):
        raise DefinitionError(f"{decision!r} is no decision: say 'approved' or 'rejected'")
    return str(found)


def name_of(who: Any, what: str) -> str:
    """A person's or a role's name as text: a string, N.Role.SalesTeam, or the key of an entity. Raises DefinitionError."""
    name = who.strip() if isinstance(who, str) else str(who) if isinstance(who, EventName) else who.key if isinstance(who, Stub) else None
    if not name:
        raise DefinitionError(f"{what}={who!r}: give the name of a person, or of a role as in N.Role.SalesTeam")
    if len(name) > NAME_CHARACTERS_MAX:
        raise DefinitionError(f"{what}: a name has at most {NAME_CHARACTERS_MAX} characters, this one {len(name)}")
    return str(name)


def priority_of(priority: Any) -> str:
    """A known priority. Raises DefinitionError."""
    if priority not in PRIORITIES:
        raise DefinitionError(f"priority={priority!r}: one of {', '.join(PRIORITIES)}")
    return str(priority)


def moment_of(when: datetime | durations.Duration | None, now: datetime, what: str) -> datetime | None:
    """An aware datetime, or a duration counted from now. Raises DefinitionError."""
    if when is None:
        return None
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise DefinitionError(f"{what}={when!r} has no time zone: give an aware datetime, as self.now() is, or a duration as '7d'")
        return when
    return now + timedelta(seconds=durations.seconds(when))
