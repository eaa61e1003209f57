"""Who subscribed to patterns while they ran, as `*.failed`: told to the log of every name that matches, old and new.

A log joins when it is made and learns who is there; a later subscription is told to the logs it concerns. So publishing
asks nobody but the log itself.
"""

from __future__ import annotations

from dotdo.durable.event_waits import EVENT_LOG
from dotdo.durable_object.do import DO
from dotdo.events import names
from dotdo.events.subscriptions import PATTERNS
from dotdo.rpc.stub import make_stub


class Patterns(DO, noun=PATTERNS[0], max_queue=100_000):
    """All of them, in one entity."""

    async def setup(self) -> None:
        self.storage.sql("CREATE TABLE IF NOT EXISTS names(name TEXT PRIMARY KEY)")
        self.storage.sql("CREATE TABLE IF NOT EXISTS subscribers(key TEXT, handler TEXT, pattern TEXT, PRIMARY KEY(key, handler, pattern))")

    async def join(self, name: str) -> list[list[str]]:
        """A log is there: key, handler and pattern of who wants its events."""
        self.storage.sql("INSERT OR IGNORE INTO names VALUES(?)", name)
        rows = self.storage.sql("SELECT key, handler, pattern FROM subscribers ORDER BY rowid").all()
        return [[r["key"], r["handler"], r["pattern"]] for r in rows if names.matches(names.unscoped(r["pattern"]), name)]

    async def subscribe(self, key: str, handler: str, pattern: str) -> None:
        """Let an entity's method get what matches."""
        self.storage.sql("INSERT OR IGNORE INTO subscribers VALUES(?, ?, ?)", key, handler, pattern)
        for log in self._logs(pattern):
            log.subscribe(key, handler, pattern)

    async def unsubscribe(self, key: str, handler: str, pattern: str) -> None:
        """Take it back."""
        self.storage.sql("DELETE FROM subscribers WHERE key = ? AND handler = ? AND pattern = ?", key, handler, pattern)
        for log in self._logs(pattern):
            log.unsubscribe(key, handler, pattern)

    def _logs(self, pattern: str) -> list:  # type: ignore[type-arg]
        known = [row["name"] for row in self.storage.sql("SELECT name FROM names").all()]
        return [make_stub(EVENT_LOG, name) for name in known if names.matches(names.unscoped(pattern), name)]
