"""HTTP: from a request to an entity's durable write and back, on one connection; and the same while many others are held."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import httpx
import websockets

from benchmarks import setting as settings
from benchmarks.nouns import Counter
from benchmarks.rows import Row, at_most
from benchmarks.setting import Setting
from dotdo.http import Limits, Server, app

WEBSOCKETS, STREAMS = 500, 200
PUSH = f'["push",["pipeline",0,["{Counter.__name__}"],["held"]]]'


def over_http(setting: Setting) -> Iterator[Row]:
    """One connection alone, and beside 500 WebSockets and 200 event streams."""
    with settings.runtime(setting.folder / "doors"):
        pairs = [settings.run(_measured()) for _ in range(setting.rounds())]
        yield Row("HTTP to a durable write and back, p50", "us", [alone for alone, _ in pairs], at_most(2000, disk=True))
        yield Row(f"the same beside {WEBSOCKETS} WebSockets and {STREAMS} streams, p50", "us", [held for _, held in pairs])


async def _measured() -> tuple[float, float]:
    server = Server("127.0.0.1", 0, asgi=app(limits=Limits(stream_poll_s=1.0)), log_level="error")
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def call() -> bytes:
        writer.write(b"POST /Counter/a/inc HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert head.startswith(b"HTTP/1.1 200"), (head, body)
        return body

    await settings.series(call, 100)
    alone = settings.percentile(await settings.series(call), 0.5) * 1e6
    async with AsyncExitStack() as held:
        for _ in range(WEBSOCKETS):
            socket = await held.enter_async_context(websockets.connect(f"ws://127.0.0.1:{port}/rpc"))
            await socket.send(PUSH)
        http = await held.enter_async_context(httpx.AsyncClient(limits=httpx.Limits(max_connections=STREAMS + 1), timeout=60))
        where = f"http://127.0.0.1:{port}"
        started = await http.post(f"{where}/Counter/parked/park", headers={"prefer": "respond-async"})
        for _ in range(STREAMS):
            await held.enter_async_context(http.stream("GET", where + started.json()["events"]))
        beside = settings.percentile(await settings.series(call), 0.5) * 1e6
    writer.close()
    server.should_exit = True
    await serving
    return alone, beside
