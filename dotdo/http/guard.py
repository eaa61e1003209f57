"""What every request passes first: who it is, how large it is, and what becomes of its errors.

One ASGI layer around all routes. It refuses before anything is read or run, counts, bounds the body while it comes in, and
turns every error that leaves a route into a problem, so that nothing a client sends ends as a crash in the log.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import pydantic
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dotdo.http import problems, roles
from dotdo.http.door import Door
from dotdo.http.problems import Problem, errors_of, from_validation

log = logging.getLogger("dotdo.http")


class Guard:
    """The layer around the app's routes."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door
        door.behind_guard = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        began = time.perf_counter()
        metrics = self.door.metrics
        metrics.in_flight.inc()
        try:
            self._check(scope)
            await self.app(scope, self._bounded(scope, receive), answer.send)
        except Exception as error:
            if answer.has_begun:
                log.warning("%s %s broke off: %s", scope["method"], scope["path"], problems.text_of(error))
                raise
            await _explained(scope, error)(scope, receive, answer.send)
        finally:
            metrics.in_flight.dec()
            route = scope.get("state", {}).get("route") or getattr(scope.get("route"), "path", None) or "unmatched"
            metrics.request(scope["method"], route, answer.status, time.perf_counter() - began)
            if roles.acts(scope["method"], scope["path"]):
                self.door.acted()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
            await self.app(scope, receive, send)
        except Problem as problem:
            await _refuse(scope, receive, send, problem)

    def _check(self, scope: Scope) -> None:
        door = self.door
        if len(scope.get("raw_path") or scope["path"]) > door.limits.path_bytes_max:
            raise Problem(414, "path_too_long", f"the path is over {door.limits.path_bytes_max} bytes")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["path"] in door.webhook_paths and scope.get("method") == "POST":
            pass
        elif scope.get("method") == "OPTIONS" and "access-control-request-method" in headers:
            pass  # the CORS layer answers it, or nobody does
        else:
            scope.setdefault("state", {})["rank"] = roles.check(scope, headers, door.tokens, door.origins)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > door.limits.request_bytes_max:
            raise _too_large(door.limits.request_bytes_max)

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        left = self.door.limits.request_bytes_max

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            if message["type"] == "http.request":
                left -= len(message.get("body", b""))
                if left < 0:
                    raise _too_large(self.door.limits.request_bytes_max)
            return message

        return bounded


class _Answer:
    """Sees what is sent."""

    __slots__ = ("_send", "has_begun", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False
        self.status = 500

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.status = message["status"]
        await self._send(message)


def _too_large(limit: int) -> Problem:
    return Problem(413, "request_too_large", f"the request is over {limit} bytes", headers={"connection": "close"})


def _explained(scope: Scope, error: Exception) -> Any:
    """The response for an error, said in the log where it is the door's own."""
    if isinstance(error, pydantic.ValidationError):
        return problems.response(from_validation(errors_of(error), "the request"))
    if problems.status_of(error) == 500 and not getattr(error, "remote", False) and not isinstance(error, Problem):
        log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
        return problems.response(Problem(500, "internal", "this failed inside the door; its log says why"))
    return problems.response(error)


async def _refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """Refuse a WebSocket: with an answer where the server can give one, else by closing it unopened."""
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        body = problems.response(problem)
        await send({"type": "websocket.http.response.start", "status": problem.status, "headers": body.raw_headers})
        await send({"type": "websocket.http.response.body", "body": body.body})
    else:
        await send({"type": "websocket.close", "code": 1008, "reason": problem.code})
