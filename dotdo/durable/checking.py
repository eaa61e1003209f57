"""Replaying an execution only to see whether the code of today still fits its record.

The record is run through as a replay would, but nothing is begun: where the record ends, the check has passed. No step
runs, no call and no event goes out. What is between the steps runs, as in every replay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable.run import Run
from dotdo.entity.turn import Ending
from dotdo.storage import journal
from dotdo.storage.journal import Row, RunRow

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

_RUN_FIELDS = tuple(RunRow.__slots__)  # type: ignore[attr-defined]
_ROW_FIELDS = tuple(Row.__slots__)  # type: ignore[attr-defined]


def records_of(file: journal.File) -> list[list[Any]]:
    """Every execution of an entity's file with its journal, as data that can travel."""
    found = []
    for row in journal.list_runs(file, None, 1_000_000):
        rows = [[getattr(entry, name) for name in _ROW_FIELDS] for entry in journal.rows_of(file, row.id)]
        found.append([[getattr(row, name) for name in _RUN_FIELDS], rows])
    return found


class Check:
    """The check of one execution; whoever asked gets its outcome, once."""

    def __init__(self, ledger: Ledger, call: IncomingCall, run: Run, row: RunRow) -> None:
        self._ledger = ledger
        self._call = call
        self._run = run
        self._row = row
        self._is_done = False

    def passed(self) -> None:
        """The record is used up, or the code goes its own way from here."""
        self._done(None)

    def failed(self, problem: str) -> None:
        """The code does not fit the record."""
        self._done(problem)

    def ended(self, ending: Ending, outcome: Any) -> None:
        """The method returned or raised: as it is on record, if it has ended before."""
        row, run = self._row, self._run
        if row.status == "cancelled" or run.is_cancelling or (row.ended is None and run.failed_blob is None):
            self.passed()
        elif ending is Ending.RETURNED:
            blob = codec.encode(outcome)
            self._done(None if row.ok and blob == row.outcome else f"returns {outcome!r}, which is not what is recorded")
        else:
            recorded = codec.decode(run.failed_blob or row.outcome or b"")
            same = not row.ok and type(recorded).__name__ == type(outcome).__name__ and str(recorded) == str(outcome)
            self._done(None if same else f"raises {type(outcome).__name__}: {outcome}, which is not what is recorded")

    def _done(self, problem: str | None) -> None:
        if self._is_done:
            return
        self._is_done = True
        run, ledger = self._run, self._ledger
        answer = codec.encode([problem, sorted(run.notes)])

        def stop() -> Callable[[], None]:
            def drop() -> None:
                ledger.runs.leave(run)
                ledger.dormant.drop(run)
                self._call.resolve(answer)

            return drop

        ledger.activation.exclusively(stop)


def check(ledger: Ledger, call: IncomingCall, record: list[Any]) -> None:
    """Check one execution against the code that is here."""
    row = RunRow(**dict(zip(_RUN_FIELDS, record[0], strict=True)))
    rows = [Row(**dict(zip(_ROW_FIELDS, entry, strict=True))) for entry in record[1]]
    spec, activation = ledger.activation.spec, ledger.activation
    run = Run(ledger, row.id, row.method, row.payload)
    run.load(row, rows)
    run.check = Check(ledger, call, run, row)
    code = spec.code_of(activation.id, row.method, row.payload)
    if code.function is None:
        call.resolve(codec.encode([f"{code.name!r} is not known here: {code.missing or 'there is no such method'}", []]))
        return
    run.source_changed = spec.source_of(activation.id, row.method, row.payload) != run.source
    ledger.runs.enter(run)
    run.start(spec.bind(activation.instance, row.method, row.payload), now=False)
    if run.replay is not None:
        run.replay.watch_for_cancel()
