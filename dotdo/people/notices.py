"""Telling people that something is theirs to do: a `Notification.send` command with the commit that made it so.

Whoever handles that command delivers it (mail, chat, a webhook), as the ready-made `Notification` does; where nobody does,
it is only an event in the log.
"""

from __future__ import annotations

from dotdo.events.sending import send
from dotdo.people.record import Record


def tell(record: Record, kind: str, holders: list[str] | None) -> None:
    """Notify the one who has `record` now. `to` and `user_id` are the assignee; `users` are the people, if that is a role."""
    send(
        "Notification.send",
        {
            "id": f"{record.id}-{record.version}", "type": kind, "to": record.assignee, "user_id": record.assignee,
            "users": [record.assignee] if holders is None else holders, "title": record.title, "message": record.title,
            "priority": record.priority, "data": record,
        },
    )  # fmt: skip
