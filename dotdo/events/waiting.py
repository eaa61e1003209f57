"""`wait_for`: for an event of any name, or for a signal to the execution, which is a bare word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import durations
from dotdo.durable import callbacks
from dotdo.durable.current import ledger_of
from dotdo.durable.event_waits import wait_for_event
from dotdo.durable.waits import NO_DEFAULT
from dotdo.errors import DefinitionError
from dotdo.events import names
from dotdo.events.names import EventName

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger


def wait(
    ledger: Ledger,
    name: str | EventName,
    match: dict[str, Any] | None,
    predicate: Callable[[Any], Any] | None,
    seconds: float | None,
    default: Any,
) -> Any:
    """The coroutine of a wait; its id is taken now. Raises DefinitionError."""
    text = str(names.parse_event(name))
    if names.is_signal(text):
        if match is not None or predicate is not None:
            raise DefinitionError(f"wait_for({text!r}): a signal comes to this execution alone; match= and filter= are for events")
        return callbacks.wait_for_signal(ledger, text, seconds, default)
    if match is not None and not (isinstance(match, dict) and all(isinstance(field, str) for field in match)):
        raise DefinitionError(f"wait_for({text!r}): match= is a dict of fields and values, not {match!r}")
    return wait_for_event(ledger, text, match=match, predicate=predicate, seconds=seconds, default=default)


def wait_for(
    name: str | EventName,
    *,
    match: dict[str, Any] | None = None,
    filter: Callable[[Any], Any] | None = None,
    timeout: durations.Duration | None = None,
    default: Any = NO_DEFAULT,
) -> Any:
    """As `self.wait_for`, in the execution that runs."""
    return wait(ledger_of("wait_for"), name, match, filter, None if timeout is None else durations.seconds(timeout), default)
