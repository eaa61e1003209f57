"""The journal tables of an entity's file: answered calls, executions, their journals, the outbox and the inbox.

Every row is added to the file's batch (`file.add`) and so commits with the writes of the turn it belongs to; that is
the whole trick of exactly-once. Nothing here decides: `dotdo.durable` does, this module knows the tables.

A journal is append-only. A row of any kind may carry the records of turns that ran since the row before it
(`turns`): what they read, so that a replay sees the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

FIELD_PUT = "INSERT INTO _do_fields(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value"

_TABLES = {
    "calls": """CREATE TABLE IF NOT EXISTS _do_calls(
        caller TEXT NOT NULL, seq INTEGER NOT NULL, what TEXT NOT NULL, outcome BLOB NOT NULL, ended REAL NOT NULL,
        PRIMARY KEY(caller, seq)) WITHOUT ROWID""",
    "runs": """CREATE TABLE IF NOT EXISTS _do_runs(
        id TEXT PRIMARY KEY, ordinal INTEGER NOT NULL, method TEXT NOT NULL, payload BLOB, status TEXT NOT NULL,
        attempt INTEGER NOT NULL, source BLOB, started REAL NOT NULL, ended REAL, ok INTEGER, outcome BLOB,
        waiting TEXT, until REAL, reply_to BLOB, options BLOB) WITHOUT ROWID""",
    "journal": """CREATE TABLE IF NOT EXISTS _do_journal(
        run TEXT NOT NULL, seq INTEGER NOT NULL, kind INTEGER NOT NULL, key TEXT NOT NULL, name TEXT,
        attempt INTEGER, ok INTEGER, value BLOB, until REAL, at REAL NOT NULL, started REAL, turns BLOB, body TEXT,
        PRIMARY KEY(run, seq)) WITHOUT ROWID""",
    "outbox": """CREATE TABLE IF NOT EXISTS _do_outbox(
        seq INTEGER PRIMARY KEY, noun TEXT NOT NULL, id TEXT NOT NULL, message BLOB NOT NULL)""",
    "inbox": "CREATE TABLE IF NOT EXISTS _do_inbox(sender TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
}


class Kind(IntEnum):
    """What a journal row says."""

    TURN = 1
    """Turns wrote to the entity; the row carries their records."""
    STEP = 2
    """A durable operation has its outcome."""
    ATTEMPT = 3
    """An attempt of a step failed; `until` is when the next one may start."""
    WAIT = 4
    """An operation is parked; `until` is its deadline, if it has one."""
    FAILED = 5
    """The method raised; its undos run."""
    CANCEL = 6
    """Somebody cancelled the execution."""
    SIGNAL = 7
    """A signal arrived; `key` is its name."""
    EVENT = 8
    """The execution took an event; `key` is its name, `attempt` its number in the log of that name."""
    NOTE = 9
    """What changed code left to be said, as text: a recorded step it does not ask for any more."""
    PATCH = 10
    """The execution reached `patched(key)` for the first time on code that has it."""
    PAUSED = 11
    """Somebody paused the execution."""
    RESUMED = 12
    """Somebody let it go on."""
    RETRIED = 13
    """It had failed, and somebody let it go on from there."""
    SET_ASIDE = 14
    """A failed step or attempt from before a retry: history, which a replay passes over."""


KEPT_FAILURE = 0.0
"""As `until` of a failed step: a retry of the execution leaves it as it is."""


class File(Protocol):
    """What the journal needs of an entity's file."""

    def add(self, sql: str, params: tuple[Any, ...]) -> None: ...
    def query(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]: ...
    def ensure_table(self, ddl: str) -> None: ...


@dataclass(slots=True)
class Row:
    """One journal row as it is read back."""

    seq: int
    kind: int
    key: str
    name: str | None
    attempt: int | None
    ok: bool | None
    value: bytes | None
    until: float | None
    at: float
    started: float | None
    turns: bytes | None
    body: str | None = None
    """What was done under this name, if the name does not say it: the function of a step, the entity that was called."""


@dataclass(slots=True)
class RunRow:
    """One execution as it is read back."""

    id: str
    ordinal: int
    method: str
    payload: bytes | None
    status: str
    attempt: int
    source: bytes | None
    started: float
    ended: float | None
    ok: bool | None
    outcome: bytes | None
    waiting: str | None
    until: float | None
    reply_to: bytes | None
    options: bytes | None


_RUN_COLUMNS = "id, ordinal, method, payload, status, attempt, source, started, ended, ok, outcome, waiting, until, reply_to, options"
_ROW_COLUMNS = "seq, kind, key, name, attempt, ok, value, until, at, started, turns, body"


# -- answered calls ---------------------------------------------------------------------------------------------


def put_call(file: File, caller: str, seq: int, what: str, outcome: bytes, ended: float) -> None:
    """Keep the answer of a call that wrote, for the case that it is sent again."""
    file.ensure_table(_TABLES["calls"])
    file.add("INSERT OR REPLACE INTO _do_calls VALUES(?1, ?2, ?3, ?4, ?5)", (caller, seq, what, outcome, ended))


def find_call(file: File, caller: str, seq: int) -> tuple[str, bytes] | None:
    """The call kept under this id: what it called and its answer."""
    rows = file.query("SELECT what, outcome FROM _do_calls WHERE caller = ?1 AND seq = ?2", (caller, seq))
    return (rows[0][0], rows[0][1]) if rows else None


def forget_calls(file: File, caller: str, below: int) -> None:
    """The caller holds every answer below `below`; their rows go with the next commit."""
    file.ensure_table(_TABLES["calls"])
    file.add("DELETE FROM _do_calls WHERE caller = ?1 AND seq < ?2", (caller, below))


def forget_calls_before(file: File, ended: float) -> None:
    """Drop answers older than the record's time to live."""
    file.add("DELETE FROM _do_calls WHERE ended < ?1", (ended,))


def count_calls_before(file: File, ended: float) -> int:
    rows = file.query("SELECT count(*) FROM _do_calls WHERE ended < ?1", (ended,))
    return int(rows[0][0]) if rows else 0


# -- executions -------------------------------------------------------------------------------------------------


def put_run(file: File, run: RunRow) -> None:
    """The first durable commit of an execution."""
    file.ensure_table(_TABLES["runs"])
    file.ensure_table(_TABLES["journal"])
    file.add(
        f"INSERT OR REPLACE INTO _do_runs({_RUN_COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
        (
            run.id, run.ordinal, run.method, run.payload, run.status, run.attempt, run.source, run.started, run.ended,
            run.ok, run.outcome, run.waiting, run.until, run.reply_to, run.options,
        ),
    )  # fmt: skip


def set_status(file: File, run: str, status: str, waiting: str | None = None, until: float | None = None) -> None:
    file.add("UPDATE _do_runs SET status = ?2, waiting = ?3, until = ?4 WHERE id = ?1", (run, status, waiting, until))


def set_reply_to(file: File, run: str, reply_to: bytes) -> None:
    file.add("UPDATE _do_runs SET reply_to = ?2 WHERE id = ?1", (run, reply_to))


def set_run_options(file: File, run: str, options: bytes) -> None:
    file.add("UPDATE _do_runs SET options = ?2 WHERE id = ?1", (run, options))


def end_run(file: File, run: str, status: str, outcome: bytes, ended: float, *, ok: bool) -> None:
    """The execution's outcome; its journal stays as history until retention takes it."""
    file.add(
        "UPDATE _do_runs SET status = ?2, ok = ?3, outcome = ?4, ended = ?5, waiting = NULL, until = NULL WHERE id = ?1",
        (run, status, ok, outcome, ended),
    )


def reopen_run(file: File, run: str, attempt: int) -> None:
    """Begin the next run of a failed execution: failures are set aside, with the waits that timed out; successes stay."""
    failures = "kind = 2 AND ok = 0 AND until IS NULL"
    waits = f"kind = 4 AND key IN (SELECT key FROM _do_journal WHERE run = ?1 AND {failures})"
    file.add("DELETE FROM _do_journal WHERE run = ?1 AND key LIKE 'undo|%'", (run,))
    file.add(f"DELETE FROM _do_journal WHERE run = ?1 AND (kind IN (5, 6) OR {waits})", (run,))
    file.add(f"UPDATE _do_journal SET kind = 14 WHERE run = ?1 AND (kind = 3 OR {failures})", (run,))
    file.add(
        "UPDATE _do_runs SET status = 'running', attempt = ?2, ok = NULL, outcome = NULL, ended = NULL WHERE id = ?1",
        (run, attempt),
    )


def find_run(file: File, run: str) -> RunRow | None:
    rows = file.query(f"SELECT {_RUN_COLUMNS} FROM _do_runs WHERE id = ?1", (run,))
    return RunRow(*rows[0]) if rows else None


def unfinished_runs(file: File) -> list[RunRow]:
    """Executions without an outcome, oldest first."""
    rows = file.query(f"SELECT {_RUN_COLUMNS} FROM _do_runs WHERE ended IS NULL ORDER BY ordinal")
    return [RunRow(*row) for row in rows]


def list_runs(file: File, status: str | None, limit: int) -> list[RunRow]:
    """Executions, newest first."""
    if status is None:
        rows = file.query(f"SELECT {_RUN_COLUMNS} FROM _do_runs ORDER BY ordinal DESC LIMIT ?1", (limit,))
    else:
        sql = f"SELECT {_RUN_COLUMNS} FROM _do_runs WHERE status = ?1 ORDER BY ordinal DESC LIMIT ?2"
        rows = file.query(sql, (status, limit))
    return [RunRow(*row) for row in rows]


def last_ordinal(file: File) -> int:
    rows = file.query("SELECT max(ordinal) FROM _do_runs")
    return int(rows[0][0] or 0) if rows else 0


def forget_runs(file: File, ended_before: float, keep: int) -> None:
    """Retention: ended executions that are too old, or too many."""
    old = "SELECT id FROM _do_runs WHERE ended IS NOT NULL AND (ended < ?1 OR ordinal <= (SELECT max(ordinal) FROM _do_runs) - ?2)"
    file.add(f"DELETE FROM _do_journal WHERE run IN ({old})", (ended_before, keep))
    file.add(
        "DELETE FROM _do_runs WHERE ended IS NOT NULL AND (ended < ?1 OR ordinal <= (SELECT max(ordinal) FROM _do_runs) - ?2)",
        (ended_before, keep),
    )


# -- journals ---------------------------------------------------------------------------------------------------

_APPEND = (
    "INSERT INTO _do_journal(run, seq, kind, key, name, attempt, ok, value, until, at, started, turns, body) "
    "VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)"
)


def append(file: File, run: str, row: Row) -> None:
    """Add one row to an execution's journal."""
    file.add(
        _APPEND,
        (
            run, row.seq, int(row.kind), row.key, row.name, row.attempt, row.ok, row.value, row.until, row.at,
            row.started, row.turns, row.body,
        ),
    )  # fmt: skip


def rows_of(file: File, run: str) -> list[Row]:
    """An execution's journal in the order it was written."""
    rows = file.query(f"SELECT {_ROW_COLUMNS} FROM _do_journal WHERE run = ?1 ORDER BY seq", (run,))
    return [Row(*row) for row in rows]


# -- outbox and inbox -------------------------------------------------------------------------------------------


def put_outgoing(file: File, seq: int, noun: str, entity_id: str, message: bytes) -> None:
    file.ensure_table(_TABLES["outbox"])
    file.add("INSERT INTO _do_outbox VALUES(?1, ?2, ?3, ?4)", (seq, noun, entity_id, message))


def forget_outgoing(file: File, seq: int) -> None:
    file.ensure_table(_TABLES["outbox"])
    file.add("DELETE FROM _do_outbox WHERE seq = ?1", (seq,))


def outgoing(file: File) -> list[tuple[int, str, str, bytes]]:
    """Messages not yet acknowledged, in the order they were sent."""
    return [(r[0], r[1], r[2], r[3]) for r in file.query("SELECT seq, noun, id, message FROM _do_outbox ORDER BY seq")]


def last_from(file: File, sender: str) -> int:
    """The number of the last message taken from `sender`, 0 if none."""
    rows = file.query("SELECT last FROM _do_inbox WHERE sender = ?1", (sender,))
    return int(rows[0][0]) if rows else 0


def take(file: File, sender: str, number: int) -> None:
    """Message `number` of `sender` is taken; a repeat will be dropped."""
    file.ensure_table(_TABLES["inbox"])
    file.add("INSERT OR REPLACE INTO _do_inbox VALUES(?1, ?2)", (sender, number))


# -- what user code kept for the runtime --------------------------------------------------------------------------

_COUNTERS = "CREATE TABLE IF NOT EXISTS _do_counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"


def counter(file: File, name: str) -> int:
    rows = file.query("SELECT value FROM _do_counters WHERE name = ?1", (name,))
    return int(rows[0][0]) if rows else 0


def put_counter(file: File, name: str, value: int) -> None:
    file.ensure_table(_COUNTERS)
    file.add("INSERT OR REPLACE INTO _do_counters VALUES(?1, ?2)", (name, value))
