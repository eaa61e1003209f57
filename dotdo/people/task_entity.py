"""`DotdoTask`: the entity of one human task: its state, its timers, and who waits for it.

A verb asks the directory first, which may take long. Then the rules (`task`) decide on the record as it is now, and what
follows (`changes`) is in the same turn.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from dotdo.durable_object.do import DO
from dotdo.errors import NoSuchTask
from dotdo.people import changes, directory, parking, task
from dotdo.people.task import HumanTask
from dotdo.people.words import moment_of


class TaskEntity(DO, noun=task.NOUN):
    """One task. Called by `dotdo.tasks`."""

    record: HumanTask | None = None
    waiting: list[str] = []

    async def open(self, given: dict[str, Any]) -> HumanTask:
        """Make the task; a second time, and with the same id, give the one there is."""
        if self.record is not None:
            return self.record
        now = self.now()
        due_at = moment_of(given.pop("due"), now, "due")
        holders = await self._holders(given["assignee"])
        if self.record is not None:
            return self.record
        made = HumanTask(id=self.id, created_at=now, due_at=due_at, **given)
        task.schedule_escalation(made, now)
        made.note(now, "created", made.requested_by, to=made.assignee)
        self.record = made
        return await self._changed("created", holders, notice="task-assigned")

    async def read(self) -> HumanTask:
        """The task as it is now."""
        return self._record()

    async def outcome(self) -> HumanTask:
        """The task once it has ended; who waits is parked until then."""
        if self._record().is_open:
            await parking.until_ended(self, self.waiting)
        return self._record()

    async def claim(self, by: str) -> HumanTask:
        """Take it."""
        return await self._act("claimed", by, lambda record, ok, now: task.claim(record, by, is_assignee=ok, now=now))

    async def release(self, by: str) -> HumanTask:
        """Give it back."""
        return await self._act("released", by, lambda record, _ok, now: task.release(record, by, now))

    async def complete(self, by: str, decision: Any, comments: str) -> HumanTask:
        """Do it."""
        return await self._act(
            "completed", by, lambda record, ok, now: task.complete(record, by, decision, comments, is_assignee=ok, now=now)
        )

    async def assign(self, to: str, by: str | None, comment: str) -> HumanTask:
        """Give it to somebody else."""

        def change(record: HumanTask, ok: bool, now: datetime) -> None:
            task.must_be_concerned(record, by, "assign", is_assignee=ok)
            task.assign(record, to, by, "assigned", now, comment)

        return await self._act("assigned", by, change, to=to, notice="task-assigned")

    async def escalate(self, to: str, reason: str) -> HumanTask:
        """Give it to somebody else because it takes too long."""
        return await self._act(
            "escalated", None, lambda record, _ok, now: task.assign(record, to, None, "escalated", now, reason),
            to=to, notice="task-escalated",
        )  # fmt: skip

    async def comment(self, by: str, text: str) -> HumanTask:
        """Say something about it."""
        return await self._act("commented", by, lambda record, _ok, now: task.comment(record, by, text, now))

    async def cancel(self, by: str | None, reason: str) -> HumanTask:
        """Call it off."""

        def change(record: HumanTask, ok: bool, now: datetime) -> None:
            task.must_be_concerned(record, by, "cancel", is_assignee=ok)
            task.cancel(record, by, reason, now)

        return await self._act("cancelled", by, change)

    async def withdraw(self) -> None:
        """Who asked for it is gone: call it off, if it is still open."""
        if self._record().is_open:
            await self.cancel(None, "who asked for it has ended")

    async def alarm(self, info: Any) -> None:
        """What time does: escalate, expire."""
        while self.record is not None and task.is_due(self.record, self.now()):
            to = task.assignee_after(self.record)
            holders = await self._holders(to)
            if task.assignee_after(self.record) != to or (what := task.pass_time(self.record, self.now())) is None:
                continue  # somebody did something while the directory was asked
            await self._changed(what, holders, notice="task-escalated" if what == "escalated" else None)

    def _record(self) -> HumanTask:
        if self.record is None:
            raise NoSuchTask(f"there is no task {self.id!r}")
        return self.record

    async def _holders(self, assignee: str | None) -> list[str] | None:
        return None if assignee is None else await directory.holders(assignee, self.env)

    async def _act(
        self, what: str, by: str | None, change: Callable[[HumanTask, bool, datetime], Any], *, to: str | None = None,
        notice: str | None = None,
    ) -> HumanTask:  # fmt: skip
        """Ask the directory first, then decide and change in one turn. A change that says False changed nothing."""
        while True:
            assignee = self._record().assignee
            is_assignee = by is not None and await directory.is_one_of(by, assignee, self.env)
            holders = await self._holders(assignee if to is None else to)
            if self._record().assignee == assignee:
                break  # else it was given to somebody else while the directory was asked
        record = self._record()
        if change(record, is_assignee, self.now()) is False:
            return record
        return await self._changed(what, holders, notice=notice)

    async def _changed(self, what: str, holders: list[str] | None, notice: str | None = None) -> HumanTask:
        record = self._record()
        await changes.announce(self, record, what, holders, notice=notice, due=task.next_due(record))
        return self._record()
