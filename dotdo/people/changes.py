"""What follows from a change of an approval or a task, in the turn that made it.

The event that tells of it, the notification of who has it now, the answers to those who wait, the next timer: all in the
commit of the change. The index of inboxes is told after it, as the next thing this execution does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dotdo.events.sending import send
from dotdo.people import notices, parking
from dotdo.people.inbox import INBOX
from dotdo.people.record import Record
from dotdo.rpc.stub import make_stub


async def announce(
    entity: Any, record: Record, what: str, holders: list[str] | None, *, notice: str | None = None, due: datetime | None = None
) -> None:
    """Let everyone know what happened to `record`, which `entity` keeps.

    Args:
        what: the verb of the event, in the past tense.
        holders: who holds the assignee, if that is a role.
        notice: what kind of notification the assignee gets, if any.
        due: when time does the next thing to it.
    """
    send(f"{record.EVENTS}.{what}", record)
    if notice is not None and record.assignee is not None:
        notices.tell(record, notice, holders)
    if not record.is_open:
        parking.let_go(entity.waiting)
    if due is not None:
        entity.storage.set_alarm(due)
    else:
        entity.storage.delete_alarm()
    index: Any = make_stub(INBOX, record.INDEX)
    await index.put(record, holders is not None)
