"""The ledger of an entity: its calls, which of them are executions, and what the end of each turn adds to the journal.

One ledger per activation. It accepts calls (answering a repeat from the record), tells each turn whether it is on record,
adds the rows that belong to a turn's transaction, and lets out what the turn asked for once it is committed.
"""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import control, dropping, retry, step
from dotdo.durable.alarm import Alarm
from dotdo.durable.calls import EntityCaller
from dotdo.durable.outbox import Outbox
from dotdo.durable.run import Run
from dotdo.durable.step import StepOperation
from dotdo.durable.waits import SleepOperation
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Ending, Turn
from dotdo.errors import CallIdConflict, DotdoError, Hibernated, InsideTransaction, OutsideTurn, ReplayDrift, ReplayMismatch
from dotdo.names import execution_id_of
from dotdo.rpc.caller import CALLER
from dotdo.storage import journal
from dotdo.storage.journal import Kind, RunRow

if TYPE_CHECKING:
    from dotdo.durable.ports import LedgerHost
    from dotdo.entity.activation import Activation
    from dotdo.rpc.server import IncomingCall


class Ledger:
    """The durable side of one activation."""

    def __init__(self, activation: Activation, host: LedgerHost) -> None:
        self.activation = activation
        self.host = host
        self.rng = random.Random()  # noqa: S311  # jitter, not secrets
        self.runs: dict[str, Run] = {}
        self.dormant: dict[str, RunRow] = {}
        self.timers: dict[str, Any] = {}
        self.outbox = Outbox(activation, host)
        self.caller = EntityCaller(self)
        self.alarm = Alarm(self)
        self.runs_changed = False
        self._queue_max = activation.spec.options.max_queue or activation.host.settings.max_queue
        self._own_chain = [activation.key]
        self._ordinal = 0
        self._pins: set[Any] = set()
        activation.context.run(CALLER.set, self.caller)

    # -- activation ---------------------------------------------------------------------------------------------

    def load(self) -> None:
        file = self.activation.file
        for row in journal.unfinished_runs(file):
            self.dormant[row.id] = row
        self._ordinal = journal.last_ordinal(file)
        self.outbox.load()
        self.alarm.load()

    def wake(self) -> None:
        self.outbox.send_all(repeat=True)
        self.alarm.is_running = any(row.method == "alarm" for row in self.dormant.values())
        if not self.alarm.is_running:
            self.alarm.arm()
        now = self.activation.host.clock.now()
        for row in sorted(self.dormant.values(), key=lambda r: r.ordinal):
            if row.status == "running" or (row.status == "waiting" and row.until is not None and row.until <= now):
                self.replay(row)
            elif row.status == "waiting":
                self._watch(row)

    def _watch(self, row: RunRow) -> None:
        """A parked execution stays a row until it is due."""
        if row.until is None:
            return
        run_id = row.id

        def due() -> None:
            self.timers.pop(run_id, None)
            dormant = self.dormant.get(run_id)
            if dormant is not None and dormant.status == "waiting":
                self.activation.exclusively(lambda: functools.partial(self._wake_due, run_id))

        self.timers[run_id] = self.activation.host.clock.call_at(row.until, due)

    def _wake_due(self, run_id: str) -> None:
        self.wake_run(run_id)

    def wake_run(self, run_id: str) -> Run | None:
        """Replay a dormant execution; None when it is not there."""
        row = self.dormant.get(run_id)
        return self.replay(row) if row is not None else None

    def replay(self, row: RunRow) -> Run:
        """Run an unfinished execution again from its journal."""
        self.dormant.pop(row.id, None)
        timer = self.timers.pop(row.id, None)
        if timer is not None:
            timer.cancel()
        run = Run(self, row.id, row.method, row.payload)
        run.load(row, journal.rows_of(self.activation.file, row.id))
        run.is_repeat = True
        self.runs[run.id] = run
        try:
            if row.method == "alarm":
                bound, run.on_end = self.alarm.again()
            else:
                bound = self.activation.spec.bind(self.activation.instance, row.method, row.payload)
            source = self.activation.spec.source_of(row.method)
        except Exception as error:  # a method that is gone fails the execution, typed
            bound, source = _raise(error), row.source
        run.source_changed = source != run.source
        run.start(bound, now=False)
        if run.replay is not None:
            run.replay.watch_for_cancel()
        return run

    # -- calls in -----------------------------------------------------------------------------------------------

    def accept(self, call: IncomingCall) -> None:
        """Begin to handle a call now; the input gate is open."""
        try:
            path = call.path
            head = path[0]
            if head == "!":
                control.answer(self, call)
            elif call.payload is None or len(path) != 1 or not isinstance(head, str):
                self._read(call)
            elif not (call.is_repeat or call.is_explicit) or not self._answered(call, call.call_id, head):
                self._begin(call, head)
        except Exception as error:  # whatever is wrong with a call is its caller's to know
            call.reject_error(error)

    def _begin(self, call: IncomingCall, method: str) -> None:
        """Run the method's first turn."""
        activation = self.activation
        if len(self.runs) >= self._queue_max and activation.key not in call.chain and self._unparked() >= self._queue_max:
            call.reject_error(activation.overloaded(self._queue_max))
            return
        spec = activation.spec
        coroutine = spec.bind(activation.instance, method, call.payload)
        run = Run(self, call.call_id, method, call.payload)
        run.chain = [*call.chain, activation.key] if call.chain else self._own_chain
        run.caller_key = call.record_key
        run.started_at = activation.used_at
        if call.is_repeat:
            run.is_repeat = True
        if call.is_explicit:
            run.what = _what(method, call.payload)
        options = call.options
        if options is not None and "sender" in options:
            run.sender = (options["sender"], options["number"])
        if options is not None and options.get("start"):
            run.must_be_journaled()
            self._announce_start(run, call)
        else:
            run.callers.append(call)
        self.runs[run.id] = run
        run.start(coroutine, now=True)

    def _announce_start(self, run: Run, call: IncomingCall) -> None:
        """`dotdo.start`: the caller gets the execution's id once its first row is safe."""
        execution_id = execution_id_of(self.activation.key, run.id)

        def announce() -> None:
            gate = self.activation.gate
            gate.when_safe(
                lambda error: call.reject_error(error) if error else call.resolve(codec.encode(execution_id)),
            )

        run.announce = announce

    def _unparked(self) -> int:
        return sum(1 for run in self.runs.values() if not run.is_parked)

    def _answered(self, call: IncomingCall, call_id: str, method: str) -> bool:
        """Answer a call that came before: from its record, or by attaching to it while it runs."""
        options = call.options or {}
        wants_start = bool(options.get("start"))
        run = self.runs.get(call_id)
        what = _what(method, call.payload) if call.is_explicit else method
        if run is not None:
            if call.is_explicit and run.what != what:
                raise self._conflict(call_id, run.what)
            if wants_start:
                call.resolve(codec.encode(execution_id_of(self.activation.key, call_id)))
            else:
                run.callers.append(call)
                if run.is_parked:
                    self.tell_parked(run, call)
            return True
        sender = options.get("sender")
        if sender is not None and journal.last_from(self.activation.file, sender) >= options["number"]:
            call.ack()
            return True
        kept = journal.find_call(self.activation.file, *call.record_key)
        if kept is not None:
            if call.is_explicit and kept[0] != what:
                raise self._conflict(call_id, kept[0])
            self._reply_when_safe(call, kept[1], ok=True)
            return True
        row = self.dormant.get(call_id) or journal.find_run(self.activation.file, call_id)
        if row is None:
            return False
        row_options: Any = codec.decode(row.options) if row.options else {}
        if call.is_explicit and row_options.get("what", what) != what:
            raise self._conflict(call_id, row.method)
        if wants_start:
            self._reply_when_safe(call, codec.encode(execution_id_of(self.activation.key, call_id)), ok=True)
        elif row.ended is not None:
            if row.ok:
                self._reply_when_safe(call, row.outcome or b"", ok=True)
                return True
            if row.status == "failed" and not call.is_explicit and options.get("attempt", 1) <= row.attempt:
                self._reply_when_safe(call, row.outcome or b"", ok=False)
                return True
            if row.status == "failed":
                self.retry_run(row, call)
                return True
            self._reply_when_safe(call, row.outcome or b"", ok=False)
        else:
            self.refuse_if_stuck(row)
            self.listeners(call_id).append(call)
            self._tell_parked_row(row, call)
        return True

    def _conflict(self, call_id: str, was: str) -> CallIdConflict:
        return CallIdConflict(
            f"call id {call_id!r} of {self.activation.key} was used for {was.split(':')[0]!r} with other arguments: "
            f"a call id stands for one call"
        )

    def retry_run(self, row: RunRow, call: IncomingCall | None) -> None:
        """Run a failed execution again under its id: successes stay, failures are forgotten."""
        file = self.activation.file

        def reopen() -> Callable[[], None]:
            journal.reopen_run(file, row.id, row.attempt + 1)

            def again() -> None:
                fresh = journal.find_run(file, row.id)
                if fresh is not None:
                    run = self.replay(fresh)
                    if call is not None:
                        run.callers.append(call)

            return again

        self.activation.exclusively(reopen)

    def listeners(self, run_id: str) -> list[IncomingCall]:
        """Callers of a dormant execution; they are attached when it wakes."""
        run = self.runs.get(run_id)
        if run is not None:
            return run.callers
        return self._listeners.setdefault(run_id, [])

    @property
    def _listeners(self) -> dict[str, list[IncomingCall]]:
        return self.host.listeners_of(self.activation.key)

    def _reply_when_safe(self, call: IncomingCall, blob: bytes, *, ok: bool) -> None:
        def reply(error: BaseException | None) -> None:
            if error is not None:
                call.reject_error(error)
            elif ok:
                call.resolve(blob)
            else:
                call.reject(blob)

        self.activation.gate.when_safe(reply)

    def _read(self, call: IncomingCall) -> None:
        """A property path, or a call on what a path leads to."""
        coroutine = self.activation.spec.read(self.activation.instance, call.path, call.payload, self.host.call_out, call.call_id)
        run = Run(self, call.call_id, ".".join(str(p) for p in call.path), call.payload)
        run.chain = [*call.chain, self.activation.key]
        run.started_at = self.activation.host.clock.now()
        run.callers.append(call)
        self.runs[run.id] = run
        run.start(coroutine, now=True)

    # -- turns --------------------------------------------------------------------------------------------------

    def turn_begins(self, turn: Turn, task: EntityTask) -> None:
        branch = task.branch
        turn.position = position = (branch.path, branch.passed, branch.since)
        branch.since += 1
        records = task.run.records
        if records:
            record = records.get(position)
            if record is not None:
                turn.record = record
                turn.view = self.activation.fields.enter_view(record.reads)

    def turn_ends(self, turn: Turn, ending: Ending, outcome: Any) -> tuple[Ending, Any]:
        task = turn.task
        assert task is not None
        run: Run | None = task.run
        if turn.dropped:
            return ending, outcome
        replayed = turn.record is not None
        if turn.nodes:
            self.caller.place(turn, replayed=replayed)
        if run is None:
            return ending, outcome
        if run.replay is not None:
            run.replay.turn_ran(task.branch)
        suspended = ending is Ending.SUSPENDED
        if task is run.main and not suspended:
            if run.announce is not None and not run.is_journaled:
                run.begin_journal()
            run.main_ends(turn, ending, outcome)
            if ending is Ending.RAISED:
                ending, outcome = Ending.RETURNED, None
        elif task.on_return is not None and not suspended:
            run.drop_notes_of(task.branch.path)
            done = task.on_return(ending, outcome)
            if done is not None:
                turn.then(done)
            if ending is Ending.RAISED:
                ending, outcome = Ending.RETURNED, None
        elif not replayed:
            wrote = self.activation.file.has_writes
            run.note_turn(turn, wrote=wrote)
            if self.activation.in_transaction:
                return ending, outcome
            if run.needs_rows or (not run.is_journaled and suspended and (wrote or run.sender is not None)):
                run.begin_journal()
            if wrote and run.is_journaled:
                run.add_row(Kind.TURN, "")
        if run.announce is not None and run.is_journaled:
            turn.then(run.announce)
            run.announce = None
        return ending, outcome

    def turn_committed(self, turn: Turn, ending: Ending, outcome: Any) -> None:
        if turn.calls is not None:
            self.caller.send_when_safe(turn.calls)
        if turn.effects is not None:
            turn.run_effects()
        if turn.finished is not None:
            run, blob, ok = turn.finished
            run.has_ended(blob, ok)
        if self.outbox.has_new and not self.activation.in_transaction:
            self.outbox.send_new()

    def rolled_back(self) -> None:
        self.outbox.drop_fresh()

    def turn_settled(self, run: Run) -> None:
        if run.operations:
            self.may_be_parked(run)

    # -- what user code asks ------------------------------------------------------------------------------------

    def current(self, what: str) -> tuple[Turn, EntityTask]:
        """The running turn and its task. Raises OutsideTurn, Hibernated."""
        turn = self.activation.turn
        if turn is None or turn.task is None:
            raise OutsideTurn(f"{what} of {self.activation.key} was used outside a turn (a thread or a loop callback)")
        if turn.dropped:
            raise Hibernated
        return turn, turn.task

    def current_run(self, what: str) -> tuple[Run, EntityTask]:
        """The running call and its task, for an operation that may not stand inside a transaction."""
        _turn, task = self.current(what)
        run: Run | None = task.run
        if run is None:
            raise OutsideTurn(f"{what} needs a call to belong to; {self.activation.key} is running its setup")
        if self.activation.in_transaction:
            raise InsideTransaction(f"{what} inside a transaction of {self.activation.key}: do it before or after")
        return run, task

    def do(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        step_id: str | None = None,
        policy: retry.RetryPolicy | int | None = None,
        timeout_s: float | None = None,
        undo: Callable[..., Any] | None = None,
    ) -> Any:
        """The coroutine of a durable step; its id is taken now."""
        run, task = self.current_run("do")
        name = step.name_of(fn)
        chosen_policy, is_chosen = retry.policy_of(policy)
        key = task.branch.key(step_id or name)
        operation = StepOperation(
            run, key, step_id or name, fn, args, policy=chosen_policy, is_chosen=is_chosen, timeout_s=timeout_s, undo=undo
        )
        return operation.outcome()

    def sleep(self, seconds: float) -> Any:
        run, task = self.current_run("sleep")
        return SleepOperation(run, task.branch.key("sleep"), seconds).outcome()

    def handed(self, make: Callable[[], Any]) -> Any:
        """A value the runtime hands to a turn (time, randomness, a stored value): the same again on replay."""
        turn = self.activation.turn
        if turn is None:
            raise OutsideTurn(f"{self.activation.key} was used outside a turn (a thread or a loop callback)")
        if turn.dropped:
            raise Hibernated
        record = turn.record
        if record is not None and turn.result_index < len(record.results):
            value = record.results[turn.result_index]
            turn.result_index += 1
            return value
        value = make()
        if turn.task is not None and turn.task.run is not None:
            if turn.results is None:
                turn.results = []
            turn.results.append(value)
        return value

    def body_of(self, name: str, key: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The function a step runs: the user's, unless a test put another in its place."""
        return self.host.mocked(name, fn)

    # -- bookkeeping --------------------------------------------------------------------------------------------

    def next_ordinal(self) -> int:
        self._ordinal += 1
        return self._ordinal

    def forget_answered(self, caller: str, callers: list[IncomingCall]) -> None:
        """The caller's connection says which answers it holds: their rows go with this commit."""
        for call in callers:
            low = call.low_water
            if low:
                journal.forget_calls(self.activation.file, caller, low)

    def may_be_parked(self, run: Run) -> None:
        """A run may have come to rest: its entity callers are told, so that they may rest too."""
        if not run.is_parked:
            run.parked_since = None
            return
        if run.parked_since is None:
            run.parked_since = self.activation.host.clock.now()
        for call in run.callers:
            self.tell_parked(run, call)
        self.activation.host.touched(self.activation)

    def tell_parked(self, run: Run, call: IncomingCall) -> None:
        origin = (call.options or {}).get("from")
        if origin is None or list(origin) in run.reply_to:
            return
        run.reply_to = [*run.reply_to, list(origin)]
        self._keep_reply_to(run.id, run.reply_to, call)

    def _tell_parked_row(self, row: RunRow, call: IncomingCall) -> None:
        origin = (call.options or {}).get("from")
        if origin is None:
            return
        known: Any = codec.decode(row.reply_to) if row.reply_to else []
        if list(origin) not in known:
            known.append(list(origin))
            row.reply_to = codec.encode(known)
        self._keep_reply_to(row.id, known, call)

    def _keep_reply_to(self, run_id: str, reply_to: list[list[str]], call: IncomingCall) -> None:
        def keep() -> Callable[[], None]:
            journal.set_reply_to(self.activation.file, run_id, codec.encode(reply_to))
            gate = self.activation.gate
            return lambda: gate.when_safe(lambda error: None if error else call.parked(run_id))

        self.activation.exclusively(keep)

    def held_back(self, run: Run) -> None:
        """A paused run has nothing running any more: drop it to its row."""
        self.activation.exclusively(lambda: self._drop_paused(run))

    def _drop_paused(self, run: Run) -> Callable[[], None] | None:
        if run.is_over or not run.is_pausing:
            return None
        journal.set_status(self.activation.file, run.id, "paused")
        return lambda: self._shelve(run)

    def pause_with(self, run: Run, error: DotdoError) -> None:
        """Stop a run where it stands because it cannot go on; its callers get the error, its row says paused."""

        def pause() -> Callable[[], None]:
            journal.set_status(self.activation.file, run.id, "paused", waiting=f"{error.code}: {error}")

            def shelve() -> None:
                callers, run.callers = run.callers, []
                self._shelve(run)
                for call in callers:
                    call.reject_error(error)

            return shelve

        self.activation.exclusively(pause)

    def refuse_if_stuck(self, row: RunRow) -> None:
        """An execution that was paused because it cannot go on says why to everybody who would wait for it."""
        code, colon, text = (row.waiting or "").partition(": ")
        for kind in (ReplayMismatch, ReplayDrift):
            if row.status == "paused" and colon and code == kind.code:
                raise kind(text)

    def _shelve(self, run: Run) -> None:
        """Drop a run's coroutines; from now on it is a row."""
        self.runs.pop(run.id, None)
        self._drop(run)
        row = journal.find_run(self.activation.file, run.id)
        if row is not None and row.ended is None:
            self.dormant[run.id] = row
            if row.status == "waiting":
                self._watch(row)
        if run.callers:
            self.listeners(run.id).extend(run.callers)
            run.callers = []
        self.activation.host.touched(self.activation)

    def _drop(self, run: Run) -> None:
        run.is_over = True
        for operation in list(run.operations.values()):
            operation.withdrawn = True
            operation.withdraw_timers()
        dropping.drop(self.activation, list(run.tasks))
        run.tasks.clear()
        run.operations.clear()

    def shelve_parked(self, before: float) -> None:
        """Drop coroutines that have been parked since before `before`, although their entity is awake."""
        for run in [r for r in self.runs.values() if r.parked_since is not None and r.parked_since < before and r.is_parked]:
            self.activation.exclusively(lambda run=run: self._shelve_parked(run))  # type: ignore[misc]

    def _shelve_parked(self, run: Run) -> Callable[[], None] | None:
        if run.is_over or not run.is_parked:
            return None
        journal.set_status(self.activation.file, run.id, "waiting", run.waiting_for, run.until)
        return lambda: self._shelve(run)

    @property
    def is_idle(self) -> bool:
        return not self._pins and self.outbox.is_empty and all(run.is_parked for run in self.runs.values())

    def park(self) -> float | None:
        times: list[float] = [row.until for row in self.dormant.values() if row.status == "waiting" and row.until is not None]
        for run in list(self.runs.values()):
            until = run.until
            journal.set_status(self.activation.file, run.id, "waiting", run.waiting_for, until)
            if until is not None:
                times.append(until)
            if run.callers:
                self._listeners.setdefault(run.id, []).extend(run.callers)
            self._drop(run)
        self.runs.clear()
        if self.alarm.next_due is not None:
            times.append(self.alarm.next_due)
        self._cancel_timers()
        self.outbox.forget_acked()
        self._retain()
        return min(times) if times else None

    def _retain(self) -> None:
        """Retention, when the entity goes to sleep: rows nobody will ask for any more."""
        activation = self.activation
        settings, now = activation.host.settings, activation.host.clock.now()
        if journal.count_calls_before(activation.file, now - settings.call_record_ttl_s):
            journal.forget_calls_before(activation.file, now - settings.call_record_ttl_s)
        if self.runs_changed:
            journal.forget_runs(activation.file, now - settings.history_retention_s, settings.history_rows_max)

    def run_internal(
        self,
        run_id: str,
        name: str,
        coroutine: Any,
        succeeded: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """Run a hook of the class as a call of the runtime's own; `succeeded` and `failed` add rows to its last turn."""
        run = Run(self, run_id, name, None)
        run.chain = [self.activation.key]
        run.is_internal = True
        run.on_end = lambda error: succeeded() if error is None else failed(error)
        run.started_at = self.activation.host.clock.now()
        self.runs[run_id] = run
        run.start(coroutine, now=True)

    def _cancel_timers(self) -> None:
        self.alarm.disarm()
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def fail_all(self, error: BaseException) -> None:
        self._cancel_timers()
        self.outbox.stop()
        for run in list(self.runs.values()):
            callers, run.callers = run.callers, []
            self._drop(run)
            for call in callers:
                call.reject_error(error)
        self.runs.clear()
        dropping.drop(self.activation, list(self.activation.tasks))

    def abandon(self) -> None:
        """Drop everything without telling anybody."""
        self._cancel_timers()
        self.outbox.stop()
        for run in list(self.runs.values()):
            self._drop(run)
        self.runs.clear()
        dropping.drop(self.activation, list(self.activation.tasks))

    @property
    def is_at_rest(self) -> bool:
        """True when every call is parked, or waits for another entity."""
        return self.outbox.is_empty and all(run.is_at_rest for run in self.runs.values())

    def pin(self, awaitable: Any) -> None:
        """Keep the entity awake until `awaitable` is done."""
        self._pins.add(awaitable)
        awaitable.add_done_callback(self._unpin)

    def _unpin(self, awaitable: Any) -> None:
        self._pins.discard(awaitable)
        self.activation.host.touched(self.activation)

    def retire(self, run: Run, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        self.runs.pop(run.id, None)
        waiting = self._listeners.pop(run.id, None) if run.is_journaled else None
        if waiting:
            run.callers.extend(waiting)
        if run.is_journaled:
            self.host.execution_ended(execution_id_of(self.activation.key, run.id), blob, ok)


def _what(method: str, payload: bytes | None) -> str:
    """What a call id stands for: the method and its arguments, as a short text."""
    return f"{method}:{hashlib.blake2b(payload or b'', digest_size=8).hexdigest()}"


async def _raise(error: BaseException) -> None:
    raise error
