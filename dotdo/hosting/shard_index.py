"""The shard index: who sleeps in a shard, and when they must be woken.

A row is written when an entity goes to sleep, and made safe before its file is closed; the active entities are known by
their -wal. So the index can be stale, never short: a row too many costs one needless waking, and where the whole file is
gone every entity of the shard is woken once. It is a plain SQLite file, used through aiosqlite, because it is off the hot
path and never an entity's file. Rows asked for in one pass of the loop share one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import aiosqlite

from dotdo.errors import StorageError
from dotdo.names import key_of
from dotdo.storage import paths

_log = logging.getLogger("dotdo.index")

RETRY_SECONDS = 1.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entities(
    key TEXT PRIMARY KEY, noun TEXT NOT NULL, due REAL, size INTEGER NOT NULL, slept REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entities_due ON entities(due, key) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS entities_noun ON entities(noun, key);
CREATE TABLE IF NOT EXISTS quarantine(key TEXT PRIMARY KEY, since REAL NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
"""


class ShardIndex:
    """The index of one owned shard."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        # one for all writes: a connection keeps track of its last 200 cursors, and each would hold memory of its time
        self._cursor: aiosqlite.Cursor
        self._rows: list[tuple[str, str, float | None, int, float]] = []
        self._waiting: list[Callable[[], None]] = []
        self._writer: asyncio.Task[None] | None = None
        self._is_closing = False

    async def open(self) -> None:
        """Open the index, made anew from the shard's files if it is gone. Raises StorageError."""
        is_new = not self._path.exists()
        connection = self._connection = await aiosqlite.connect(self._path)
        try:
            await connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _SCHEMA)
            if is_new:
                await self._rebuild(connection)
            await connection.commit()
            self._cursor = await connection.cursor()
        except aiosqlite.Error as error:
            await self.close()
            raise StorageError(f"{self._path} cannot be used: {error}; moved away, it is made anew from the entities' files") from error

    async def _rebuild(self, connection: aiosqlite.Connection) -> None:
        """Nobody knows who of these must be woken, so each is, at once: who has nothing to do sleeps again."""
        folder = self._path.parent
        found = await asyncio.to_thread(lambda: list(paths.stored_entities(folder)))
        if found:
            _log.warning("%s is gone: it is made anew, and %d entities are woken once", self._path, len(found))
        rows = [(key_of(noun, entity_id), noun, 0.0, 0, 0.0) for noun, entity_id in found]
        await connection.executemany("INSERT OR REPLACE INTO entities VALUES(?, ?, ?, ?, ?)", rows)

    async def close(self) -> None:
        """Write what is asked for, then close."""
        self._is_closing = True
        if self._writer is not None:
            await self._writer
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @property
    def _open(self) -> aiosqlite.Connection:
        assert self._connection is not None, "the index is not open"
        return self._connection

    def put(self, key: str, noun: str, due: float | None, size: int, now: float, done: Callable[[], None]) -> None:
        """Write a sleeper's row; `done` is called on the loop when it is safe."""
        self._rows.append((key, noun, due, size, now))
        self._waiting.append(done)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._rows:
                rows, self._rows = self._rows, []
                waiting, self._waiting = self._waiting, []
                try:
                    await self._cursor.executemany("INSERT OR REPLACE INTO entities VALUES(?, ?, ?, ?, ?)", rows)
                    await self._open.commit()
                except aiosqlite.Error as error:
                    # a full disk, most likely: who falls asleep is held until its row is safe, or until its host ends
                    _log.error("%s cannot be written, trying again in %.0f s: %s", self._path, RETRY_SECONDS, error)
                    self._rows, self._waiting = rows + self._rows, waiting + self._waiting
                    if self._is_closing:
                        return
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                for done in waiting:
                    done()
        finally:
            self._writer = None

    async def sleepers(self, after: tuple[float, str], limit: int) -> list[tuple[float, str]]:
        """A page of those who must be woken, (due, key) in order, from beyond `after` on."""
        sql = "SELECT due, key FROM entities WHERE due IS NOT NULL AND (due, key) > (?, ?) ORDER BY due, key LIMIT ?"
        return [(row[0], row[1]) for row in await self._open.execute_fetchall(sql, (*after, limit))]

    async def entities(self, noun: str | None, limit: int, after: str = "") -> list[tuple[str, int]]:
        """Keys and sizes in key order."""
        if noun is None:
            sql, params = "SELECT key, size FROM entities WHERE key > ? ORDER BY key LIMIT ?", (after, limit)
        else:
            sql = "SELECT key, size FROM entities WHERE noun = ? AND key > ? ORDER BY key LIMIT ?"
            params = (noun, after, limit)  # type: ignore[assignment]
        return [(row[0], row[1]) for row in await self._open.execute_fetchall(sql, params)]

    async def due_of(self, key: str) -> float | None:
        """When a sleeper is due; at once for one that has no row."""
        rows = list(await self._open.execute_fetchall("SELECT due FROM entities WHERE key = ?", (key,)))
        return rows[0][0] if rows else 0.0

    async def remove(self, key: str) -> None:
        """The entity was deleted."""
        await self._open.execute("DELETE FROM entities WHERE key = ?", (key,))
        await self._open.commit()

    async def quarantine(self, key: str, at: float, reason: str) -> None:
        """Keep an entity asleep until it is released."""
        await self._open.execute("INSERT OR REPLACE INTO quarantine VALUES(?, ?, ?)", (key, at, reason))
        await self._open.commit()

    async def quarantined(self) -> dict[str, str]:
        """Quarantined keys and why."""
        return {row[0]: row[1] for row in await self._open.execute_fetchall("SELECT key, reason FROM quarantine")}

    async def release(self, key: str) -> None:
        """Let a quarantined entity run again."""
        await self._open.execute("DELETE FROM quarantine WHERE key = ?", (key,))
        await self._open.commit()
