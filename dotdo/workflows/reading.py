"""What became of a run, read from its journal.

The journal is fed to a `Course`, as the run itself is when it is replayed, but nothing runs: status, results and history
of a run that sleeps, or of ten thousand, cost their rows and no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dotdo import clock, codec
from dotdo.durable.operation import is_inner
from dotdo.storage.journal import Kind, Row
from dotdo.workflows.course import Course, PlannedStep
from dotdo.workflows.definition import HistoryEntry, Status, StepResult, WorkflowExecution
from dotdo.workflows.graph import Outcome
from dotdo.workflows.operations import WAIT_MARK

_NOTES = {Kind.PAUSED: "pause", Kind.RESUMED: "resume", Kind.RETRIED: "retry"}
_ENDS = {"completed": "complete", "failed": "fail", "cancelled": "cancel"}


@dataclass(frozen=True, slots=True)
class RunState:
    """What is known of a run besides its journal."""

    id: str
    status: Status
    started: float
    ended: float | None
    ok: bool
    outcome: bytes | None


def execution_of(course: Course, state: RunState, rows: list[Row]) -> WorkflowExecution:
    """The run as its journal tells it."""
    return _Reading(course, state).read(rows)


class _Reading:
    def __init__(self, course: Course, state: RunState) -> None:
        self._course = course
        self._state = state
        self._now = _moment(state.started)
        self._results: dict[str, StepResult] = {}
        self._completed: list[str] = []
        self._history: list[HistoryEntry] = []
        self._seen = 0

    def read(self, rows: list[Row]) -> WorkflowExecution:
        definition, state = self._course.plan.definition, self._state
        self._add("start")
        self._go_on()
        for row in rows:
            self._now = _moment(row.at)
            if row.kind in _NOTES:
                self._add(_NOTES[Kind(row.kind)])
            elif row.name and not is_inner(row.key, row.name):
                self._take(row, row.name)
        error = self._end() if state.ended is not None else None
        outcomes = self._course.progress.outcomes
        return WorkflowExecution(
            id=state.id, workflow_id=definition.id, version=definition.version, status=state.status, input=self._course.input,
            state=self._course.state, output=codec.decode(state.outcome) if state.ok and state.outcome else None, error=error,
            current_step_index=next((i for i, step in enumerate(definition.steps) if step.id not in outcomes), len(definition.steps)),
            completed_steps=self._completed, step_results=self._results, started_at=_moment(state.started),
            completed_at=None if state.ended is None else _moment(state.ended), history=self._history,
        )  # fmt: skip

    def _end(self) -> str | None:
        """The run has ended: what had begun by then will not go on."""
        state = self._state
        assert state.ended is not None
        self._now = _moment(state.ended)
        error = None
        if not state.ok and state.outcome:
            error = _text(codec.decode(state.outcome))
        self._add(_ENDS[state.status], error=error)
        for result in self._results.values():
            if result.status in ("running", "waiting"):
                result.status, result.until = "pending", None
        return error

    # -- rows -------------------------------------------------------------------------------------------------------

    def _take(self, row: Row, name: str) -> None:
        step_id, mark, _ = name.partition("#")
        step = self._course.plan.steps.get(step_id)
        if step is None:
            return
        if mark:
            self._take_wait(row, step)
        elif row.kind == Kind.ATTEMPT:
            self._take_attempt(row, step_id)
        elif row.kind == Kind.SET_ASIDE:
            error = _text(codec.decode(row.value)) if row.value else None
            self._add("step_retry" if row.until is not None else "step_fail", step_id, attempt=row.attempt, error=error)
        elif row.kind == Kind.STEP and step_id in self._course.progress.running:
            self._take_outcome(row, step_id)

    def _take_wait(self, row: Row, step: PlannedStep) -> None:
        result = self._results.setdefault(step.id, StepResult())
        if row.kind == Kind.WAIT:
            result.status, result.until = "waiting", _moment_or_none(row.until)
            self._add("wait", step.id, until=result.until)
        elif row.kind == Kind.STEP and f"{step.id}{WAIT_MARK}" == row.name and step.id in self._course.progress.running:
            result.status, result.until, result.started_at = "running", None, self._now
            self._add("step_start", step.id)
            if step.action == "noop" and not self._course.has_noop:
                self._complete(step.id, None)
                self._go_on()

    def _take_attempt(self, row: Row, step_id: str) -> None:
        result = self._results.setdefault(step_id, StepResult())
        result.status, result.until = "waiting", _moment_or_none(row.until)
        result.started_at = result.started_at or _moment_or_none(row.started)
        result.error = _text(codec.decode(row.value)) if row.value else None
        result.retries = (row.attempt or 1) - 1
        self._add("step_retry", step_id, attempt=row.attempt, error=result.error, until=result.until)

    def _take_outcome(self, row: Row, step_id: str) -> None:
        result = self._results.setdefault(step_id, StepResult())
        result.retries = (row.attempt or 1) - 1
        result.started_at = result.started_at or _moment_or_none(row.started)
        value = codec.decode(row.value) if row.value else None
        if row.ok:
            self._complete(step_id, value, attempt=row.attempt)
        else:
            self._course.failed(step_id, value if isinstance(value, BaseException) else RuntimeError(str(value)))
            self._failed(step_id, attempt=row.attempt)
        self._go_on()

    # -- the course -------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Something has ended: what begins, and what ends without taking time."""
        begun = self._course.advance()
        for step_id, outcome in list(self._course.progress.outcomes.items())[self._seen :]:
            self._seen += 1
            if step_id in self._results and self._results[step_id].completed_at is not None:
                continue
            if outcome is Outcome.SKIPPED:
                self._skip(step_id)
            elif outcome is Outcome.COMPLETED:
                self._results[step_id] = StepResult(started_at=self._now)
                self._add("step_start", step_id)
                self._note_completed(step_id, None)
            else:
                self._failed(step_id)
        for step in begun:
            if step.wait_s is None:
                self._results[step.id] = StepResult(status="running", started_at=self._now)
                self._add("step_start", step.id)

    def _complete(self, step_id: str, output: Any, attempt: int | None = None) -> None:
        self._course.completed(step_id, output)
        self._note_completed(step_id, output, attempt)

    def _note_completed(self, step_id: str, output: Any, attempt: int | None = None) -> None:
        result = self._results[step_id]
        result.status, result.output, result.error, result.until, result.completed_at = "completed", output, None, None, self._now
        self._completed.append(step_id)
        self._add("step_complete", step_id, attempt=attempt, output=output)

    def _failed(self, step_id: str, attempt: int | None = None) -> None:
        result = self._results.setdefault(step_id, StepResult())
        result.status, result.error, result.until, result.completed_at = "failed", _text(self._course.errors[step_id]), None, self._now
        self._add("step_fail", step_id, attempt=attempt, error=result.error)

    def _skip(self, step_id: str) -> None:
        reason = self._course.errors.get(step_id)
        why = reason if isinstance(reason, str) else "what it depends on was skipped or failed"
        self._results[step_id] = StepResult(status="skipped", error=why, completed_at=self._now)
        self._add("step_skip", step_id, error=why)

    def _add(self, type: Any, step_id: str | None = None, **more: Any) -> None:
        self._history.append(HistoryEntry(type=type, at=self._now, step_id=step_id, **more))


def _text(error: Any) -> str:
    """An error as the sources show it: what it says, or what it is called."""
    return str(error) or type(error).__name__


def _moment(epoch: float) -> datetime:
    return clock.to_datetime(epoch)


def _moment_or_none(epoch: float | None) -> datetime | None:
    return None if epoch is None else clock.to_datetime(epoch)
