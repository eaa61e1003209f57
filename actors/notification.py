"""Notifications: one entity per user, role or topic, which keeps them and calls a webhook if it has one.

    await Notification("ann").subscribe("https://example.org/hooks/ann", secret="...")
    send.Notification(to="ann", type="approval-required", data={"task": 7})

A call is a POST of JSON, signed as Stripe signs: `Dotdo-Signature: t=<seconds>,v1=<hex of HMAC-SHA256 over "t.body">`, with an
`Idempotency-Key` that stays the same however often it is tried.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

import pydantic

from dotdo import DO, Event, Permanent, RetryPolicy, on

KEPT_MAX = 200
_FIELDS = frozenset({"message", "type", "data", "priority"})
PATIENCE = RetryPolicy(max_attempts=6, initial_delay="2s", max_delay="5m")


class HookRefused(Permanent):
    """Whoever is behind the webhook says that it will never take this."""


class Note(pydantic.BaseModel):
    """One notification."""

    id: str
    type: str
    message: str
    data: Any = None
    priority: str = "normal"
    at: datetime
    is_read: bool = False


class Notification(DO):
    """What one user, role or topic is told; the id says who."""

    notes: list[Note] = []
    url: str | None = None
    secret: str = ""

    async def subscribe(self, url: str, *, secret: str = "") -> None:
        """Call this webhook from now on, signed with the secret if there is one."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not the address of a webhook: it begins with https:// or http://")
        self.url, self.secret = url, secret

    @on.Notification.send(key="to")
    async def requested(self, event: Event) -> Note:
        """Whoever sends `Notification.send` need not know this class; what else is in the payload goes with the note's data."""
        request = {name: value for name, value in dict(event.data).items() if name != "to"}
        given = {name: request.pop(name) for name in _FIELDS & request.keys()}
        if request:
            given["data"] = {**request, **given["data"]} if isinstance(given.get("data"), dict) else {**request, "data": given.get("data")}
        return await self.notify(**given)

    async def notify(self, message: str = "", *, type: str = "note", data: Any = None, priority: str = "normal") -> Note:
        """Tell them; returns when the note is kept and the webhook, if there is one, has taken it."""
        note = Note(id=str(self.uuid4()), type=type, message=message, data=data, priority=priority, at=self.now())
        self.notes = [*self.notes[-KEPT_MAX + 1 :], note]
        if self.url is not None:
            await self.do(self._call, note, self.url, step_id="call", retry=PATIENCE)
        return note

    async def read(self, note_id: str) -> bool:
        """Mark a note as read; False if it is not there (any more)."""
        for note in self.notes:
            if note.id == note_id:
                note.is_read = True
                return True
        return False

    async def unread(self) -> list[Note]:
        """Notes not marked as read, oldest first."""
        return [note for note in self.notes if not note.is_read]

    async def _call(self, note: Note, url: str) -> int:
        try:
            import httpx
        except ImportError:
            raise HookRefused("webhooks need httpx: pip install 'dotdo[actors]'") from None
        body = json.dumps({"to": self.id, **note.model_dump(mode="json", exclude={"is_read"})}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": note.id}
        if self.secret:
            headers["Dotdo-Signature"] = signature(self.secret, body, int(self.now().timestamp()))
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.post(url, content=body, headers=headers)
        if 400 <= answer.status_code < 500 and answer.status_code not in (408, 425, 429):
            raise HookRefused(f"{url} refuses it: {answer.status_code}")
        if answer.status_code >= 300:
            raise ConnectionError(f"{url} cannot take it now: {answer.status_code}")
        return answer.status_code


def signature(secret: str, body: bytes, at: int) -> str:
    """What proves that a call comes from who knows the secret, and when it was made (seconds since the epoch)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
