"""A runtime inside this very process: one host, no Ray. For tests, notebooks and small programs (`hosts=0`).

Clients talk to it through the same sessions and frames as to a host elsewhere; only the socket is replaced by handing
bytes over, on one loop or from one thread's loop to another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dotdo.errors import HostLost
from dotdo.hosting.host import Host
from dotdo.rpc.server import ServerSession

HOST_NAME = "local"


class Pipe(asyncio.Transport):
    """One end of an in-memory connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, other_loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._other_loop = other_loop
        self.protocol: Any = None
        self.other: Pipe | None = None
        self._is_closed = False

    def write(self, data: Any) -> None:
        other = self.other
        if self._is_closed or other is None:
            return
        if self._other_loop is self._loop:
            self._loop.call_soon(other._receive, bytes(data))
        else:
            self._post(other._receive, bytes(data))

    def _post(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self._other_loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            self._is_closed = True

    def _receive(self, data: bytes) -> None:
        if not self._is_closed:
            self.protocol.data_received(data)

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.call_soon(self.protocol.connection_lost, None)
        if self.other is not None and not self.other._is_closed:
            self._post(self.other._lost)

    def abort(self) -> None:
        self.close()

    def _lost(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.protocol.connection_lost(None)

    def is_closing(self) -> bool:
        return self._is_closed


class LocalRouter:
    """Every entity lives in the one host of this process."""

    def __init__(self) -> None:
        self.token = "local"  # noqa: S105  # nobody outside this process can reach it
        self.host: Host | None = None

    def host_of(self, noun: str, entity_id: str) -> str:
        return HOST_NAME

    def host_names(self) -> list[str]:
        return [HOST_NAME]

    def learn(self, host: str, address: list[Any]) -> None:
        """There are no dedicated hosts here."""

    async def connect(self, host: str, protocol: Callable[[], Any]) -> asyncio.BaseTransport:
        target = self.host
        if target is None:
            raise ConnectionRefusedError("the runtime of this process is not running")
        loop = asyncio.get_running_loop()
        near = Pipe(loop, target.loop)
        far = Pipe(target.loop, loop)
        near.other, far.other = far, near
        near.protocol = protocol()

        def accept() -> None:
            session: ServerSession = target.session()
            far.protocol = session
            session.connection_made(far)

        if target.loop is loop:
            accept()
        else:
            done: asyncio.Future[None] = loop.create_future()

            def accept_there() -> None:
                accept()
                loop.call_soon_threadsafe(lambda: None if done.done() else done.set_result(None))

            try:
                target.loop.call_soon_threadsafe(accept_there)
            except RuntimeError:
                raise HostLost("the runtime of this process has ended") from None
            await done
        near.protocol.connection_made(near)
        return near
