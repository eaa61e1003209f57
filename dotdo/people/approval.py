"""`Approval`: what people are asked to approve, as a value; and the rules of who decides what.

    pending, level 1 ──approved──> pending, level 2 ──approved──> ... ──approved──> approved
                     └─rejected──> rejected      (by whom the level waits for, and only there)
                     time: expired at the deadline       who asked for it: cancelled

A repeat of a decision is answered as it was, and changes nothing. One click too many never approves the next level: who
holds that one as well says which level is meant.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

import pydantic

from dotdo import durations
from dotdo.errors import AlreadyDecided, DefinitionError, NotAllowed
from dotdo.people import parking, words
from dotdo.people.record import Record
from dotdo.rpc.stub import make_stub

NOUN = "DotdoApproval"
LEVELS_MAX = 50
STATUSES = frozenset({"pending", "approved", "rejected", "expired", "cancelled"})


class Decision(pydantic.BaseModel):
    """What one person said at one level; `assignee` is the person or role that the level waited for."""

    level: int
    by: str
    at: datetime
    decision: str
    comment: str = ""
    assignee: str


class Approval(Record):
    """An approval. Whatever else it was asked with (`expense_id=`) is readable on it as well.

    `approvers` are the levels in order, `level` (from 1) is the one it is at, `assignee` who that waits for. `status` is
    pending, approved, rejected, expired or cancelled.
    """

    NOUN: ClassVar[str] = NOUN
    EVENTS: ClassVar[str] = "Approval"
    INDEX: ClassVar[str] = "approvals"

    approvers: list[str]
    level: int = 1
    amount: Any = None
    item: Any = None
    deadline: datetime | None = None
    remind_every: float | None = None
    reminds_at: datetime | None = None
    reminders: int = 0
    decisions: list[Decision] = []
    rejection_reason: str | None = None
    decided_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """True while nobody has decided for good."""
        return self.status == "pending"

    @property
    def approved(self) -> bool:
        """True once every level has approved."""
        return self.status == words.APPROVED

    @property
    def rejected(self) -> bool:
        """True once somebody has rejected it."""
        return self.status == words.REJECTED

    @property
    def decision(self) -> str | None:
        """How it ended, as `status` says; None while it is pending."""
        return None if self.is_open else self.status

    @property
    def decided_by(self) -> str | None:
        """Who approved or rejected it in the end; None if nobody did."""
        return self.decisions[-1].by if self.status in (words.APPROVED, words.REJECTED) else None

    @property
    def approver(self) -> str | None:
        """Whom it waits for, or waited for in the end: `assignee`."""
        return self.assignee

    async def wait(self, timeout: durations.Duration | None = None) -> Approval:
        """Wait until it is decided; this very object tells how then. Inside an execution nothing is in memory meanwhile.

        Raises WaitTimeout inside an execution, CallTimeout outside, after `timeout`.
        """
        self.take(await parking.within(timeout, make_stub(NOUN, self.id), "outcome"))
        return self

    async def refresh(self) -> Approval:
        """Learn how it stands; this very object tells then."""
        stub: Any = make_stub(NOUN, self.id)
        self.take(await stub.read())
        return self


def chain_of(approvers: Any, approver: Any) -> list[str]:
    """The levels in order, from what users write. Raises DefinitionError."""
    if (approvers is None) == (approver is None):
        raise DefinitionError("an approval has approvers=[...], in order, or one approver=")
    given = approvers if isinstance(approvers, (list, tuple)) else [approvers if approver is None else approver]
    if not 1 <= len(given) <= LEVELS_MAX:
        raise DefinitionError(f"an approval has 1 to {LEVELS_MAX} approvers, not {len(given)}")
    return [words.name_of(one, "approvers") for one in given]


# -- what may become of it ------------------------------------------------------------------------------------------


def approve(approval: Approval, by: str, comment: str, level: int | None, *, is_assignee: bool, now: datetime) -> bool:
    """One level says yes; False if `by` has said so already. Raises NotAllowed, AlreadyDecided."""
    if _is_repeat(approval, by, words.APPROVED, level, is_assignee=is_assignee):
        return False
    _must_be_due(approval, by, level, is_assignee=is_assignee)
    _decide(approval, by, words.APPROVED, comment, now)
    if approval.level < len(approval.approvers):
        approval.level += 1
        approval.assignee = approval.approvers[approval.level - 1]
        schedule_reminder(approval, now)
    else:
        _end(approval, words.APPROVED, now)
    return True


def reject(approval: Approval, by: str, reason: str, level: int | None, *, is_assignee: bool, now: datetime) -> bool:
    """The level says no, which ends it; False if `by` has said so already. Raises NotAllowed, AlreadyDecided."""
    if _is_repeat(approval, by, words.REJECTED, level, is_assignee=is_assignee):
        return False
    _must_be_due(approval, by, level, is_assignee=is_assignee)
    _decide(approval, by, words.REJECTED, reason, now)
    approval.rejection_reason = reason
    _end(approval, words.REJECTED, now)
    return True


def delegate(approval: Approval, by: str, to: str, comment: str, *, is_assignee: bool, now: datetime) -> None:
    """Somebody else decides this level. Raises NotAllowed, AlreadyDecided."""
    _must_be_due(approval, by, None, is_assignee=is_assignee)
    if to in (by, approval.assignee):
        raise NotAllowed(f"approval {approval.id} is {to}'s already")
    approval.assignee = to
    approval.note(now, "delegated", by, to=to, comment=comment, level=approval.level)
    schedule_reminder(approval, now)


def comment(approval: Approval, by: str, text: str, now: datetime) -> None:
    """Say something about it. Raises NotAllowed once there is no room for more."""
    if not approval.has_room:
        raise NotAllowed(f"approval {approval.id} has too many comments already")
    approval.note(now, "commented", by, comment=text, level=approval.level)


def cancel(approval: Approval, by: str | None, reason: str, now: datetime) -> None:
    """Who asked for it takes it back, or code that names nobody does. Raises NotAllowed, AlreadyDecided."""
    _must_be_open(approval)
    if by is not None and approval.requested_by is not None and by != approval.requested_by:
        raise NotAllowed(f"{by} may not cancel approval {approval.id}: {approval.requested_by} asked for it; an approver rejects")
    approval.note(now, "cancelled", by, comment=reason)
    approval.rejection_reason = reason or "cancelled"
    _end(approval, "cancelled", now)


def schedule_reminder(approval: Approval, now: datetime) -> None:
    """Whom it waits for now is reminded so long after getting it, and again."""
    approval.reminds_at = now + timedelta(seconds=approval.remind_every) if approval.remind_every else None


def next_due(approval: Approval) -> datetime | None:
    """When time does something to it, if nobody does before."""
    times = [when for when in (approval.reminds_at, approval.deadline) if when is not None]
    return min(times) if times and approval.is_open else None


def pass_time(approval: Approval, now: datetime) -> str | None:
    """What is due first: "expired", or "reminded"; None if nothing is."""
    due = next_due(approval)
    if due is None or due > now:
        return None
    if approval.deadline is not None and approval.deadline <= now:
        approval.note(now, "expired", level=approval.level)
        approval.rejection_reason = f"{approval.assignee} did not decide before {approval.deadline:%Y-%m-%d %H:%M %Z}"
        _end(approval, "expired", now)
        return "decided"
    approval.reminders += 1
    approval.version += 1
    schedule_reminder(approval, now)
    return "reminded"


def _decide(approval: Approval, by: str, decision: str, comment: str, now: datetime) -> None:
    assert approval.assignee is not None
    approval.decisions.append(Decision(level=approval.level, by=by, at=now, decision=decision, comment=comment, assignee=approval.assignee))
    approval.note(now, decision, by, comment=comment, level=approval.level)


def _end(approval: Approval, status: str, now: datetime) -> None:
    approval.status, approval.decided_at, approval.reminds_at = status, now, None


def _is_repeat(approval: Approval, by: str, decision: str, level: int | None, *, is_assignee: bool) -> bool:
    """True for a decision that `by` has made, and that still stands."""
    made = [one for one in approval.decisions if one.by == by and one.decision == decision and level in (None, one.level)]
    if not made or not approval.is_open:
        return bool(made) and approval.status == decision
    if level is None and is_assignee:
        raise NotAllowed(
            f"{by} has {decision} level {made[-1].level} of approval {approval.id}, and level {approval.level} is {by}'s as well: "
            f"say level={approval.level} to decide that one, too"
        )
    return True


def _must_be_due(approval: Approval, by: str, level: int | None, *, is_assignee: bool) -> None:
    _must_be_open(approval)
    if level is not None and level < approval.level:
        made = next((one for one in approval.decisions if one.level == level), None)
        raise AlreadyDecided(
            f"level {level} of approval {approval.id} was {made.decision if made else 'decided'} by {made.by if made else '?'}"
        )
    if level is not None and level != approval.level:
        raise NotAllowed(
            f"approval {approval.id} is at level {approval.level}, which waits for {approval.assignee}; level {level} is not due"
        )
    if not is_assignee:
        raise NotAllowed(f"{by} may not decide approval {approval.id}: level {approval.level} waits for {approval.assignee}")


def _must_be_open(approval: Approval) -> None:
    if not approval.is_open:
        who = f" by {approval.decided_by}" if approval.decided_by else ""
        raise AlreadyDecided(f"approval {approval.id} is {approval.status}{who} already")
