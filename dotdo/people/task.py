"""`HumanTask`: something a person is to do, as a value; and the rules of what may become of it.

    pending ──claim──> claimed ──complete──> completed          time:  escalated to the next one, pending again
       ^────release──────┘                                             expired, or completed with the default decision

The rules are functions of a record that change it or raise; when they are called, and what leaves the entity then, is the
business of the entity (`task_entity`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pydantic

from dotdo import durations
from dotdo.errors import AlreadyDecided, DefinitionError, NotAllowed
from dotdo.people import parking, words
from dotdo.people.record import Record
from dotdo.rpc.stub import make_stub

NOUN = "DotdoTask"
ESCALATIONS_MAX = 20
OPEN = frozenset({"pending", "claimed"})
STATUSES = OPEN | {"completed", "expired", "cancelled"}


class Escalation(pydantic.BaseModel):
    """Who gets the task when the one before has not completed it `after` so many seconds."""

    after: float
    to: str


class HumanTask(Record):
    """A task for a person. Whatever else it was given (`workflow_id=`, `step_id=`) is readable on it as well.

    `assignee` is the person or role that has it now, None for anybody; `due_at` is when it expires, `escalates_at` when the
    next one gets it. `decision` is what the person decided, or None.
    """

    NOUN: ClassVar[str] = NOUN
    EVENTS: ClassVar[str] = "HumanTask"
    INDEX: ClassVar[str] = "tasks"

    details: Any = None
    claimed_by: str | None = None
    due_at: datetime | None = None
    escalation: list[Escalation] = []
    escalated: int = 0
    escalates_at: datetime | None = None
    default_decision: Any = None
    decision: Any = None
    comments: str = ""
    completed_by: str | None = None
    completed_at: datetime | None = None

    @property
    def assigned_to(self) -> str | None:
        """`assignee`."""
        return self.assignee

    @property
    def approved(self) -> bool:
        """True if it was completed with a yes."""
        return self.status == "completed" and (self.decision == words.APPROVED or self.decision is True)

    @property
    def rejected(self) -> bool:
        """True if it was completed with a no."""
        return self.status == "completed" and (self.decision == words.REJECTED or self.decision is False)

    @property
    def is_open(self) -> bool:
        """True while it can be completed."""
        return self.status in OPEN

    async def wait(self, timeout: durations.Duration | None = None) -> HumanTask:
        """Wait until it is completed, expired or cancelled; this very object tells how then.

        Raises WaitTimeout inside an execution, CallTimeout outside, after `timeout`.
        """
        self.take(await parking.within(timeout, make_stub(NOUN, self.id), "outcome"))
        return self


def escalations_of(given: Any) -> list[Escalation]:
    """A chain of escalations from what users write. Raises DefinitionError, BadDuration.

    Each is a pair ("12h", "manager") or a mapping with `after` (or `timeout`) and `to` (or `escalate_to`); one alone may stand
    without a list. With `escalateTo`, as in definitions from JSON, a plain number is milliseconds.
    """
    if given is None:
        return []
    several = given if isinstance(given, list) else [given]
    if len(several) > ESCALATIONS_MAX:
        raise DefinitionError(f"{len(several)} escalations are over the limit of {ESCALATIONS_MAX}")
    return [_escalation(one) for one in several]


def _escalation(one: Any) -> Escalation:
    if isinstance(one, Escalation):
        return one
    if isinstance(one, Mapping):
        unknown = set(one) - {"after", "timeout", "to", "escalate_to", "escalateTo"}
        after = one.get("after", one.get("timeout"))
        to = one.get("to", one.get("escalate_to", one.get("escalateTo")))
        if not unknown and after is not None and to is not None:
            if "escalateTo" in one and isinstance(after, (int, float)):
                after = after / 1000
            return Escalation(after=durations.seconds(after), to=words.name_of(to, "escalation"))
    elif isinstance(one, tuple) and len(one) == 2:
        return Escalation(after=durations.seconds(one[0]), to=words.name_of(one[1], "escalation"))
    raise DefinitionError(f"an escalation is {{'after': '12h', 'to': 'manager'}} or ('12h', 'manager'), not {one!r}")


# -- what may become of it ------------------------------------------------------------------------------------------


def schedule_escalation(task: HumanTask, now: datetime) -> None:
    """The next one in the chain gets it so long after the one before did; the due date stays what was promised."""
    left = task.escalation[task.escalated :]
    task.escalates_at = now + timedelta(seconds=left[0].after) if left else None


def claim(task: HumanTask, by: str, *, is_assignee: bool, now: datetime) -> bool:
    """Take it; False if `by` has it already. Raises NotAllowed, AlreadyDecided."""
    _must_be_open(task, "claimed")
    _must_be_assignee(task, by, "claim", is_assignee=is_assignee)
    if task.claimed_by == by:
        return False
    if task.claimed_by is not None:
        raise NotAllowed(f"task {task.id} was claimed by {task.claimed_by}: it has to be released first")
    task.status, task.claimed_by = "claimed", by
    task.note(now, "claimed", by)
    return True


def release(task: HumanTask, by: str, now: datetime) -> None:
    """Give it back. Raises NotAllowed, AlreadyDecided."""
    _must_be_open(task, "released")
    if task.claimed_by != by:
        raise NotAllowed(f"task {task.id} is not {by}'s to release: {_has(task)}")
    task.status, task.claimed_by = "pending", None
    task.note(now, "released", by)


def complete(task: HumanTask, by: str, decision: Any, comments: str, *, is_assignee: bool, now: datetime) -> None:
    """The first completion counts. Raises NotAllowed, AlreadyDecided."""
    _must_be_open(task, "completed")
    if task.claimed_by is None:
        _must_be_assignee(task, by, "complete", is_assignee=is_assignee)
    elif task.claimed_by != by:
        raise NotAllowed(f"task {task.id} is not {by}'s to complete: {_has(task)}")
    _end(task, "completed", now, by, comments)
    task.decision, task.comments, task.completed_by, task.completed_at = words.canonical(decision), comments, by, now


def assign(task: HumanTask, to: str, by: str | None, what: str, now: datetime, comment: str = "") -> None:
    """Somebody else has it now, unclaimed. Raises AlreadyDecided."""
    _must_be_open(task, what)
    task.assignee, task.status, task.claimed_by = to, "pending", None
    task.note(now, what, by, to=to, comment=comment)


def cancel(task: HumanTask, by: str | None, reason: str, now: datetime) -> None:
    """Nobody need do it any more. Raises AlreadyDecided."""
    _must_be_open(task, "cancelled")
    _end(task, "cancelled", now, by, reason)


def comment(task: HumanTask, by: str, text: str, now: datetime) -> None:
    """Say something about it. Raises NotAllowed once there is no room for more."""
    if not task.has_room:
        raise NotAllowed(f"task {task.id} has too many comments already")
    task.note(now, "commented", by, comment=text)


def next_due(task: HumanTask) -> datetime | None:
    """When time does something to it, if nobody does before."""
    times = [when for when in (task.escalates_at, task.due_at) if when is not None]
    return min(times) if times and task.is_open else None


def is_due(task: HumanTask, now: datetime) -> bool:
    """True if time is to do something to it now."""
    due = next_due(task)
    return due is not None and due <= now


def assignee_after(task: HumanTask) -> str | None:
    """Who has it once time has done what it does next."""
    return task.escalation[task.escalated].to if task.escalates_at is not None and next_due(task) == task.escalates_at else task.assignee


def pass_time(task: HumanTask, now: datetime) -> str | None:
    """What is due first: "escalated", "expired" or "completed" by default; None if nothing is.

    A claim is a promise, not the deed: who has claimed a task and does nothing loses it to the next one as well.
    """
    if not is_due(task, now):
        return None
    if next_due(task) == task.escalates_at:
        to = assignee_after(task)
        assert to is not None
        task.escalated += 1
        assign(task, to, None, "escalated", now)
        schedule_escalation(task, now)
        return "escalated"
    if task.default_decision is None:
        _end(task, "expired", now, None, "")
        return "expired"
    _end(task, "completed", now, None, "nobody decided in time")
    task.decision, task.comments, task.completed_at = words.canonical(task.default_decision), "nobody decided in time", now
    return "completed"


def must_be_concerned(task: HumanTask, by: str | None, verb: str, *, is_assignee: bool) -> None:
    """Who asked for it and who has it may do this, and code that names nobody. Raises NotAllowed."""
    if by is not None and by != task.requested_by and not is_assignee:
        raise NotAllowed(f"{by} may not {verb} task {task.id}: it was asked for by {task.requested_by}, and {_has(task)}")


def _end(task: HumanTask, status: str, now: datetime, by: str | None, comment: str) -> None:
    task.status = status
    task.escalates_at = None
    task.note(now, status, by, comment=comment)


def _must_be_open(task: HumanTask, what: str) -> None:
    if not task.is_open:
        who = f" by {task.completed_by}" if task.completed_by else ""
        raise AlreadyDecided(f"task {task.id} cannot be {what}: it is {task.status}{who} already")


def _must_be_assignee(task: HumanTask, by: str, verb: str, *, is_assignee: bool) -> None:
    if not is_assignee:
        raise NotAllowed(f"{by} may not {verb} task {task.id}: {_has(task)}")


def _has(task: HumanTask) -> str:
    return (
        f"{task.claimed_by} has claimed it"
        if task.claimed_by
        else f"it is for {task.assignee}"
        if task.assignee
        else "nobody has claimed it"
    )
