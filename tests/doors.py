"""What tests of the doors share: an app on a runtime in this process, asked through ASGI, or by a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from dotdo.http import Server, app

LOCAL = "http://127.0.0.1"


def client_of(asgi: Any, *, client: str = "127.0.0.1", base_url: str = LOCAL, **headers: str) -> httpx.AsyncClient:
    """A client of an app, as if it came from `client`."""
    transport = httpx.ASGITransport(asgi, client=(client, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=base_url, headers={k.replace("_", "-"): v for k, v in headers.items()})


@asynccontextmanager
async def serving(asgi: Any = None) -> AsyncIterator[int]:
    """A real server on a free port of loopback."""
    server = Server("127.0.0.1", 0, asgi=asgi or app(), log_level="error")
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
        if task.done():
            await task
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task
