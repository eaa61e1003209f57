"""`self.storage.sql(query, *params)`: the entity's own SQLite, for its own tables.

The statement runs when it is called, in the running turn's transaction, under the authorizer. Its rows are fetched at
once: they are in memory when the call returns, and the next turn cannot change them. A file is made by the first
statement that writes; before that, reading runs on an empty database in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import apsw

from dotdo.errors import NotAllowed, StorageError
from dotdo.storage import authorizer as authorizers
from dotdo.storage.authorizer import Authorizer
from dotdo.storage.entity_file import EntityFile

ROWS_MAX = 1_000_000

_CRITICAL = (apsw.FullError, apsw.IOError, apsw.NoMemError, apsw.CorruptError, apsw.NotADBError)
HIDDEN = ("_do_", "sqlite_autoindex__do_")
"""What names of the runtime begin with: no query shows them."""


class SqlError(StorageError, ValueError):
    """User SQL is wrong, or broke a constraint."""


class Cursor:
    """The rows of one statement (of the last, if the query holds several)."""

    __slots__ = ("_rows", "columns", "rows_read", "rows_written")

    def __init__(self, columns: list[str], rows: list[tuple[Any, ...]], rows_written: int) -> None:
        self.columns = columns
        self._rows = rows
        self.rows_read = len(rows)
        self.rows_written = rows_written

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def all(self) -> list[dict[str, Any]]:
        """Every row as a dict by column name."""
        return list(self)

    def first(self) -> dict[str, Any] | None:
        """The first row, or None."""
        return dict(zip(self.columns, self._rows[0], strict=True)) if self._rows else None

    def one(self) -> dict[str, Any]:
        """The only row. Raises ValueError if there is none, or more than one."""
        if len(self._rows) != 1:
            raise ValueError(f"one() found {len(self._rows)} rows")
        return dict(zip(self.columns, self._rows[0], strict=True))

    def raw(self) -> list[tuple[Any, ...]]:
        """Every row as a tuple."""
        return list(self._rows)


def run(file: EntityFile, query: str, params: tuple[Any, ...] = ()) -> Cursor:
    """Run user SQL in the turn's transaction. Raises NotAllowed, SqlError, StorageError."""
    if not isinstance(query, str):
        raise TypeError(f"sql() takes a string, not {type(query).__name__}")
    problem = authorizers.check(query)
    if problem is not None:
        raise NotAllowed(f"{problem} is not allowed in sql()")
    if not file.is_open and not file.exists():
        cursor = _run_on_nothing(query, params)
        if cursor is not None:
            return cursor
    connection = file.begin()
    try:
        return _run(connection, file.authorizer, query, params)
    except _CRITICAL as error:
        file.is_broken = True
        raise StorageError(f"{file.path}: {type(error).__name__}: {error}") from error
    finally:
        if not connection.in_transaction:  # SQLite has undone the turn; what ran before is lost with it
            file.is_broken = True


def _run_on_nothing(query: str, params: tuple[Any, ...]) -> Cursor | None:
    """The result on an entity without a file; None if the query writes."""
    connection = apsw.Connection(":memory:")
    authorizer = Authorizer()
    authorizer.limit(connection)
    connection.execute("PRAGMA query_only=ON")
    connection.authorizer = authorizer
    try:
        return _run(connection, authorizer, query, params)
    except apsw.ReadOnlyError:
        return None
    finally:
        connection.close()


def _run(connection: apsw.Connection, authorizer: Authorizer, query: str, params: tuple[Any, ...]) -> Cursor:
    lowered = query.lower()
    shows_schema = "sqlite_" in lowered or "pragma" in lowered
    rows: list[tuple[Any, ...]] = []
    columns: list[str] = []

    def statement_begins(cursor: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
        rows.clear()
        columns[:] = [column[0] for column in cursor.get_description()]
        return True

    authorizer.is_user = True
    authorizer.refused = None
    before = connection.total_changes()
    cursor = connection.cursor()
    cursor.exec_trace = statement_begins
    try:
        cursor.execute(query, params or None, can_cache="_do_" not in lowered)
        for row in cursor:
            rows.append(row)
            if len(rows) > ROWS_MAX:
                raise SqlError(f"the query gives more than {ROWS_MAX} rows: use LIMIT")
    except (*_CRITICAL, apsw.ReadOnlyError, SqlError):
        raise
    except (apsw.Error, TypeError, ValueError, OverflowError) as error:
        raise_for(error, authorizer, query, "in sql()")
    finally:
        cursor.close(True)
        authorizer.is_user = False
    if shows_schema:
        rows = [row for row in rows if not any(isinstance(cell, str) and cell.startswith(HIDDEN) for cell in row)]
    return Cursor(columns, rows, connection.total_changes() - before)


def raise_for(error: Exception, authorizer: Authorizer, query: str, where: str) -> NoReturn:
    """Raise what a user gets for an error of a query: NotAllowed for what the authorizer refused, else SqlError."""
    if authorizer.refused is not None or isinstance(error, apsw.AuthError):
        raise NotAllowed(f"{authorizer.refused or error} is not allowed {where}") from None
    raise SqlError(f"{type(error).__name__.removesuffix('Error')}: {error}; in: {query[:200]}") from error
