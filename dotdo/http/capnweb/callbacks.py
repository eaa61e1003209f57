"""Objects of the client, called by entities: this side of `dotdo.nouns.connections`.

The first object that a client hands in opens the connection's entity; from then on this fetches the calls that wait there,
asks the client, and brings back what it says. A connection without callbacks has no entity and costs nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotdo.errors import DotdoError, RemoteError
from dotdo.http.capnweb.targets import Late, Target, Value
from dotdo.nouns.connections import CONNECTION, ClientObject
from dotdo.rpc.stub import make_stub

if TYPE_CHECKING:
    from dotdo.http.capnweb.session import Session

RETRY_SECONDS = 0.5


class Callbacks:
    """The client's objects of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stub: Any = make_stub(CONNECTION, session.id)
        self._opening: asyncio.Future[None] | None = None
        self._is_open = False
        self._fetching: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def object_of(self, number: int) -> Any:
        """The object as entities get it; before the connection's entity is open, a target that waits for that."""
        made = ClientObject(self._session.id, number)
        if self._is_open:
            return made
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        return Late(self._once_open(made))

    def number_of(self, value: ClientObject) -> int | None:
        """The client's own number of an object, None for one of another client's or a path into one."""
        connection, number, path = value._identity
        return number if connection == self._session.id and not path else None

    async def _once_open(self, made: ClientObject) -> Target:
        assert self._opening is not None
        await asyncio.shield(self._opening)
        return Value(made)

    async def _open(self) -> None:
        if self._session.is_over:
            return
        await self._stub["open"]()
        if self._session.is_over:
            self._stub["close"]()  # told, not awaited
            return
        self._is_open = True
        self._fetching = asyncio.ensure_future(self._fetch())

    async def _fetch(self) -> None:
        while not self._session.is_over:
            try:
                calls = await self._stub["fetch"]()
                if calls is None:  # its host was lost, and with it who waited there
                    await self._stub["open"]()
                    continue
            except DotdoError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for call, number, path, args in calls:
                if call == 0:
                    self._session.let_go(number)
                    continue
                task = asyncio.ensure_future(self._serve(call, number, path, args))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _serve(self, call: int, number: int, path: list[str], args: list[Any]) -> None:
        try:
            outcome, value = True, await self._session.ask(number, path, args)
        except Exception as error:
            outcome, value = False, error if isinstance(error, DotdoError) else RemoteError(f"{type(error).__name__}: {error}", "Error")
        try:
            await self._stub["answer"](call, outcome, value)
        except DotdoError as error:
            if outcome:
                await self._stub["answer"](call, False, RemoteError(f"Error: the client's answer cannot be passed on: {error}", "Error"))

    def close(self) -> None:
        """The client has left."""
        if self._fetching is not None:
            self._fetching.cancel()
        for task in self._serving:
            task.cancel()
        if self._is_open:
            self._stub["close"]()  # told, not awaited
