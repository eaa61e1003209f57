"""The ledger of an entity: its calls, which of them are executions, and what the end of each turn adds to the journal.

One ledger per activation. It accepts calls (answering a repeat from the record), tells each turn whether it is on record,
adds the rows that belong to a turn's transaction, and lets out what the turn asked for once it is committed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import alarm, control, deliveries, dropping, ports, repeats, retry, step, unawaited
from dotdo.durable.alarm import Alarm
from dotdo.durable.calls import EntityCaller
from dotdo.durable.deliveries import Deliveries
from dotdo.durable.dormant import Dormant
from dotdo.durable.inbox import Inbox
from dotdo.durable.outbox import Outbox
from dotdo.durable.projection import Projection
from dotdo.durable.run import Run
from dotdo.durable.runs import Runs
from dotdo.durable.step import StepOperation
from dotdo.durable.waits import SleepOperation
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Ending, Turn
from dotdo.errors import Hibernated, InsideTransaction, OutsideTurn
from dotdo.names import execution_id_of
from dotdo.rpc.caller import CALLER
from dotdo.storage import journal
from dotdo.storage.journal import Kind

if TYPE_CHECKING:
    from dotdo.durable.ports import Component, DeliveryForm, LedgerHost, OwnExecutions
    from dotdo.entity.activation import Activation
    from dotdo.rpc.server import IncomingCall


_RANDOM = random.Random()  # noqa: S311  # jitter and ids, not secrets


class Ledger:
    """The durable side of one activation."""

    def __init__(self, activation: Activation, host: LedgerHost) -> None:
        self.activation = activation
        self.host = host
        self.rng = _RANDOM
        self.runs = Runs()
        self.dormant = Dormant(self)
        self.outbox = Outbox(activation, host)
        self.inbox = Inbox(activation)
        self.caller = EntityCaller(self)
        self.alarm = Alarm(self)
        self.deliveries = Deliveries(self)
        self.forms: dict[str, DeliveryForm] = {unawaited.FORM: unawaited.Again(self)}
        self.own_executions: dict[str, OwnExecutions] = {alarm.METHOD: self.alarm, deliveries.METHOD: self.deliveries}
        self.extensions = {name: make(self) for name, make in ports.extensions.items()}
        self._components: list[Component] = [self.alarm, self.deliveries, *self.extensions.values()]
        self.projection = Projection(self) if activation.spec.options.index else None
        if self.projection is not None:
            self._components.append(self.projection)
        self._undoable: list[Any] = [part for part in self._components if hasattr(part, "rolled_back")]
        self.runs_changed = False
        self._queue_max = activation.spec.options.max_queue or activation.host.settings.max_queue
        self._queue_bytes_max = activation.host.settings.max_queue_bytes
        self._own_chain = [activation.key]
        self._ordinal = 0
        self._pins: set[Any] = set()
        activation.context.run(CALLER.set, self.caller)

    # -- activation ---------------------------------------------------------------------------------------------

    def load(self) -> None:
        self.dormant.load()
        self._ordinal = journal.last_ordinal(self.activation.file)
        self.outbox.load()
        for component in self._components:
            component.load()

    def wake(self) -> None:
        self.outbox.send_all()
        self.dormant.wake_movable()
        for component in self._components:
            component.wake()

    # -- calls in -----------------------------------------------------------------------------------------------

    def accept(self, call: IncomingCall) -> None:
        """Begin to handle a call now; the input gate is open."""
        try:
            path = call.path
            head = path[0]
            if call.is_message and not self.inbox.is_next(call):
                return
            if head == "!":
                control.answer(self, call)
            elif call.payload is None or len(path) != 1 or not isinstance(head, str):
                self._read(call)
            elif not (call.is_repeat or call.is_explicit) or not repeats.answer(self, call, head):
                self._begin(call, head)
        except Exception as error:  # whatever is wrong with a call is its caller's to know
            call.reject_error(error)

    def _begin(self, call: IncomingCall, method: str) -> None:
        """Run the method's first turn."""
        activation = self.activation
        runs = self.runs
        if (runs.waiting_bytes or len(runs) >= self._queue_max) and self._is_full(call):
            return
        spec = activation.spec
        coroutine = spec.bind(activation.instance, method, call.payload)
        run = Run(self, call.call_id, method, call.payload)
        run.chain = [*call.chain, activation.key] if call.chain else self._own_chain
        run.caller_key = call.record_key
        run.started_at = activation.used_at
        if call.is_repeat:
            run.is_repeat = True
        if call.is_oneway:
            run.owes_receipt = run.is_unawaited = True
        if call.is_explicit:
            run.what = repeats.what_of(method, call.payload)
        options = call.options
        if options is not None and "attempt" in options:
            run.asked = options["attempt"]
        if options is not None and "sender" in options:
            run.sender = (options["sender"], options["number"])
        if options is not None and options.get("start"):
            run.must_be_journaled()
            self._announce_start(run, call)
        else:
            run.callers.append(call)
        runs.enter(run)
        run.start(coroutine, now=True)

    def _announce_start(self, run: Run, call: IncomingCall) -> None:
        """`dotdo.start`: the caller gets the execution's id once its first row is safe."""
        execution_id = execution_id_of(self.activation.key, run.id)

        def announce() -> None:
            gate = self.activation.gate
            gate.when_safe(
                lambda error: call.settle(error, codec.encode(execution_id)),
            )

        run.announce = announce

    def _is_full(self, call: IncomingCall) -> bool:
        """True, and the call refused, if too much waits already; a chain that is inside must be able to end.

        A call that comes alone is never too large: it would be refused for ever.
        """
        runs, activation = self.runs, self.activation
        if activation.key in call.chain or call.is_message:
            return False
        if runs.waiting >= self._queue_max:
            call.reject_error(activation.overloaded(self._queue_max))
            return True
        if runs.waiting_bytes and runs.waiting_bytes + len(call.payload or b"") > self._queue_bytes_max:
            call.reject_error(activation.overloaded_bytes())
            return True
        return False

    def _read(self, call: IncomingCall) -> None:
        """A property path, or a call on what a path leads to."""
        coroutine = self.activation.spec.read(self.activation.instance, call.path, call.payload, self.host.call_out, call.call_id)
        run = Run(self, call.call_id, ".".join(str(p) for p in call.path), call.payload)
        run.chain = [*call.chain, self.activation.key]
        run.started_at = self.activation.host.clock.now()
        run.callers.append(call)
        self.runs.enter(run)
        run.start(coroutine, now=True)

    # -- turns --------------------------------------------------------------------------------------------------

    def turn_begins(self, turn: Turn, task: EntityTask) -> None:
        branch = task.branch
        turn.position = position = (branch.path, branch.passed, branch.since)
        branch.since += 1
        run: Run = task.run
        if run.is_resting:
            self.runs.move(run)
        records = run.records
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
        if turn.nodes or self.caller.has_waiting:
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
            if run.is_journaled and (wrote or (turn.begins and not task.branch.in_step and run.has_drawn)):
                run.add_row(Kind.TURN, "")
        if run.is_journaled:
            if run.announce is not None:
                turn.then(run.announce)
                run.announce = None
            if run.owes_receipt and not run.is_over:
                turn.then(run.acknowledge)
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
        self.caller.undo()
        self.outbox.drop_fresh()
        self.timers_rolled_back()

    def rolled_back_to(self, calls: Any) -> None:
        """An inner transaction is undone, with the calls made since `calls`."""
        self.caller.undo(calls)
        self.timers_rolled_back()

    def timers_rolled_back(self) -> None:
        for component in self._undoable:
            component.rolled_back()

    def turn_settled(self, run: Run) -> None:
        if run.operations:
            self.dormant.may_be_parked(run)

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

    def handed(self, make: Callable[[], Any], *, is_drawn: bool = True) -> Any:
        """A value the runtime hands to a turn: the same again on replay.

        What is drawn (time, randomness) is safe before anything the turn starts begins; a stored value could be read again.
        """
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
            turn.has_drawn |= is_drawn
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

    @property
    def waiting_bytes(self) -> int:
        return self.runs.waiting_bytes

    @property
    def is_idle(self) -> bool:
        return not self._pins and self.outbox.is_at_rest and all(run.is_parked for run in self.runs.values())

    def shelve_parked(self, before: float) -> None:
        self.dormant.shelve_parked(before)

    def park(self) -> float | None:
        times = self.dormant.next_due()
        for run in list(self.runs.values()):
            until = run.until
            run.keep_deadlines()
            journal.set_status(self.activation.file, run.id, "waiting", run.waiting_for, until)
            if until is not None:
                times.append(until)
            self.dormant.keep_callers(run)
            self.dormant.drop(run)
        self.runs.clear()
        for component in self._components:
            times += component.due_times()
        times += self.outbox.due_times()
        self._cancel_timers()
        self.outbox.stop()
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
        on_end: Callable[[BaseException | None], Callable[[], None] | None],
        payload: bytes | None = None,
        *,
        is_repeat: bool = False,
    ) -> None:
        """Run a handler as a call of the runtime's own; `on_end` adds rows to its last turn, what it returns runs once they are in."""
        run = Run(self, run_id, name, payload)
        run.chain = [self.activation.key]
        run.is_internal = True
        run.is_repeat = is_repeat
        run.on_end = on_end
        run.started_at = self.activation.host.clock.now()
        self.runs.enter(run)
        run.start(coroutine, now=True)

    def _cancel_timers(self) -> None:
        for component in self._components:
            component.stop()
        self.dormant.stop()

    def fail_all(self, error: BaseException) -> None:
        self._cancel_timers()
        self.outbox.stop()
        self.inbox.fail(error)
        for run in list(self.runs.values()):
            callers, run.callers = run.callers, []
            self.dormant.drop(run)
            for call in callers:
                call.reject_error(error)
        self.runs.clear()
        dropping.drop(self.activation, list(self.activation.tasks))

    def take_calls(self) -> list[IncomingCall]:
        """The calls that are accepted and not answered; their runs have no callers from now on."""
        calls = []
        for run in self.runs.values():
            calls += run.callers
            run.callers = []
        return calls

    def abandon(self) -> None:
        """Drop everything without telling anybody."""
        self._cancel_timers()
        self.outbox.stop()
        for run in list(self.runs.values()):
            self.dormant.drop(run)
        self.runs.clear()
        dropping.drop(self.activation, list(self.activation.tasks))

    def let_go(self) -> None:
        parts = "caller dormant alarm deliveries outbox inbox projection extensions own_executions forms _undoable _components"
        for part in parts.split():
            self.__dict__.pop(part, None)

    @property
    def is_at_rest(self) -> bool:
        """True when every call is parked, or waits for another entity."""
        return self.outbox.is_at_rest and all(run.is_at_rest for run in self.runs.values())

    @property
    def waits_outside(self) -> bool:
        """True when a call waits for something the runtime knows nothing of."""
        return any(run.waits_outside for run in self.runs.values())

    def pin(self, awaitable: Any) -> None:
        """Keep the entity awake until `awaitable` is done."""
        self._pins.add(awaitable)
        awaitable.add_done_callback(self._unpin)

    def _unpin(self, awaitable: Any) -> None:
        self._pins.discard(awaitable)
        self.activation.host.touched(self.activation)

    def retire(self, run: Run, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        self.runs.leave(run)
        run.replay = None
        if run.is_journaled:
            run.callers.extend(self.dormant.callers_of(run.id))
            self.host.execution_ended(execution_id_of(self.activation.key, run.id), blob, ok)
