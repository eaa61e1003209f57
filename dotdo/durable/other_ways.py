"""The way a failed step led to, and the retry may not take.

A run that catches the error of a step goes on: it writes, it takes further steps. When it fails in the end and is retried,
the step is tried again, and what its branch did between the failure and the retry is no part of the new way: those turns
are not replayed (what they wrote stays written), and steps recorded there are answered only if they are asked for again.

What ran beside it in other branches is. A branch that was begun after the failure, by the one that failed, is part of the
way; which those are is told by whether they had left a row before.
"""

from __future__ import annotations

from dotdo.durable.operation import is_inner
from dotdo.storage.journal import Kind, Row


class OtherWays:
    """Reads along an execution's journal."""

    def __init__(self) -> None:
        self._failed: set[str] = set()
        self._seen: set[str] = set()

    def pass_row(self, row: Row) -> None:
        """This row was read, after the turns it carries."""
        path = row.key.partition("|")[0]
        if row.kind == Kind.RETRIED:
            self._failed.clear()
        elif row.kind == Kind.SET_ASIDE and row.until is None and not is_inner(row.key, row.name):
            self._failed.add(path)  # an attempt, which has a time for the next one, has led nowhere yet
        elif not self._failed and "|" in row.key:
            self._seen.add(path)

    def lead_to(self, path: str) -> bool:
        """True if what happens in this branch now is part of such a way."""
        if not self._failed:
            self._seen.add(path)
            return False
        return path in self._failed or (path not in self._seen and any(path.startswith(f"{failed}.") for failed in self._failed))
