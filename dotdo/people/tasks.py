"""`dotdo.tasks`: things for people to do, from anywhere.

task = await tasks.create(title="Review the lease", assignee="ann", timeout="24h", escalation=[("12h", "manager")])
answer = await tasks.ask(title="Which account?", assignee=N.Role.Accounting)      # parks until a person has answered
await tasks.complete(task.id, by="ann", decision="approved", comments="fine")
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from dotdo import durations
from dotdo.durable.current import do
from dotdo.errors import DefinitionError, TaskCancelled, WaitTimeout
from dotdo.people import inbox, parking, record, words
from dotdo.people.task import STATUSES, HumanTask, escalations_of
from dotdo.people.task_entity import TaskEntity


class Tasks:
    """The verbs of human tasks. `by` is who acts; a role's name stands for its holders."""

    __slots__ = ()

    async def create(
        self, title: str, *, assignee: Any = None, details: Any = None, type: str = "task", priority: str = "normal",
        timeout: durations.Duration | None = None, due: datetime | None = None, escalation: Any = None, default_decision: Any = None,
        requested_by: Any = None, id: str | None = None, **more: Any,
    ) -> HumanTask:  # fmt: skip
        """Make a task; safe, and in the inbox of who it is for, when this returns.

        Args:
            assignee: a person or a role; None for anybody.
            details: what the person needs to know; any data.
            timeout, due: when it expires, as a duration from now or a time; never, by default.
            escalation: who gets it when, as [("12h", "manager"), ("6h", "director")]: each counts from the one before. Neither a
                claim nor an escalation changes when it expires.
            default_decision: what counts as decided when it expires; None lets it expire undecided.
            id: the same id again gives the task there is.
            more: anything else that is to be readable on it.

        Raises:
            DefinitionError, BadDuration: an argument makes no sense.
        """
        given = _checked(title, assignee, details, type, priority, timeout, due, escalation, default_decision, requested_by, more)
        return await _open(parking.new_id() if id is None else id, given)

    async def ask(
        self, title: str, *, assignee: Any = None, details: Any = None, type: str = "task", priority: str = "normal",
        timeout: durations.Duration | None = None, due: datetime | None = None, escalation: Any = None, default_decision: Any = None,
        requested_by: Any = None, id: str | None = None, **more: Any,
    ) -> HumanTask:  # fmt: skip
        """Have a person do something, and wait for it: the execution is parked meanwhile, for days if need be.

        The task is made once, also when the execution is replayed; it is called off if the execution fails or is cancelled.
        The arguments are those of `create`.

        Returns:
            The completed task: `.decision`, `.approved`, `.rejected`, `.comments`, `.completed_by`. A no is an answer, not an error.

        Raises:
            WaitTimeout: nobody completed it in time, and there is no `default_decision`.
            TaskCancelled: it was called off.
        """
        given = _checked(title, assignee, details, type, priority, timeout, due, escalation, default_decision, requested_by, more)
        task_id = parking.new_id() if id is None else id
        if parking.is_in_execution():
            await do(_open, task_id, given, step_id="create-task", undo=partial(_withdraw, task_id))
        else:
            await _open(task_id, given)
        ended: HumanTask = await _entity(task_id).outcome()
        if ended.status == "expired":
            raise WaitTimeout(
                f"nobody completed the task {ended.title!r} in time; the last it was given to is {ended.assignee or 'anybody'}"
            )
        if ended.status == "cancelled":
            raise TaskCancelled(f"the task {ended.title!r} was called off: {ended.history[-1].comment or 'no reason given'}")
        return ended

    async def get(self, id: str | HumanTask) -> HumanTask:
        """The task as it is now. Raises NoSuchTask."""
        return await _entity(id).read()

    async def list(
        self, *, assignee: Any = None, status: str | list[str] | None = None, type: str | None = None, priority: str | None = None,
        requested_by: Any = None, limit: int = 100, offset: int = 0,
    ) -> list[HumanTask]:  # fmt: skip
        """Tasks that fit, the most urgent first, then the oldest; no task is woken.

        Args:
            assignee: a person, with the roles that person holds now; or a role.
            status: pending, claimed, completed, expired, cancelled; one or a list.
        """
        return await inbox.listed(
            HumanTask.INDEX, self.get, STATUSES, assignee=assignee, status=status, type=type, priority=priority, requested_by=requested_by,
            limit=limit, offset=offset,
        )  # fmt: skip

    async def claim(self, id: str | HumanTask, *, by: Any) -> HumanTask:
        """Take a task, so that nobody else does it. Raises NotAllowed, AlreadyDecided, NoSuchTask."""
        return await _entity(id).claim(words.name_of(by, "by"))

    async def release(self, id: str | HumanTask, *, by: Any) -> HumanTask:
        """Give a claimed task back. Raises NotAllowed, AlreadyDecided, NoSuchTask."""
        return await _entity(id).release(words.name_of(by, "by"))

    async def complete(self, id: str | HumanTask, *, by: Any, decision: Any = None, comments: str = "") -> HumanTask:
        """Complete a task; the first completion counts.

        `decision` is any data; `approve` and `reject` are kept as `approved` and `rejected`.

        Raises:
            NotAllowed: it is for somebody else, or somebody else has claimed it.
            AlreadyDecided: it is completed, expired or cancelled.
        """
        return await _entity(id).complete(words.name_of(by, "by"), decision, comments)

    async def assign(self, id: str | HumanTask, *, to: Any, by: Any = None, comment: str = "") -> HumanTask:
        """Give a task to somebody else. Who has it or asked for it may, and code that names nobody. Raises NotAllowed."""
        return await _entity(id).assign(words.name_of(to, "to"), _maybe(by), comment)

    async def escalate(self, id: str | HumanTask, *, to: Any, reason: str = "") -> HumanTask:
        """Give a task to somebody else because it takes too long; its own escalations go on as they would."""
        return await _entity(id).escalate(words.name_of(to, "to"), reason)

    async def comment(self, id: str | HumanTask, text: str, *, by: Any) -> HumanTask:
        """Say something about a task; it is kept in its history."""
        return await _entity(id).comment(words.name_of(by, "by"), text)

    async def cancel(self, id: str | HumanTask, *, by: Any = None, reason: str = "") -> HumanTask:
        """Call a task off. Who asked for it or has it may, and code that names nobody. Raises NotAllowed, AlreadyDecided."""
        return await _entity(id).cancel(_maybe(by), reason)

    def __repr__(self) -> str:
        return "dotdo.tasks"


def _entity(task_id: str | HumanTask) -> TaskEntity:
    entity: TaskEntity = TaskEntity(task_id.id if isinstance(task_id, HumanTask) else task_id)
    return entity


def _maybe(by: Any) -> str | None:
    return None if by is None else words.name_of(by, "by")


async def _open(task_id: str, given: dict[str, Any]) -> HumanTask:
    return await _entity(task_id).open(given)


async def _withdraw(task_id: str, _task: HumanTask) -> None:
    await _entity(task_id).withdraw()


def _checked(
    title: Any, assignee: Any, details: Any, type: Any, priority: Any, timeout: Any, due: Any, escalation: Any, default_decision: Any,
    requested_by: Any, more: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What the entity makes the task of. Raises DefinitionError for what makes no sense, before anything is sent."""
    record.check_extras(HumanTask, more)
    if not isinstance(title, str) or not title.strip():
        raise DefinitionError(f"title={title!r}: a task says what there is to do")
    if timeout is not None and due is not None:
        raise DefinitionError("a task has a timeout= from now or a due= time, not both")
    if due is not None and (not isinstance(due, datetime) or due.tzinfo is None):
        raise DefinitionError(f"due={due!r}: an aware time, as self.now() + timedelta(days=1); for a duration, say timeout=")
    return {
        **more, "title": title, "assignee": None if assignee is None else words.name_of(assignee, "assignee"), "details": details,
        "type": type, "priority": words.priority_of(priority), "due": durations.seconds(timeout) if timeout is not None else due,
        "escalation": escalations_of(escalation), "default_decision": default_decision,
        "requested_by": None if requested_by is None else words.name_of(requested_by, "requested_by"),
    }  # fmt: skip


tasks = Tasks()
