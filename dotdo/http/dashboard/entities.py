"""`GET /dashboard/entities`: entities by status and words; `/dashboard/entity`: one of them. Nobody is woken for it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo import application
from dotdo.http import answers, reach
from dotdo.http.dashboard.listing import SLEEPERS_MAX
from dotdo.http.door import bounded, door_of
from dotdo.http.nouns import within
from dotdo.names import split_key
from dotdo.rpc.stub import make_stub

router = APIRouter(prefix="/dashboard", tags=["dashboard"])


@router.get("/entities")
async def list_entities(
    request: Request,
    noun: Annotated[str | None, Query(description="only this noun's")] = None,
    status: Annotated[Literal["active", "hibernated", "quarantined"] | None, Query()] = None,
    search: Annotated[str, Query(description="a part of the key", max_length=200)] = "",
    all: Annotated[bool, Query(description="the runtime's own as well")] = False,  # noqa: FBT002  # a query parameter
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """Entities in key order, how many fit, and how many there are of each status."""
    everybody = await within(request, door_of(request).listing.entities(noun, sizes=True))
    words = search.lower().split()
    fitting = [one for one in everybody if (all or reach.is_public(split_key(one["key"])[0])) and _fits(one["key"].lower(), words)]
    counts: dict[str, int] = {}
    for one in fitting:
        counts[one["status"]] = counts.get(one["status"], 0) + 1
    found = [one for one in fitting if status is None or one["status"] == status]
    shown = [{name: one.get(name) for name in ("key", "status", "size")} for one in found[: bounded(request, limit)]]
    return answers.response({"entities": shown, "found": len(found), "counts": counts, "is_cut": len(everybody) >= SLEEPERS_MAX})


def _fits(key: str, words: list[str]) -> bool:
    return all(word in key for word in words)


@router.get("/entity")
async def about_entity(request: Request, key: Annotated[str, Query(max_length=700)]) -> Response:
    """One entity's status and size, and how often it has committed since it woke; it is not woken for this."""
    return answers.response(await within(request, application.about(make_stub(*split_key(key)))))
