"""One call of an entity while it runs, and its journal once it needs one.

A call that writes nothing and uses no durable operation stays plain and pays nothing. It becomes an execution at its
first durable operation, or when it suspends after a write: its id, method and arguments are journaled in that very
commit, with all that its turns have read and been handed so far.

Its journal is read back when it is replayed (`dotdo.durable.replay`): turns that are on record run on what they read then,
and what they write is dropped at their end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import saga, unawaited, waits
from dotdo.durable.operation import Operation, is_inner
from dotdo.durable.other_ways import OtherWays
from dotdo.durable.replay import Replay
from dotdo.durable.rest import Rest
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Branch, Ending, Position, Turn, TurnRecord
from dotdo.errors import CodecError, ExecutionCancelled, RemoteError, ReplayDrift
from dotdo.storage import journal
from dotdo.storage.journal import Kind, Row, RunRow

if TYPE_CHECKING:
    from dotdo.durable.checking import Check
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

_EMPTY: Any = MappingProxyType({})
_NOTHING: Any = ()
_NOBODY: Any = []


class Run(Rest):
    """A call in memory."""

    # What most calls never touch lives on the class, and on the instance only once it differs.
    caller_key: tuple[str, int] | None = None
    sender: tuple[str, int] | None = None
    is_unawaited = False
    """Nobody is there to get its error."""
    has_drawn = False
    """The turns no row carries yet drew values that may be seen outside: times, random numbers."""
    owes_receipt = False
    """Somebody only wants to know that it will be finished."""
    is_repeat = False
    is_internal = False
    is_journaled = False
    is_cancelling = False
    is_pausing = False
    is_over = False
    is_resting = False
    source_changed = False
    source: bytes | None = None
    row_status = "running"
    attempt = 1
    asked = 1
    """The attempt of its caller that it runs for."""
    trying = 0
    timed_tries = 0
    """Those of them that have a timeout, which no row would remember."""
    parked_since: float | None = None
    failed_blob: bytes | None = None
    on_end: Callable[[BaseException | None], Callable[[], None] | None] | None = None
    event: Any = None
    """The event whose handler this is."""
    announce: Callable[[], None] | None = None
    main: EntityTask | None = None
    reply_to: list[list[str]] = _NOBODY
    """Entities that wait for its outcome, each with the id of the call by which it does."""
    closing: list[tuple[str, str, str]] = _NOTHING
    """Executions to be cancelled when this one ends: noun, entity id and call id."""
    undos: list[tuple[str, str, Callable[..., Any]]] = _NOTHING
    records: dict[Position, TurnRecord] = _EMPTY
    attempts: dict[str, tuple[int, float]] = _EMPTY
    inner: dict[str, bytes] = _EMPTY
    waits: dict[str, Row] = _EMPTY
    signals: list[tuple[str, bytes]] = _NOTHING
    notes: set[str] = _EMPTY
    patches: dict[str, bool] = _EMPTY
    """What `patched` said, by name."""
    is_loaded = False
    """True for an execution that was taken up from its journal."""
    _pending_keys: set[str] = _EMPTY
    """What the execution waited for when it was taken up, and has not come to again."""
    events_taken: dict[str, set[int]] = _EMPTY
    """Numbers of the events taken by its waits, by the name of the event."""
    _must_journal = False
    _next_seq = 1
    _last_reads: dict[str, bytes | None] = _EMPTY
    _unjournaled: list[tuple[str, str, bool, bytes, str]] = _NOTHING
    _held_back: list[Callable[[], None]] = _NOTHING
    replay: Replay | None = None
    check: Check | None = None
    """Set while the record is only compared with the code: nothing is begun."""

    def __init__(self, ledger: Ledger, call_id: str, method: str, payload: bytes | None) -> None:
        self.ledger = ledger
        self.activation = ledger.activation
        self.id = call_id
        self.method = method
        self.what = method
        self.payload = payload
        self.chain: list[str] = _NOBODY
        self.callers: list[IncomingCall] = []
        self.tasks: set[EntityTask] = set()
        self.operations: dict[str, Operation] = {}
        self.started_at = 0.0
        self._pending: list[TurnRecord] = []

    def _become_durable(self) -> Replay:
        """Give the run containers of its own for what an execution keeps."""
        if self.replay is None:
            self.reply_to = list(self.reply_to)
            self.undos = []
            self.records = {}
            self.attempts = {}
            self.inner = {}
            self.waits = {}
            self.signals = []
            self.events_taken = {}
            self.notes = set()
            self.patches = {}
            self.closing = []
            self._last_reads = {}
            self._held_back = []
            self.replay = Replay(self)
        return self.replay

    def __repr__(self) -> str:
        return f"<run {self.id} of {self.activation.key}.{self.method}>"

    @property
    def unique_id(self) -> str:
        """Its id among the calls of all entities: what it calls goes by ids made of it.

        Ids that callers make are unique. Those a user chose (`call_id=`, "run" of a workflow run) and those of the entity's
        own handlers are so only within the entity.
        """
        if self.what != self.method or self.method in self.ledger.own_executions:
            return f"{self.activation.key}!{self.id}"
        return self.id

    # -- starting -----------------------------------------------------------------------------------------------

    def start(self, coroutine: Any, *, now: bool) -> None:
        """Run the method's first turn."""
        branch = Branch("")
        branch.attempt = self.attempt
        self.main = task = self.activation.make_task(coroutine, branch, run=self)
        if now:
            task.start_now()
        else:
            task.start_soon()

    def load(self, row: RunRow, rows: list[Row]) -> None:
        """Take the journal of an unfinished execution."""
        replay = self._become_durable()
        self.is_journaled = True
        self.started_at = row.started
        self.attempt = row.attempt
        self.row_status = row.status
        self.source = row.source
        if row.reply_to:
            self.reply_to = codec.decode(row.reply_to)
        if row.options:
            options: Any = codec.decode(row.options)
            self.chain = options.get("chain", [])
            self.what = options.get("what", self.method)
            self.asked = options.get("asked", row.attempt)
            self.is_unawaited = options.get("unawaited", False)
            key = options.get("caller")
            self.caller_key = (key[0], key[1]) if key else None
        other_ways = OtherWays()
        for entry in rows:
            self._next_seq = entry.seq + 1
            if entry.turns:
                self._load_turns(entry.turns, other_ways)
            other_ways.pass_row(entry)
            if entry.kind == Kind.STEP and self.signals:
                waits.forget_taken(self.signals, entry)
            if entry.kind == Kind.STEP and is_inner(entry.key, entry.name):
                self.attempts.pop(entry.key, None)  # a new attempt of the outer step begins it anew
                if entry.ok:
                    self.inner[entry.key] = entry.value or b""
            elif entry.kind == Kind.STEP:
                if other_ways.lead_to(entry.key.partition("|")[0]):
                    replay.add_of_another_way(entry)
                else:
                    replay.add(entry)
                self.attempts.pop(entry.key, None)
                self.waits.pop(entry.key, None)
            elif entry.kind == Kind.ATTEMPT:
                self.attempts[entry.key] = (entry.attempt or 0, entry.until or 0.0)
            elif entry.kind == Kind.WAIT:
                self.waits[entry.key] = entry
            elif entry.kind == Kind.FAILED:
                self.failed_blob = entry.value
            elif entry.kind == Kind.CANCEL:
                self.is_cancelling = True
                replay.add(entry)
            elif entry.kind == Kind.EVENT:
                self.events_taken.setdefault(entry.key, set()).add(entry.attempt or 0)
            elif entry.kind == Kind.SIGNAL:
                self.signals.append((entry.key, entry.value or b""))
            elif entry.kind == Kind.NOTE:
                self.notes.add(str(codec.decode(entry.value or b"")))
            elif entry.kind == Kind.PATCH:
                self.patches[entry.key] = True
        self.is_loaded = True
        self._pending_keys = {*self.waits, *self.attempts}

    def _load_turns(self, data: bytes, other_ways: OtherWays) -> None:
        turns: Any = codec.decode(data)
        for path, passed, ordinal, wrote, reads, results in turns:
            for name, value in reads.items():
                if value is True:
                    reads[name] = self._last_reads.get(name)
                else:
                    self._last_reads[name] = value
            if other_ways.lead_to(path):
                continue
            position = (path, passed, ordinal)
            self.records[position] = TurnRecord(position, reads, results, wrote=wrote)

    # -- what turns tell ----------------------------------------------------------------------------------------

    def must_be_journaled(self) -> None:
        """A durable operation was begun: the commit of this turn makes the call an execution."""
        self._become_durable()
        self._must_journal = True

    @property
    def needs_rows(self) -> bool:
        return self._must_journal and not self.is_journaled

    def note_turn(self, turn: Turn, *, wrote: bool) -> None:
        """Keep what a turn read and was handed until the next row carries it."""
        if turn.reads or turn.results or wrote:
            self._pending.append(TurnRecord(turn.position, turn.reads, turn.results or [], wrote=wrote))
            if turn.has_drawn:
                self.has_drawn = True

    def drop_notes_of(self, path: str) -> None:
        """A step's body has its outcome: what its turns read will not be asked for again."""
        if self._pending:
            self._pending = [r for r in self._pending if not r.position[0].startswith(path)]

    def begin_journal(self) -> None:
        """Add the execution's own row, and what happened before it needed one."""
        self._become_durable()
        self.is_journaled = True
        self._must_journal = False
        file = self.activation.file
        self.source = self.activation.spec.source_of(self.activation.id, self.method, self.payload)
        row = RunRow(
            self.id, self.ledger.next_ordinal(), self.method, self.payload, "running", self.attempt, self.source,
            self.started_at, None, None, None, None, None,
            codec.encode(self.reply_to) if self.reply_to else None, self._options(),
        )  # fmt: skip
        journal.put_run(file, row)
        if self.sender is not None:
            journal.take(file, *self.sender)
            self.sender = None
        for key, name, ok, blob, body in self._unjournaled:
            self.add_row(Kind.STEP, key, name=name, ok=ok, value=blob, body=body)
        self._unjournaled = _NOTHING
        self.ledger.runs_changed = True

    def _options(self) -> bytes:
        caller = list(self.caller_key) if self.caller_key else None
        return codec.encode({"chain": self.chain, "what": self.what, "caller": caller, "asked": self.asked, "unawaited": self.is_unawaited})

    def add_row(
        self,
        kind: Kind,
        key: str,
        *,
        name: str | None = None,
        attempt: int | None = None,
        ok: bool | None = None,
        value: bytes | None = None,
        until: float | None = None,
        started: float | None = None,
        body: str | None = None,
    ) -> None:
        """Append to the journal, in the transaction of the turn that runs or of the runtime's own write."""
        if not self.is_journaled:
            self.begin_journal()
        file = self.activation.file
        if self.row_status != "running" and kind is not Kind.WAIT:
            self.row_status = "running"
            journal.set_status(file, self.id, "running")
        seq = self._next_seq
        self._next_seq = seq + 1
        host = self.activation.host
        if kind is Kind.STEP:
            host.steps_recorded += 1
        now = host.clock.now()
        turns = self._take_turns() if self._pending else None
        journal.append(file, self.id, Row(seq, kind, key, name, attempt, ok, value, until, now, started, turns, body))

    def _take_turns(self) -> bytes:
        turns = []
        for record in self._pending:
            reads: dict[str, Any] = {}
            for name, data in record.reads.items():
                if name in self._last_reads and self._last_reads[name] is data:
                    reads[name] = True
                else:
                    reads[name] = self._last_reads[name] = data
            turns.append([*record.position, record.wrote, reads, record.results])
        self._pending.clear()
        self.has_drawn = False
        return codec.encode(turns)

    def keep_outcome(self, key: str, name: str, ok: bool, blob: bytes, body: str) -> None:  # (ok, blob) is one outcome
        """An awaited call of a plain call was answered: journaled only if the call becomes an execution."""
        if self._unjournaled is _NOTHING:
            self._unjournaled = []
        self._unjournaled.append((key, name, ok, blob, body))

    # -- operations ---------------------------------------------------------------------------------------------

    @property
    def is_replaying(self) -> bool:
        return self.replay is not None and self.replay.is_going_on

    def begin(self, operation: Operation, turn: Turn) -> None:
        """User code awaits `operation`: answer it from the record, or start it."""
        self.operations[operation.key] = operation
        if self._pending_keys:
            self._pending_keys.discard(operation.key)
        replay = self.replay
        if replay is None:
            turn.begins = True
            operation.start(turn)
            return
        if self.check is not None and not replay.is_going_on and not replay.has(operation.key):
            turn.then(self.check.passed)
            return
        kept = self.inner.get(operation.key) if self.inner else None
        if kept is not None:
            turn.then(lambda: operation.resolve(True, kept))
        elif replay.is_going_on:
            replay.ask(operation, turn)
        elif replay.has_passed_over:
            replay.ask_late(operation, turn)
        elif not replay.answers(operation, turn):
            turn.begins = True
            operation.start(turn)

    def deliver(self, operation: Operation, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        """An outcome is recorded: hand it on."""
        if self.replay is None:
            operation.resolve(ok, blob)
        else:
            self.replay.deliver(operation, ok, blob)

    def cancel(self) -> None:
        """Cancel the body; a replay first comes to where the execution stands."""
        if self.replay is not None and self.replay.is_going_on:
            self.replay.cancel_when_there()
        elif self.main is not None:
            self.main.cancel()

    def error_of(self, operation: Operation, blob: bytes) -> BaseException:
        """The recorded error, as the exception that is raised at the await."""
        error = codec.decode(blob)
        if not isinstance(error, BaseException):
            return RemoteError(f"{operation.name} failed with {error!r}")
        return error

    def encode_error(self, error: BaseException) -> bytes:
        try:
            return codec.encode(error)
        except CodecError:
            return codec.encode(RemoteError(f"{type(error).__name__}: {error}"))

    # -- changed code -------------------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Keep what changed code left to be said, once; the history shows it."""
        if text not in self.notes:
            self.notes.add(text)
            if self.check is not None:
                return
            self.activation.host_log(f"{self}: {text}")
            self.add_row(Kind.NOTE, "", value=codec.encode(text))

    def patched(self, name: str, turn: Turn) -> bool:
        """True if the execution comes to this point for the first time on code that has it; the same answer from then on."""
        known = self.patches.get(name)
        if known is None:
            self._become_durable()
            known = self.patches[name] = not turn.is_replayed and self._is_on_new_ground
            if known:
                self.add_row(Kind.PATCH, name)
        return known

    @property
    def _is_on_new_ground(self) -> bool:
        """True if no code can have run from here on before, as far as the record tells."""
        replay = self.replay
        if replay is None or not self.is_loaded:
            return True
        if replay.is_going_on or replay.has_passed_over:
            return False
        return replay.has_moved or not (self.source_changed or self._pending_keys)

    # -- ending -------------------------------------------------------------------------------------------------

    def main_ends(self, turn: Turn, ending: Ending, outcome: Any) -> None:
        """The method returned or raised: add its outcome to the turn's transaction, or begin its undos."""
        if isinstance(outcome, ReplayDrift) and ending is Ending.RAISED and self.is_journaled:
            turn.then(lambda: self.ledger.dormant.pause_with(self, outcome))
            return
        replay = self.replay
        if replay is not None and replay.is_going_on and not self.source_changed and not self.is_cancelling and replay.has_leftovers():
            turn.then(replay.report_mismatch)
            return
        if replay is not None and self.source_changed:
            replay.note_leftovers()
        if self.check is not None:
            check, self.is_over = self.check, True
            turn.then(lambda: check.ended(ending, outcome))
            return
        error: BaseException | None = None
        blob = b""
        if ending is Ending.RETURNED:
            try:
                blob = codec.encode(outcome)
            except CodecError as problem:
                error = CodecError(f"{self.activation.key}.{self.method} returned what cannot be sent: {problem}")
                self.activation.roll_back()
        else:
            error = outcome
        if self.failed_blob is not None:
            recorded = codec.decode(self.failed_blob)
            error = recorded if isinstance(recorded, BaseException) else error
        if self.on_end is not None:
            after = self.on_end(error)
            if after is not None:
                turn.then(after)
        if error is None:
            self.finish(turn, "completed", blob, ok=True)
            return
        if self.is_cancelling and isinstance(error, asyncio.CancelledError):
            error = ExecutionCancelled(f"{self.activation.key}!{self.id} was cancelled")
        if self.is_journaled and (self.undos or self.failed_blob is not None):
            if self.failed_blob is None:
                self.failed_blob = self.encode_error(error)
                self.add_row(Kind.FAILED, "", value=self.failed_blob, ok=False)
            reason = error
            turn.then(lambda: self._unwind(reason))
            return
        self.fail(turn, error)

    def _unwind(self, reason: BaseException) -> None:
        for task in list(self.tasks):
            if task is not self.main:
                task.cancel()
        undos, self.undos, self.failed_blob = self.undos, [], None
        self.main = self.activation.make_task(saga.unwind(self, undos, reason), Branch("undo"), run=self)
        self.main.start_soon()

    def fail(self, turn: Turn, error: BaseException) -> None:
        status = "cancelled" if isinstance(error, ExecutionCancelled) else "failed"
        if self.is_unawaited and status == "failed":
            unawaited.bury(self, error)
        self.finish(turn, status, self.encode_error(error), ok=False)

    def finish(self, turn: Turn, status: str, blob: bytes, *, ok: bool) -> None:
        """Add the outcome's row; the answer goes out when the commit is safe."""
        self.is_over = True
        file = self.activation.file
        now = self.activation.host.clock.now()
        if self.is_journaled:
            journal.end_run(file, self.id, status, blob, now, ok=ok)
            for noun, entity_id, asked_by in self.reply_to:
                self.ledger.outbox.put(noun, entity_id, ["!", "reply"], codec.encode([[asked_by, ok, blob], {}]), f"{self.unique_id}>reply")
            for noun, entity_id, call_id in self.closing:
                self.ledger.outbox.put(
                    noun, entity_id, ["!", "close"], codec.encode([[call_id], {}]), f"{self.unique_id}>close {call_id} of {entity_id}"
                )
        elif self.sender is not None:
            journal.take(file, *self.sender)
        elif ok and self.caller_key is not None and (file.has_writes or self.what != self.method):  # the latter: a call_id was given
            caller, seq = self.caller_key
            journal.put_call(file, caller, seq, self.what, blob, now)
            self.ledger.forget_answered(caller, self.callers)
        turn.finished = (self, blob, ok)

    def has_ended(self, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        """The outcome is committed: the run is over, its callers are answered."""
        self.ledger.retire(self, blob, ok)
        if self.is_journaled:
            for task in list(self.tasks):
                if task is not self.main:
                    task.cancel()
        if not self.callers:
            return
        gate = self.activation.gate
        if gate.is_open:
            self._answer(None, blob, ok)
        else:
            gate.when_safe(lambda error: self._answer(error, blob, ok))

    def acknowledge(self) -> None:
        """It is an execution now, and will be finished: whoever only wants to know that need not wait for its end."""
        self.owes_receipt = False
        senders = [call for call in self.callers if call.is_oneway]
        if senders:
            self.callers = [call for call in self.callers if not call.is_oneway]
            for call in senders:
                self.activation.gate.when_safe(call.settle_receipt)

    def _answer(self, error: BaseException | None, blob: bytes, ok: bool) -> None:  # as above
        callers, self.callers = self.callers, []
        for call in callers:
            if error is not None:
                call.reject_error(error)
            elif ok:
                call.resolve(blob)
            else:
                call.reject(blob)

    # -- pausing ------------------------------------------------------------------------------------------------

    def hold_back(self, action: Callable[[], None]) -> None:
        """The run is being paused: `action` waits for `resume`."""
        self._held_back.append(action)
        self.ledger.dormant.held_back(self)

    def release(self) -> None:
        actions, self._held_back = self._held_back, []
        for action in actions:
            action()

    def may_be_parked(self) -> None:
        """An operation parked: tell entity callers once, and let the entity become idle."""
        self.ledger.dormant.may_be_parked(self)
