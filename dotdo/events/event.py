"""An event as it travels: what happened, to what, when, and who said so."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dotdo import clock
from dotdo.durable import ports
from dotdo.events import names
from dotdo.rpc import caller as callers

ADDRESSES = ("to", "$id", "id")
"""The fields of a payload that say which entity it is for, first of them first."""


@dataclass(frozen=True)
class Event:
    """What a handler method gets; a handler function gets `data` alone.

    `source` is the key of the entity that sent it, "" for code outside entities. `data` is what the sender gave: one
    value, or a dict of its keywords. `at` is the sender's time, that of the log for code outside entities.
    """

    id: str
    name: str
    data: Any
    at: datetime | None
    source: str = ""
    is_keywords: bool = False
    has_data: bool = True
    via: tuple[str, ...] = field(default=(), repr=False)
    """The handlers that led to it, oldest first."""

    def arguments(self, method: Callable[..., Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How a noun's method is called with it: keywords as keywords, a payload as its one argument.

        Keywords that only say which entity it is for are left out, unless the method asks for them.
        """
        if not self.is_keywords:
            return (self.data,) if self.has_data else (), {}
        parameters = inspect.signature(method).parameters
        takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
        return (), {name: value for name, value in self.data.items() if takes_all or name in parameters or name not in ADDRESSES}

    @property
    def noun(self) -> str:
        return names.split(self.name)[0]

    @property
    def verb(self) -> str:
        return names.split(self.name)[1]

    @property
    def scope(self) -> str:
        """The id of the one entity it is about, "" if it is about none."""
        return names.split(self.name)[2]


def current_event() -> Event | None:
    """The event whose handler runs now; None outside handlers."""
    run = _current_run()
    return run.event if run is not None else None


def is_handled_here(event: Event) -> None:
    """The execution that runs is the handling of this event."""
    run = _current_run()
    if run is not None:
        run.event = event


def _call_as_event(call_id: str, name: str, arguments: Any, at: float) -> Event:
    return Event(call_id, name, arguments, clock.to_datetime(at))


ports.call_as_event = _call_as_event


def _current_run() -> Any:
    ledger = getattr(callers.CALLER.get(), "ledger", None)
    turn = ledger.activation.turn if ledger is not None else None
    return turn.task.run if turn is not None and turn.task is not None else None
