"""Reading an entity's tables on behalf of somebody who is not its code.

The live connection does it, under the authorizer in its strictest form: what is not a SELECT is refused while it is
prepared. A statement that takes too long is interrupted, for it runs on the host's loop.
"""

from __future__ import annotations

import time
from typing import Any

import apsw

from dotdo.storage.entity_file import EntityFile
from dotdo.storage.sql import HIDDEN, SqlError, raise_for

ROWS_MAX = 500
SECONDS_MAX = 0.25
_STEPS = 1_000
"""Instructions of SQLite's machine between two looks at the clock."""


def read(file: EntityFile, query: str) -> dict[str, Any]:
    """Columns, rows and whether there are more. Raises NotAllowed, SqlError."""
    connection = file.reader()
    if connection is None:
        return {"columns": [], "rows": [], "is_cut": False}
    authorizer = file.authorizer
    ends_at = time.perf_counter() + SECONDS_MAX
    authorizer.is_user = authorizer.is_reading = True
    authorizer.refused = None
    connection.set_progress_handler(lambda: time.perf_counter() > ends_at, _STEPS)
    columns: list[str] = []
    rows: list[list[Any]] = []

    def statement_begins(running: apsw.Cursor, _sql: str, _bindings: Any) -> bool:
        rows.clear()
        columns[:] = [column[0] for column in running.get_description()]
        return True

    cursor = connection.cursor()
    cursor.exec_trace = statement_begins
    try:
        cursor.execute(query, can_cache=False)
        for row in cursor:
            if len(rows) == ROWS_MAX:
                return {"columns": columns, "rows": rows, "is_cut": True}
            if not any(isinstance(cell, str) and cell.startswith(HIDDEN) for cell in row):
                rows.append(list(row))
        return {"columns": columns, "rows": rows, "is_cut": False}
    except apsw.InterruptError:
        raise SqlError(f"the query took longer than {SECONDS_MAX:g} s: use LIMIT, or an index") from None
    except (apsw.Error, TypeError, ValueError, OverflowError) as error:
        raise_for(error, authorizer, query, "here: a query only reads")
    finally:
        cursor.close(True)
        connection.set_progress_handler(None)
        authorizer.is_user = authorizer.is_reading = False
