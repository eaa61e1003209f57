"""Verbs on executions: `executions`, `history`, `retry`, `replay`, `cancel`, `pause`, `resume`, `complete`, `fail`.

An execution is named by its id; the key of an entity names its latest one, which spares the shell the `!`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed, Usage
from dotdo.cli.verb import Asked, Limit, Yes, verb

PANEL = "Executions"
STATUSES = ("pending", "running", "waiting", "paused", "completed", "failed", "cancelled")
COLUMNS = ("id", "method", "status", "waiting_for", "until", "started_at", "error")
Id = Annotated[str, typer.Argument(metavar="ID", help="The execution's id (quote its !), or an entity's key: its latest execution.")]
IdOrLetter = Annotated[str, typer.Argument(metavar="ID", help="An execution's id, an entity's key, or the number of a dead letter.")]
Callback = Annotated[str, typer.Argument(metavar="CALLBACK", help="The callback's id.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    for name, fn in _VERBS.items():
        verb(app, name, panel=PANEL)(fn)


async def executions(
    asked: Asked,
    noun: Annotated[str | None, typer.Argument(metavar="[NOUN]", help="Only those of this noun.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="running, waiting, paused, completed, failed or cancelled.")] = None,
    limit: Limit = 100,
) -> None:
    """List executions: what runs, waits, and has ended."""
    import dotdo
    from dotdo.cli import printing

    if status is not None and status not in STATUSES:
        raise Usage(f"--status {status}: one of {', '.join(STATUSES)}")
    found = [as_row(info) async for info in dotdo.executions(noun=noun, status=status, limit=limit)]
    printing.rows(asked, found, COLUMNS, none="there are no such executions")


def as_row(info: Any) -> dict[str, Any]:
    """An execution's snapshot as plain data."""
    names = ("id", "method", "status", "waiting_for", "until", "started_at", "ended_at", "attempt", "error")
    return {name: getattr(info, name, None) for name in names}


async def history(asked: Asked, id: Id) -> None:
    """Show what happened in an execution, oldest first."""
    await show_history(asked, id)


async def show_history(asked: Asked, id: str) -> None:
    """Print an execution's timeline."""
    from dotdo.cli import printing

    execution = await _execution(id)
    info = await execution.info()
    if asked.json:
        history, timeline = await execution.history(), await execution.timeline()
        printing.answer(asked, {**as_row(info), "steps": info.steps, "history": history, "timeline": timeline.entries})
    else:
        from dotdo.workflows import rendering

        printing.show(rendering.render(await execution.timeline()))


async def _execution(id: str) -> Any:
    """The execution of this id, or the latest one of the entity with this key. Raises Failed."""
    import dotdo
    from dotdo.durable.handle import control_call
    from dotdo.names import split_key
    from dotdo.rpc.stub import make_stub

    if "!" in id:
        return dotdo.execution(id)
    found = await control_call(make_stub(*split_key(id)), "list", None, 1)
    if not found:
        raise Failed(f"{id} has run nothing that is on record (dotdo executions lists what there is)", code=3)
    return dotdo.execution(found[0]["id"])


async def _ask(asked: Asked, id: str, verb_: str, past: str, not_so: str) -> None:
    from dotdo.cli import printing

    execution = await _execution(id)
    if not await getattr(execution, verb_)():
        raise Failed(f"execution {execution.id} {not_so}: it is {await execution.status()}")
    printing.done(asked, {"id": execution.id, verb_: True}, f"{execution.id} {past}")


async def retry(asked: Asked, id: Id) -> None:
    """Go on with a failed execution from the step that failed."""
    await _ask(asked, id, "retry", "goes on from its failed step", "has not failed, so there is nothing to try again")


async def replay(asked: Asked, id: IdOrLetter) -> None:
    """Start an execution over as a new one; or try a dead letter again."""
    from dotdo.cli import events, printing

    if id.isdigit():
        await events.replay_letter(asked, id)
        return
    new = await (await _execution(id)).replay()
    printing.done(asked, {"id": new.id}, f"started over as {new.id}")


async def cancel(asked: Asked, id: Id, yes: Yes = False) -> None:
    """Cancel an execution: what it has done is undone where it says how."""
    execution = await _execution(id)
    asked.confirm(f"Cancel {execution.id}?", yes=yes)
    await _ask(asked, execution.id, "cancel", "is being cancelled", "has ended already")


async def pause(asked: Asked, id: Id) -> None:
    """Start nothing new in an execution until it is resumed."""
    await _ask(asked, id, "pause", "is paused", "has ended already")


async def resume(asked: Asked, id: Id) -> None:
    """Go on with a paused execution."""
    await _ask(asked, id, "resume", "goes on", "is not paused")


async def complete(
    asked: Asked, callback: Callback, value: Annotated[str, typer.Argument(metavar="[VALUE]", help="JSON, or bare text.")] = "null"
) -> None:
    """Answer a callback that an execution waits for."""
    import dotdo
    from dotdo.cli import words

    await _resolve(asked, callback, dotdo.complete(callback, words.parse(value)))


async def fail(asked: Asked, callback: Callback, reason: Annotated[str, typer.Argument(metavar="REASON", help="Why.")]) -> None:
    """Fail a callback that an execution waits for."""
    import dotdo

    await _resolve(asked, callback, dotdo.fail(callback, reason))


async def _resolve(asked: Asked, callback: str, resolving: Any) -> None:
    from dotdo.cli import printing

    if not await resolving:
        raise Failed(f"callback {callback} has its answer already")
    printing.done(asked, {"callback": callback, "resolved": True}, f"{callback} has its answer")


_VERBS: dict[str, Callable[..., Any]] = {
    "executions": executions, "history": history, "retry": retry, "replay": replay, "cancel": cancel, "pause": pause, "resume": resume,
    "complete": complete, "fail": fail,
}  # fmt: skip
