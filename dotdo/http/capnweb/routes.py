"""`/rpc`: Cap'n Web over a WebSocket, and as a batch in one POST."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, WebSocket
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from dotdo.http.capnweb.session import Session
from dotdo.http.door import Door, door_of
from dotdo.http.problems import Problem
from dotdo.http.roles import SUBPROTOCOL

router = APIRouter(tags=["Cap'n Web"])

_LINES = {"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}}

GOING_AWAY, PROTOCOL_ENDED, TOO_SLOW, TRY_LATER = 1001, 3000, 1008, 1013


@router.post("/rpc", response_class=Response, openapi_extra=_LINES)
async def batch(request: Request) -> Response:
    """A batch: one message a line in, one message a line out. Nothing of it outlives the request."""
    door = door_of(request)
    lines = [line for line in (await request.body()).split(b"\n") if line]
    if len(lines) > door.limits.batch_messages_max:
        raise Problem(413, "batch_too_large", f"a batch has at most {door.limits.batch_messages_max} messages")
    sent: list[bytes] = []
    session = Session(sent.append, door.limits, is_batch=True)
    door.metrics.messages.inc(len(lines))
    try:
        for line in lines:
            session.receive(line)
        if session.is_over:
            door.metrics.aborts.inc()
        await session.drained(door.limits.request_timeout_s)
    finally:
        session.close()
    return Response(b"\n".join(sent), media_type="text/plain; charset=utf-8")


@router.websocket("/rpc")
async def connect(websocket: WebSocket) -> None:
    """A connection: one message a WebSocket message, until either side ends it."""
    door = door_of(websocket)
    if door.is_draining or door.connection_count >= door.limits.connections_max:
        await websocket.close(TRY_LATER, "too many connections")
        return
    offered = websocket.headers.get("sec-websocket-protocol", "").replace(" ", "").split(",")
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    door.connection_count += 1
    door.metrics.connections.inc()
    try:
        await _Connection(websocket, door).run()
    finally:
        door.connection_count -= 1
        door.metrics.connections.dec()


class _Connection:
    """A WebSocket and its session: one task reads, one writes, and the first to end ends both."""

    def __init__(self, websocket: WebSocket, door: Door) -> None:
        self._websocket = websocket
        self._door = door
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._wake = asyncio.Event()
        self._close: tuple[int, str] | None = None
        self._session = Session(self._send, door.limits)

    def _send(self, message: bytes) -> None:
        self._outgoing.append(message)
        self._outgoing_bytes += len(message)
        if self._outgoing_bytes > self._door.limits.outgoing_bytes_max:
            self._close = (TOO_SLOW, "the client does not read")
        self._wake.set()

    async def run(self) -> None:
        with self._door.closing() as closing:
            tasks: list[asyncio.Task[Any]] = [
                asyncio.ensure_future(self._read()), asyncio.ensure_future(self._write()), asyncio.ensure_future(closing.wait()),
            ]  # fmt: skip
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._session.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if closing.is_set():
            self._close = (GOING_AWAY, "the door is closing")
        await self._end()

    async def _read(self) -> None:
        receive, session, messages = self._websocket.receive, self._session, self._door.metrics.messages
        while True:
            message = await asyncio.wait_for(receive(), self._door.limits.idle_connection_s)
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1000))
            messages.inc()
            text = message.get("text")
            session.receive(text if text is not None else message.get("bytes") or b"")
            if session.is_over:
                self._door.metrics.aborts.inc()
                self._close = (PROTOCOL_ENDED, "the session has ended")
                self._wake.set()
                await asyncio.Event().wait()  # the writer sends what is left, and ends

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._close is not None and self._close[0] == TOO_SLOW:
                return
            outgoing, self._outgoing, self._outgoing_bytes = self._outgoing, [], 0
            for message in outgoing:
                await self._websocket.send_text(message.decode())
            if self._close is not None:
                return

    async def _end(self) -> None:
        code, reason = self._close or (1000, "")
        try:
            await self._websocket.close(code, reason)
        except (RuntimeError, WebSocketDisconnect):
            pass  # it is closed already
