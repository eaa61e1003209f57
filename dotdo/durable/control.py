"""What is asked of an execution from outside: its state, its history, and the verbs cancel, pause, resume, retry, replay.

These calls come to the entity as paths that begin with "!" and are answered by the runtime, never by user code. State
and history are read from rows and never replay anything. An execution is paused between two of its operations: what
runs is let finish and recorded, nothing new starts, and its coroutines are dropped.

A verb that takes effect keeps its answer in the same commit: sent again after a crash, it answers that and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import checking, ports, projection, reading, repeats
from dotdo.durable.calls import CallOperation
from dotdo.durable.event_waits import take_offer
from dotdo.durable.step import PROGRESS
from dotdo.durable.waits import WaitOperation, pack_signal
from dotdo.errors import ExecutionCancelled, NoSuchMember, OutcomeUnknown
from dotdo.names import execution_id_of
from dotdo.storage import journal
from dotdo.storage.journal import Kind, Row, RunRow

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

_KIND_NAMES = {
    Kind.TURN: "write", Kind.STEP: "step", Kind.ATTEMPT: "attempt", Kind.WAIT: "wait", Kind.FAILED: "failed",
    Kind.CANCEL: "cancel", Kind.SIGNAL: "signal", Kind.EVENT: "event", Kind.NOTE: "note", Kind.PATCH: "patch",
    Kind.PAUSED: "pause", Kind.RESUMED: "resume",
    Kind.RETRIED: "retry", Kind.SET_ASIDE: "attempt",
}  # fmt: skip


def answer(ledger: Ledger, call: IncomingCall) -> None:
    """Answer one control call."""
    verb = call.path[1] if len(call.path) == 2 else None
    handler = _VERBS.get(verb) or ports.verbs.get(verb) if isinstance(verb, str) else None
    if handler is None:
        raise NoSuchMember(f"no such control verb: {verb!r}")
    kept = journal.find_call(ledger.activation.file, *call.record_key) if call.is_repeat else None
    if kept is not None:
        _say(ledger, call, codec.decode(kept[1]))
        return
    args = codec.decode(call.payload)[0] if call.payload is not None else []
    handler(ledger, call, *args)


def _say(ledger: Ledger, call: IncomingCall, value: Any) -> None:
    blob = codec.encode(value)
    ledger.activation.gate.when_safe(lambda error: call.settle(error, blob))


def _keep_answer(ledger: Ledger, call: IncomingCall) -> None:
    """Add the answer True to the commit that makes it true."""
    file, (caller, number) = ledger.activation.file, call.record_key
    journal.put_call(file, caller, number, f"!{call.path[1]}", codec.encode(True), ledger.activation.host.clock.now())
    ledger.forget_answered(caller, [call])


def _row(ledger: Ledger, run_id: str) -> RunRow:
    row = ledger.dormant.rows.get(run_id) or journal.find_run(ledger.activation.file, run_id)
    if row is None:
        raise OutcomeUnknown(f"{ledger.activation.key} has no execution {run_id!r} (any more)")
    return row


# -- reading ----------------------------------------------------------------------------------------------------


def _info(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    _say(ledger, call, describe(ledger, _row(ledger, run_id), with_steps=True))


def describe(ledger: Ledger, row: RunRow, *, with_steps: bool) -> dict[str, Any]:
    """An execution as plain data."""
    run = ledger.runs.get(row.id)
    status, waiting, until = row.status, row.waiting, row.until
    if run is not None and row.ended is None:
        status = "paused" if run.is_pausing else "waiting" if run.is_parked else "running"
        waiting, until = (run.waiting_for, run.until) if status == "waiting" else (None, None)
    error = None
    if row.ended is not None and not row.ok and row.outcome:
        error = codec.decode(row.outcome)
    steps = []
    progress = None
    if with_steps:
        for entry in journal.rows_of(ledger.activation.file, row.id):
            if entry.kind == Kind.STEP:
                if entry.name == PROGRESS and entry.ok:
                    progress = codec.decode(entry.value or b"")
                steps.append(
                    {
                        "id": _step_id(entry.key),
                        "status": "completed" if entry.ok else "failed",
                        "attempts": entry.attempt or 1,
                        "at": entry.at,
                    }
                )
    return {
        "id": execution_id_of(ledger.activation.key, row.id), "method": _name(ledger, row), "status": status, "waiting_for": waiting,
        "until": until, "error": error, "started_at": row.started, "ended_at": row.ended, "attempt": row.attempt, "steps": steps,
        "progress": progress,
    }  # fmt: skip


def _name(ledger: Ledger, row: RunRow) -> str:
    activation = ledger.activation
    return activation.spec.code_of(activation.id, row.method, row.payload).name


def _step_id(key: str) -> str:
    return key.partition("|")[2] or key


def _history(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    row = _row(ledger, run_id)
    arguments = codec.decode(row.payload) if row.payload is not None else None
    entries: list[dict[str, Any]] = [{"type": "start", "at": row.started, "method": _name(ledger, row), "arguments": arguments}]
    for entry in journal.rows_of(ledger.activation.file, run_id):
        entries.append(_entry(entry))
    if row.ended is not None:
        entries.append({"type": row.status, "at": row.ended})
    _say(ledger, call, entries)


def _entry(entry: Row) -> dict[str, Any]:
    data: dict[str, Any] = {"type": _KIND_NAMES[Kind(entry.kind)], "at": entry.at, "id": _step_id(entry.key), "name": entry.name}
    data["key"] = entry.key
    if entry.body is not None:
        data["body"] = entry.body
    if entry.kind in (Kind.STEP, Kind.ATTEMPT, Kind.SET_ASIDE):
        data["attempt"] = entry.attempt or 1
        data["ok"] = bool(entry.ok)
        data["started_at"] = entry.started
        value = codec.decode(entry.value) if entry.value else None
        data["result" if entry.ok else "error"] = value if entry.ok else f"{type(value).__name__}: {value}"
    if entry.kind == Kind.NOTE:
        data["value"] = codec.decode(entry.value or b"")
    if entry.until is not None and entry.until != journal.KEPT_FAILURE:
        data["until"] = entry.until
    return data


def _list(ledger: Ledger, call: IncomingCall, status: str | None, limit: int) -> None:
    rows = journal.list_runs(ledger.activation.file, None, 100_000 if status else limit)
    found = [describe(ledger, row, with_steps=False) for row in rows]
    _say(ledger, call, [one for one in found if status is None or one["status"] == status][:limit])


def _result(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    run = ledger.runs.get(run_id)
    if run is not None:
        run.callers.append(call)
        if run.is_parked:
            ledger.dormant.tell_parked(run, call)
        return
    row = _row(ledger, run_id)
    if row.ended is None:
        ledger.dormant.refuse_if_stuck(row)
        ledger.dormant.listeners(run_id).append(call)
        ledger.dormant.tell_parked_row(row, call)
        return
    if repeats.wants_another_run(row, call):
        repeats.run_again(ledger, row, call)
        return
    blob = row.outcome or b""
    if row.ok:
        call.resolve(blob)
    else:
        call.reject(blob)


# -- acting -----------------------------------------------------------------------------------------------------


def _note(ledger: Ledger, run_id: str, kind: Kind) -> None:
    """Add to the journal that somebody did something to the execution."""
    run = ledger.runs.get(run_id)
    if run is not None:
        run.add_row(kind, "")
        return
    sequence = 1 + max((r.seq for r in journal.rows_of(ledger.activation.file, run_id)), default=0)
    now = ledger.activation.host.clock.now()
    journal.append(ledger.activation.file, run_id, Row(sequence, kind, "", None, None, None, None, None, now, None, None))


def _cancel(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    row = _row(ledger, run_id)
    kinds = {entry.kind for entry in journal.rows_of(ledger.activation.file, run_id)}
    if _is_past_cancelling(row, kinds):
        # a second cancellation would only stop the undos; one that is sent again has done what it came for
        _say(ledger, call, Kind.CANCEL in kinds and (row.ended is None or call.is_repeat))
        return

    def mark() -> Callable[[], None]:
        act = _mark_cancelled(ledger, run_id)

        def act_and_say() -> None:
            act()
            _say(ledger, call, True)

        return act_and_say

    ledger.activation.exclusively(mark)


def _close(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    """The execution that started this one has ended, and this one is to end with it; it came through an outbox."""

    def keep() -> Callable[[], None] | None:
        row = ledger.dormant.rows.get(run_id) or journal.find_run(ledger.activation.file, run_id)
        if row is None or _is_past_cancelling(row, {entry.kind for entry in journal.rows_of(ledger.activation.file, run_id)}):
            return None
        return _mark_cancelled(ledger, run_id)

    ledger.inbox.take(call, keep)


def _is_past_cancelling(row: RunRow, kinds: set[int]) -> bool:
    return row.ended is not None or Kind.FAILED in kinds or Kind.CANCEL in kinds


def _mark_cancelled(ledger: Ledger, run_id: str) -> Callable[[], None]:
    """Add the cancellation to the commit that is being put together; what is returned cancels the body."""
    run = ledger.runs.get(run_id)
    if run is not None:
        run.is_cancelling = True
    _note(ledger, run_id, Kind.CANCEL)
    if run is None:
        journal.set_status(ledger.activation.file, run_id, "running")

    def act() -> None:
        running = ledger.runs.get(run_id)
        if running is None:
            ledger.dormant.wake(run_id)
        else:
            running.is_pausing = False
            running.cancel()

    return act


def _pause(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    row = _row(ledger, run_id)
    if row.ended is not None:
        _say(ledger, call, False)
        return

    def mark() -> Callable[[], None]:
        run = ledger.runs.get(run_id)
        _keep_answer(ledger, call)
        if row.status != "paused":
            _note(ledger, run_id, Kind.PAUSED)
        journal.set_status(ledger.activation.file, run_id, "paused", row.waiting, row.until)
        if run is not None:
            run.row_status = "paused"
            run.is_pausing = True
        elif run_id in ledger.dormant.rows:
            ledger.dormant.rows[run_id].status = "paused"

        def act() -> None:
            if run is not None and (run.is_parked or not run.has_body):
                ledger.dormant.held_back(run)
            _say(ledger, call, True)

        return act

    ledger.activation.exclusively(mark)


def _resume(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    run = ledger.runs.get(run_id)
    row = _row(ledger, run_id)
    if row.status != "paused" and (run is None or not run.is_pausing):
        _say(ledger, call, False)
        return

    def mark() -> Callable[[], None]:
        _keep_answer(ledger, call)
        _note(ledger, run_id, Kind.RESUMED)
        journal.set_status(ledger.activation.file, run_id, "running")

        def act() -> None:
            running = ledger.runs.get(run_id)
            if running is not None:
                running.is_pausing = False
                running.row_status = "running"
                running.release()
            else:
                ledger.dormant.rows.setdefault(run_id, row).status = "running"
                ledger.dormant.wake(run_id)
            _say(ledger, call, True)

        return act

    ledger.activation.exclusively(mark)


def _retry(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    row = _row(ledger, run_id)
    if row.status != "failed":
        _say(ledger, call, False)
        return

    def also() -> None:
        _keep_answer(ledger, call)
        _note(ledger, run_id, Kind.RETRIED)

    repeats.run_again(ledger, row, None, also=also)
    ledger.activation.exclusively(lambda: lambda: _say(ledger, call, True))


def _replay(ledger: Ledger, call: IncomingCall, run_id: str, new_id: str) -> None:
    """Start over with the same arguments, as a new execution."""
    row = _row(ledger, run_id)
    call.path = [row.method]
    call.payload = row.payload
    call.call_id = new_id
    call.is_explicit = True
    call.options = {**(call.options or {}), "start": True}
    ledger.accept(call)


def _recipe(ledger: Ledger, call: IncomingCall, run_id: str) -> None:
    """What it takes to start over elsewhere."""
    row = _row(ledger, run_id)
    _say(ledger, call, [row.method, row.payload])


def _records(ledger: Ledger, call: IncomingCall) -> None:
    """Every execution with its journal, for a check elsewhere."""
    _say(ledger, call, checking.records_of(ledger.activation.file))


def _signal(ledger: Ledger, call: IncomingCall, run_id: str, name: str, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
    """Deliver a signal, or the outcome of a callback, once."""
    row = _row(ledger, run_id)
    if name.startswith("callback:"):
        outcome = _outcome_of(ledger, run_id, name)
        if outcome is not None or row.ended is not None:
            _say(ledger, call, call.is_repeat and outcome == pack_signal(ok, blob))
            return
    if row.ended is not None:
        raise ExecutionCancelled(f"{ledger.activation.key}!{run_id} has ended ({row.status}): it takes no signals")
    run = ledger.runs.get(run_id)
    if run is not None:
        for operation in run.operations.values():
            if isinstance(operation, WaitOperation) and operation.signal == name and operation.is_parked:
                operation.end(ok, blob, also=lambda: _keep_answer(ledger, call))
                _after(ledger, call)
                return
    packed = pack_signal(ok, blob)

    def keep() -> Callable[[], None]:
        _keep_answer(ledger, call)
        running = ledger.runs.get(run_id)
        if running is not None:
            running.signals.append((name, packed))
            running.add_row(Kind.SIGNAL, name, value=packed)
        else:
            sequence = 1 + max((r.seq for r in journal.rows_of(ledger.activation.file, run_id)), default=0)
            now = ledger.activation.host.clock.now()
            journal.append(
                ledger.activation.file, run_id, Row(sequence, Kind.SIGNAL, name, None, None, None, packed, None, now, None, None)
            )
            if row.status == "waiting":
                journal.set_status(ledger.activation.file, run_id, "running")

        def wake() -> None:
            if run_id in ledger.dormant.rows and ledger.dormant.rows[run_id].status == "waiting":
                ledger.dormant.wake(run_id)
            _say(ledger, call, True)

        return wake

    ledger.activation.exclusively(keep)


def _outcome_of(ledger: Ledger, run_id: str, callback: str) -> bytes | None:
    """The outcome a callback has, or is about to get: a later one does not count."""
    run = ledger.runs.get(run_id)
    for name, packed in run.signals if run is not None else ():
        if name == callback:
            return packed
    for row in journal.rows_of(ledger.activation.file, run_id):
        if row.kind == Kind.SIGNAL and row.key == callback:
            return row.value
        if row.kind == Kind.STEP and row.name == callback:
            return pack_signal(bool(row.ok), row.value or b"")
    return None


def _after(ledger: Ledger, call: IncomingCall) -> None:
    ledger.activation.exclusively(lambda: lambda: _say(ledger, call, True))


def _reply(ledger: Ledger, call: IncomingCall, call_id: str, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
    """The outcome of a call that this entity made and that parked; it came through the callee's outbox."""

    def keep() -> Callable[[], None]:
        for run in ledger.runs.values():
            for operation in list(run.operations.values()):
                if isinstance(operation, CallOperation) and operation.node.call_id == call_id:
                    operation.caller.answered(operation.node, ok, blob)
        file = ledger.activation.file
        woken = [row.id for row in ledger.dormant.rows.values() if row.status != "paused" and _waits_for(ledger, row, call_id)]
        for run_id in woken:
            journal.set_status(file, run_id, "running")

        def wake() -> None:
            for run_id in woken:
                ledger.dormant.wake(run_id)

        return wake

    ledger.inbox.take(call, keep)


def _waits_for(ledger: Ledger, row: RunRow, call_id: str) -> bool:
    wanted = call_id.encode()
    return any(r.kind == Kind.WAIT and r.value == wanted for r in journal.rows_of(ledger.activation.file, row.id))


def _event(ledger: Ledger, call: IncomingCall, handler: str, line: str, message: bytes) -> None:
    """An event for one of this entity's handlers; it came through an outbox."""
    ledger.deliveries.take(call, handler, line, message)


_VERBS: dict[str, Callable[..., None]] = {
    "leave": projection.leave,
    "close": _close, "info": _info, "history": _history, "list": _list, "result": _result, "cancel": _cancel, "pause": _pause,
    "resume": _resume, "event": _event, "offer": take_offer, "retry": _retry, "replay": _replay, "recipe": _recipe,
    "records": _records, "check": checking.check,
    "signal": _signal, "reply": _reply, reading.NAME: reading.answer,
}  # fmt: skip
