"""A call that may have come before: answered from its record, attached to the run that goes on, or begun after all.

Callers send a call again when a connection broke, a process died or an attempt was repeated, under the same id. What
wrote is found under that id: while it runs, in its row, or in the answers kept for callers that do not yet hold them.
What wrote nothing left no record and simply runs again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.errors import CallIdConflict
from dotdo.names import execution_id_of
from dotdo.storage import journal
from dotdo.storage.journal import RunRow

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall


def what_of(method: str, payload: bytes | None) -> str:
    """What a call id stands for: the method and its arguments, as a short text."""
    return f"{method}:{hashlib.blake2b(payload or b'', digest_size=8).hexdigest()}"


def answer(ledger: Ledger, call: IncomingCall, method: str) -> bool:
    """Answer a call that came before; False if it did not. Raises CallIdConflict."""
    call_id = call.call_id
    options = call.options or {}
    what = what_of(method, call.payload) if call.is_explicit else method
    run = ledger.runs.get(call_id)
    if run is not None:
        _check(ledger, call, run.what, what)
        if options.get("start"):
            call.resolve(codec.encode(execution_id_of(ledger.activation.key, call_id)))
        elif call.is_oneway and run.is_journaled:
            ledger.activation.gate.when_safe(call.settle_receipt)
        else:
            run.callers.append(call)
            if run.is_parked:
                ledger.dormant.tell_parked(run, call)
        return True
    file = ledger.activation.file
    sender = options.get("sender")
    if sender is not None and journal.last_from(file, sender) >= options["number"]:
        call.ack()
        return True
    kept = journal.find_call(file, *call.record_key)
    if kept is not None:
        _check(ledger, call, kept[0], what)
        _reply_when_safe(ledger, call, kept[1], ok=True)
        return True
    row = ledger.dormant.rows.get(call_id) or journal.find_run(file, call_id)
    if row is None:
        return False
    row_options: Any = codec.decode(row.options) if row.options else {}
    _check(ledger, call, row_options.get("what", what), what)
    _answer_from_row(ledger, call, row, options)
    return True


def wants_another_run(row: RunRow, call: IncomingCall) -> bool:
    """True if the execution failed for an earlier attempt of its caller than the one that asks now."""
    row_options: Any = codec.decode(row.options) if row.options else {}
    asked = row_options.get("asked", row.attempt)
    return row.status == "failed" and bool((call.options or {}).get("attempt", 1) > asked)


def _answer_from_row(ledger: Ledger, call: IncomingCall, row: RunRow, options: dict[str, Any]) -> None:
    if options.get("start"):
        _reply_when_safe(ledger, call, codec.encode(execution_id_of(ledger.activation.key, row.id)), ok=True)
    elif row.ended is None and call.is_oneway:
        _reply_when_safe(ledger, call, b"", ok=True)
    elif row.ended is None:
        ledger.dormant.refuse_if_stuck(row)
        ledger.dormant.listeners(row.id).append(call)
        ledger.dormant.tell_parked_row(row, call)
    elif (row.status == "failed" and call.is_explicit) or wants_another_run(row, call):
        run_again(ledger, row, call)
    else:
        _reply_when_safe(ledger, call, row.outcome or b"", ok=bool(row.ok))


def run_again(ledger: Ledger, row: RunRow, call: IncomingCall | None, also: Callable[[], None] | None = None) -> None:
    """Run a failed execution again under its id: successes stay, failures are forgotten; `also` adds to the commit."""
    file = ledger.activation.file

    def reopen() -> Callable[[], None]:
        journal.reopen_run(file, row.id, row.attempt + 1)
        if also is not None:
            also()
        asked = (call.options or {}).get("attempt") if call is not None else None
        if asked is not None and row.options:
            options: Any = codec.decode(row.options)
            journal.set_run_options(file, row.id, codec.encode({**options, "asked": asked}))

        def again() -> None:
            fresh = journal.find_run(file, row.id)
            if fresh is not None:
                run = ledger.dormant.replay(fresh)
                if call is not None:
                    run.callers.append(call)

        return again

    ledger.activation.exclusively(reopen)


def _check(ledger: Ledger, call: IncomingCall, was: str, what: str) -> None:
    """A call id that the user chose stands for one call."""
    if call.is_explicit and was != what:
        raise CallIdConflict(
            f"call id {call.call_id!r} of {ledger.activation.key} was used for {was.split(':')[0]!r} with other arguments: "
            f"a call id stands for one call"
        )


def _reply_when_safe(ledger: Ledger, call: IncomingCall, blob: bytes, *, ok: bool) -> None:
    def reply(error: BaseException | None) -> None:
        if error is not None:
            call.reject_error(error)
        elif ok:
            call.resolve(blob)
        else:
            call.reject(blob)

    ledger.activation.gate.when_safe(reply)
