"""`cache`: values that are dear to make, kept for a while, for the whole cluster.

    found = await cache.get("report:2024")          # None if it is not there (or is None)
    await cache.set("report:2024", report, ttl=3600)
    report = await cache.get_or_set(cache.key("report", {"year": 2024}), make_report, ttl="1h")

Keys are spread over a few entities. In the body of an execution a look into the cache is recorded like every call to an
entity, so a replay sees what the first run saw, although the value may be gone by then.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any, cast

from dotdo import codec, durations
from dotdo.durable_object.do import DO
from dotdo.resilience import surroundings

PARTS = 16
ENTRIES_MAX = 10_000
"""So many values are kept in each of the parts; beyond, those that end first go first."""
SWEEP_SECONDS = 300.0

_TABLE = """CREATE TABLE IF NOT EXISTS entries(key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS by_end ON entries(ends)"""
_FOR_EVER = 9e15


class Cache(DO, noun="DotdoCache", max_queue=100_000, durability="normal"):
    """One part of the cache."""

    async def setup(self) -> None:
        for statement in _TABLE.split(";"):
            self.storage.sql(statement)
        self._count = self._counted()

    async def find(self, key: str) -> tuple[bool, bytes]:
        """Is there a value, and which."""
        row = self.storage.sql("SELECT value FROM entries WHERE key = ? AND ends > ?", key, self.now().timestamp()).first()
        return (False, b"") if row is None else (True, row["value"])

    async def keep(self, key: str, value: bytes, ttl_s: float | None) -> None:
        """Keep a value."""
        now = self.now().timestamp()
        ends = _FOR_EVER if ttl_s is None else now + ttl_s
        self.storage.sql("INSERT OR REPLACE INTO entries VALUES(?, ?, ?)", key, value, ends)
        self._count += 1
        if self._count > ENTRIES_MAX:  # it counts replaced values too, so it looks before it believes
            self._count = self._counted()
            self.storage.sql(
                "DELETE FROM entries WHERE key IN (SELECT key FROM entries ORDER BY ends LIMIT ?)", max(self._count - ENTRIES_MAX, 0)
            )
        if ttl_s is not None and self.storage.get_alarm() is None:
            self.storage.set_alarm(now + max(ttl_s, SWEEP_SECONDS))

    async def alarm(self, _info: Any) -> None:
        """Sweep out what has ended."""
        now = self.now().timestamp()
        self.storage.sql("DELETE FROM entries WHERE ends <= ?", now)
        following = self.storage.sql("SELECT min(ends) AS ends FROM entries WHERE ends < ?", _FOR_EVER).one()["ends"]
        if following is not None:
            self.storage.set_alarm(max(following, now + SWEEP_SECONDS))

    def _counted(self) -> int:
        return int(self.storage.sql("SELECT count(*) AS n FROM entries").one()["n"])

    async def forget(self, key: str) -> bool:
        """Forget a value; False if it was not there."""
        return bool(self.storage.sql("DELETE FROM entries WHERE key = ?", key).rows_written)

    async def clear(self) -> None:
        """Forget everything."""
        self.storage.sql("DELETE FROM entries")


class Caching:
    """`dotdo.cache`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "dotdo.cache"

    async def get(self, key: str, default: Any = None) -> Any:
        """The value kept under a key, `default` if there is none (any more)."""
        is_there, value = await _part(key).find(key)
        return codec.decode(value) if is_there else default

    async def has(self, key: str) -> bool:
        """True if there is a value, be it 0, "" or None."""
        return bool((await _part(key).find(key))[0])

    async def set(self, key: str, value: Any, *, ttl: durations.Duration | None = None) -> None:
        """Keep a value for `ttl` (seconds as a number), or until it is forgotten."""
        await _part(key).keep(key, codec.encode(value), None if ttl is None else durations.seconds(ttl))

    async def get_or_set(self, key: str, make: Callable[[], Any], *, ttl: durations.Duration | None = None) -> Any:
        """The value kept under a key; if there is none, the one that `make()` gives, kept from now on."""
        is_there, value = await _part(key).find(key)
        if is_there:
            return codec.decode(value)
        made = make()
        if inspect.isawaitable(made):
            made = await made
        await self.set(key, made, ttl=ttl)
        return made

    async def delete(self, key: str) -> bool:
        """Forget a value; False if it was not there."""
        return bool(await _part(key).forget(key))

    async def clear(self) -> None:
        """Forget everything."""
        for number in range(PARTS):
            await Cache(f"{number:02}").clear()

    def key(self, *parts: Any) -> str:
        """A key made of texts and data; what is equal gives the same key, in whatever order its fields stand."""
        return ":".join(
            part if isinstance(part, str) else json.dumps(part, sort_keys=True, separators=(",", ":"), default=str) for part in parts
        )


def _part(key: str) -> Cache:
    if not isinstance(key, str):
        raise TypeError(f"a key of the cache is text, not {key!r}: cache.key(...) makes one of data")
    number = hashlib.blake2b(key.encode(), digest_size=2).digest()[0] % PARTS
    return surroundings.asked_anew(cast(Cache, Cache(f"{number:02}")))


cache = Caching()
