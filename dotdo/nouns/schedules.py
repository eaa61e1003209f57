"""The schedules that programs announce: one entity that knows them all, and one for each that keeps and runs it.

The book compares what a program announces with what it has, and tells only what is new to the entity it is for, through
its outbox. A schedule has an entity of its own, so that its runs are journaled there and a run that kills its host takes
no other schedule with it.
"""

from __future__ import annotations

from typing import Any

from dotdo import codec
from dotdo.durable.handle import control_call
from dotdo.durable_object.do import DO
from dotdo.hosting import catalog
from dotdo.rpc.stub import make_stub
from dotdo.schedules.asking import KEEPER
from dotdo.schedules.entry import Definition
from dotdo.schedules.registry import BOOK
from dotdo.schedules.scheduled import NAME

_TABLE = "CREATE TABLE IF NOT EXISTS schedules(id TEXT PRIMARY KEY, name TEXT NOT NULL, definition BLOB NOT NULL)"


class ScheduleBook(DO, noun=BOOK[0], max_queue=100_000):
    """All of them, in one entity."""

    async def setup(self) -> None:
        self.storage.sql(_TABLE)

    async def declare(self, entries: list[tuple[str, Definition]]) -> None:
        """A program says what it declares: what is new, or new in something, is passed on."""
        for schedule_id, definition in entries:
            packed = codec.encode(definition)
            row = self.storage.sql("SELECT definition FROM schedules WHERE id = ?", schedule_id).first()
            if row is not None and row["definition"] == packed:
                continue
            self.storage.sql("INSERT OR REPLACE INTO schedules VALUES(?, ?, ?)", schedule_id, definition.name, packed)
            control_call(make_stub(KEEPER, schedule_id), NAME, "keep", definition.name, definition)

    async def ids(self) -> list[str]:
        """Whose entities keep one."""
        return [row["id"] for row in self.storage.sql("SELECT id FROM schedules ORDER BY id").all()]

    async def named(self, name: str) -> list[tuple[str, str]]:
        """Id and name of those that are called so, or have that id."""
        rows = self.storage.sql("SELECT id, name FROM schedules WHERE name = ?1 OR id = ?1 ORDER BY id", name).all()
        return [(row["id"], row["name"]) for row in rows]

    async def drop(self, schedule_id: str) -> None:
        """Forget one, and end it."""
        row = self.storage.sql("DELETE FROM schedules WHERE id = ? RETURNING name", schedule_id).first()
        if row is not None:
            control_call(make_stub(KEEPER, schedule_id), NAME, "cancel", row["name"])


class ScheduleKeeper(DO, noun=KEEPER, max_queue=100_000):
    """Keeps one announced schedule and runs it; its id is the schedule's."""

    async def setup(self) -> None:
        catalog.load_shipped()  # a program that was started anew may bring another function under the same name


__all__: list[Any] = ["ScheduleBook", "ScheduleKeeper"]
