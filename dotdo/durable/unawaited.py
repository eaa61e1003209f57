"""Calls nobody awaits whose method raised: the error is their outcome, and somebody should be able to see it.

Nobody is there to get it, and nothing tries again by itself, because the method has had its say. So the call becomes a
dead letter, in the commit that ends it, with its arguments and its error; a replayed letter calls the method again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import ports
from dotdo.durable.deliveries import DEAD_LETTERS

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run

FORM = "again"
"""The word of the handler in such a letter."""


class Again:
    """How a replayed letter is handled: its method is called with the arguments of the call."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def call(self, handler: str, event: Any) -> Any:
        args, kwargs = event.data
        return getattr(self._ledger.activation.instance, handler)(*args, **kwargs)

    def ended(self, event: Any, error: BaseException | None, *, is_final: bool) -> None:
        """Nothing is kept of it beside the letter."""


def bury(run: Run, error: BaseException) -> None:
    """Add the letter to the transaction of the turn that ends the call."""
    activation = run.activation
    noun, entity_id = activation.spec.noun, activation.id
    if noun == DEAD_LETTERS[0] or ports.call_as_event is None:
        return
    now = activation.host.clock.now()
    arguments: Any = codec.decode(run.payload) if run.payload is not None else [[], {}]
    event = ports.call_as_event(run.unique_id, f"{noun}.{run.method}", list(arguments), now)
    letter = {
        "noun": noun, "entity": entity_id, "handler": f"{FORM}:{run.method}", "line": f"{FORM} {run.unique_id}",
        "message": codec.encode(event), "error": f"{type(error).__name__}: {error}", "attempts": 1,
        "history": [[now, f"{type(error).__name__}: {error}"]], "at": now,
    }  # fmt: skip
    run.ledger.outbox.put(*DEAD_LETTERS, ["keep"], codec.encode([[letter], {}]), f"{run.unique_id}>letter")
