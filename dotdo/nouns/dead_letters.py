"""The dead letters: events that could not be handled, with why and how often it was tried, and the way back.

A replayed letter joins the end of the line it came from and is tried anew; it leaves the dead letters in that commit.
The collection `db.DeadLetter` is told of every letter that comes and goes, so that documents and letters are found together.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dotdo import clock, codec
from dotdo.durable.deliveries import DEAD_LETTERS
from dotdo.durable.projection import COLLECTION
from dotdo.durable_object.do import DO
from dotdo.errors import DefinitionError, NoKey, NoSuchLetter
from dotdo.events.event import Event
from dotdo.nouns.event_log import _tell
from dotdo.rpc.stub import make_stub

SHOWN_BYTES_MAX = 256 * 1024
"""A larger payload is not copied into the collection: the letter itself has it."""

_TABLE = """CREATE TABLE IF NOT EXISTS letters(number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, noun TEXT NOT NULL,
    entity TEXT NOT NULL, at REAL NOT NULL, letter BLOB NOT NULL)"""


@dataclass(frozen=True)
class DeadLetter:
    """One event that was given up. `history` is when and why each try failed, oldest first."""

    id: str
    event: Event
    receiver: str
    handler: str
    error: str
    attempts: int
    history: list[tuple[datetime, str]]
    at: datetime

    @property
    def data(self) -> Any:
        return self.event.data


class DeadLetters(DO, noun=DEAD_LETTERS[0], max_queue=100_000):
    """All of them, in one entity."""

    async def setup(self) -> None:
        self.storage.sql(_TABLE)

    async def keep(self, letter: dict[str, Any]) -> None:
        """Keep a letter."""
        event: Any = codec.decode(letter["message"])
        number = self.storage.sql(
            "INSERT INTO letters(name, noun, entity, at, letter) VALUES(?, ?, ?, ?, ?) RETURNING number",
            event.name, letter["noun"], letter["entity"], letter["at"], codec.encode(letter),
        ).one()["number"]  # fmt: skip
        self._show(number, {
            "type": event.name, "payload": event.data if len(letter["message"]) <= SHOWN_BYTES_MAX else None,
            "error": letter["error"], "attempts": letter["attempts"], "timestamp": clock.to_datetime(letter["at"]),
            "receiver": f"{letter['noun']}/{letter['entity']}", "handler": letter["handler"],
        })  # fmt: skip

    async def page(self, name: str | None, noun: str | None, limit: int, before: int | None) -> list[tuple[int, dict[str, Any]]]:
        """Letters, newest first."""
        rows = self.storage.sql(
            "SELECT number, letter FROM letters WHERE (?1 IS NULL OR name = ?1) AND (?2 IS NULL OR noun = ?2) "
            "AND (?3 IS NULL OR number < ?3) ORDER BY number DESC LIMIT ?4",
            name, noun, before, limit,
        ).all()  # fmt: skip
        return [(row["number"], self._letter(row)) for row in rows]

    async def find(self, number: int) -> dict[str, Any] | None:
        """One letter."""
        row = self.storage.sql("SELECT letter FROM letters WHERE number = ?", number).first()
        return self._letter(row) if row is not None else None

    def _letter(self, row: Any) -> dict[str, Any]:
        letter: Any = codec.decode(row["letter"])
        return {**letter, "event": codec.decode(letter["message"])}

    async def drop(self, numbers: list[int]) -> int:
        """Forget letters; how many were there."""
        return sum(self._forget(number) for number in numbers)

    def _forget(self, number: int) -> bool:
        was_there = bool(self.storage.sql("DELETE FROM letters WHERE number = ?", number).rows_written)
        if was_there:
            self._show(number, None)
        return was_there

    async def replay(self, numbers: list[int]) -> int:
        """Send letters to their handlers again, those that have a receiver; how many."""
        count = 0
        for number in numbers:
            row = self.storage.sql("SELECT letter FROM letters WHERE number = ?", number).first()
            if row is None:
                continue
            letter: Any = codec.decode(row["letter"])
            if not letter["entity"]:
                continue
            _tell(letter["noun"], letter["entity"], "event", letter["handler"], letter["line"], letter["message"])
            self._forget(number)
            count += 1
        return count

    def _show(self, number: int, fields: dict[str, Any] | None) -> None:
        make_stub(COLLECTION, "DeadLetter").follow(str(number), fields)


class Letters:
    """`dotdo.dead_letters`."""

    __slots__ = ()

    async def list(self, *, name: str | None = None, noun: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """Letters, newest first, of one event's name or one receiving noun if given."""
        return [_letter_of(number, letter) for number, letter in await _entity().page(name, noun, limit, None)]

    async def get(self, letter_id: str) -> DeadLetter:
        """One letter. Raises NoSuchLetter."""
        number = _number(letter_id)
        letter = await _entity().find(number)
        if letter is None:
            raise NoSuchLetter(f"there is no dead letter {letter_id!r} (any more)")
        return _letter_of(number, letter)

    async def replay(self, letter_id: str | None = None, *, name: str | None = None, noun: str | None = None) -> int:
        """Try one letter again, or all of an event's name or a noun, or all there are; how many.

        Raises:
            NoSuchLetter: there is no letter of this id.
            NoKey: its payload does not say which entity it is for, so there is nobody to try it with.
        """
        if letter_id is not None:
            if not await _entity().replay([_number(letter_id)]):
                letter = await self.get(letter_id)
                raise NoKey(f"{letter.event.name} cannot be replayed for {letter.handler}: {letter.error}; send it anew with to='...'")
            return 1
        count = 0
        async for numbers in _pages(name, noun):
            count += await _entity().replay(numbers)
        return count

    async def delete(self, letter_id: str | None = None, *, name: str | None = None, noun: str | None = None) -> int:
        """Forget one letter, or all of an event's name or a noun; how many were there.

        Raises:
            DefinitionError: nothing says which; nobody forgets all of them by mistake.
        """
        if letter_id is not None:
            return int(await _entity().drop([_number(letter_id)]))
        if name is None and noun is None:
            raise DefinitionError("dead_letters.delete() says not which: give a letter's id, name= or noun=")
        count = 0
        async for numbers in _pages(name, noun):
            count += await _entity().drop(numbers)
        return count

    def __repr__(self) -> str:
        return "dotdo.dead_letters"


async def _pages(name: str | None, noun: str | None) -> AsyncIterator[list[int]]:
    before: int | None = None
    while page := await _entity().page(name, noun, 500, before):
        before = page[-1][0]
        yield [number for number, _ in reversed(page)]


def _entity() -> Any:
    return DeadLetters(DEAD_LETTERS[1])


def _number(letter_id: str) -> int:
    try:
        return int(letter_id)
    except (TypeError, ValueError):
        raise NoSuchLetter(f"{letter_id!r} is not the id of a dead letter") from None


def _letter_of(number: int, letter: dict[str, Any]) -> DeadLetter:
    return DeadLetter(
        str(number), letter["event"], f"{letter['noun']}/{letter['entity']}", letter["handler"], letter["error"], letter["attempts"],
        [(clock.to_datetime(at), text) for at, text in letter["history"]], clock.to_datetime(letter["at"]),
    )  # fmt: skip


dead_letters = Letters()
