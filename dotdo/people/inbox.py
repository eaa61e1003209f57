"""What is in whose inbox: an index of all approvals, or of all tasks, so that looking there wakes none of them.

An approval or a task tells the index after each of its changes, in a call of its own execution: a crash in between only
delays it, and who has been answered finds it. A row holds the whole record as of then, unless it is too large.
"""

from __future__ import annotations

from typing import Any

from dotdo import clock, codec
from dotdo.durable_object.do import DO
from dotdo.errors import DefinitionError
from dotdo.people import directory, words
from dotdo.people.record import Record
from dotdo.rpc.stub import make_stub

INBOX = "DotdoInbox"
KEPT_BYTES_MAX = 64 * 1024
LIMIT_MAX = 10_000

_TABLES = """
CREATE TABLE IF NOT EXISTS items(id TEXT PRIMARY KEY, version INTEGER NOT NULL, status TEXT NOT NULL, assignee TEXT, is_role INTEGER NOT NULL,
    type TEXT NOT NULL, requested_by TEXT, priority INTEGER NOT NULL, created REAL NOT NULL, record BLOB);
CREATE INDEX IF NOT EXISTS items_of ON items(assignee, status);
CREATE INDEX IF NOT EXISTS items_in ON items(status, priority DESC, created);
"""


class Inbox(DO, noun=INBOX, max_queue=100_000):
    """All approvals (id "approvals"), or all tasks (id "tasks")."""

    async def setup(self) -> None:
        for statement in _TABLES.split(";"):
            if statement.strip():
                self.storage.sql(statement)

    async def put(self, record: Record, is_role: bool) -> None:
        """Take a record as it is now; one that is older than what is here changes nothing."""
        blob = codec.encode(record)
        self.storage.sql(
            "INSERT INTO items VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET version = excluded.version, "
            "status = excluded.status, assignee = excluded.assignee, is_role = excluded.is_role, record = excluded.record "
            "WHERE excluded.version > version",
            record.id, record.version, record.status, record.assignee, is_role, record.type, record.requested_by,
            words.PRIORITIES.index(record.priority), clock.to_epoch(record.created_at), blob if len(blob) <= KEPT_BYTES_MAX else None,
        )  # fmt: skip

    async def page(self, equal: dict[str, str], statuses: list[str], limit: int, offset: int) -> list[tuple[str, bytes | None]]:
        """Ids and records of what fits, the most urgent first, then the oldest."""
        where: list[str] = ["1"]
        params: list[str | int] = []
        if "assignee" in equal:
            names = [*directory.spellings(equal["assignee"]), *await self._roles_of(equal["assignee"])]
            where.append(f"assignee IN ({_marks(names)})")
            params.extend(names)
        for column in ("type", "requested_by"):
            if column in equal:
                where.append(f"{column} = ?")
                params.append(equal[column])
        if "priority" in equal:
            where.append("priority = ?")
            params.append(words.PRIORITIES.index(equal["priority"]))
        if statuses:
            where.append(f"status IN ({_marks(statuses)})")
            params.extend(statuses)
        rows = self.storage.sql(
            f"SELECT id, record FROM items WHERE {' AND '.join(where)} ORDER BY priority DESC, created, rowid LIMIT ? OFFSET ?",
            *params, limit, offset,
        ).all()  # fmt: skip
        return [(row["id"], row["record"]) for row in rows]

    async def _roles_of(self, person: str) -> list[str]:
        """The roles a person holds, of those that anything was given to."""
        roles = [row["assignee"] for row in self.storage.sql("SELECT DISTINCT assignee FROM items WHERE is_role ORDER BY assignee").all()]
        return [role for role in roles if person in (await directory.holders(role, self.env) or ())]


def _marks(values: list[str]) -> str:
    return ", ".join("?" for _ in values)


async def listed(
    index: str, fetch: Any, statuses: frozenset[str], *, assignee: Any, status: Any, type: str | None, priority: str | None,
    requested_by: Any, limit: int, offset: int,
) -> list[Any]:  # fmt: skip
    """The records of one index that fit. Raises DefinitionError for a status, priority or limit that does not exist."""
    wanted = [status] if isinstance(status, str) else list(status or ())
    for one in wanted:
        if one not in statuses:
            raise DefinitionError(f"status={one!r}: one of {', '.join(sorted(statuses))}")
    if not 0 <= limit <= LIMIT_MAX or offset < 0:
        raise DefinitionError(f"limit={limit}, offset={offset}: a limit is 0 to {LIMIT_MAX}, an offset not negative")
    equal = {
        "assignee": None if assignee is None else words.name_of(assignee, "assignee"),
        "requested_by": None if requested_by is None else words.name_of(requested_by, "requested_by"),
        "type": type,
        "priority": None if priority is None else words.priority_of(priority),
    }
    rows: Any = make_stub(INBOX, index)
    found = await rows.page({name: value for name, value in equal.items() if value is not None}, wanted, limit, offset)
    return [codec.decode(blob) if blob is not None else await fetch(id) for id, blob in found]
