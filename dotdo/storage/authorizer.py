"""What user SQL may do in its entity's file: anything with its own tables, nothing with the runtime's.

SQLite asks the authorizer while it prepares a statement, so a refusal costs nothing at run time. Every statement of the
runtime carries the mark `_do_`, and user SQL with that mark never comes from the statement cache, so that none can ride
on a statement that was prepared for the runtime.

The authorizer does not hear everything: a new name in ALTER TABLE ... RENAME TO, or ROLLBACK as a conflict clause, which
would undo the turn behind the runtime's back. `check` looks for these in the text.
"""

from __future__ import annotations

import re

import apsw

BOUND_VARIABLES_MAX = 100
ROW_BYTES_MAX = 64 * 1024 * 1024
SQL_BYTES_MAX = 100_000
EXPRESSION_DEPTH_MAX = 100

_PRAGMAS = frozenset({
    "data_version", "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check",
    "page_count", "page_size", "quick_check", "table_info", "table_list", "table_xinfo",
})  # fmt: skip
_VIRTUAL = frozenset({"fts5", "fts5vocab", "rtree"})
_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_NAMES = {
    apsw.SQLITE_ATTACH: "ATTACH",
    apsw.SQLITE_DETACH: "DETACH",
    apsw.SQLITE_TRANSACTION: "transaction control (use `async with self.storage.transaction()`)",
    apsw.SQLITE_SAVEPOINT: "SAVEPOINT (use `async with self.storage.transaction()`)",
    apsw.SQLITE_CREATE_TEMP_INDEX: "a temporary index",
    apsw.SQLITE_CREATE_TEMP_TABLE: "a temporary table",
    apsw.SQLITE_CREATE_TEMP_TRIGGER: "a temporary trigger",
    apsw.SQLITE_CREATE_TEMP_VIEW: "a temporary view",
}
_READS = frozenset({
    apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE, apsw.SQLITE_PRAGMA,
})  # fmt: skip
_ROLLS_BACK = re.compile(r"\b(?:OR|CONFLICT)\s+ROLLBACK\b|\bRAISE\s*\(\s*ROLLBACK\b", re.IGNORECASE)


def check(query: str) -> str | None:
    """What is wrong with user SQL that only its text shows, or None."""
    if len(query) > SQL_BYTES_MAX:
        return f"SQL of more than {SQL_BYTES_MAX} characters"
    if _ROLLS_BACK.search(query):
        return "ROLLBACK as a conflict clause (it would undo the whole turn; use ABORT)"
    lowered = query.lower()
    if "_do_" in lowered and "alter" in lowered:
        return "ALTER with a name that begins with _do_"
    return None


class Authorizer:
    """The authorizer of one connection; `is_user` is set while user SQL is prepared and run, `is_reading` if it may only read."""

    __slots__ = ("is_reading", "is_user", "refused")

    def __init__(self) -> None:
        self.is_user = False
        self.is_reading = False
        self.refused: str | None = None

    def __call__(self, action: int, one: str | None, two: str | None, database: str | None, trigger: str | None) -> int:
        if not self.is_user:
            return apsw.SQLITE_OK
        problem = self._problem(action, one, two)
        if problem is None:
            return apsw.SQLITE_OK
        self.refused = problem
        return apsw.SQLITE_DENY

    def _problem(self, action: int, one: str | None, two: str | None) -> str | None:
        if self.is_reading and action not in _READS:
            return str(apsw.mapping_authorizer_function[action]).removeprefix("SQLITE_")
        if action in _NAMES:
            return _NAMES[action]
        for name in (one, two):
            if name is not None and name[:4].lower() == "_do_":
                return f"{name}, which belongs to the runtime,"
        if action == apsw.SQLITE_PRAGMA and (one or "").lower() not in _PRAGMAS:
            return f"PRAGMA {one} (allowed are {', '.join(sorted(_PRAGMAS))})"
        if action == apsw.SQLITE_CREATE_VTABLE and (two or "").lower() not in _VIRTUAL:
            return f"a virtual table of kind {two} (allowed are {', '.join(sorted(_VIRTUAL))})"
        if action == apsw.SQLITE_FUNCTION and (two or "").lower() in _FUNCTIONS:
            return f"the function {two}"
        return None

    @staticmethod
    def limit(connection: apsw.Connection) -> None:
        """Bound what one statement can ask for."""
        connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        connection.limit(apsw.SQLITE_LIMIT_VARIABLE_NUMBER, BOUND_VARIABLES_MAX)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX)
        connection.limit(apsw.SQLITE_LIMIT_EXPR_DEPTH, EXPRESSION_DEPTH_MAX)
        connection.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
