"""Verbs for people: `approvals`, `approve`, `reject`, and `tasks` with `claim` and `complete`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dotdo.cli.verb import Asked, Limit, verb

PANEL = "People"
Id = Annotated[str, typer.Argument(metavar="ID", help="Its id.")]
By = Annotated[str, typer.Option("--by", help="Who acts: a person, or a role.")]
Status = Annotated[str | None, typer.Option("--status", help="Only those of this status; `all` for every one.")]
Assignee = Annotated[str | None, typer.Option("--assignee", help="Only those that wait for this person or role.")]

_APPROVAL = ("id", "type", "title", "amount", "status", "assignee", "priority", "requested_by", "deadline")
_TASK = ("id", "type", "title", "status", "assignee", "claimed_by", "priority", "due_at", "decision")

tasks_app = typer.Typer(help="List tasks for people, claim and complete them.", no_args_is_help=False)


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(app, "approvals", panel=PANEL)(approvals)
    verb(app, "approve", panel=PANEL)(approve)
    verb(app, "reject", panel=PANEL)(reject)
    verb(tasks_app, "")(tasks)
    verb(tasks_app, "claim")(claim)
    verb(tasks_app, "complete")(complete)
    app.add_typer(tasks_app, name="tasks", rich_help_panel=PANEL)


async def approvals(asked: Asked, assignee: Assignee = None, status: Status = "pending", limit: Limit = 100) -> None:
    """List approvals, the most urgent first."""
    import dotdo

    await _list(asked, dotdo.approvals, _APPROVAL, assignee, status, limit, "approvals")


async def approve(asked: Asked, id: Id, by: By, comment: Annotated[str, typer.Option("--comment", help="A word on it.")] = "") -> None:
    """Approve what is asked for."""
    import dotdo

    _say(asked, await dotdo.approvals.approve(id, by, comment))


async def reject(asked: Asked, id: Id, by: By, reason: Annotated[str, typer.Option("--reason", help="Why; it must be said.")]) -> None:
    """Reject what is asked for."""
    import dotdo

    _say(asked, await dotdo.approvals.reject(id, by, reason))


async def tasks(
    asked: Asked, context: typer.Context, assignee: Assignee = None, status: Status = "open", limit: Limit = 100
) -> None:  # fmt: skip
    """List tasks for people, the most urgent first; `open` ones are pending or claimed."""
    import dotdo

    await _list(asked, dotdo.tasks, _TASK, assignee, status, limit, "tasks")


async def claim(asked: Asked, id: Id, by: By) -> None:
    """Take a task, so that nobody else does it."""
    import dotdo

    _say(asked, await dotdo.tasks.claim(id, by=by))


async def complete(
    asked: Asked, id: Id, by: By,
    decision: Annotated[str | None, typer.Option("--decision", help="JSON or bare text, as approved.")] = None,
    comments: Annotated[str, typer.Option("--comments", help="A word on it.")] = "",
) -> None:  # fmt: skip
    """Complete a task."""
    import dotdo
    from dotdo.cli import words

    _say(asked, await dotdo.tasks.complete(id, by=by, decision=None if decision is None else words.parse(decision), comments=comments))


async def _list(
    asked: Asked, inbox: Any, columns: tuple[str, ...], assignee: str | None, status: str | None, limit: int, what: str
) -> None:
    from dotdo.cli import printing

    wanted: Any = {"all": None, "open": ["pending", "claimed"]}.get(status or "all", status)
    found = [one.model_dump() for one in await inbox.list(assignee=assignee, status=wanted, limit=limit)]
    printing.rows(asked, found, columns, none=f"there are no such {what}")


def _say(asked: Asked, record: Any) -> None:
    from dotdo.cli import printing

    line = f"{record.title!r} is {record.status}"
    if record.status == "pending" and record.assignee:
        line += f": it waits for {record.assignee}"
    printing.done(asked, record.model_dump(), line)
