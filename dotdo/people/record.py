"""What approvals and tasks have in common as values: attributes that are also items, and whatever else they were given.

A record travels as itself: handlers of events, waiting executions and lists get one. It is a copy, never the state; the
state is in the record's entity.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pydantic

from dotdo.errors import DefinitionError
from dotdo.people.entry import ENTRIES_MAX, Entry


class Record(pydantic.BaseModel):
    """The base of `Approval` and `HumanTask`: whose noun keeps it, under which noun its events go, which inbox lists it."""

    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)

    NOUN: ClassVar[str]
    EVENTS: ClassVar[str]
    INDEX: ClassVar[str]

    id: str
    type: str
    title: str
    status: str = "pending"
    assignee: str | None = None
    priority: str = "normal"
    requested_by: str | None = None
    created_at: datetime
    history: list[Entry] = []
    version: int = 0

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # what it was given besides

    def __getitem__(self, name: str) -> Any:
        """A record is read like a dict, too: event data usually is one."""
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in type(self).model_fields or name in (self.model_extra or {}) or self._is_property(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute of this name, or `default`."""
        try:
            return self[name]
        except KeyError:
            return default

    @classmethod
    def _is_property(cls, name: str) -> bool:
        return not name.startswith(("_", "model_")) and isinstance(getattr(cls, name, None), property)

    def note(self, at: datetime, what: str, by: str | None = None, **more: Any) -> None:
        """Write a line of the history; the record is a newer one then."""
        self.history.append(Entry(at=at, what=what, by=by, **more))
        self.version += 1

    @property
    def is_open(self) -> bool:
        """True while something can still be done with it."""
        raise NotImplementedError

    @property
    def has_room(self) -> bool:
        """False once the history is so long that only decisions are still written down."""
        return len(self.history) < ENTRIES_MAX

    def take(self, other: Record) -> None:
        """Become what `other` is: a handle learns what happened to its record."""
        for name in type(self).model_fields:
            setattr(self, name, getattr(other, name))
        object.__setattr__(self, "__pydantic_extra__", dict(other.model_extra or {}))


def check_extras(cls: type[Record], extras: Iterable[str]) -> None:
    """Raise DefinitionError for attributes that the record itself determines, or that would hide its methods."""
    for name in extras:
        if hasattr(cls, name) or name in cls.model_fields:
            raise DefinitionError(f"{name}= cannot be given: {cls.__name__}.{name} is the record's own; call it something else")
