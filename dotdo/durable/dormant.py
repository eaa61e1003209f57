"""Executions at rest: rows that say what they wait for and until when, without a coroutine.

An execution whose every task waits for something durable is parked. Its coroutines may be dropped, when the entity goes to
sleep or when they have been parked for long, and only its row stays; it is replayed when it can move. Whoever waits for it
is told that the answer may take days, so that a waiting entity can rest as well; callers outside stay attached to the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import dropping
from dotdo.durable.run import Run
from dotdo.errors import DotdoError, NounNotLoadable, ReplayDrift, ReplayMismatch, WorkflowNotFound
from dotdo.storage import journal
from dotdo.storage.journal import RunRow

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall


LONG_SECONDS = 60.0
"""Who waits for longer need not stay in memory for it."""


class Dormant:
    """The dormant executions of one entity, and how a run becomes one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._activation = ledger.activation
        self.rows: dict[str, RunRow] = {}
        self._timers: dict[str, Any] = {}

    # -- waking -------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read the rows (worker thread, file open)."""
        for row in journal.unfinished_runs(self._activation.file):
            self.rows[row.id] = row

    def has(self, method: str) -> bool:
        """True if an execution of this method is among them."""
        return any(row.method == method for row in self.rows.values())

    def wake_movable(self) -> None:
        """Replay what was running or is due, oldest first; the others stay rows, with a timer if they have a time."""
        now = self._activation.host.clock.now()
        for row in sorted(self.rows.values(), key=lambda r: r.ordinal):
            own = self._ledger.own_executions.get(row.method)
            if row.status == "running" and own is not None and own.gives_up(row):
                self.rows.pop(row.id)
            elif row.status == "running" or (row.status == "waiting" and row.until is not None and row.until <= now):
                self.replay(row)
            elif row.status == "waiting":
                self.watch(row)

    def next_due(self) -> list[float]:
        """When they are due, those that have a time."""
        return [row.until for row in self.rows.values() if row.status == "waiting" and row.until is not None]

    def stop(self) -> None:
        """Leave no timer behind."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def watch(self, row: RunRow) -> None:
        """A parked execution stays a row until it is due."""
        if row.until is None:
            return
        run_id = row.id

        def due() -> None:
            self._timers.pop(run_id, None)
            dormant = self.rows.get(run_id)
            if dormant is not None and dormant.status == "waiting":
                self._activation.exclusively(lambda: lambda: self._wake_due(run_id))

        self._timers[run_id] = self._activation.host.clock.call_at(row.until, due)

    def _wake_due(self, run_id: str) -> None:
        self.wake(run_id)

    def wake(self, run_id: str) -> Run | None:
        """Replay a dormant execution; None when it is not there."""
        row = self.rows.get(run_id)
        return self.replay(row) if row is not None else None

    def replay(self, row: RunRow) -> Run:
        """Run an unfinished execution again from its journal."""
        self.rows.pop(row.id, None)
        timer = self._timers.pop(row.id, None)
        if timer is not None:
            timer.cancel()
        run = Run(self._ledger, row.id, row.method, row.payload)
        run.load(row, journal.rows_of(self._activation.file, row.id))
        run.is_repeat = True
        self._ledger.runs.enter(run)
        missing = self._activation.spec.code_of(self._activation.id, row.method, row.payload).missing
        if isinstance(missing, DotdoError):
            self.pause_with(run, missing)  # it is not lost: `resume` goes on when its code is here again
            return run
        try:
            own = self._ledger.own_executions.get(row.method)
            if own is not None:
                bound, run.on_end = own.again(row.payload)
            else:
                bound = self._activation.spec.bind(self._activation.instance, row.method, row.payload)
            source = self._activation.spec.source_of(self._activation.id, row.method, row.payload)
        except Exception as error:  # a method that is gone fails the execution, typed
            bound, source = _raise(error), row.source
        run.source_changed = source != run.source
        run.start(bound, now=False)
        if run.replay is not None:
            run.replay.watch_for_cancel()
        return run

    # -- coming to rest -----------------------------------------------------------------------------------------

    def may_be_parked(self, run: Run) -> None:
        """A run may have come to rest: its entity callers are told, so that they may rest too."""
        if not run.is_parked:
            run.parked_since = None
            return
        self._ledger.runs.rest(run)
        if run.parked_since is None:
            run.parked_since = self._activation.host.clock.now()
        for call in run.callers:
            self.tell_parked(run, call)
        host = self._activation.host
        host.touched(self._activation)
        soon = host.clock.now() + LONG_SECONDS
        if all(other.until is None or other.until > soon for other in self._ledger.runs.values()):
            host.rests(self._activation)

    def tell_parked(self, run: Run, call: IncomingCall) -> None:
        origin = (call.options or {}).get("from")
        if origin is None or [*origin, call.call_id] in run.reply_to:
            return
        run.reply_to = [*run.reply_to, [*origin, call.call_id]]
        self._keep_reply_to(run.id, run.reply_to, call)

    def tell_parked_row(self, row: RunRow, call: IncomingCall) -> None:
        origin = (call.options or {}).get("from")
        if origin is None:
            return
        known: Any = codec.decode(row.reply_to) if row.reply_to else []
        if [*origin, call.call_id] not in known:
            known.append([*origin, call.call_id])
            row.reply_to = codec.encode(known)
        self._keep_reply_to(row.id, known, call)

    def _keep_reply_to(self, run_id: str, reply_to: list[list[str]], call: IncomingCall) -> None:
        def keep() -> Callable[[], None]:
            journal.set_reply_to(self._activation.file, run_id, codec.encode(reply_to))
            gate = self._activation.gate
            return lambda: gate.when_safe(lambda error: None if error else call.parked(run_id))

        self._activation.exclusively(keep)

    def held_back(self, run: Run) -> None:
        """A paused run has nothing running any more: drop it to its row."""
        self._activation.exclusively(lambda: self._drop_paused(run))

    def _drop_paused(self, run: Run) -> Callable[[], None] | None:
        if run.is_over or not run.is_pausing:
            return None
        run.keep_deadlines()
        journal.set_status(self._activation.file, run.id, "paused")
        return lambda: self._shelve(run)

    def pause_with(self, run: Run, error: DotdoError) -> None:
        """Stop a run where it stands because it cannot go on; its callers get the error, its row says paused."""
        if run.check is not None:
            run.check.failed(str(error))
            return

        def pause() -> Callable[[], None]:
            journal.set_status(self._activation.file, run.id, "paused", waiting=f"{error.code}: {error}")

            def shelve() -> None:
                callers, run.callers = [*run.callers, *self.callers_of(run.id)], []
                self._shelve(run)
                for call in callers:
                    call.reject_error(error)

            return shelve

        self._activation.exclusively(pause)

    def refuse_if_stuck(self, row: RunRow) -> None:
        """An execution that was paused because it cannot go on says why to everybody who would wait for it."""
        code, colon, text = (row.waiting or "").partition(": ")
        for kind in (ReplayMismatch, ReplayDrift, NounNotLoadable, WorkflowNotFound):
            if row.status == "paused" and colon and code == kind.code:
                raise kind(text)

    def _shelve(self, run: Run) -> None:
        """Drop a run's coroutines; from now on it is a row."""
        self._ledger.runs.leave(run)
        self.drop(run)
        row = journal.find_run(self._activation.file, run.id)
        if row is not None and row.ended is None:
            self.rows[run.id] = row
            if row.status == "waiting":
                self.watch(row)
        self.keep_callers(run)
        self._activation.host.touched(self._activation)

    def drop(self, run: Run) -> None:
        run.is_over = True
        for operation in list(run.operations.values()):
            operation.withdrawn = True
            operation.withdraw_timers()
        dropping.drop(self._activation, list(run.tasks))
        run.tasks.clear()
        run.operations.clear()
        run.main = run.replay = None

    def shelve_parked(self, before: float) -> None:
        """Drop coroutines that have been parked since before `before`, although their entity is awake."""
        for run in [r for r in self._ledger.runs.values() if r.parked_since is not None and r.parked_since < before and r.is_parked]:
            self._activation.exclusively(lambda run=run: self._shelve_if_parked(run))  # type: ignore[misc]

    def _shelve_if_parked(self, run: Run) -> Callable[[], None] | None:
        if run.is_over or not run.is_parked:
            return None
        run.keep_deadlines()
        journal.set_status(self._activation.file, run.id, "waiting", run.waiting_for, run.until)
        return lambda: self._shelve(run)

    # -- who waits ----------------------------------------------------------------------------------------------

    def listeners(self, run_id: str) -> list[IncomingCall]:
        """Callers of an execution, asleep or not; those of a dormant one are attached when it wakes."""
        run = self._ledger.runs.get(run_id)
        if run is not None:
            return run.callers
        return self._listeners.setdefault(run_id, [])

    def keep_callers(self, run: Run) -> None:
        """The run becomes a row: its callers wait on."""
        if run.callers:
            self._listeners.setdefault(run.id, []).extend(run.callers)
            run.callers = []

    def callers_of(self, run_id: str) -> list[IncomingCall]:
        """Who came while the execution slept; they are its run's from now on."""
        return self._listeners.pop(run_id, [])

    @property
    def _listeners(self) -> dict[str, list[IncomingCall]]:
        return self._ledger.host.listeners_of(self._activation.key)


async def _raise(error: BaseException) -> None:
    raise error
