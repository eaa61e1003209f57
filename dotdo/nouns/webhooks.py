"""What came in through webhooks: each delivery becomes an event once, however often it is sent.

A sender repeats a delivery until it is acknowledged. So the delivery's id and the event are kept in one commit, and only
then the door says yes; a repeat finds the id and sends nothing.
"""

from __future__ import annotations

from typing import Any

from dotdo import clock
from dotdo.durable_object.do import DO
from dotdo.events.sending import send

WEBHOOK_INBOX = "DotdoWebhookInbox"
KEPT_SECONDS = 30 * 86400.0
"""So long an id is known again; senders give up after days."""

_TABLE = "CREATE TABLE IF NOT EXISTS seen(id TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID"
_INDEX = "CREATE INDEX IF NOT EXISTS seen_at ON seen(at)"


class WebhookInbox(DO, noun=WEBHOOK_INBOX, max_queue=10_000):
    """The deliveries of one webhook; the id is its path."""

    async def setup(self) -> None:
        self.storage.sql(_TABLE)
        self.storage.sql(_INDEX)

    async def take(self, delivery: str, name: str, data: Any) -> bool:
        """Send the event of a delivery; False if it came before."""
        if self.storage.sql("SELECT 1 FROM seen WHERE id = ?", delivery).first() is not None:
            return False
        now = clock.to_epoch(self.now())
        self.storage.sql("DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE at < ? ORDER BY at LIMIT 100)", now - KEPT_SECONDS)
        self.storage.sql("INSERT INTO seen VALUES(?, ?)", delivery, now)
        send(name, data)
        return True
