"""`Scheduled`: the handle of one schedule. It is data: it can be kept in a field, sent, and used in another call."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotdo.durable.handle import control_call
from dotdo.names import split_key
from dotdo.rpc import caller as callers
from dotdo.rpc.stub import make_stub

if TYPE_CHECKING:
    from dotdo.schedules.agenda import Agenda

NAME = "agenda"
"""Of the component and of the control verb that keep the schedules of an entity."""


@dataclass(frozen=True)
class Scheduled:
    """One schedule of one entity, once or again and again. `await` it, outside entities, to know that it is safe."""

    entity: str
    name: str

    def cancel(self) -> Cancelling:
        """Take it back: what runs goes on, what waits does not start. Await it for whether there was anything to take back.

        In its own entity it is done with the commit of this turn, elsewhere with the commit it is awaited for.
        """
        agenda = own_agenda()
        if agenda is not None and agenda.key == self.entity:
            return Cancelling(agenda.cancel(self.name))
        return Cancelling(control_call(make_stub(*split_key(self.entity)), NAME, "cancel", self.name))

    def __await__(self) -> Generator[Any, None, Scheduled]:
        promise = self.__dict__.get("_promise")
        if promise is not None:
            yield from promise.__await__()
        return self


class Cancelling:
    """A cancellation under way. It happens, awaited or not."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: Any) -> None:
        self._outcome = outcome

    def __await__(self) -> Generator[Any, None, bool]:
        if isinstance(self._outcome, bool):
            return self._outcome
        return bool((yield from self._outcome.__await__()))


def with_promise(scheduled: Scheduled, promise: Any) -> Scheduled:
    """The handle, which waits for the promise when it is awaited."""
    object.__setattr__(scheduled, "_promise", promise)
    return scheduled


def own_agenda() -> Agenda | None:
    """The schedules of the entity whose turn runs; None outside entities."""
    ledger = getattr(callers.CALLER.get(), "ledger", None)
    return ledger.extensions[NAME] if ledger is not None and ledger.activation.turn is not None else None
