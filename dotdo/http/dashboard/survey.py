"""`GET /dashboard/executions`: executions of all entities, newest first, with search.

Each entity keeps its own executions, and asking one that sleeps wakes it. A page asks all the time, so what an entity said
is kept: one that is awake is asked again once it has committed something, one that sleeps only if it was never asked, and
of those only so many. Nothing is kept for longer than somebody looks.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.durable.handle import ExecutionInfo, control_call
from dotdo.errors import DotdoError
from dotdo.http import answers, reach
from dotdo.http.dashboard.listing import Entry
from dotdo.http.door import bounded, door_of
from dotdo.http.executions import Status
from dotdo.http.nouns import within
from dotdo.names import RUN_NOUN, split_key
from dotdo.nouns.functions import Function
from dotdo.rpc.stub import make_stub
from dotdo.workflows.machines.known import NOUN as MACHINE_NOUN
from dotdo.workflows.services.request_entity import NOUN as REQUEST_NOUN

router = APIRouter(prefix="/dashboard", tags=["dashboard"])

SLEEPERS_ASKED_MAX = 500
"""So many sleeping entities are woken to ask them, while somebody looks."""
ASKED_AT_ONCE_MAX = 100
AWAKE_ASKED_MAX = 1_000
"""In one look; the others come with the next ones."""
OF_ONE_ENTITY_MAX = 50
KEPT_S = 15.0
"""After so long without anybody looking, what entities said is forgotten: it may be old."""

RUNS = frozenset({RUN_NOUN, REQUEST_NOUN, MACHINE_NOUN, Function._do_spec_.noun})
"""Nouns of the runtime whose executions are the user's: workflows, service requests, machines, functions that handle events."""

_UNFINISHED = frozenset({"pending", "running"})


class Kept:
    """What one entity said, and how it was then. It `is_moving` if that may be another in a moment, without a commit."""

    __slots__ = ("is_moving", "mark", "value")

    def __init__(self, mark: Any, value: list[Any]) -> None:
        self.mark = mark
        self.value = value
        self.is_moving = any(getattr(one, "status", None) in _UNFINISHED for one in value)


class Survey:
    """Something that is asked of many entities, remembered. Used by executions and by events."""

    def __init__(self, sleepers_asked_max: int = SLEEPERS_ASKED_MAX) -> None:
        self.kept: dict[str, Kept] = {}
        self._left = self._sleepers_asked_max = sleepers_asked_max
        self._looked_at = 0.0

    def to_ask(self, entities: list[Entry], *, is_everybody: bool = True) -> list[Entry]:
        """Those who have something new to say. What is kept of others is dropped if these are all there are."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at > KEPT_S:
            self.kept.clear()
            self._left = self._sleepers_asked_max
        self._looked_at = now
        if is_everybody:
            keys = {entry["key"] for entry in entities}
            for gone in [key for key in self.kept if key not in keys]:
                del self.kept[gone]
        awake = [entry for entry in entities if entry["status"] == "active" and self._is_new(entry)]
        sleepers = [entry for entry in entities if entry["status"] == "hibernated" and self._sleeper_is_new(entry["key"])]
        sleepers = sleepers[: max(0, min(self._left, ASKED_AT_ONCE_MAX))]
        self._left -= len(sleepers)
        return [*awake[:AWAKE_ASKED_MAX], *sleepers]

    def _is_new(self, entry: Entry) -> bool:
        kept = self.kept.get(entry["key"])
        return kept is None or kept.is_moving or kept.mark is None or kept.mark != mark_of(entry)

    def _sleeper_is_new(self, key: str) -> bool:
        kept = self.kept.get(key)
        return kept is None or kept.is_moving

    def keep(self, entry: Entry, value: list[Any]) -> None:
        self.kept[entry["key"]] = Kept(mark_of(entry), value)


def mark_of(entry: Entry) -> Any:
    """What is different once an entity that is awake has committed; None where that cannot be told."""
    commits = entry.get("commits")
    return None if commits is None else (entry["activation"], commits)


@router.get("/executions")
async def list_executions(
    request: Request,
    noun: Annotated[str | None, Query(description="only of this noun's entities")] = None,
    status: Annotated[Status | None, Query()] = None,
    search: Annotated[str, Query(description="a part of the id, the method, the error or of what it waits for", max_length=200)] = "",
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """Executions as snapshots, newest first, how many there are of each status, and how many sleepers were not asked."""
    door = door_of(request)
    survey: Survey = door.surveys.setdefault("executions", Survey())
    entities: list[Entry] = await within(request, door.listing.entities(noun))
    entities = [one for one in entities if is_shown(split_key(one["key"])[0])]
    await within(request, look(survey, entities, is_everybody=noun is None))
    kept = [survey.kept[entry["key"]] for entry in entities if entry["key"] in survey.kept]
    everything = [one for answer in kept for one in answer.value]
    counts: dict[str, int] = {}
    for one in everything:
        counts[one.status] = counts.get(one.status, 0) + 1
    words = search.lower().split()
    found = [one for one in everything if (status is None or one.status == status) and fits(one, words)]
    found.sort(key=lambda one: one.started_at.timestamp() if one.started_at else 0.0, reverse=True)
    unasked = sum(1 for one in entities if one["key"] not in survey.kept and one["status"] == "hibernated")
    shown = [answers.info(one) for one in found[: bounded(request, limit)]]
    return answers.response({"executions": shown, "found": len(found), "counts": counts, "not_asked": unasked})


async def look(survey: Survey, entities: list[Entry], *, is_everybody: bool) -> None:
    """Ask who has something new to say."""
    asked = survey.to_ask(entities, is_everybody=is_everybody)
    for begin in range(0, len(asked), ASKED_AT_ONCE_MAX):
        some = asked[begin : begin + ASKED_AT_ONCE_MAX]
        for entry, page in zip(some, await asyncio.gather(*(_executions_of(one["key"]) for one in some)), strict=True):
            if page is not None:
                survey.keep(entry, page)


async def _executions_of(key: str) -> list[ExecutionInfo] | None:
    try:
        return [ExecutionInfo(one) for one in await control_call(make_stub(*split_key(key)), "list", None, OF_ONE_ENTITY_MAX)]
    except DotdoError:  # it cannot be woken now; the list of entities says why
        return None


def is_shown(noun: str) -> bool:
    """True for nouns whose executions a user knows of."""
    return noun in RUNS or reach.is_public(noun)


def fits(info: ExecutionInfo, words: list[str]) -> bool:
    """True if every word is in its text."""
    if not words:
        return True
    text = f"{info.id} {info.method} {info.status} {info.waiting_for or ''} {info.error or ''}".lower()
    return all(word in text for word in words)
