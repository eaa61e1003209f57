"""`GET /dashboard/live?watch=/approvals&watch=...`: answers as they change, in one stream of server-sent events.

What can be read with GET can be watched: the door asks itself, with the rank of who watches, and sends an answer when it is
another than before. One watcher serves all streams that watch the same thing; it asks often while things change, seldom
while nothing does or when an answer is costly, and at once after an operator did something.

A page has one stream, because browsers allow few connections. It reads the stream with `fetch`, so that it can send a token.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse
from starlette.types import Message

from dotdo.http import problems
from dotdo.http.door import Door, door_of
from dotdo.http.problems import Problem

router = APIRouter(prefix="/dashboard", tags=["dashboard"])

WATCHED_MAX = 16
"""By one stream."""
WATCH_LENGTH_MAX = 2_000
PULSE = "/dashboard/pulse"
REST = 8
"""So many times as long as an answer took nobody asks again, up to a limit: looking does not keep a busy runtime busy."""

_WATCHABLE = re.compile(
    r"/dashboard/(?:pulse|executions|entities|entity|events|graphs|graph)"
    r"|/(?:approvals|tasks|dead-letters|schedules|entities|executions|hosts)(?:/.*)?"
)
_LASTS = re.compile(r"/executions/.+/(?:events|result)|/entities/.+/sql")
"""Answers that take their time, or that only an operator may ask for."""


@router.get("/live")
async def live(
    request: Request, watch: Annotated[list[str], Query(description="a path, with its query", max_length=WATCHED_MAX)]
) -> Response:
    """Server-sent events: `answer`, each with `watch`, `status` and `body`, first at once and then on every change; `closing` at the end."""
    door = door_of(request)
    for one in watch:
        check_watchable(one)
    if door.is_draining or door.stream_count >= door.limits.streams_max:
        raise Problem(503, "too_many_streams", f"{door.stream_count} streams are open: try again later")
    rank = request.scope["state"]["rank"]
    stream = _answers(door, request.app, list(dict.fromkeys(watch)), rank)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


def check_watchable(watch: str) -> None:
    """Raise Problem (422) for what is no list or record."""
    path = urlsplit(watch).path if watch.startswith("/") and not watch.startswith("//") else ""
    path = unquote(path)
    if len(watch) > WATCH_LENGTH_MAX or not _WATCHABLE.fullmatch(path) or _LASTS.fullmatch(path):
        raise Problem(
            422, "not_watchable", f"{watch[:200]!r} cannot be watched: lists and records of /dashboard, /executions and the like can"
        )


class LiveAnswer:
    """One thing that is watched: its answer as it was last."""

    def __init__(self, door: Door, app: Any, watch: str, rank: int) -> None:
        self.watch = watch
        self.body: bytes | None = None
        self.version = 0
        self.changed = asyncio.Event()
        self.stream_count = 0
        self._door = door
        self._app = app
        self._rank = rank
        self._hurry = asyncio.Event()
        self.task = asyncio.ensure_future(self._ask_again_and_again())

    def hurry(self) -> None:
        """Something may have changed just now."""
        self._hurry.set()

    async def _ask_again_and_again(self) -> None:
        limits = self._door.limits
        loop = asyncio.get_running_loop()
        pause_s = limits.stream_poll_s
        while True:
            self._hurry.clear()
            began = loop.time()
            body = await self._ask()
            least_s = min(max(limits.live_pause_s, (loop.time() - began) * REST), limits.live_pause_max_s)
            if body != self.body:
                self.body = body
                self.version += 1
                changed, self.changed = self.changed, asyncio.Event()
                changed.set()
                pause_s = limits.stream_poll_s
            else:
                pause_s = min(pause_s * 1.5, limits.stream_poll_max_s)
            if self.watch == PULSE:  # it always changes
                await asyncio.sleep(limits.pulse_s)
                continue
            try:
                await asyncio.wait_for(self._hurry.wait(), pause_s)
                pause_s = limits.stream_poll_s
            except TimeoutError:
                pass
            await asyncio.sleep(least_s)

    async def _ask(self) -> bytes:
        try:
            status, body = await ask(self._door, self._app, self.watch, self._rank)
        except Exception as error:  # it is the answer
            problem = problems.response(error)
            status, body = problem.status_code, bytes(problem.body)
        if len(body) > self._door.limits.live_bytes_max:
            problem = problems.response(
                Problem(413, "too_large_to_watch", "this answer is too large to be sent at every change: ask for less")
            )
            status, body = problem.status_code, bytes(problem.body)
        return b'{"watch":%s,"status":%d,"body":%s}' % (to_json(self.watch), status, body or b"null")


async def ask(door: Door, app: Any, target: str, rank: int) -> tuple[int, bytes]:
    """Status and body of what GET answers, asked behind the guard."""
    parts = urlsplit(target)
    status, chunks = 500, []
    path = unquote(parts.path)
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
        "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "", "headers": [], "client": None,
        "server": None, "app": app, "state": {"rank": rank},
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    assert door.behind_guard is not None
    await door.behind_guard(scope, receive, send)
    return status, b"".join(chunks)


async def _answers(door: Door, app: Any, watched: list[str], rank: int) -> AsyncIterator[bytes]:
    found = []
    for watch in watched:
        one = door.live.get((watch, rank))
        if one is None:
            one = door.live[(watch, rank)] = LiveAnswer(door, app, watch, rank)
        one.stream_count += 1
        found.append(one)
    try:
        with door.stream() as closing:
            async for event in _changes(door, found, closing):
                yield event
    finally:
        for one in found:
            one.stream_count -= 1
            if one.stream_count == 0:
                door.live.pop((one.watch, rank), None)
                one.task.cancel()


async def _changes(door: Door, watched: list[LiveAnswer], closing: asyncio.Event) -> AsyncIterator[bytes]:
    shown: dict[LiveAnswer, int] = dict.fromkeys(watched, 0)
    yield b": open\n\n"
    while not closing.is_set():
        waits = [one.changed for one in watched]  # taken before looking, so that no change is missed
        is_new = False
        for one in watched:
            if one.version != shown[one] and one.body is not None:
                shown[one] = one.version
                is_new = True
                yield b"event: answer\ndata: %s\n\n" % one.body
        if not is_new and not await _first(door, [*waits, closing]):
            yield b": still here\n\n"
    yield b"event: closing\ndata: {}\n\n"


async def _first(door: Door, events: list[asyncio.Event]) -> bool:
    """True once one of them is set, False after the keepalive time."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(tasks, timeout=door.limits.stream_keepalive_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return bool(done)
