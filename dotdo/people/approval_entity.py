"""`DotdoApproval`: the entity of one approval: its state, its deadline, its reminders, and who waits for it.

A verb asks the directory first, which may take long. Then the rules (`approval`) decide on the record as it is now, and
what follows (`changes`) is in the same turn.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dotdo.durable_object.do import DO
from dotdo.errors import NoSuchApproval
from dotdo.people import approval, changes, directory, parking
from dotdo.people.approval import Approval
from dotdo.people.words import moment_of

ASKED = "approval-required"


class ApprovalEntity(DO, noun=approval.NOUN):
    """One approval. Called by `dotdo.approvals`."""

    record: Approval | None = None
    waiting: list[str] = []

    async def open(self, given: dict[str, Any]) -> Approval:
        """Ask for it; a second time, and with the same id, give the one there is."""
        if self.record is not None:
            return self.record
        now = self.now()
        deadline = moment_of(given.pop("deadline"), now, "deadline")
        assignee = given["approvers"][0]
        holders = await directory.holders(assignee, self.env)
        if self.record is not None:
            return self.record
        made = Approval(id=self.id, created_at=now, deadline=deadline, assignee=assignee, **given)
        approval.schedule_reminder(made, now)
        made.note(now, "requested", made.requested_by, to=assignee)
        self.record = made
        return await self._changed("requested", holders, notice=ASKED)

    async def read(self) -> Approval:
        """The approval as it is now."""
        return self._record()

    async def outcome(self) -> Approval:
        """The approval once it is decided; who waits is parked until then."""
        if self._record().is_open:
            await parking.until_ended(self, self.waiting)
        return self._record()

    async def approve(self, by: str, comment: str, level: int | None) -> Approval:
        """The level that is due says yes."""
        return await self._act(by, lambda record, ok, now: approval.approve(record, by, comment, level, is_assignee=ok, now=now))

    async def reject(self, by: str, reason: str, level: int | None) -> Approval:
        """The level that is due says no."""
        return await self._act(by, lambda record, ok, now: approval.reject(record, by, reason, level, is_assignee=ok, now=now))

    async def delegate(self, by: str, to: str, comment: str) -> Approval:
        """Somebody else decides this level."""
        return await self._act(
            by, lambda record, ok, now: approval.delegate(record, by, to, comment, is_assignee=ok, now=now), "delegated", to=to
        )

    async def comment(self, by: str, text: str) -> Approval:
        """Say something about it."""
        return await self._act(by, lambda record, _ok, now: approval.comment(record, by, text, now), "commented")

    async def cancel(self, by: str | None, reason: str) -> Approval:
        """Take it back."""
        return await self._act(by, lambda record, _ok, now: approval.cancel(record, by, reason, now))

    async def withdraw(self) -> None:
        """Who asked for it is gone: take it back, if it is still open."""
        if self._record().is_open:
            await self.cancel(None, "who asked for it has ended")

    async def alarm(self, info: Any) -> None:
        """What time does: remind, expire."""
        while self.record is not None:
            holders = await self._holders_of_all()
            what = approval.pass_time(self.record, self.now())
            if what is None:
                return
            await self._changed(what, holders[self.record.assignee], notice="approval-reminder" if what == "reminded" else None)

    def _record(self) -> Approval:
        if self.record is None:
            raise NoSuchApproval(f"there is no approval {self.id!r}")
        return self.record

    async def _act(
        self, by: str | None, change: Callable[[Approval, bool, datetime], Any], what: str = "", *, to: str | None = None
    ) -> Approval:
        """Ask the directory first, then decide and change in one turn. A change that says False changed nothing."""
        holders = await self._holders_of_all(to)
        record = self._record()
        level, held = record.level, holders[record.assignee]
        is_assignee = by is not None and record.assignee is not None and directory.is_meant(by, record.assignee, held)
        if change(record, is_assignee, self.now()) is False:
            return record
        if not record.is_open:
            return await self._changed("decided", held)
        if record.level != level:
            return await self._changed("advanced", holders[record.assignee], notice=ASKED)
        return await self._changed(what, holders[record.assignee], notice=ASKED if what == "delegated" else None)

    async def _holders_of_all(self, to: str | None = None) -> dict[Any, list[str] | None]:
        """The holders of whom it waits for now, and of those who may get it by what is done now."""
        while True:
            record = self._record()
            version = record.version
            names = [record.assignee, *record.approvers[record.level : record.level + 1], to]
            found = {name: await directory.holders(name, self.env) for name in names if name is not None}
            if self._record().version == version:
                return found  # else it went on while the directory was asked

    async def _changed(self, what: str, holders: list[str] | None, notice: str | None = None) -> Approval:
        record = self._record()
        await changes.announce(self, record, what, holders, notice=notice, due=approval.next_due(record))
        return self._record()
