"""The control verb `sql`: an operator reads an entity's own tables, from outside.

It waits until no turn runs, so it sees what is committed and nothing half done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.storage import reading

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

NAME = "sql"


def answer(ledger: Ledger, call: IncomingCall, query: str) -> None:
    """Answer with columns and rows. The error of a statement that is wrong, or that does not only read, is the answer too."""

    def read() -> Callable[[], None]:
        try:
            found: Any = reading.read(ledger.activation.file, query)
        except Exception as error:  # whoever asked gets it
            refused = error
            return lambda: call.reject_error(refused)
        blob = codec.encode(found)
        return lambda: ledger.activation.gate.when_safe(lambda error: call.settle(error, blob))

    ledger.activation.exclusively(read)
