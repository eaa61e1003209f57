"""Relations: `db.relate(person, N.subscribes, service)`. Each verb is one entity, `DotdoRelations("subscribes")`.

A relation is one row with an index in either direction, so both ways agree at every moment. Ends are documents or entities,
by type and id; a relation does not keep its ends alive, and one whose end is gone is not shown any more.
"""

from __future__ import annotations

from typing import Any

from dotdo.documents.collection_names import collection_of
from dotdo.documents.record import Record
from dotdo.durable_object.do import DO
from dotdo.errors import QueryError
from dotdo.events import names
from dotdo.events.names import EventName
from dotdo.names import check_id
from dotdo.rpc.stub import Stub

RELATIONS = "DotdoRelations"
LIMIT = 1_000
LIMIT_MAX = 10_000

_TABLES = (
    """CREATE TABLE IF NOT EXISTS relations(number INTEGER PRIMARY KEY AUTOINCREMENT,
        from_type TEXT NOT NULL, from_id TEXT NOT NULL, from_entity INTEGER NOT NULL,
        to_type TEXT NOT NULL, to_id TEXT NOT NULL, to_entity INTEGER NOT NULL,
        UNIQUE(from_type, from_id, to_type, to_id))""",
    "CREATE INDEX IF NOT EXISTS inverse ON relations(to_type, to_id, from_type)",
)

End = list[Any]
"""Type, id, and whether it was given as an entity."""


class Relations(DO, noun=RELATIONS, max_queue=10_000):
    """The relations of one verb."""

    async def relate(self, one: End, other: End) -> bool:
        """Relate two; False if they were already."""
        self._make_tables()
        return bool(
            self.storage.sql(
                "INSERT OR IGNORE INTO relations(from_type, from_id, from_entity, to_type, to_id, to_entity) VALUES(?, ?, ?, ?, ?, ?)",
                *one, *other,
            ).rows_written
        )  # fmt: skip

    async def unrelate(self, one: End, other: End) -> bool:
        """Take a relation back; False if there was none."""
        if not self._has_tables():
            return False
        return bool(
            self.storage.sql(
                "DELETE FROM relations WHERE from_type = ? AND from_id = ? AND to_type = ? AND to_id = ?", *one[:2], *other[:2]
            ).rows_written
        )

    async def related(self, end: End, type: str | None, is_inverse: bool, limit: int) -> list[End]:
        """The other ends of one end's relations, of one type if given, in the order they were made."""
        if not isinstance(limit, int) or not 0 <= limit <= LIMIT_MAX:
            raise QueryError(f"limit={limit!r:.80}: a whole number from 0 to {LIMIT_MAX}")
        if not self._has_tables():
            return []
        near, far = ("to", "from") if is_inverse else ("from", "to")
        rows = self.storage.sql(
            f"SELECT {far}_type, {far}_id, {far}_entity FROM relations "
            f"WHERE {near}_type = ?1 AND {near}_id = ?2 AND (?3 IS NULL OR {far}_type = ?3) ORDER BY number LIMIT ?4",
            end[0], end[1], type, limit,
        )  # fmt: skip
        return [list(row) for row in rows.raw()]

    def _has_tables(self) -> bool:
        return bool(self.storage.sql("SELECT count(*) AS n FROM sqlite_master WHERE name = 'relations'").one()["n"])

    def _make_tables(self) -> None:
        if not self._has_tables():
            for statement in _TABLES:
                self.storage.sql(statement)


def verb_of(verb: Any) -> str:
    """The relation that a word, as N.subscribes, names. Raises QueryError."""
    text = str(verb) if isinstance(verb, (str, EventName)) else ""
    if not text or not names.is_signal(text) or "@" in text or not text[:1].islower():
        raise QueryError(f"{verb!r} names no relation: write a bare word, as N.subscribes")
    return text


def end_of(thing: Any) -> End:
    """Type and id of one end: a record, a stub, an entity, or a name with an id, as N[Order("o1")]. Raises QueryError."""
    if isinstance(thing, Record):
        return [thing["$type"], thing["$id"], False]
    if isinstance(thing, (Stub, DO)):
        return [thing.noun, thing.id, True]
    if isinstance(thing, EventName) and names.scope_of(thing) is not None:
        noun, _, entity_id = names.split(thing)
        return [noun, entity_id, True]
    if isinstance(thing, (tuple, list)) and len(thing) == 2:
        return [collection_of(thing[0]), check_id(thing[1]), False]
    raise QueryError(f"{thing!r:.80} cannot be related: give a record, a stub, or (N.Person, id)")
