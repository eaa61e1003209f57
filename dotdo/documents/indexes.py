"""The indexes of one collection: made when a query first asks for them, because nobody declares them beforehand.

The first query of a shape (these fields equal, this one in a range or in order) makes an index on just those expressions, so
it is there while the collection is small and is kept up to date by SQLite from then on. One index serves every query that
begins as it does. What is made by itself is bounded, in number and by the size of the collection, because making one holds
the host's loop and each one is paid for by every write; beyond that a query reads all documents until somebody declares
the index (`db.Orders.index("status", "total")`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotdo.documents import paths
from dotdo.documents.ordering import Order
from dotdo.documents.paths import Path
from dotdo.documents.where import Condition, expression
from dotdo.errors import QueryError

if TYPE_CHECKING:
    from dotdo.durable_object.storage import Storage

MADE_MAX = 16
"""Indexes that queries make by themselves."""

DECLARED_MAX = 48
DOCUMENTS_MAX = 200_000
"""In a larger collection none is made unasked: it would hold the loop for about a second."""

COLUMNS_MAX = 5

_TABLE = "CREATE TABLE IF NOT EXISTS indexes(shape TEXT PRIMARY KEY, is_declared INTEGER NOT NULL)"

Shape = tuple[str, ...]


def shape_of(condition: Condition, order: Order) -> tuple[frozenset[str], Shape]:
    """What an index for this query has: the fields it begins with in any order, and those that follow in this order."""
    if ("$id",) in condition.equal:
        return frozenset(), ()
    equal = frozenset(paths.text_of(path) for path in condition.equal[:COLUMNS_MAX])
    ordered = [paths.text_of(path) for path, falls in order.terms if falls == order.terms[0][1]]
    ranged = [paths.text_of(path) for path in condition.ranged[:1]]
    tail = ordered if not ranged or ordered[:1] == ranged else ranged
    return equal, tuple(name for name in tail if name not in equal and name != "$id")[: COLUMNS_MAX - len(equal)]


def serves(shape: Shape, equal: frozenset[str], tail: Shape) -> bool:
    """True if an index of this shape is good for a query that needs `equal` and `tail`."""
    return frozenset(shape[: len(equal)]) == equal and shape[len(equal) : len(equal) + len(tail)] == tail


class Indexes:
    """What one activation of a collection knows of its indexes."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[Shape, bool] | None = None
        self._is_full = False

    def make_table(self) -> None:
        """With the first document."""
        self._storage.sql(_TABLE)
        self._known = None

    def serve(self, condition: Condition, order: Order) -> None:
        """See that a query finds the index it needs."""
        equal, tail = shape_of(condition, order)
        if not equal and not tail:
            return
        known = self._load()
        if any(serves(shape, equal, tail) for shape in known):
            return
        if self._is_full or sum(not is_declared for is_declared in known.values()) >= MADE_MAX or self._is_large():
            self._is_full = True
            return
        self._make((*sorted(equal), *tail), is_declared=False)

    def declare(self, fields: Any) -> None:
        """Make an index over these fields. Raises QueryError."""
        if not isinstance(fields, (list, tuple)) or not 1 <= len(fields) <= COLUMNS_MAX:
            raise QueryError(f"an index has 1 to {COLUMNS_MAX} fields, not {fields!r:.80}")
        shape = tuple(paths.text_of(paths.parse(name)) for name in fields)
        known = self._load()
        if known.get(shape):
            return
        if sum(known.values()) >= DECLARED_MAX:
            raise QueryError(f"the collection has {DECLARED_MAX} declared indexes already")
        self._make(shape, is_declared=True)

    def _load(self) -> dict[Shape, bool]:
        """What is in the file: a turn that made one may have been undone."""
        if self._known is None:
            rows = self._storage.sql("SELECT shape, is_declared FROM indexes ORDER BY rowid").raw()
            self._known = {tuple(shape.split("\n")): bool(is_declared) for shape, is_declared in rows}
        return self._known

    def _make(self, shape: Shape, *, is_declared: bool) -> None:
        self._known = None
        text = "\n".join(shape)
        self._storage.sql("INSERT OR REPLACE INTO indexes(shape, is_declared) VALUES(?, ?)", text, is_declared)
        columns = ", ".join(expression(_path(name)) for name in shape)
        name = "by " + ", ".join(shape)
        self._storage.sql(f'CREATE INDEX IF NOT EXISTS "{name}" ON documents({columns})')

    def _is_large(self) -> bool:
        return (self._storage.sql("SELECT max(number) AS n FROM documents").one()["n"] or 0) > DOCUMENTS_MAX


def _path(name: str) -> Path:
    return paths.parse(name)
