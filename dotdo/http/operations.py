"""What an operator looks after: entities, hosts, dead letters, schedules; and whether the door itself is well."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo import application, schedules
from dotdo.errors import DotdoError
from dotdo.http import answers, reach
from dotdo.http.door import bounded, door_of
from dotdo.http.nouns import fields_of, within
from dotdo.http.problems import Problem
from dotdo.names import split_key
from dotdo.nouns.dead_letters import dead_letters
from dotdo.rpc.stub import make_stub

router = APIRouter(tags=["operations"])

ENTITIES_LOOKED_AT_MAX = 100_000


@router.get("/health")
async def health() -> Response:
    """200 as long as this process answers."""
    return answers.response({"status": "ok"})


@router.get("/ready")
async def ready(request: Request) -> Response:
    """200 if the hosts answer and the door takes requests, else 503."""
    if door_of(request).is_draining:
        raise Problem(503, "draining", "the door is closing")
    try:
        await within(request, application.hosts())
    except (DotdoError, OSError):
        raise Problem(503, "not_ready", "the hosts do not answer") from None
    return answers.response({"status": "ready"})


@router.get("/hosts")
async def hosts(request: Request) -> Response:
    """The hosts of the runtime."""
    return answers.response({"hosts": await within(request, application.hosts())})


@router.get("/entities")
async def list_entities(
    request: Request,
    noun: Annotated[str | None, Query()] = None,
    limit: Annotated[int, Query(ge=1)] = 100,
    all: Annotated[bool, Query(description="the runtime's own entities as well")] = False,  # noqa: FBT002  # a query parameter
) -> Response:
    """Entities with status and size, in key order."""
    most = bounded(request, limit)
    found = await within(request, application.entities(noun, limit=most if all else ENTITIES_LOOKED_AT_MAX))
    shown = [one for one in found if all or reach.is_public(split_key(one["key"])[0])]
    return answers.response({"entities": shown[:most]})


@router.get("/entities/{noun}/{id:path}")
async def show_entity(request: Request, noun: str, id: str) -> Response:
    """An entity's fields and its executions."""
    spec = reach.noun_of(noun)
    made = make_stub(spec.noun, id)
    return answers.response({"key": made.key, "noun": noun, "id": id, "fields": await within(request, fields_of(spec, made))})


@router.post("/entities/{noun}/{id:path}/{verb}")
async def act_on_entity(request: Request, noun: str, id: str, verb: Literal["hibernate", "release"]) -> Response:
    """Put an entity to sleep, or let a quarantined one run again."""
    act = application.hibernate if verb == "hibernate" else application.release
    return answers.response({"done": await within(request, act(make_stub(reach.noun_of(noun).noun, id)))})


@router.delete("/entities/{noun}/{id:path}")
async def delete_entity(request: Request, noun: str, id: str) -> Response:
    """Delete an entity and its file, for good."""
    return answers.response({"deleted": await within(request, application.delete(make_stub(reach.noun_of(noun).noun, id)))})


# -- dead letters -----------------------------------------------------------------------------------------------


@router.get("/dead-letters", tags=["dead letters"])
async def list_letters(
    request: Request,
    name: Annotated[str | None, Query(description="the event's name")] = None,
    noun: Annotated[str | None, Query(description="the receiving noun")] = None,
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """Events that were given up, newest first."""
    found = await within(request, dead_letters.list(name=name, noun=noun, limit=bounded(request, limit)))
    return answers.response({"dead_letters": found})


@router.post("/dead-letters/replay", tags=["dead letters"])
async def replay_letters(
    request: Request, name: Annotated[str | None, Query()] = None, noun: Annotated[str | None, Query()] = None
) -> Response:
    """Try all of an event's name or a noun again, or all there are."""
    return answers.response({"replayed": await within(request, dead_letters.replay(name=name, noun=noun))})


@router.get("/dead-letters/{id}", tags=["dead letters"])
async def get_letter(request: Request, id: str) -> Response:
    """One dead letter."""
    return answers.response(await within(request, dead_letters.get(id)))


@router.post("/dead-letters/{id}/replay", tags=["dead letters"])
async def replay_letter(request: Request, id: str) -> Response:
    """Try one again."""
    return answers.response({"replayed": await within(request, dead_letters.replay(id))})


@router.delete("/dead-letters/{id}", tags=["dead letters"])
async def delete_letter(request: Request, id: str) -> Response:
    """Forget one."""
    return answers.response({"deleted": await within(request, dead_letters.delete(id))})


# -- schedules --------------------------------------------------------------------------------------------------


@router.get("/schedules", tags=["schedules"])
async def list_schedules(request: Request, of: Annotated[str | None, Query(description="the key of an entity")] = None) -> Response:
    """Schedules with their next times, what is due first at the front."""
    return answers.response({"schedules": await within(request, schedules.list(_entity_of(of)))})


@router.get("/schedules/{name:path}", tags=["schedules"])
async def get_schedule(request: Request, name: str, of: Annotated[str | None, Query()] = None) -> Response:
    """One schedule."""
    return answers.response(await within(request, schedules.get(name, _entity_of(of))))


@router.post("/schedules/{name:path}/{verb}", tags=["schedules"])
async def act_on_schedule(
    request: Request, name: str, verb: Literal["pause", "resume"], of: Annotated[str | None, Query()] = None
) -> Response:
    """Let a schedule rest, or go on."""
    act = schedules.pause if verb == "pause" else schedules.resume
    return answers.response({"done": await within(request, act(name, _entity_of(of)))})


@router.delete("/schedules/{name:path}", tags=["schedules"])
async def cancel_schedule(request: Request, name: str, of: Annotated[str | None, Query()] = None) -> Response:
    """End a schedule."""
    return answers.response({"cancelled": await within(request, schedules.cancel(name, _entity_of(of)))})


def _entity_of(key: str | None) -> object:
    return None if key is None else make_stub(*split_key(key))
