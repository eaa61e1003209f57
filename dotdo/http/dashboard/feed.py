"""`GET /dashboard/events`: what was published last, over all names, newest first.

Each event's name has a log that is an entity; logs are asked as entities are for their executions (`survey`).
"""

from __future__ import annotations

import asyncio
import fnmatch
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.durable.event_waits import EVENT_LOG
from dotdo.errors import DotdoError
from dotdo.events.event import Event
from dotdo.http import answers
from dotdo.http.dashboard.survey import Survey
from dotdo.http.door import bounded, door_of
from dotdo.http.nouns import within
from dotdo.names import split_key
from dotdo.nouns.event_log import EventLog

router = APIRouter(prefix="/dashboard", tags=["dashboard"])

OF_ONE_NAME_MAX = 50
DATA_BYTES_MAX = 8 * 1024


@router.get("/events")
async def list_events(
    request: Request,
    name: Annotated[str, Query(description="a name or a pattern, as Order.*", max_length=200)] = "*",
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """The latest events with their data, and the names there are."""
    door = door_of(request)
    survey: Survey = door.surveys.setdefault("events", Survey())
    logs = await within(request, door.listing.entities(EVENT_LOG))
    asked = survey.to_ask(logs)
    pages = await within(request, asyncio.gather(*(_latest(split_key(one["key"])[1]) for one in asked)))
    for entry, page in zip(asked, pages, strict=True):
        if page is not None:
            survey.keep(entry, page)
    found = [
        event for key, kept in survey.kept.items() if fnmatch.fnmatchcase(split_key(key)[1], name or "*") for _, event in kept.value
    ]  # fmt: skip
    found.sort(key=lambda event: event.at.timestamp() if event.at else 0.0, reverse=True)
    names = sorted(split_key(one["key"])[1] for one in logs)
    return answers.response({"events": [as_data(one) for one in found[: bounded(request, limit)]], "names": names})


async def _latest(name: str) -> list[tuple[int, Event]] | None:
    try:
        return list(await EventLog(name).page(None, OF_ONE_NAME_MAX))
    except DotdoError:
        return None


def as_data(event: Event) -> dict[str, Any]:
    """An event as the page shows it; of data that is large only the beginning, as text."""
    data = answers.encode(event.data)
    shown = event.data if len(data) <= DATA_BYTES_MAX else f"{data[:DATA_BYTES_MAX].decode(errors='replace')}… ({len(data)} bytes)"
    return {"id": event.id, "name": event.name, "at": event.at, "source": event.source, "data": shown}
