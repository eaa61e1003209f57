"""`db`: the documents of the whole runtime, from inside entities and outside.

    await db.Orders.create(customer="c1", total=120)          await db.create(N.Order, {"customer": "c1", "total": 120})
    await db.Order.list(where={"total": {"$gt": 100}}, order_by="-total", limit=20)

Every spelling of a collection is one entity (`collection`), and what is written here are calls to it: promises, as on any
stub. They are sent whether awaited or not, may be steps, and a step that is run again writes nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from dotdo.documents import relations
from dotdo.documents.collection import LIMIT
from dotdo.documents.collection import Collection as CollectionEntity
from dotdo.documents.collection_names import collection_of
from dotdo.documents.record import Page, Record
from dotdo.documents.relations import Relations
from dotdo.errors import QueryError
from dotdo.rpc.promise import CallPromise
from dotdo.rpc.stub import make_stub

_NOT_GIVEN: Any = object()


class Collection:
    """The documents of one name; `db.Orders` and `db.Order` are the same one."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def _entity(self) -> Any:
        return CollectionEntity(self.name)

    def create(self, data: Any = None, /, **fields: Any) -> CallPromise:
        """Keep a new document; the record, with `$id`.

        Durable on return. Args: a dict (or pydantic model, or dataclass) and/or fields by name; "id" or "$id" chooses the id.

        Raises:
            DocumentExists, DocumentError: the id is taken; a field's name, a value or the size will not do.
            UseTheEntity: the collection follows a noun class with `index=`.
        """
        return self._call("create", _joined(data, fields, "create"))

    def get(self, id: Any = _NOT_GIVEN, /, **where: Any) -> CallPromise:
        """The document of an id, or the first that matches a dict or fields by name; None if there is none."""
        if id is _NOT_GIVEN and not where:
            raise QueryError(f"db.{self.name}.get() needs an id or fields")
        if id is not _NOT_GIVEN and not (isinstance(id, dict) and not isinstance(id, Record)):
            if where:
                raise QueryError(f"db.{self.name}.get() takes an id or fields, not both")
            return self._call("read", id)
        wanted = _joined(None if id is _NOT_GIVEN else id, where, "get")
        if len(wanted) == 1 and ("id" in wanted or "$id" in wanted) and not isinstance(next(iter(wanted.values())), dict):
            return self._call("read", next(iter(wanted.values())))
        return self.find_one(wanted)

    def find_one(self, where: Any = None, *, order_by: Any = None) -> CallPromise:
        """The first document that matches, or None. Raises QueryError."""
        return self._call("find_one", where, order_by)

    def list(
        self, where: Any = None, *, order_by: Any = None, limit: int = LIMIT, offset: int = 0, cursor: str | None = None, fresh: bool = False
    ) -> CallPromise:  # fmt: skip
        """The documents that match: a list whose `.cursor` asks for the next page, None at the end.

        Args:
            where: fields and values or operators; `$and`, `$or`, `$not` join filters.
            order_by: a field, "-field" for falling, or a list; by age if not given.
            limit: 1,000 if not given, 10,000 at most: a query holds the loop of the collection's host while it runs.
            cursor: the `.cursor` of the page before, with the same where and order_by.
            fresh: for nouns with `index=`, read the matching entities themselves (this wakes them).

        Raises:
            QueryError: something in it is wrong; the message names the part.
        """
        return self._call("page", where, order_by, limit, offset, cursor, fresh=fresh)

    async def all(self, where: Any = None, *, order_by: Any = None, page: int = LIMIT) -> AsyncIterator[Record]:
        """`async for` over every document that matches, a page at a time."""
        cursor: str | None = None
        while True:
            records: Page = await self.list(where, order_by=order_by, limit=page, cursor=cursor)
            for record in records:
                yield record
            cursor = records.cursor
            if cursor is None:
                return

    def update(self, id: Any, changes: Any = None, /, **fields: Any) -> CallPromise:
        """Change one document, atomically; the record as it is then.

        Args:
            id: the id, or the record.
            changes: fields to set or operators, merged into the document: `{"stock": {"$decrement": 2}, "address.city": "Rome"}`.

        Raises:
            NoSuchDocument: there is no document with this id.
            QueryError: an operator or its value is wrong, also for what the field holds; nothing is changed.
        """
        return self._call("change", id, _joined(changes, fields, "update"))

    def upsert(self, where: Any, data: Any = None) -> CallPromise:
        """Update the one document that matches, or create it from the equalities of `where` and `data`; the record.

        Raises:
            QueryError: several match; or as `update`.
        """
        return self._call("upsert", where, {} if data is None else data)

    def delete(self, id: Any) -> CallPromise:
        """Delete a document; False if it was not there."""
        return self._call("remove", id)

    def count(self, where: Any = None) -> CallPromise:
        """How many documents match."""
        return self._call("count", where)

    def index(self, *fields: str) -> CallPromise:
        """Declare an index over fields, in this order. Queries make the ones they need by themselves while a collection is small."""
        return self._call("index", [*fields])

    def explain(self, where: Any = None, *, order_by: Any = None) -> CallPromise:
        """SQLite's plan for a list, line by line."""
        return self._call("explain", where, order_by)

    def _call(self, method: str, *args: Any, **options: Any) -> CallPromise:
        promise: CallPromise = getattr(self._entity, method)(*args, **options)
        return promise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Collection) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"db.{self.name}"


class Database:
    """The type of `db`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Collection:
        if not name[:1].isupper():
            raise AttributeError(f"db.{name} is nothing here: a collection is a noun, as db.Orders; or write db[{name!r}]")
        return Collection(collection_of(name))

    def __getitem__(self, name: Any) -> Collection:
        return Collection(collection_of(name))

    def collection(self, name: Any) -> Collection:
        """The collection that a name, `N.Order` or a class names."""
        return self[name]

    def create(self, name: Any, data: Any = None, /, **fields: Any) -> CallPromise:
        """`db.create(N.Order, {...})`: see `Collection.create`."""
        return self[name].create(data, **fields)

    def get(self, name: Any, id: Any = _NOT_GIVEN, /, **where: Any) -> CallPromise:
        """`db.get(N.Order, id)` or `db.get(N.Order, {...})`: see `Collection.get`."""
        return self[name].get(id, **where)

    def find_one(self, name: Any, where: Any = None, **options: Any) -> CallPromise:
        """`db.find_one(N.Order, where={...})`."""
        return self[name].find_one(where, **options)

    def list(self, name: Any, where: Any = None, **options: Any) -> CallPromise:
        """`db.list(N.Order, where={...})`: see `Collection.list`."""
        return self[name].list(where, **options)

    def update(self, name: Any, id: Any = None, changes: Any = None, /, **fields: Any) -> CallPromise:
        """`db.update(N.Order, id, {...})`, or `db.update(record, {...})`: see `Collection.update`."""
        if isinstance(name, Record):
            if changes is not None:
                raise QueryError("db.update(record, {...}) takes the record and the changes")
            return self[name].update(name, id, **fields)
        return self[name].update(id, changes, **fields)

    def upsert(self, name: Any, where: Any, data: Any = None) -> CallPromise:
        """`db.upsert(N.Order, where={...}, data={...})`: see `Collection.upsert`."""
        if data is None and isinstance(where, dict) and set(where) == {"where", "data"}:
            where, data = where["where"], where["data"]
        return self[name].upsert(where, data)

    def delete(self, name: Any, id: Any = None) -> CallPromise:
        """`db.delete(N.Order, id)`, or `db.delete(record)`."""
        return self[name].delete(name if isinstance(name, Record) and id is None else id)

    def count(self, name: Any, where: Any = None) -> CallPromise:
        """`db.count(N.Order, where={...})`."""
        return self[name].count(where)

    # -- relations ----------------------------------------------------------------------------------------------

    def relate(self, one: Any, verb: Any, other: Any) -> CallPromise:
        """`db.relate(person, N.subscribes, service)`: durable on return; False if it was so already.

        Ends are records, stubs, or pairs as (N.Person, id). Raises QueryError.
        """
        return self._relation("relate", verb, relations.end_of(one), relations.end_of(other))

    def unrelate(self, one: Any, verb: Any, other: Any) -> CallPromise:
        """Take a relation back; False if there was none."""
        return self._relation("unrelate", verb, relations.end_of(one), relations.end_of(other))

    async def related(self, one: Any, verb: Any, name: Any = None, *, inverse: bool = False, limit: int = relations.LIMIT) -> Sequence[Any]:
        """What `one` is related to, oldest relation first: records, and stubs for what was related as an entity.

        Args:
            name: only ends of this collection or noun.
            inverse: who is related to `one`, instead.
        """
        wanted = None if name is None else collection_of(name)
        ends = await self._relation("related", verb, relations.end_of(one), wanted, inverse, limit)
        return await _resolved(ends)

    def _relation(self, method: str, verb: Any, *args: Any) -> CallPromise:
        promise: CallPromise = getattr(Relations(relations.verb_of(verb)), method)(*args)
        return promise

    # -- tests --------------------------------------------------------------------------------------------------

    @property
    def test(self) -> Any:
        """`db.test.reset()`, `db.test.seed("products", [...])`: there once `dotdo.testing` is imported."""
        if _test is None:
            raise AttributeError("db.test is for tests: import dotdo.testing first")
        return _test(self)

    def __repr__(self) -> str:
        return "db"


async def _resolved(ends: list[relations.End]) -> list[Any]:
    """Records and stubs of ends, in their order; documents that are gone are left out."""
    by_type: dict[str, list[str]] = {}
    for type, id, is_entity in ends:
        if not is_entity:
            by_type.setdefault(type, []).append(id)
    records: dict[tuple[str, str], Record] = {}
    for type, ids in by_type.items():
        for record in await CollectionEntity(type).read_many(ids):
            records[(type, record["$id"])] = record
    found = [make_stub(type, id) if is_entity else records.get((type, id)) for type, id, is_entity in ends]
    return [one for one in found if one is not None]


def _joined(data: Any, fields: dict[str, Any], what: str) -> Any:
    if data is None:
        return fields
    if not fields:
        return data
    if not isinstance(data, dict):
        raise QueryError(f"{what} takes a dict, or fields by name, not {data!r:.80} and fields")
    return {**data, **fields}


_test: Callable[[Database], Any] | None = None


def provide_test(make: Callable[[Database], Any]) -> None:
    """Let `make(db)` answer `db.test`: what only tests have comes from `dotdo.testing`."""
    global _test
    _test = make


db = Database()
