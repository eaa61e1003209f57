"""`dotdo.http.app()`: all doors in one ASGI app, and `serve`, which runs it.

The app is a FastAPI app: more routes can be added to it, or declared anywhere with `@dotdo.http.post("/path")`. It uses the
runtime of this program, as every other code does, and keeps nothing that has to survive it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from dotdo import application, config
from dotdo.errors import DefinitionError
from dotdo.http import events, executions, metrics, nouns, openapi, operations, pages, people, problems, webhooks, workflows
from dotdo.http.capnweb import routes as capnweb
from dotdo.http.dashboard import entities, feed, graphs, live, pulse, session, sql, survey
from dotdo.http.door import Door
from dotdo.http.guard import Guard
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem
from dotdo.http.roles import is_loopback

own_routes = APIRouter()
"""What users declare with `@dotdo.http.get` and its like."""

_ROUTERS = (
    live.router, session.router, pulse.router, entities.router, survey.router, feed.router, graphs.router, sql.router, operations.router, metrics.router, executions.router, events.router, people.approvals_router, people.tasks_router,
    workflows.router, capnweb.router, pages.router,
)  # fmt: skip

DESCRIPTION = "Durable Objects for Python. Every entity is at /{Noun}/{id}: POST a method, GET a field."


def app(
    *,
    tokens: Mapping[str, str] | None = None,
    cors: Iterable[str] = (),
    secrets: Mapping[str, str] | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The web app: HTTP, Cap'n Web, webhooks and pages, for any ASGI server.

    Args:
        tokens: bearer token -> role (viewer, caller, operator); `DOTDO_TOKENS` by default. Without any, only requests from
            and to this machine's loopback address are answered.
        cors: origins whose pages may use this door from a browser; none by default.
        secrets: the secrets of webhooks by name; the environment's by default.
        limits: sizes and times, see `Limits`.

    Raises:
        DefinitionError: a role is not known, or a token is too short.
    """
    origins = tuple(cors)
    door = Door(limits or Limits(), config.tokens_from_environment() if tokens is None else tokens, origins, secrets)
    made = FastAPI(
        title="dotdo",
        version=_version(),
        description=DESCRIPTION,
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    made.state.door = door
    made.include_router(own_routes)
    for router in _ROUTERS:
        made.include_router(router)
    webhooks.install(made, door)
    made.router.default = nouns.answer
    made.add_exception_handler(RequestValidationError, _invalid)
    made.add_exception_handler(HTTPException, _refused)
    if origins:
        made.add_middleware(
            CORSMiddleware, allow_origins=list(origins), allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "idempotency-key", "prefer", "last-event-id"], expose_headers=["location"],
        )  # fmt: skip
    made.add_middleware(Guard, door=door)
    made.openapi = lambda: openapi.describe(made)  # type: ignore[method-assign]  # nouns come and go: it is described anew each time
    return made


def serve(host: str = "127.0.0.1", port: int = 8000, *, asgi: FastAPI | None = None, log_level: str = "info", **options: Any) -> None:
    """Run the app until SIGINT or SIGTERM, then let requests end and stop.

    Args:
        host: another address than loopback needs tokens.
        asgi: the app; `app(**options)` by default.

    Raises:
        DefinitionError: `host` is not loopback and there are no tokens.
    """
    asyncio.run(Server(host, port, asgi=asgi, log_level=log_level, **options).serve())


class Server(uvicorn.Server):
    """The server of one app. It tells the door when it begins to stop, so that streams and connections end by themselves."""

    def __init__(self, host: str, port: int, *, asgi: FastAPI | None = None, log_level: str = "info", **options: Any) -> None:
        self.app = asgi if asgi is not None else app(**options)
        self.door: Door = self.app.state.door
        check_binding(host, self.door)
        limits = self.door.limits
        super().__init__(
            uvicorn.Config(
                self.app,
                host=host,
                port=port,
                log_level=log_level,
                access_log=False,
                server_header=False,
                ws_max_size=limits.request_bytes_max,
                ws_per_message_deflate=False,
                h11_max_incomplete_event_size=65_536,
                timeout_graceful_shutdown=int(limits.drain_s),
                proxy_headers=False,
            )
        )

    async def shutdown(self, sockets: Any = None) -> None:
        self.door.drain()
        await super().shutdown(sockets)


def check_binding(host: str, door: Door) -> None:
    """Raise DefinitionError for another address than loopback without a token."""
    if not door.tokens and not is_loopback(host):
        raise DefinitionError(f"host={host!r} is not loopback, so it needs tokens: app(tokens={{token: role}}) or DOTDO_TOKENS=role:token")


@asynccontextmanager
async def _lifespan(made: FastAPI) -> AsyncIterator[None]:
    application.current()
    yield
    made.state.door.drain()


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problems.response(problems.from_validation(list(error.errors()), "the request"))


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
    return problems.response(Problem(error.status_code, code, str(error.detail), headers=error.headers))


def _version() -> str:
    import dotdo

    return dotdo.__version__
