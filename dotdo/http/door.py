"""What the routes of one app share: its limits, tokens, counters, and whether it is closing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp

from dotdo import config
from dotdo.http.dashboard.listing import Listing
from dotdo.http.limits import Limits
from dotdo.http.metrics import Metrics
from dotdo.http.roles import Tokens


class Door:
    """One app's state. Nothing durable is here."""

    def __init__(self, limits: Limits, tokens: Mapping[str, str] | None, origins: Iterable[str], secrets: Mapping[str, str] | None) -> None:
        self.limits = limits
        self.tokens = Tokens(tokens)
        self.origins = frozenset(origins)
        self.metrics = Metrics()
        self.webhook_paths: set[str] = set()
        self.watchers: dict[str, Any] = {}
        self.live: dict[tuple[str, int], Any] = {}
        self.surveys: dict[str, Any] = {}
        self.listing = Listing()
        self.behind_guard: ASGIApp | None = None
        """The app without its guard: where the door asks itself."""
        self.is_draining = False
        self.stream_count = 0
        self.connection_count = 0
        self._secrets = dict(secrets or {})
        self._draining: set[asyncio.Event] = set()

    def secret(self, name: str) -> str | None:
        """A secret: of those the app was given, else of the environment."""
        return self._secrets.get(name) or config.secret_from_environment(name)

    def acted(self) -> None:
        """A request may have changed something: what is watched is looked at now."""
        self.listing.forget()
        for watched in self.live.values():
            watched.hurry()

    def drain(self) -> None:
        """Take nothing new that lasts: readiness says no, streams and connections end."""
        self.is_draining = True
        for event in list(self._draining):
            event.set()

    @contextlib.contextmanager
    def closing(self) -> Iterator[asyncio.Event]:
        """An event that is set when the door closes."""
        event = asyncio.Event()
        if self.is_draining:
            event.set()
        self._draining.add(event)
        try:
            yield event
        finally:
            self._draining.discard(event)

    @contextlib.contextmanager
    def stream(self) -> Iterator[asyncio.Event]:
        """A stream of events is open; the event is set when the door closes."""
        self.stream_count += 1
        self.metrics.streams.inc()
        try:
            with self.closing() as closing:
                yield closing
        finally:
            self.metrics.streams.dec()
            self.stream_count -= 1


def door_of(request: Any) -> Door:
    """The door a request or a WebSocket came through."""
    door: Door = request.app.state.door
    return door


def bounded(request: Request, limit: int) -> int:
    """A list's limit, within the door's."""
    return max(1, min(limit, door_of(request).limits.list_limit_max))
