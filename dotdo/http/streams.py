"""Server-sent events of an execution, for browsers and for `curl -N`.

State is not pushed by entities: one watcher per execution asks for it, however many streams show it, often while things
happen and seldom while nothing does. Each event has a number; a client that comes back with `Last-Event-ID` gets what it
missed, as far as the history has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dotdo.durable.handle import Execution
from dotdo.durable.step import PROGRESS
from dotdo.errors import DotdoError
from dotdo.http import answers
from dotdo.http.door import Door, door_of
from dotdo.http.problems import Problem, body_of

ENDED = frozenset({"completed", "failed", "cancelled"})


class Watcher:
    """What is known of one execution, for the streams that show it."""

    def __init__(self, door: Door, execution_id: str) -> None:
        self.execution = Execution(execution_id)
        self.limits = door.limits
        self.state: dict[str, Any] | None = None
        self.entries: list[dict[str, Any]] = []
        self.error: BaseException | None = None
        self.version = 0
        self.changed = asyncio.Event()
        self.stream_count = 0
        self.task = asyncio.ensure_future(self._watch())

    @property
    def is_over(self) -> bool:
        return self.error is not None or (self.state is not None and self.state["status"] in ENDED)

    async def _watch(self) -> None:
        pause_s = self.limits.stream_poll_s
        try:
            while not self.is_over:
                state = answers.info(await self.execution.info())
                if state != self.state:
                    self.entries = await self.execution.history()
                    self.state = state
                    self._tell()
                    pause_s = self.limits.stream_poll_s
                else:
                    pause_s = min(pause_s * 1.5, self.limits.stream_poll_max_s)
                if not self.is_over:
                    await asyncio.sleep(pause_s)
        except DotdoError as error:
            self.error = error
            self._tell()

    def _tell(self) -> None:
        self.version += 1
        self.changed.set()
        self.changed = asyncio.Event()


def response(request: Request, execution_id: str) -> Response:
    """The stream. Raises Problem (503) if there are too many."""
    door = door_of(request)
    if door.is_draining or door.stream_count >= door.limits.streams_max:
        raise Problem(503, "too_many_streams", f"{door.stream_count} streams are open: try again later")
    after = request.headers.get("last-event-id", "")
    events = _events(door, execution_id, int(after) if after.isdecimal() and len(after) < 10 else 0)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache", "x-accel-buffering": "no"})


async def _events(door: Door, execution_id: str, after: int) -> AsyncIterator[bytes]:
    watchers = door.watchers
    watcher = watchers.get(execution_id)
    if watcher is None:
        watcher = watchers[execution_id] = Watcher(door, execution_id)
    watcher.stream_count += 1
    try:
        with door.stream() as closing:
            async for event in _shown(watcher, after, closing):
                yield event
    finally:
        watcher.stream_count -= 1
        if watcher.stream_count == 0:
            watchers.pop(execution_id, None)
            watcher.task.cancel()


async def _shown(watcher: Watcher, shown: int, closing: asyncio.Event) -> AsyncIterator[bytes]:
    version = -1
    while True:
        changed = watcher.changed
        if watcher.version == version or watcher.version == 0:
            if not await _wait(changed, closing, watcher.limits.stream_keepalive_s):
                if closing.is_set():
                    yield b"event: closing\ndata: {}\n\n"
                    return
                yield b": still here\n\n"
            continue
        version = watcher.version
        if watcher.error is not None:
            yield _event("error", body_of(watcher.error), shown)
            return
        entries, state = watcher.entries, watcher.state
        for entry in entries[shown:]:
            shown += 1
            kind = "progress" if _is_progress(entry) else "step"
            yield _event(kind, entry.get("result") if kind == "progress" else entry, shown)
        yield _event("state", state, shown)
        if watcher.is_over:
            yield _event("end", {"status": state["status"] if state else None}, shown)
            return


def _is_progress(entry: dict[str, Any]) -> bool:
    return entry["type"] == "step" and str(entry.get("id", "")).partition("#")[0] == PROGRESS and "result" in entry


async def _wait(changed: asyncio.Event, closing: asyncio.Event, timeout_s: float) -> bool:
    """True once `changed`; False after the time, or when the door closes."""
    tasks = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return changed.is_set() and not closing.is_set()


def _event(name: str, data: Any, number: int) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), answers.encode(data))
