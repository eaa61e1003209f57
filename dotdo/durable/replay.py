"""How the outcomes on record reach the code that awaits them, the first time and on every replay.

A replay runs the method again. What it awaits is answered from the journal, one outcome at a time in the order they were
recorded, the next only when the execution can run no further; so races are decided as they were. The first time, an
execution with several branches is handed its outcomes in the same way. Where the record ends the execution is live: what
it asked for meanwhile is begun.

A recorded outcome that nobody asks for, although the source of the method is unchanged, is a mismatch: the execution is
paused and says so. It is never answered with another step's outcome.

A retry may go another way than the run that failed. What that run recorded between the failure and the retry, in the
branch that failed, answers who asks for it again, and is missed by nobody.

If the source was changed, what is on record is found by its id, wherever the new code asks for it. What the new code asks
for and the record does not have is begun; what the record has and the new code passes over is kept aside, should it be
asked for later, and in the end noted in the history. A step that looks like a recorded one under a new name would be done
twice: that pauses the execution too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo.durable.operation import Operation
from dotdo.entity.turn import Branch, Turn
from dotdo.errors import ReplayMismatch
from dotdo.storage.journal import Kind, Row

if TYPE_CHECKING:
    from dotdo.durable.run import Run

QUIET_PASSES = 4
"""Loop passes without a turn after which an execution can run no further: gather needs two, TaskGroup three."""

MISMATCH_AFTER_SECONDS = 1.0
"""How long a replay waits for a recorded operation that is not asked for before it reports a mismatch."""

_CANCEL = ""
"""In the order of the record: the execution was cancelled here."""


class Replay:
    """The outcomes of one execution, on record and new."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._loop = run.activation.host.loop
        self._recorded: dict[str, Row] = {}
        self._order: deque[str] = deque()
        self._asked: dict[str, Operation] = {}
        self._deferred: list[Operation] = []
        self._is_watching = False
        self._quiet_passes = 0
        self._was_cancelled_again = False
        self._mismatch_timer: Any = None
        self._ready: deque[tuple[Operation, bool, bytes]] = deque()
        self._is_settling = False
        self._settled_passes = 0
        self._passed_over: dict[str, Row] = {}
        self._of_another_way: dict[str, Row] = {}
        """What a run that was retried recorded after the failure: asked for again only if the retry goes that way too."""
        self.has_moved = False
        """True once an outcome was delivered that was not on record."""

    # -- the record ---------------------------------------------------------------------------------------------

    def add(self, row: Row) -> None:
        """An outcome, or the cancellation, in the order of the journal."""
        key = _CANCEL if row.kind == Kind.CANCEL else row.key
        self._recorded[key] = row
        self._order.append(key)

    def add_of_another_way(self, row: Row) -> None:
        """An outcome recorded on the way that a failure led to, which the retry may not take."""
        self._of_another_way[row.key] = row

    @property
    def is_going_on(self) -> bool:
        """True until everything on record has been delivered."""
        return bool(self._recorded)

    def has(self, key: str) -> bool:
        """True if an outcome of this key is on record and was not asked for yet."""
        return key in self._recorded or key in self._passed_over or key in self._of_another_way

    def answers(self, operation: Operation, turn: Turn) -> bool:
        """True, and the operation answered, if it was recorded on the way that a failure led to, and the retry goes there too."""
        row = self._of_another_way.pop(operation.key, None)
        if row is None:
            return False
        turn.then(lambda: self.deliver(operation, bool(row.ok), row.value or b""))
        return True

    @property
    def has_passed_over(self) -> bool:
        """True while outcomes on record are left that changed code did not ask for."""
        return bool(self._passed_over)

    @property
    def is_delivering(self) -> bool:
        """True while an outcome waits for the one before it to be taken in."""
        return bool(self._ready)

    @property
    def is_stuck(self) -> bool:
        """True while it waits for a recorded operation that is not asked for."""
        return self._mismatch_timer is not None

    def turn_ran(self, branch: Branch) -> None:
        """A turn of the execution ended: it may run further."""
        self._quiet_passes = 0
        if not branch.in_step:
            self._settled_passes = 0

    # -- asking -------------------------------------------------------------------------------------------------

    def ask(self, operation: Operation, turn: Turn) -> None:
        """User code awaits `operation` while the record is not used up: it is answered from there, or begun later."""
        row = self._recorded.get(operation.key)
        if row is None:
            self._deferred.append(operation)
        elif self._is_of_another(row, operation):
            turn.then(lambda: self._report_other(row, operation))
            return
        else:
            self._asked[operation.key] = operation
        turn.then(self._advance)

    def ask_late(self, operation: Operation, turn: Turn) -> None:
        """Changed code asks for `operation` after outcomes on record were passed over: it may be one of them."""
        row = self._passed_over.get(operation.key)
        if row is None:
            twin = self._twin_of(operation)
            if twin is not None:
                turn.then(lambda: self._report_renamed(twin, operation))
            else:
                operation.start(turn)
        elif self._is_of_another(row, operation):
            turn.then(lambda: self._report_other(row, operation))
        else:
            del self._passed_over[operation.key]
            turn.then(lambda: self.deliver(operation, bool(row.ok), row.value or b""))

    def _is_of_another(self, row: Row, operation: Operation) -> bool:
        """True if the outcome came from another entity; a step whose function has another name now is noted."""
        if operation.is_call:
            return row.body is not None and row.body != operation.body
        function, recorded = operation.body or operation.name, _function_of(row)
        if operation.is_step and recorded is not None and recorded != function:
            text = f"step {operation.name!r} was recorded by {recorded} and is {function} now: its recorded outcome counts"
            self._run.activation.exclusively(lambda: self._run.note(text))
        return False

    def _twin_of(self, operation: Operation) -> Row | None:
        """An outcome on record that nobody asked for, of a step with this function."""
        if not operation.is_step:
            return None
        function = operation.body or operation.name
        left = {**self._recorded, **self._passed_over}
        return next((row for key, row in left.items() if key not in self._asked and _function_of(row) == function), None)

    def _advance(self) -> None:
        if not self._recorded or self._run.is_over:
            return
        if len(self._run.tasks) == 1 and self._order[0] in self._asked:
            self._answer(self._order[0])
        else:
            self._watch_again()

    def _watch_again(self) -> None:
        if not self._is_watching:
            self._is_watching = True
            self._quiet_passes = 0
            self._loop.call_soon(self._watch)

    def _watch(self) -> None:
        """Runs in every pass of the loop: can the execution run no further?"""
        if self._run.is_over or not self._recorded:
            self._is_watching = False
            return
        self._quiet_passes += 1
        if self._quiet_passes < QUIET_PASSES:
            self._loop.call_soon(self._watch)
            return
        self._is_watching = False
        self._next()

    def _next(self) -> None:
        run = self._run
        first = self._order[0]
        if first == _CANCEL:
            self._cancel_again()
        elif first in self._asked:
            self._answer(first)
        elif run.source_changed and self._asked:
            self._answer(next(key for key in self._order if key in self._asked))
        elif run.source_changed and self._deferred:
            self._pass_over()
        elif self._mismatch_timer is None and not run.trying:
            clock = run.activation.host.clock
            self._mismatch_timer = clock.call_at(clock.now() + MISMATCH_AFTER_SECONDS, self._mismatch)

    def _answer(self, key: str) -> None:
        operation = self._asked.pop(key)
        row = self._recorded.pop(key)
        self._order.remove(key)
        if self._mismatch_timer is not None:
            self._mismatch_timer.cancel()
            self._mismatch_timer = None
        operation.resolve(bool(row.ok), row.value or b"")
        if not self._recorded:
            self._settle_after_next()
            self._go_live()
        elif len(self._run.tasks) > 1 or operation.withdrawn:
            self._watch_again()
        else:
            self.watch_for_cancel()

    def _go_live(self) -> None:
        """The record is used up: begin what was asked for meanwhile."""
        deferred, self._deferred = self._deferred, []
        if not deferred:
            return
        run = self._run
        if run.check is not None:
            self.note_leftovers()
            run.check.passed()
            return
        turn = Turn(None)

        def start() -> Callable[[], None]:
            for operation in deferred:
                if not operation.withdrawn and not self.answers(operation, turn):
                    operation.start(turn)
            if run.needs_rows:
                run.begin_journal()
            return turn.run_effects

        run.activation.exclusively(start)

    def _pass_over(self) -> None:
        """The method was changed and asks for something new: what is left on record is kept aside."""
        for operation in self._deferred:
            twin = self._twin_of(operation)
            if twin is not None:
                self._report_renamed(twin, operation)
                return
        was_cancelled = _CANCEL in self._recorded
        self._passed_over = {key: row for key, row in self._recorded.items() if key != _CANCEL}
        self._recorded.clear()
        self._order.clear()
        self._go_live()
        if was_cancelled and self._run.main is not None:
            self._run.main.cancel()

    # -- outcomes of a live execution ---------------------------------------------------------------------------

    def deliver(self, operation: Operation, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        """Hand on an outcome that has just been recorded; with several branches one at a time, as a replay will.

        A race is decided by what its code sees done when it wakes, some loop passes after the outcome. A second
        outcome in these passes would be seen now and not by the replay.
        """
        run = self._run
        self.has_moved = True
        if not self._is_settling and not any(t is not run.main and not t.branch.in_step for t in run.tasks):
            operation.resolve(ok, blob)
            return
        self._ready.append((operation, ok, blob))
        if not self._is_settling:
            self._settle_after_next()

    def _settle_after_next(self) -> None:
        if self._ready:
            operation, ok, blob = self._ready.popleft()
            operation.resolve(ok, blob)
        self._is_settling = True
        self._settled_passes = 0
        self._loop.call_soon(self._settle)

    def _settle(self) -> None:
        self._settled_passes += 1
        if self._settled_passes < QUIET_PASSES and not self._run.is_over:
            self._loop.call_soon(self._settle)
        elif self._ready and not self._run.is_over:
            self._settle_after_next()
        else:
            self._is_settling = False

    # -- cancellation -------------------------------------------------------------------------------------------

    def cancel_when_there(self) -> None:
        """Cancel the body once the replay has come to where the execution stands: its undos need its steps."""
        self._recorded[_CANCEL] = Row(0, Kind.CANCEL, _CANCEL, None, None, None, None, None, 0.0, None, None)
        self._order.append(_CANCEL)
        self.watch_for_cancel()

    def watch_for_cancel(self) -> None:
        """A replay that comes to where the execution was cancelled cancels it again, not before."""
        if self._order and self._order[0] == _CANCEL:
            self._watch_again()

    def _cancel_again(self) -> None:
        if not self._was_cancelled_again:
            self._was_cancelled_again = True
            if self._run.main is not None:
                self._run.main.cancel()
            self.watch_for_cancel()
            return
        del self._recorded[_CANCEL]
        self._order.popleft()
        if self._recorded:
            self._advance()
        else:
            self._go_live()

    # -- mismatch -----------------------------------------------------------------------------------------------

    def has_leftovers(self) -> bool:
        """True if the method ended without asking for everything on record (undos are asked for after its end)."""
        leftover = [key for key in self._order if not key.startswith("undo|")]
        if leftover:
            self._order = deque(leftover)
        return bool(leftover)

    def note_leftovers(self) -> None:
        """The method ended: say in the history which recorded steps its changed code did not ask for."""
        for key, row in {**self._recorded, **self._passed_over}.items():
            if key != _CANCEL and not key.startswith("undo|"):
                self._run.note(f"step {row.name!r} is on record, and the changed code did not ask for it")

    def _mismatch(self) -> None:
        self._mismatch_timer = None
        if self._run.is_over or not self._recorded:
            return
        if self._order[0] in self._asked or self._run.trying:
            self._advance()
        else:
            self.report_mismatch()

    def report_mismatch(self) -> None:
        """Stop the execution where it is, and say why."""
        row = self._recorded[self._order[0]]
        self._pause(
            f"does not ask for step {row.key!r} ({row.name}), which is recorded, although {self._run.method} was not changed: "
            f"is it deterministic?"
        )

    def _report_renamed(self, row: Row, operation: Operation) -> None:
        self._pause(
            f"asks for step {operation.name!r}, which runs {operation.body or operation.name}, and so did step {row.name!r}, which is recorded and not "
            f"asked for: a renamed step would be done twice. Give it its old name, or put the new one behind `if patched(...)`"
        )

    def _report_other(self, row: Row, operation: Operation) -> None:
        self._pause(
            f"asks for {operation.name!r} of {operation.body}, and what is recorded under this id came from {row.body}: "
            f"put calls that were added behind `if patched(...)`, or make them steps with ids of their own"
        )

    def _pause(self, problem: str) -> None:
        run = self._run
        if run.is_over:
            return
        text = f"replay of {run.activation.key}!{run.id} {problem} The execution is paused; `resume` tries again, `replay` starts it anew"
        run.ledger.dormant.pause_with(run, ReplayMismatch(text))


def _function_of(row: Row) -> str | None:
    """The name of the function whose outcome the row is; None if it is not that of a step."""
    return (row.body or row.name) if row.attempt else None
