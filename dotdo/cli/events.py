"""Verbs on what happens: `dead-letters`, `schedules`, `tail`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed, Usage
from dotdo.cli.verb import Asked, Limit, Yes, verb

PANEL = "Events"
TAIL_SECONDS = 0.3
NAMES_SECONDS = 2.0
"""How often `tail` looks for names of events it has not seen."""

Letter = Annotated[str, typer.Argument(metavar="ID", help="The letter's number.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]
Of = Annotated[str | None, typer.Option("--of", metavar="KEY", help="The entity whose schedule it is, if it is one's own.")]

letters_app = typer.Typer(help="List events that were given up; show, replay or delete them.")
schedules_app = typer.Typer(help="List schedules with their next times; pause, resume or cancel them.")


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(letters_app, "")(letters)
    verb(letters_app, "show")(show_letter)
    verb(letters_app, "replay")(replay)
    verb(letters_app, "delete")(delete)
    app.add_typer(letters_app, name="dead-letters", rich_help_panel=PANEL)
    verb(schedules_app, "")(schedules)
    verb(schedules_app, "pause")(pause)
    verb(schedules_app, "resume")(resume)
    verb(schedules_app, "cancel")(cancel)
    app.add_typer(schedules_app, name="schedules", rich_help_panel=PANEL)
    verb(app, "tail", panel=PANEL)(tail)


# -- dead letters ---------------------------------------------------------------------------------------------------


async def letters(
    asked: Asked, context: typer.Context,
    name: Annotated[str | None, typer.Option("--name", help="Only those of this event, as Order.placed.")] = None,
    noun: Annotated[str | None, typer.Option("--noun", help="Only those this noun was to get.")] = None,
    limit: Limit = 100,
) -> None:  # fmt: skip
    """List events that could not be handled and were given up, the newest first."""
    import dotdo
    from dotdo.cli import printing

    found = [_plain(letter) for letter in await dotdo.dead_letters.list(name=name, noun=noun, limit=limit)]
    printing.rows(asked, found, ("id", "event", "receiver", "handler", "attempts", "at", "error"), none="there are no dead letters")
    if found and not asked.json:
        asked.say("dotdo dead-letters show ID shows one, dotdo dead-letters replay ID tries it again")


def _plain(letter: Any) -> dict[str, Any]:
    return {
        "id": letter.id, "event": letter.event.name, "receiver": letter.receiver, "handler": letter.handler, "attempts": letter.attempts,
        "at": letter.at, "error": letter.error, "data": letter.data, "event_id": letter.event.id, "source": letter.event.source,
        "history": [{"at": at, "error": error} for at, error in letter.history],
    }  # fmt: skip


async def show_letter(asked: Asked, id: Letter) -> None:
    """Show a dead letter: the event, who was to get it, and why each try failed."""
    import dotdo
    from dotdo.cli import printing

    found = _plain(await dotdo.dead_letters.get(id))
    if asked.json:
        printing.answer(asked, found)
        return
    lines = [{"": name, " ": value} for name, value in found.items() if name != "history"]
    printing.show(printing.table(lines, ("", " ")), "", printing.table(found["history"], ("at", "error"), title="tries"))


async def replay(
    asked: Asked,
    id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The letter's number.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="All of this event.")] = None,
    noun: Annotated[str | None, typer.Option("--noun", help="All that this noun was to get.")] = None,
) -> None:
    """Try dead letters again: they join the end of the line they came from."""
    import dotdo
    from dotdo.cli import printing

    if id is not None:
        await replay_letter(asked, id)
        return
    if not (everything or name or noun):
        raise Usage("which one? Give its number, or --all, --name or --noun")
    count = await dotdo.dead_letters.replay(name=name, noun=noun)
    printing.done(asked, {"replayed": count}, f"{count} on their way again; dotdo dead-letters lists those that fail once more")


async def replay_letter(asked: Asked, id: str) -> None:
    """Try one dead letter again."""
    import dotdo
    from dotdo.cli import printing

    letter = await dotdo.dead_letters.get(id)
    await dotdo.dead_letters.replay(id)
    printing.done(
        asked, {"replayed": 1, "id": id, "event": letter.event.name, "receiver": letter.receiver},
        f"{letter.event.name} is on its way to {letter.receiver} again; dotdo dead-letters lists it if it fails once more",
    )  # fmt: skip


async def delete(asked: Asked, id: Letter, yes: Yes = False) -> None:
    """Forget a dead letter."""
    import dotdo
    from dotdo.cli import printing

    asked.confirm(f"Forget dead letter {id} for good?", yes=yes)
    if not await dotdo.dead_letters.delete(id):
        raise Failed(f"there is no dead letter {id} (any more)", code=3)
    printing.done(asked, {"deleted": id}, f"dead letter {id} is forgotten")


# -- schedules ------------------------------------------------------------------------------------------------------


async def schedules(
    asked: Asked,
    context: typer.Context,
    of: Annotated[str | None, typer.Option("--of", metavar="KEY", help="Those of one entity.")] = None,
) -> None:
    """List schedules, what is due first at the front."""
    import dotdo
    from dotdo.cli import printing

    found = []
    for one in await dotdo.schedules.list(_entity(of)):
        status = "paused" if one.is_paused else one.status or "waiting"
        found.append({
            "name": one.name, "when": one.text, "next": one.next_time, "status": status, "runs": one.runs, "last": one.last, "error": one.error,
            "entity": one.entity, "handler": one.handler, "skipped": one.skipped, "next_times": one.next_times,
        })  # fmt: skip
    printing.rows(asked, found, ("name", "when", "next", "status", "runs", "last", "error"), none="there are no schedules")


async def pause(asked: Asked, name: Name, of: Of = None) -> None:
    """Let a schedule rest until it is resumed."""
    await _change(asked, "pause", name, of, "rests", "rests already")


async def resume(asked: Asked, name: Name, of: Of = None) -> None:
    """Let a schedule go on with its next time."""
    await _change(asked, "resume", name, of, "goes on", "is not paused")


async def cancel(asked: Asked, name: Name, of: Of = None, yes: Yes = False) -> None:
    """End a schedule. What a program still declares is there again when that starts anew."""
    asked.confirm(f"End the schedule {name}?", yes=yes)
    await _change(asked, "cancel", name, of, "is ended", "is not there")


async def _change(asked: Asked, action: str, name: str, of: str | None, past: str, not_so: str) -> None:
    import dotdo
    from dotdo.cli import printing

    if not await getattr(dotdo.schedules, action)(name, _entity(of)):
        raise Failed(f"the schedule {name} {not_so}", code=3 if action == "cancel" else 1)
    printing.done(asked, {"name": name, action: True}, f"{name} {past}")


def _entity(key: str | None) -> Any:
    from dotdo.names import split_key
    from dotdo.rpc.stub import make_stub

    return None if key is None else make_stub(*split_key(key))


# -- as it happens --------------------------------------------------------------------------------------------------


async def tail(
    asked: Asked,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only events like this, as Order.placed, Order.* or *.failed.")
    ] = None,
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Begin with so many of the latest.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on with what happens.")] = True,
    logs: Annotated[bool, typer.Option("--logs", help="What hosts log, instead of events.")] = False,
) -> None:
    """Show events as they happen, or what hosts log."""
    import asyncio

    if logs:
        from dotdo.cli import logs as host_logs

        await host_logs.tail(asked, last, follow=follow)
        return
    seen: dict[str, int] = {}
    found = []
    for event_name in await _names(name):
        page = await _page(event_name, None, last or 1)
        seen[event_name] = page[-1][0] if page else 0
        found += [event for _, event in page[len(page) - last if last < len(page) else 0 :]] if last else []
    for event in sorted(found, key=lambda one: one.at)[len(found) - min(last, len(found)) :]:
        _print(asked, event)
    until_names = NAMES_SECONDS
    while follow:
        await asyncio.sleep(TAIL_SECONDS)
        until_names -= TAIL_SECONDS
        if until_names <= 0:
            until_names = NAMES_SECONDS
            seen.update({new: 0 for new in await _names(name) if new not in seen})
        for event in sorted(await _after(seen), key=lambda one: one.at):
            _print(asked, event)


async def _names(pattern: str | None) -> list[str]:
    """Names of events that were ever published, like the pattern."""
    import fnmatch

    import dotdo
    from dotdo.durable.event_waits import EVENT_LOG

    logs = [entry["key"].partition("/")[2] for entry in await dotdo.entities(EVENT_LOG, limit=10_000)]
    return [one for one in logs if pattern is None or fnmatch.fnmatchcase(one, pattern)]


async def _after(seen: dict[str, int]) -> list[Any]:
    import asyncio

    pages = await asyncio.gather(*(_page(name, number, 500) for name, number in seen.items()))
    found = []
    for name, page in zip(list(seen), pages, strict=True):
        if page:
            seen[name] = page[-1][0]
        found += [event for _, event in page]
    return found


async def _page(name: str, after: int | None, limit: int) -> list[tuple[int, Any]]:
    from dotdo.nouns.event_log import EventLog

    return list(await EventLog(name).page(after, limit))


def _print(asked: Asked, event: Any) -> None:
    import sys

    from dotdo.cli import printing

    plain = {"at": event.at, "name": event.name, "data": event.data, "source": event.source, "id": event.id}
    if asked.json:
        sys.stdout.write(printing.as_json(plain, indent=None) + "\n")
    else:
        source = f" from {event.source}" if event.source else ""
        sys.stdout.write(f"{printing.moment(event.at)}  {event.name}  {printing.as_json(event.data, indent=None)}{source}\n")
    sys.stdout.flush()
