"""Objects of clients: what a browser passes to an entity as a callback, as the entity sees it.

A client outside holds a connection to a door, and the door is no entity. So each connection that hands in an object has an
entity for its other half: who calls the object leaves the call there, the door fetches it, asks the client, and brings the
answer. It is all in memory: an object lives as long as its connection, and a call of one that is gone raises `ClientGone`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dotdo import codec
from dotdo.durable_object.do import DO
from dotdo.errors import ClientGone, CodecError, NoSuchMember
from dotdo.rpc.stub import make_stub

CONNECTION = "DotdoConnection"
FETCH_SECONDS = 20.0
"""A door that has not fetched for so long is gone."""
WAITING_MAX = 1_000
PATH_LENGTH_MAX = 64


class ClientObject:
    """A function or an object of a client. Call it, or a method of it, and await the answer; un-awaited it is told.

    It can be kept in a field and passed on. Raises ClientGone once its connection has ended.
    """

    __slots__ = ("_connection", "_number", "_path")

    def __init__(self, connection: str, number: int, path: tuple[str, ...] = ()) -> None:
        self._connection = connection
        self._number = number
        self._path = path

    def __getattr__(self, name: str) -> ClientObject:
        if name.startswith("_"):
            raise AttributeError(name)
        if len(self._path) >= PATH_LENGTH_MAX:
            raise NoSuchMember(f"a path of {PATH_LENGTH_MAX} names into an object of a client")
        return ClientObject(self._connection, self._number, (*self._path, name))

    def __call__(self, *args: Any) -> Any:
        return make_stub(CONNECTION, self._connection)["invoke"](self._number, list(self._path), list(args))

    def release(self) -> Any:
        """Say that it is not needed any more; awaitable."""
        return make_stub(CONNECTION, self._connection)["let_go"](self._number)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientObject) and other._identity == self._identity

    @property
    def _identity(self) -> tuple[str, int, tuple[str, ...]]:
        return self._connection, self._number, self._path

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"<object {self._number}{''.join(f'.{name}' for name in self._path)} of a client>"


def _pack(value: ClientObject) -> list[Any]:
    connection, number, path = value._identity
    return [connection, number, list(path)]


def _unpack(packed: Any) -> ClientObject:
    try:
        connection, number, path = packed
        if isinstance(connection, str) and type(number) is int and all(isinstance(name, str) for name in path):
            return ClientObject(connection, number, tuple(path))
    except (TypeError, ValueError):
        pass
    raise CodecError("an object of a client in these bytes is malformed")


codec.register_extension(45, ClientObject, _pack, _unpack)


class Connection(DO, noun=CONNECTION, max_queue=10_000):
    """The other half of one client's connection. Nothing of it is kept when it sleeps: then the client is gone."""

    async def setup(self) -> None:
        self._waiting: list[tuple[int, int, list[str], list[Any]]] = []
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._next = 1
        self._is_open = False
        self._fetched = 0.0
        self._came = asyncio.Event()

    async def open(self) -> None:
        """A door serves this connection from now on."""
        self._is_open = True
        self._fetched = asyncio.get_running_loop().time()

    async def fetch(self) -> list[tuple[int, int, list[str], list[Any]]] | None:
        """The calls that wait, as (number, object, path, arguments); an empty list after a while; None if this is not open."""
        if not self._is_open:
            return None
        loop = asyncio.get_running_loop()
        self._fetched = loop.time()
        if not self._waiting:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), FETCH_SECONDS / 4)
            except TimeoutError:
                pass
        self._fetched = loop.time()
        found, self._waiting = self._waiting, []
        return found

    async def answer(self, call: int, ok: bool, value: Any) -> None:
        """What the client answered to a call."""
        future = self._answers.pop(call, None)
        if future is not None and not future.done():
            if ok:
                future.set_result(value)
            else:
                future.set_exception(value)

    async def close(self) -> None:
        """The client has left."""
        self._is_open = False
        for future in self._answers.values():
            if not future.done():
                future.set_exception(ClientGone("the client has left while its object was being called"))
        self._answers.clear()
        self._waiting.clear()
        self._came.set()

    async def invoke(self, number: int, path: list[str], args: list[Any]) -> Any:
        """Call an object of the client. Raises ClientGone, or what the client's function threw."""
        loop = asyncio.get_running_loop()
        if not self._is_open or loop.time() - self._fetched > FETCH_SECONDS:
            raise ClientGone("the client whose object this is has left")
        if len(self._waiting) >= WAITING_MAX:
            raise ClientGone(f"{WAITING_MAX} calls wait for this client: it does not answer")
        call, self._next = self._next, self._next + 1
        future = self._answers[call] = loop.create_future()
        self._waiting.append((call, number, path, args))
        self._came.set()
        return await future

    async def let_go(self, number: int) -> None:
        """An object is not needed any more."""
        if self._is_open:
            self._waiting.append((0, number, [], []))
            self._came.set()
