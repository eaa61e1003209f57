"""`dotdo.approvals`, which is `self.approval_flow` as well: asking for an approval, deciding, and looking into the inbox.

    approval = await self.approval_flow.request_approval(title="PO 7", amount=5000, approvers=["manager", "vp"], deadline="7d")
    await approvals.approve(id, by="manager", comment="fine")

`request_approval` parks the execution until it is decided; `request` gives a handle at once, as the command
`send(N.Approval.request, ...)` does.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from dotdo import durations
from dotdo.durable.current import do
from dotdo.durable_object import capabilities
from dotdo.errors import DefinitionError
from dotdo.people import inbox, parking, record, words
from dotdo.people.approval import STATUSES, Approval, chain_of
from dotdo.people.approval_entity import ApprovalEntity


class Approvals:
    """The verbs of approvals. `by` is who acts; a role's name stands for its holders."""

    __slots__ = ()

    async def request_approval(
        self, *, type: str = "approval", title: str | None = None, amount: Any = None, requested_by: Any = None, approvers: Any = None,
        approver: Any = None, item: Any = None, deadline: datetime | durations.Duration | None = None, priority: str = "normal",
        remind_every: durations.Duration | None = None, id: str | None = None, **more: Any,
    ) -> Approval:  # fmt: skip
        """Have people decide, and wait for it: the execution is parked meanwhile, for days if need be.

        It is asked for once, also when the execution is replayed; it is taken back if the execution fails or is cancelled.

        Args:
            approvers: persons or roles, in order: each level is asked when the one before has approved. Or one `approver`.
            deadline: a time, or a duration from now; then the status is `expired`. Never, by default.
            priority: low, normal, high or critical.
            remind_every: how often whom it waits for is reminded.
            id: the same id again gives the approval there is.
            more: anything else that is to be readable on it, and in its events.

        Returns:
            The decided approval: `.status` (approved, rejected, expired or cancelled), `.approved`, `.rejection_reason`,
            `.decisions`, `.history`. None of these is an error.

        Raises:
            DefinitionError, BadDuration: an argument makes no sense.
        """
        given = _checked(type, title, amount, requested_by, approvers, approver, item, deadline, priority, remind_every, more)
        approval_id = parking.new_id() if id is None else id
        if parking.is_in_execution():
            await do(_open, approval_id, given, step_id="request-approval", undo=partial(_withdraw, approval_id))
        else:
            await _open(approval_id, given)
        return await _entity(approval_id).outcome()

    async def request(
        self, *, type: str = "approval", title: str | None = None, amount: Any = None, requested_by: Any = None, approvers: Any = None,
        approver: Any = None, item: Any = None, deadline: datetime | durations.Duration | None = None, priority: str = "normal",
        remind_every: durations.Duration | None = None, id: str | None = None, **more: Any,
    ) -> Approval:  # fmt: skip
        """Ask for an approval, and go on: `await handle.wait()` when the decision is needed. As `request_approval` otherwise."""
        given = _checked(type, title, amount, requested_by, approvers, approver, item, deadline, priority, remind_every, more)
        return await _open(parking.new_id() if id is None else id, given)

    async def get(self, id: str | Approval) -> Approval:
        """The approval as it is now. Raises NoSuchApproval."""
        return await _entity(id).read()

    async def list(
        self, *, assignee: Any = None, status: str | list[str] | None = None, type: str | None = None, priority: str | None = None,
        requested_by: Any = None, limit: int = 100, offset: int = 0,
    ) -> list[Approval]:  # fmt: skip
        """Approvals that fit, the most urgent first, then the oldest; no approval is woken.

        Args:
            assignee: whom they wait for: a person, with the roles that person holds now; or a role.
            status: pending, approved, rejected, expired, cancelled; one or a list.
        """
        return await inbox.listed(
            Approval.INDEX, self.get, STATUSES, assignee=assignee, status=status, type=type, priority=priority, requested_by=requested_by,
            limit=limit, offset=offset,
        )  # fmt: skip

    async def approve(self, id: str | Approval, by: Any, comment: str = "", *, level: int | None = None) -> Approval:
        """Say yes for the level that is due. A repeat changes nothing.

        `level` says which one is meant: with it a decision never counts for another level, and who holds two of them says so.

        Raises:
            NotAllowed: the level waits for somebody else.
            AlreadyDecided: it is rejected, expired or cancelled, or somebody else has decided that level.
            NoSuchApproval: there is none of this id.
        """
        return await _entity(id).approve(words.name_of(by, "by"), comment, level)

    async def reject(self, id: str | Approval, by: Any, reason: str, *, level: int | None = None) -> Approval:
        """Say no for the level that is due, which ends it. A rejection has a reason. As `approve` otherwise."""
        if not isinstance(reason, str) or not reason.strip():
            raise DefinitionError(f"reason={reason!r}: a rejection says why")
        return await _entity(id).reject(words.name_of(by, "by"), reason, level)

    async def decide(self, id: str | Approval, decision: Any, by: Any, comment: str = "", *, level: int | None = None) -> Approval:
        """`approve` or `reject`, by the word: approve, approved, True; reject, rejected, False."""
        if words.yes_or_no(decision) == words.APPROVED:
            return await self.approve(id, by, comment, level=level)
        return await self.reject(id, by, comment, level=level)

    async def delegate(self, id: str | Approval, *, by: Any, to: Any, comment: str = "") -> Approval:
        """Let somebody else decide the level that is due; only whom it waits for may. Raises NotAllowed, AlreadyDecided."""
        return await _entity(id).delegate(words.name_of(by, "by"), words.name_of(to, "to"), comment)

    async def comment(self, id: str | Approval, text: str, *, by: Any) -> Approval:
        """Say something about it; it is kept in its history."""
        return await _entity(id).comment(words.name_of(by, "by"), text)

    async def cancel(self, id: str | Approval, *, by: Any = None, reason: str = "") -> Approval:
        """Take it back; who asked for it may, and code that names nobody. Raises NotAllowed, AlreadyDecided."""
        return await _entity(id).cancel(None if by is None else words.name_of(by, "by"), reason)

    def __repr__(self) -> str:
        return "dotdo.approvals"


def _entity(approval_id: str | Approval) -> ApprovalEntity:
    entity: ApprovalEntity = ApprovalEntity(approval_id.id if isinstance(approval_id, Approval) else approval_id)
    return entity


async def _open(approval_id: str, given: dict[str, Any]) -> Approval:
    return await _entity(approval_id).open(given)


async def _withdraw(approval_id: str, _approval: Approval) -> None:
    await _entity(approval_id).withdraw()


def _checked(
    type: Any, title: Any, amount: Any, requested_by: Any, approvers: Any, approver: Any, item: Any, deadline: Any, priority: Any,
    remind_every: Any, more: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What the entity makes the approval of. Raises DefinitionError for what makes no sense, before anything is sent."""
    record.check_extras(Approval, more)
    if not isinstance(type, str) or not type:
        raise DefinitionError(f"type={type!r}: the kind of thing to approve, as 'expense'")
    if isinstance(deadline, datetime):
        if deadline.tzinfo is None:
            raise DefinitionError(
                f"deadline={deadline!r} has no time zone: give an aware datetime, as self.now() is, or a duration as '7d'"
            )
    elif deadline is not None:
        deadline = durations.seconds(deadline)
    every = None if remind_every is None else durations.seconds(remind_every)
    if every is not None and every < 1:
        raise DefinitionError(f"remind_every={remind_every!r}: at least a second")
    return {
        **more, "type": type, "title": type if title is None else str(title), "amount": amount, "item": item, "deadline": deadline,
        "approvers": chain_of(approvers, approver), "priority": words.priority_of(priority), "remind_every": every,
        "requested_by": None if requested_by is None else words.name_of(requested_by, "requested_by"),
    }  # fmt: skip


approvals = Approvals()

capabilities.provide("approval_flow", lambda _entity: approvals)
