"""One Cap'n Web connection: its tables, and its messages in and out. The transport is whoever feeds it.

    push, stream   evaluate and export the result          pull       tell the result when it is there
    pipe           export something that is written to     release    forget an export
    resolve, reject   what we asked the client for         abort      the end

Ids the client chose (its pushes) count up from 1, ids of what we export count down from -1; 0 is the main object. What is
told to the client goes through `send`, in order. A message that breaks the protocol ends the connection with `abort`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any

from pydantic_core import from_json, to_json

from dotdo.errors import ClientGone, CodecError, DotdoError, Overloaded, RemoteError
from dotdo.http.capnweb import values
from dotdo.http.capnweb.callbacks import Callbacks
from dotdo.http.capnweb.expressions import evaluate
from dotdo.http.capnweb.targets import Entity, Failed, Late, Main, OfClient, Pipe, Readable, Target, at, of_evaluated, resolved
from dotdo.http.capnweb.values import Malformed
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem
from dotdo.nouns.connections import ClientObject
from dotdo.rpc.stub import Stub

Sender = Callable[[bytes], None]


class Exported:
    """One entry of what the client holds."""

    __slots__ = ("key", "refcount", "releases_itself", "target", "task")

    def __init__(self, target: Target, key: Any = None) -> None:
        self.target = target
        self.key = key
        self.refcount = 1
        self.task: asyncio.Task[None] | None = None
        self.releases_itself = False


class Session:
    """One connection."""

    def __init__(self, send: Sender, limits: Limits, *, is_batch: bool = False) -> None:
        self.limits = limits
        self.id = secrets.token_hex(12)
        self.is_over = False
        self._send = send
        self._exports: dict[int, Exported] = {0: Exported(Main())}
        self._of_stub: dict[Any, int] = {}
        self._next_push = 1
        self._next_export = -1
        self._imports: dict[int, int] = {}
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._promises: dict[int, asyncio.Future[Any]] = {}
        self._next_ask = 1
        self._pulls: set[asyncio.Task[None]] = set()
        self._callbacks = None if is_batch else Callbacks(self)

    # -- messages in --------------------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> None:
        """Take one message. What breaks the protocol ends the session with an abort; nothing is raised."""
        if self.is_over:
            return
        try:
            message = self._parsed(text)
            handler = _MESSAGES.get(message[0]) if message and isinstance(message[0], str) else None
            if handler is None:
                raise Malformed("no such message")
            handler(self, message)
        except Malformed as error:
            self.abort(error)
        except RecursionError:
            self.abort(Malformed("a message is nested too deeply"))

    def _parsed(self, text: str | bytes) -> list[Any]:
        if len(text) > self.limits.request_bytes_max:
            raise Malformed(f"a message is over {self.limits.request_bytes_max} bytes")
        try:
            message = from_json(text, allow_inf_nan=False)
        except ValueError:
            raise Malformed("a message is no JSON") from None
        if not isinstance(message, list):
            raise Malformed("a message is an array")
        return message

    def _push(self, message: list[Any]) -> None:
        _length(message, 2)
        self._export_pushed(self._evaluated(message[1]))

    def _stream(self, message: list[Any]) -> None:
        _length(message, 2)
        number = self._export_pushed(self._evaluated(message[1]))
        entry = self._exports[number]
        entry.releases_itself = True
        self._resolve_when_known(number, entry)

    def _pipe(self, message: list[Any]) -> None:
        _length(message, 1)
        self._export_pushed(Pipe(self.limits))

    def _evaluated(self, expression: Any) -> Target:
        if len(self._pulls) >= self.limits.calls_max:
            return Failed(Overloaded(f"{self.limits.calls_max} calls of this connection wait already"))
        return of_evaluated(evaluate(expression, self))

    def _export_pushed(self, target: Target) -> int:
        if len(self._exports) >= self.limits.exports_max:
            raise Malformed(f"more than {self.limits.exports_max} results are held: release what is not needed")
        number, self._next_push = self._next_push, self._next_push + 1
        self._exports[number] = Exported(target)
        return number

    def _pull(self, message: list[Any]) -> None:
        _length(message, 2)
        number = _integer(message[1])
        entry = self._exports.get(number)
        if entry is None:
            raise Malformed(f"pull of {number}, which is not exported")
        self._resolve_when_known(number, entry)

    def _release(self, message: list[Any]) -> None:
        _length(message, 3)
        number, count = _integer(message[1]), _integer(message[2])
        entry = self._exports.get(number)
        if entry is None or not 0 < count <= entry.refcount or number == 0:
            raise Malformed(f"release of {number} as often as it was not exported")
        entry.refcount -= count
        if entry.refcount == 0:
            self._drop(number, entry)

    def _drop(self, number: int, entry: Exported) -> None:
        del self._exports[number]
        if entry.key is not None:
            self._of_stub.pop(entry.key, None)
        if entry.task is not None:
            entry.task.cancel()
        if isinstance(entry.target, Pipe):
            entry.target.dropped()

    def _resolved(self, message: list[Any]) -> None:
        _length(message, 3)
        number = _integer(message[1])
        future = self._asked.pop(number, None) or self._promises.pop(number, None)
        value = evaluate(message[2], self)
        if future is not None and not future.done():
            if message[0] == "resolve":
                future.set_result(value)
            else:
                future.set_exception(value if isinstance(value, Exception) else RemoteError(f"Error: {str(value)[:1000]}", "Error"))
                future.exception()  # seen, also if nobody asks
        if number > 0:
            self.tell(["release", number, 1])
        else:
            self.let_go(number)

    def _aborted(self, message: list[Any]) -> None:
        self.close()

    # -- what the ids in an expression mean -------------------------------------------------------------------------

    def exported(self, number: int) -> Target:
        entry = self._exports.get(number)
        if entry is None:
            raise Malformed(f"there is no export {number}")
        return entry.target

    def imported(self, number: int) -> Any:
        self._count_import(number)
        if self._callbacks is None:
            return Failed(ClientGone("a batch cannot be called back: use a WebSocket"))
        return self._callbacks.object_of(number)

    def promised(self, number: int) -> Target:
        self._count_import(number)
        if number in self._promises:
            raise Malformed(f"the promise {number} was made before")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._promises[number] = future
        return Late(_of_future(future))

    def _count_import(self, number: int) -> None:
        if number >= 0:
            raise Malformed(f"an object of the client's has a number below zero, not {number}")
        if number not in self._imports and len(self._imports) >= self.limits.imports_max:
            raise Malformed(f"more than {self.limits.imports_max} objects of the client's are held")
        self._imports[number] = self._imports.get(number, 0) + 1

    def readable(self, number: int) -> Target:
        entry = self._exports.get(number)
        if entry is None or not isinstance(entry.target, Pipe):
            raise Malformed(f"{number} is no pipe")
        return Readable(entry.target)

    # -- messages out -------------------------------------------------------------------------------------------

    def tell(self, message: list[Any]) -> None:
        """Send a message, unless the session is over."""
        if not self.is_over:
            self._send(to_json(message))

    def _resolve_when_known(self, number: int, entry: Exported) -> None:
        if entry.task is None:
            entry.task = asyncio.ensure_future(self._tell_result(number, entry))
            self._pulls.add(entry.task)
            entry.task.add_done_callback(self._pulls.discard)

    async def _tell_result(self, number: int, entry: Exported) -> None:
        try:
            value = await entry.target.value()
            self.tell(["resolve", number, self.written(value)])
        except asyncio.CancelledError:
            if number in self._exports and not self.is_over:
                self.tell(["reject", number, values.write_error(ClientGone("the call was cancelled"))])
            raise
        except Exception as error:
            self.tell(["reject", number, self.written_error(error)])
        if entry.releases_itself and number in self._exports:
            self._drop_silently(number)

    def _drop_silently(self, number: int) -> None:
        self._exports.pop(number, None)

    def written(self, value: Any) -> Any:
        """The expression of a value. What it exports is taken back if it cannot be written."""
        made: list[int] = []

        def export(part: Any) -> list[Any]:
            if isinstance(part, ClientObject) and self._callbacks is not None:
                own = self._callbacks.number_of(part)
                if own is not None:
                    return ["import", own]
            number = self._export(part)
            made.append(number)
            return ["export", number]

        try:
            return values.write(value, export, self.limits.depth_max)
        except Exception:
            for number in made:
                self._release(["release", number, 1])
            raise

    def _export(self, part: Stub | ClientObject) -> int:
        known = self._of_stub.get(part)
        if known is not None:
            self._exports[known].refcount += 1
            return known
        if len(self._exports) >= self.limits.exports_max:
            raise CodecError(f"this connection holds {self.limits.exports_max} objects already: release what is not needed")
        number, self._next_export = self._next_export, self._next_export - 1
        self._exports[number] = Exported(Entity(part) if isinstance(part, Stub) else OfClient(part), part)
        self._of_stub[part] = number
        return number

    def written_error(self, error: BaseException) -> list[Any]:
        """An error as the client sees it; a fault of the door says only that."""
        if isinstance(error, (DotdoError, Problem, TypeError, ValueError)) or values.is_ours(error):
            return values.write_error(error)
        return values.write_error(Problem(500, "internal", "this failed inside the door"))

    # -- calling the client -------------------------------------------------------------------------------------

    async def ask(self, number: int, path: list[str], args: list[Any]) -> Any:
        """Call an object of the client and wait for its answer. Raises RemoteError with what it threw, or ClientGone."""
        if self.is_over or number not in self._imports:
            raise ClientGone("the client has let this object go, or has left")
        asked, self._next_ask = self._next_ask, self._next_ask + 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[asked] = future
        self.tell(["push", ["pipeline", number, path, self.written(args)[0]]])
        self.tell(["pull", asked])
        return (await resolved([await future]))[0]

    def let_go(self, number: int) -> None:
        """Give an object of the client back."""
        count = self._imports.pop(number, 0)
        if count:
            self.tell(["release", number, count])

    # -- the end ------------------------------------------------------------------------------------------------

    def abort(self, error: BaseException) -> None:
        """End the session and say why."""
        self.tell(["abort", ["error", "TypeError", str(error)[:1000]]])
        self.close()

    def close(self) -> None:
        """End the session; what entities still do for it goes on and is told nobody."""
        if self.is_over:
            return
        self.is_over = True
        for entry in self._exports.values():
            if entry.task is not None:
                entry.task.cancel()
            if isinstance(entry.target, Pipe):
                entry.target.dropped()
        self._exports.clear()
        self._of_stub.clear()
        for future in (*self._asked.values(), *self._promises.values()):
            if not future.done():
                future.set_exception(ClientGone("the client has left"))
                future.exception()
        if self._callbacks is not None:
            self._callbacks.close()

    async def drained(self, timeout_s: float) -> None:
        """Wait until everything that was pulled is told, for a batch; what takes longer is rejected."""
        if self._pulls:
            await asyncio.wait(list(self._pulls), timeout=timeout_s)
        for number, entry in list(self._exports.items()):
            if entry.task is not None and not entry.task.done():
                self.tell(["reject", number, values.write_error(Problem(504, "call_timeout", f"no answer within {timeout_s:g} s"))])
                del self._exports[number]
                entry.task.cancel()

    @property
    def counts(self) -> dict[str, int]:
        """How much the session holds."""
        return {"exports": len(self._exports), "imports": len(self._imports), "pulls": len(self._pulls)}


async def _of_future(future: asyncio.Future[Any]) -> Target:
    value = await future
    return value if isinstance(value, Target) else of_evaluated(value) if not isinstance(value, (Stub, ClientObject)) else at(value)


def _length(message: list[Any], length: int) -> None:
    if len(message) != length:
        raise Malformed(f"{message[0]} has {length - 1} parts")


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise Malformed("an id or a count is a whole number")
    return value


_MESSAGES: dict[str, Callable[[Session, list[Any]], None]] = {
    "push": Session._push, "stream": Session._stream, "pipe": Session._pipe, "pull": Session._pull, "release": Session._release,
    "resolve": Session._resolved, "reject": Session._resolved, "abort": Session._aborted,
}  # fmt: skip
