"""A collection: one entity, `DotdoCollection("Order")`, whose file holds every document of that name.

Its methods are single turns, so each is atomic: fifty writers that increment one field lose nothing. A document is one row:
the encoded value, which is what readers get, and the JSON that queries see of it (`comparing`). Queries make the indexes
they need (`indexes`). A caller's repeat is answered from the record, as for every entity, so a write in a step happens once.

Where a noun class has `index=`, its collection follows the entities (`projection`) and takes no other writes.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from typing import Any, NoReturn

from dotdo import codec
from dotdo.documents import changes, comparing, ordering, paths
from dotdo.documents import document as documents
from dotdo.documents.collection_names import has_index
from dotdo.documents.indexes import Indexes
from dotdo.documents.record import META, Page, Record, StoredPage
from dotdo.documents.where import Condition, compile_where
from dotdo.durable.projection import COLLECTION
from dotdo.durable_object.do import DO
from dotdo.errors import DocumentExists, FieldNotSet, NoSuchDocument, NounNotLoadable, QueryError, UseTheEntity
from dotdo.hosting import catalog
from dotdo.rpc.stub import make_stub

LIMIT = 1_000
"""So many records has a page if nothing is said: queries run on the host's loop, and their rows are in memory at once."""

LIMIT_MAX = 10_000
PAGE_BYTES_MAX = 16 * 1024 * 1024
LARGE_PAGE = 100
"""A page of more records has its size looked up before it is read."""

FRESH_AT_ONCE = 100

_TABLE = """CREATE TABLE IF NOT EXISTS documents(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
    follows INTEGER NOT NULL, body TEXT NOT NULL, value BLOB NOT NULL)"""


class Collection(DO, noun=COLLECTION, max_queue=10_000):
    """The documents of one name."""

    async def setup(self) -> None:
        self._indexes = Indexes(self.storage)
        self._has_table = False
        try:
            catalog.lookup(self.id)  # a noun that follows may have to be loaded first
        except NounNotLoadable:
            pass

    # -- writing ------------------------------------------------------------------------------------------------

    async def create(self, fields: Any) -> Record:
        """Keep a new document. Raises DocumentExists, DocumentError, UseTheEntity."""
        self._check_writable()
        found, chosen = documents.fields_of(fields)
        return self._insert(found, chosen)

    async def change(self, id: Any, update: Any) -> Record:
        """Apply an update to one document. Raises NoSuchDocument, QueryError, DocumentError, UseTheEntity."""
        self._check_writable()
        wanted = documents.check_id(id)
        documents.check_same_id(update, wanted)
        parsed = changes.parse(update)
        row = self._row("id = ?", wanted)
        if row is None:
            raise NoSuchDocument(f"there is no {self.id} {wanted!r}: create it, or use upsert")
        return self._update(row, parsed)

    async def upsert(self, where: Any, data: Any) -> Record:
        """Update the one document that matches, or create it. Raises QueryError if several match."""
        self._check_writable()
        condition = compile_where(where)
        if not where:
            raise QueryError("upsert needs a where that says which document it is")
        parsed = changes.parse(data)
        rows = self._select(condition, "number, id, follows, value", "LIMIT 2")
        if len(rows) > 1:
            raise QueryError(f"upsert of {self.id}: several documents match {where!r:.200}; name the one, by its id for instance")
        if rows:
            documents.check_same_id(data, rows[0]["id"])
            return self._update(rows[0], parsed)
        fields: dict[str, Any] = {}
        fixed = documents.equalities_of(where)
        chosen = documents.chosen_id(fixed, data)
        changes.apply(fields, [change for change in changes.parse(fixed) if change[0] not in {path for path, _, _ in parsed}])
        changes.apply(fields, parsed)
        found, _ = documents.fields_of(fields)
        return self._insert(found, chosen)

    async def remove(self, id: Any) -> bool:
        """Delete a document; False if it is not there. Raises UseTheEntity."""
        self._check_writable()
        row = self._row("id = ?", documents.check_id(id))
        if row is None:
            return False
        if row["follows"]:
            self._refuse(row["id"])
        self.storage.sql("DELETE FROM documents WHERE number = ?", row["number"])
        return True

    def _insert(self, fields: dict[str, Any], chosen: str | None, *, follows: bool = False) -> Record:
        self._make_table()
        id = chosen if chosen is not None else self.uuid4().hex
        now = self.now()
        record = Record({"$id": id, "$type": self.id, **fields, "$created": now, "$updated": now})
        value, body = documents.encode(record)
        added = self.storage.sql(
            "INSERT INTO documents(id, follows, body, value) VALUES(?, ?, ?, ?) ON CONFLICT(id) DO NOTHING", id, follows, body, value
        )
        if not added.rows_written:
            raise DocumentExists(f"there is a {self.id} {id!r} already: update it, or use upsert")
        return record

    def _update(self, row: dict[str, Any], parsed: list[tuple[paths.Path, str, Any]]) -> Record:
        if row["follows"]:
            self._refuse(row["id"])
        record = Record(_decoded(row))
        changes.apply(record, parsed)
        return self._replace(row["number"], record)

    def _replace(self, number: int, record: Record) -> Record:
        made = record.pop("$created")
        record.pop("$updated", None)
        record["$created"], record["$updated"] = made, self.now()
        value, body = documents.encode(record)
        self.storage.sql("UPDATE documents SET body = ?, value = ? WHERE number = ?", body, value, number)
        return record

    def _check_writable(self) -> None:
        if has_index(self.id):
            raise UseTheEntity(
                f"db.{self.id} follows the entities of the class {self.id}, which has index=: change the entity, as in {self.id}(id).method(...)"
            )

    def _refuse(self, id: str) -> NoReturn:
        raise UseTheEntity(f"{self.id} {id!r} is kept by the runtime and only shown here: use dotdo.dead_letters to replay or delete it")

    # -- reading ------------------------------------------------------------------------------------------------

    async def read(self, id: Any) -> Record | None:
        """One document by its id, or None."""
        row = self._row("id = ?", documents.check_id(id))
        return Record(_decoded(row)) if row is not None else None

    async def read_many(self, ids: list[str]) -> StoredPage:
        """The documents of these ids that are there, in the order of the ids."""
        if not self._is_made():
            return StoredPage([])
        rows = self.storage.sql(
            "SELECT documents.value FROM json_each(?) AS wanted CROSS JOIN documents ON documents.id = wanted.value ORDER BY wanted.key",
            comparing.json_of(ids),
        )
        return StoredPage([value for (value,) in rows.raw()])

    async def find_one(self, where: Any = None, order_by: Any = None) -> Record | None:
        """The first document that matches, or None."""
        page = self._page(*self._asked(where, order_by), 1, 0, None).records()
        return page[0] if page else None

    async def page(
        self, where: Any = None, order_by: Any = None, limit: Any = LIMIT, offset: Any = 0, cursor: Any = None, *, fresh: Any = False
    ) -> StoredPage | Page:
        """The documents that match, in order; what is `fresh` is read from the entities themselves."""
        condition, order = self._asked(where, order_by)
        found = self._page(condition, order, _within("limit", limit, LIMIT_MAX), _within("offset", offset, 2**31), cursor)
        if not fresh or not has_index(self.id):
            return found
        page = found.records()
        await self._refresh(page, condition)
        return page

    async def count(self, where: Any = None) -> int:
        """How many documents match."""
        rows = self._select(self._asked(where, None)[0], "count(*) AS n", "")
        return int(rows[0]["n"]) if rows else 0

    async def explain(self, where: Any = None, order_by: Any = None) -> list[str]:
        """SQLite's plan for a list: which index it uses, if any."""
        condition, order = self._asked(where, order_by)
        if not self._is_made():
            return []
        self._indexes.serve(condition, order)
        sql = f"EXPLAIN QUERY PLAN SELECT value FROM documents WHERE {condition.sql} ORDER BY {order.in_sql()}"
        return [row["detail"] for row in self.storage.sql(sql, *condition.params)]

    async def index(self, fields: list[str]) -> None:
        """Declare an index over fields, in this order; queries that begin with them use it."""
        self._make_table()
        self._indexes.declare(fields)

    def _asked(self, where: Any, order_by: Any) -> tuple[Condition, ordering.Order]:
        """What a query asks for. Raises QueryError, also for a field that the entities do not show here."""
        condition, order = compile_where(where or {}), ordering.parse(order_by)
        if has_index(self.id):
            shown = catalog.lookup(self.id).options.index
            for path in [*condition.named, *(path for path, _ in order.terms)]:
                if path[0] not in shown and path[0] not in META:
                    raise QueryError(
                        f"db.{self.id} shows {', '.join(shown)} of its entities, not {path[0]!r}: add it to index= of the class {self.id}"
                    )
        return condition, order

    def _page(self, condition: Condition, order: ordering.Order, limit: int, offset: int, cursor: Any) -> StoredPage:
        if cursor is not None:
            behind, params = ordering.after(order, cursor)
            condition = dataclasses.replace(condition, sql=f"{condition.sql} AND {behind}", params=condition.params + params)
        if not self._is_made():
            return StoredPage([])
        self._indexes.serve(condition, order)
        tail = f"ORDER BY {order.in_sql()} LIMIT {limit + 1} OFFSET {offset}"
        if limit > LARGE_PAGE:
            self._check_size(condition, tail)
        columns = ["number", "value", *order.columns()]
        rows = self.storage.sql(f"SELECT {', '.join(columns)} FROM documents WHERE {condition.sql} {tail}", *condition.params).raw()
        values = [row[1] for row in rows[:limit]]
        if len(rows) <= limit or not limit:
            return StoredPage(values)
        last = rows[limit - 1]
        return StoredPage(values, ordering.cursor_of(order, list(last[2:]), last[0]))

    def _check_size(self, condition: Condition, tail: str) -> None:
        sql = f"SELECT sum(size) AS size FROM (SELECT length(value) AS size FROM documents WHERE {condition.sql} {tail})"
        size = self.storage.sql(sql, *condition.params).one()["size"] or 0
        if size > PAGE_BYTES_MAX:
            raise QueryError(
                f"the page would have {size} bytes, over {PAGE_BYTES_MAX}: ask for fewer with limit=, and go on with the cursor"
            )

    async def _refresh(self, page: Page, condition: Condition) -> None:
        """Put what the entities say now in the place of what the index says, and drop what does not match any more."""
        names = catalog.lookup(self.id).options.index
        for first in range(0, len(page), FRESH_AT_ONCE):
            part = page[first : first + FRESH_AT_ONCE]
            asked = [make_stub(self.id, record["$id"])[name] for record in part for name in names]
            answers = iter(await asyncio.gather(*asked, return_exceptions=True))
            for record in part:
                for name in names:
                    value = next(answers)
                    if isinstance(value, FieldNotSet):
                        record.pop(name, None)
                    elif isinstance(value, BaseException):
                        raise value
                    else:
                        record[name] = value
        given = f"[{','.join(comparing.json_of({'id': record['$id'], 'body': record}) for record in page)}]"
        sql = (
            "SELECT place FROM (SELECT key AS place, json_extract(value, '$.id') AS id, json_extract(value, '$.body') AS body "
            f"FROM json_each(?)) WHERE {condition.sql}"
        )
        still = {row["place"] for row in self.storage.sql(sql, given, *condition.params)}
        page[:] = [record for place, record in enumerate(page) if place in still]

    def _select(self, condition: Condition, columns: str, tail: str) -> list[dict[str, Any]]:
        if not self._is_made():
            return []
        self._indexes.serve(condition, ordering.Order(()))
        return self.storage.sql(f"SELECT {columns} FROM documents WHERE {condition.sql} {tail}", *condition.params).all()

    def _row(self, condition: str, *params: Any) -> dict[str, Any] | None:
        if not self._is_made():
            return None
        return self.storage.sql(f"SELECT number, id, follows, value FROM documents WHERE {condition}", *params).first()

    # -- following ----------------------------------------------------------------------------------------------

    async def follow(self, id: str, fields: dict[str, Any] | None) -> None:
        """What an entity, or the runtime, says of itself after a commit; None when it is gone."""
        row = self._row("id = ?", id)
        if fields is None:
            if row is not None:
                self.storage.sql("DELETE FROM documents WHERE number = ?", row["number"])
        elif row is None:
            self._insert(fields, id, follows=True)
        else:
            kept = _decoded(row)
            head = {"$id": id, "$type": self.id, **fields, "$created": kept["$created"]}
            self._replace(row["number"], Record(head))

    # -- the file -----------------------------------------------------------------------------------------------

    def _is_made(self) -> bool:
        """True if there is a table: nothing is made for who only asks. A turn that makes it may yet be undone, so look first."""
        if not self._has_table:
            sql = "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = 'documents'"
            self._has_table = self.storage.sql(sql).one()["n"] > 0
        return self._has_table

    def _make_table(self) -> None:
        if not self._is_made():
            self._has_table = False
            self.storage.sql(_TABLE)
            self._indexes.make_table()


def _decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    value: Any = codec.decode(row["value"])
    return value  # type: ignore[no-any-return]


def _within(name: str, value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise QueryError(f"{name}={value!r:.80}: a whole number from 0 to {most}")
    return value
