"""Verbs on entities: `entities`, `show`, `call`, `send`, `hibernate`, `release`, `delete`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed, Usage
from dotdo.cli.verb import Asked, Limit, Yes, verb

PANEL = "Entities"
Key = Annotated[str, typer.Argument(metavar="KEY", help="The entity, as Noun/id.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(app, "entities", panel=PANEL)(entities)
    verb(app, "show", panel=PANEL)(show)
    verb(app, "call", panel=PANEL, takes_words=True)(call)
    verb(app, "send", panel=PANEL, takes_words=True)(send)
    verb(app, "hibernate", panel=PANEL)(hibernate)
    verb(app, "release", panel=PANEL)(release)
    verb(app, "delete", panel=PANEL)(delete)


async def entities(
    asked: Asked,
    noun: Annotated[str | None, typer.Argument(metavar="[NOUN]", help="Only those of this noun.")] = None,
    limit: Limit = 100,
    own: Annotated[bool, typer.Option("--all", help="Those of the runtime itself as well.")] = False,
) -> None:
    """List entities with status and size."""
    import dotdo
    from dotdo.cli import printing

    found = [
        entry for entry in await dotdo.entities(noun, limit=limit if own or noun else 100_000) if own or noun or not _is_own(entry["key"])
    ]
    if asked.json:
        printing.answer(asked, found[:limit])
        return
    lines = [{**entry, "size": printing.size(entry["size"])} for entry in found[:limit]]
    printing.rows(asked, lines, ("key", "status", "size"), none=f"there are no entities{f' of {noun}' if noun else ''} yet")
    if len(found) > limit:
        asked.say(f"and more: give --limit, or a noun (there are {len(found)} at least)")


def _is_own(key: str) -> bool:
    """True for entities that the runtime keeps for itself."""
    return key.startswith("Dotdo")


async def show(
    asked: Asked,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The entity, as Noun/id; the id of an execution shows that.")],
    history: Annotated[int, typer.Option("--history", min=0, help="So many of its latest executions.")] = 10,
) -> None:
    """Show an entity: its status, its fields, and what it has run."""
    from dotdo import application
    from dotdo.cli import executions, printing
    from dotdo.durable.handle import ExecutionInfo, control_call
    from dotdo.names import split_key
    from dotdo.rpc.stub import make_stub

    if "!" in key:
        await executions.show_history(asked, key)
        return
    stub = make_stub(*split_key(key))
    found: dict[str, Any] = await application.about(stub)
    found["fields"], found["executions"] = {}, []
    if found["status"] != "quarantined":
        found["fields"] = await _fields(asked, stub)
        runs = await control_call(stub, "list", None, history) if history else []
        found["executions"] = [executions.as_row(ExecutionInfo(run)) for run in runs]
    if asked.json:
        printing.answer(asked, found)
        return
    head = f"{key}: {found['status']}" + (f", {printing.size(found['size'])}" if found["size"] else "")
    parts: list[Any] = [head + (f" ({found['reason']})" if found.get("reason") else "")]
    if found["fields"]:
        parts += ["", printing.table([{"field": name, "value": value} for name, value in found["fields"].items()], ("field", "value"))]
    if found["executions"]:
        parts += ["", printing.table(found["executions"], executions.COLUMNS)]
    printing.show(*parts)


async def _fields(asked: Asked, stub: Any) -> dict[str, Any]:
    """The durable fields, read as any caller would; one that is not set is None."""
    import asyncio

    from dotdo.errors import FieldNotSet, NounNotLoadable
    from dotdo.hosting import catalog

    try:
        spec = catalog.lookup(stub.noun)
    except NounNotLoadable as error:
        asked.say(str(error))
        return {}
    names = [name for name in spec.fields if not name.startswith("_")]
    values = await asyncio.gather(*(getattr(stub, name) for name in names), return_exceptions=True)
    for value in values:
        if isinstance(value, BaseException) and not isinstance(value, FieldNotSet):
            raise value
    return {name: None if isinstance(value, FieldNotSet) else value for name, value in zip(names, values, strict=True)}


async def call(
    asked: Asked,
    target: Annotated[str, typer.Argument(metavar="KEY.METHOD", help="A method, or a field, as Order/o1.process or Order/o1.status.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[ARGS]...", help="JSON, or bare text; name=value by name.")] = None,
    start: Annotated[bool, typer.Option("--start", help="Start it as an execution and print its id.")] = False,
    call_id: Annotated[str | None, typer.Option("--call-id", help="The same id again gives the recorded answer.")] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", help="Wait at most so long, as 30s.")] = None,
) -> None:
    """Call a method of an entity and print what it returns."""
    import dotdo
    from dotdo.cli import printing
    from dotdo.cli import words as arguments
    from dotdo.hosting import catalog
    from dotdo.names import split_key
    from dotdo.rpc.stub import make_stub

    key, dot, member = target.rpartition(".")
    if not dot or not member.isidentifier() or "/" not in key:
        raise Usage(f"{target!r} is not a method: write it as Order/o1.process")
    noun, entity_id = split_key(key)
    spec = catalog.lookup(noun)
    stub = make_stub(noun, entity_id)
    options = {name: value for name, value in (("call_id", call_id), ("timeout", timeout)) if value is not None}
    if options:
        stub = stub.with_options(**options)
    if member in spec.fields and not words and not start:
        printing.answer(asked, await getattr(stub, member))
        return
    method = getattr(spec.cls, member, None)
    args, kwargs = arguments.arguments(words or [], _unbound(method))
    if start:
        run = await dotdo.start(getattr(stub, member), *args, **kwargs)
        printing.done(asked, {"id": run.id}, run.id)
    else:
        printing.answer(asked, await getattr(stub, member)(*args, **kwargs))


def _unbound(method: Any) -> Any:
    """The method without its `self`; None where its signature cannot be known."""
    import functools
    import inspect

    if not inspect.isfunction(method):
        return None

    @functools.wraps(method)
    def bound(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    signature = inspect.signature(method)
    bound.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return bound


async def send(
    asked: Asked,
    name: Annotated[str, typer.Argument(metavar="NOUN.VERB", help="The event's name, as Order.placed.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="[DATA]...", help="JSON or bare text; name=value by name.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the handler, and print its answer.")] = False,
) -> None:
    """Send an event, or a command."""
    import dotdo
    from dotdo.cli import printing
    from dotdo.cli import words as arguments

    args, kwargs = arguments.arguments(words or [])
    if len(args) > 1:
        raise Usage("an event has one value as its data, or name=value pairs")
    handle = dotdo.send(name, *args, **kwargs)
    if wait:
        printing.answer(asked, await handle)
        return
    await handle.queued()
    printing.done(asked, {"sent": name}, f"{name} is safe, and on its way to whoever listens")


async def hibernate(asked: Asked, key: Key) -> None:
    """Put an entity to sleep, if nothing of it runs."""
    import dotdo
    from dotdo.cli import printing

    slept = await dotdo.hibernate(_stub(key))
    printing.done(asked, {"key": key, "hibernated": slept}, f"{key} sleeps" if slept else f"{key} was not awake, or is busy")


async def release(asked: Asked, key: Key) -> None:
    """Let a quarantined entity run again."""
    import dotdo
    from dotdo.cli import printing

    if not await dotdo.release(_stub(key)):
        raise Failed(f"{key} is not quarantined")
    printing.done(asked, {"key": key, "released": True}, f"{key} runs again")


async def delete(asked: Asked, key: Key, yes: Yes = False) -> None:
    """Delete an entity and all it holds, for good."""
    import dotdo
    from dotdo.cli import printing

    stub = _stub(key)
    asked.confirm(f"Delete {key} and everything it holds, for good?", yes=yes)
    if not await dotdo.delete(stub):
        raise Failed(f"there is no {key}", code=3)
    printing.done(asked, {"key": key, "deleted": True}, f"{key} is deleted")


def _stub(key: str) -> Any:
    from dotdo.names import split_key
    from dotdo.rpc.stub import make_stub

    return make_stub(*split_key(key))
