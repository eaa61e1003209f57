"""`rt.events` and `rt.emails`: what a test's program has published, and the mails among it.

A mail is a command to `Email`, as `send.Email(to="ann@example.org", template="welcome")`. A test runtime takes every one of
them, whoever handles it and if nobody does; none leaves the machine.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import pydantic

from dotdo.documents.record import Record
from dotdo.events import names, registry, sending
from dotdo.events.event import Event
from dotdo.events.registry import Handler
from dotdo.events.tense import is_event
from dotdo.hosting import catalog

NOUN = "Email"


class Mail(Record):
    """One mail: a dict of what was sent, with its keys as attributes; `mail.event` is the event that asked for it."""

    __slots__ = ("event",)
    event: Event

    @classmethod
    def of(cls, event: Event, to: str | None) -> Mail:
        """The mail that an event asks for; a payload that is no mapping is under "data"."""
        data = event.data.model_dump() if isinstance(event.data, pydantic.BaseModel) else event.data
        mail = cls(data if isinstance(data, dict) else {"data": data})
        if to is not None:
            mail.setdefault("to", to)
        object.__setattr__(mail, "event", event)
        return mail


class Mailbox(Sequence[Mail]):
    """What was published while a runtime ran, each event once, in the order it was sent (if delayed, published).

    The logs of different names commit in any order, so that of the commits would say nothing. As a sequence it is its mails.
    """

    def __init__(self) -> None:
        self._published: list[tuple[int, Event, str | None]] = []
        self._numbers = itertools.count()
        self._sent: dict[str, int] = {}
        self._known: set[str] = set()

    @property
    def events(self) -> list[Event]:
        """All of it."""
        return [event for _, event, _ in self._published]

    @property
    def emails(self) -> list[Mail]:
        """The mails."""
        return [Mail.of(event, to) for _, event, to in self._published if event.noun == NOUN and not is_event(event.verb)]

    @overload
    def __getitem__(self, index: int) -> Mail: ...

    @overload
    def __getitem__(self, index: slice) -> list[Mail]: ...

    def __getitem__(self, index: int | slice) -> Mail | list[Mail]:
        return self.emails[index]

    def __len__(self) -> int:
        return len(self.emails)

    def __repr__(self) -> str:
        return f"<mailbox with {len(self)} mails, {len(self._published)} events>"

    def sent(self, event_id: str) -> None:
        """An event is on its way; a replay sends it again under the same id."""
        if event_id not in self._sent:
            self._sent[event_id] = next(self._numbers)

    def published(self, event: Event, to: str | None) -> None:
        """Whoever sends it, or its log, has committed an event."""
        if event.id in self._known:
            return
        self._known.add(event.id)
        number = self._sent[event.id] if event.id in self._sent else next(self._numbers)
        bisect.insort(self._published, (number, event, to), key=lambda published: published[0])

    def clear(self) -> None:
        """Forget everything."""
        self._published.clear()
        self._sent.clear()
        self._known.clear()


def take(_mail: Any) -> None:
    """Whoever awaits a mail that the program itself does not handle gets its answer from here."""


@contextmanager
def watching(mailbox: Mailbox) -> Iterator[None]:
    """In this block the mailbox sees what is sent, and mails that nobody handles are taken."""
    name = registry.function_name(take)
    catalog.register_function(name, take)
    handlers = [Handler(str(names.parse_event(f"{NOUN}.{verb}")), name, module=__name__, is_default=True) for verb in ("send", "schedule")]
    for handler in handlers:
        registry.add_handler(handler)
    sending.watchers.append(mailbox)
    try:
        yield
    finally:
        sending.watchers.remove(mailbox)
        for handler in handlers:
            registry.discard_handler(handler)
