"""`db.test`: documents for a test, and none of them left after it.

db.test.fixture("products", [{"id": "p1", "stock": 10}])     once, where the tests' data stands
await db.test.seed("products", "customers")                  create what was declared
await db.test.seed("products", [{"id": "p2"}])               or what is given
await db.test.reset()
"""

from __future__ import annotations

from typing import Any

import dotdo
from dotdo.documents.collection import Collection
from dotdo.documents.database import Database, provide_test
from dotdo.documents.relations import Relations
from dotdo.errors import DefinitionError

ENTITIES_MAX = 100_000

_fixtures: dict[str, list[Any]] = {}


async def seed(db: Database, collection: str, documents: list[Any]) -> list[Any]:
    """Create documents in a collection; the records, in order."""
    if not isinstance(documents, (list, tuple)):
        raise DefinitionError(f"seed({collection!r}, ...) takes a list of documents, not {documents!r:.80}")
    return [await db[collection].create(document) for document in documents]


class TestHelpers:
    """The type of `db.test`."""

    __test__ = False  # pytest takes classes that begin with Test for tests
    __slots__ = ("_db",)

    def __init__(self, db: Database) -> None:
        self._db = db

    def fixture(self, collection: str, documents: list[Any]) -> None:
        """Declare what `seed(collection)` creates."""
        _fixtures[self._db[collection].name] = list(documents)

    async def seed(self, *what: Any) -> list[Any]:
        """`seed("products", [...])` creates these documents, `seed("products", "customers")` what `fixture` declared; the records."""
        if len(what) == 2 and not isinstance(what[1], str):
            return await seed(self._db, what[0], what[1])
        made: list[Any] = []
        for collection in what:
            documents = _fixtures.get(self._db[collection].name)
            if documents is None:
                raise DefinitionError(
                    f"nothing is declared for {collection!r}: db.test.fixture({collection!r}, [...]), or seed it with a list"
                )
            made += await seed(self._db, collection, documents)
        return made

    async def reset(self) -> None:
        """Delete every document and every relation; entities stay (`rt.reset()` forgets those too)."""
        for noun in (Collection, Relations):
            for entity in await dotdo.entities(noun._do_spec_.noun, limit=ENTITIES_MAX):
                await dotdo.delete(noun(entity["key"].partition("/")[2]))


provide_test(TestHelpers)
