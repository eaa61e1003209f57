"""The host's end of a channel: frames in, calls to entities, answers out.

The token comes first; before it nothing is read but one small frame. Whatever is malformed closes its own connection and
harms nothing else. Chains on a result of the same frame, promises among the arguments and paths that cross entities are
followed here, beside the data; entities only ever see complete calls.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dotdo import codec
from dotdo.errors import (
    CodecError,
    DotdoError,
    HostLost,
    NotAllowed,
    NounNotLoadable,
    OutOfOrder,
    Overloaded,
    Quarantined,
    RemoteError,
    StorageError,
)
from dotdo.rpc import follow, frames
from dotdo.rpc.polling import BusyPolling

_log = logging.getLogger("dotdo.rpc")

PATH_LENGTH_MAX = 64
NOT_TAKEN = (HostLost, NounNotLoadable, OutOfOrder, Overloaded, Quarantined, StorageError)
"""Errors after which a call may be taken later. Other errors are its outcome."""


class IncomingCall:
    """One call as an entity gets it, and the way its answer goes."""

    __slots__ = (
        "call_id", "caller", "chain", "entity_id", "is_explicit", "is_message", "is_oneway", "is_repeat", "keeps_outcome", "noun",
        "options", "outcome", "path", "payload", "seq", "session", "then",
    )  # fmt: skip

    def __init__(
        self,
        session: Replier,
        seq: int,
        noun: str,
        entity_id: str,
        path: Sequence[Any],
        payload: bytes | None,
        flags: int,
        call_id: str | None,
        options: dict[str, Any] | None,
    ) -> None:
        self.session = session
        self.seq = seq
        self.noun = noun
        self.entity_id = entity_id
        self.path = path
        self.payload = payload
        self.is_repeat = bool(flags & frames.REPEAT)
        self.is_oneway = bool(flags & frames.ONEWAY)
        self.options = options
        self.is_message = options is not None and self.is_oneway and "sender" in options
        """True for what comes out of an entity's outbox: it has a number, and a bound of its own on how many are on their way."""
        if call_id is None:
            self.is_explicit = False
            self.caller = session.client_id
            self.call_id = f"{session.client_id}.{seq}"
        else:
            self.is_explicit = options is None or "from" not in options or "explicit" in options
            self.caller = self.call_id = call_id
        self.chain: list[str] = (options.get("chain") or []) if options else []
        self.keeps_outcome = False
        self.outcome: tuple[bool, bytes] | None = None
        self.then: list[Callable[[bool, bytes], None]] | None = None

    def resolve(self, blob: bytes) -> None:
        """Answer with an encoded value."""
        if self.keeps_outcome:
            self._keep(True, blob)
        if self.is_oneway:
            self.session.reply([frames.ACK, self.seq])
        else:
            self.session.reply([frames.RESOLVE, self.seq, blob])

    def reject(self, blob: bytes) -> None:
        """Answer with an encoded error."""
        if self.keeps_outcome:
            self._keep(False, blob)
        if self.is_oneway:
            self.session.reply([frames.ACK, self.seq])
        else:
            self.session.reply([frames.REJECT, self.seq, blob])

    def reject_error(self, error: BaseException) -> None:
        """Answer with an error of the runtime's own. A call nobody awaits that could not be taken now is refused: it comes again."""
        if self.is_oneway and isinstance(error, NOT_TAKEN):
            self.refuse_error(error)
        else:
            self.reject(encode_error(error))

    def refuse_error(self, error: BaseException) -> None:
        """Not taken, for now."""
        self.refuse(encode_error(error))

    def refuse(self, blob: bytes) -> None:
        """Say that this was not taken, whether somebody awaits it or not."""
        self.session.reply([frames.REJECT, self.seq, blob])

    def ack(self) -> None:
        """What nobody awaits is committed."""
        self.session.reply([frames.ACK, self.seq])

    def settle(self, error: BaseException | None, blob: bytes) -> None:
        """Answer with a value once it is safe, or with the error that kept it from being so: for `OutputGate.when_safe`."""
        if error is not None:
            self.reject_error(error)
        else:
            self.resolve(blob)

    def settle_receipt(self, error: BaseException | None) -> None:
        """As `settle`, for what nobody awaits."""
        if error is not None:
            self.reject_error(error)
        else:
            self.ack()

    def parked(self, execution_id: str) -> None:
        """Tell an entity that waits that the answer may take days."""
        self.session.reply([frames.PARKED, self.seq, execution_id])

    @property
    def record_key(self) -> tuple[str, int]:
        """Under what the answer is kept: the client and its number, or the call id."""
        if self.caller != self.call_id:
            return self.caller, self.seq
        if not self.is_explicit:  # a client's call that also travels as an argument: kept as the client's
            client, _, number = self.call_id.rpartition(".")
            if number.isdecimal() and "/" not in client:
                return client, int(number)
        return self.caller, 0

    @property
    def low_water(self) -> int:
        """The client holds every answer below this number; 0 for calls with an id of their own."""
        return 0 if self.caller == self.call_id else self.session.low_water

    def _keep(self, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        self.outcome = (ok, blob)
        waiting, self.then = self.then, None
        for callback in waiting or ():
            callback(ok, blob)

    def on_outcome(self, callback: Callable[[bool, bytes], None]) -> None:
        """Call back with the outcome, now or when it is there."""
        if self.outcome is not None:
            callback(*self.outcome)
        else:
            self.then = [*(self.then or ()), callback]


class Replier(Protocol):
    """Where answers go."""

    client_id: str
    low_water: int

    def reply(self, message: list[Any]) -> None: ...


class CallTarget(Protocol):
    """What takes calls: the host."""

    def deliver(self, call: IncomingCall) -> None:
        """Give a call to its entity."""

    def barrier(self, session: ServerSession, noun: str, entity_id: str) -> None:
        """The client sends straight to the entity's own host once all it sent through this one has arrived there."""

    async def call_out(self, noun: str, entity_id: str, path: list[Any], payload: bytes | None, call_id: str | None) -> bytes:
        """Call any entity, here or on another host."""


class ServerSession(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, target: CallTarget, token: str, loop: asyncio.AbstractEventLoop, sessions: set[Any] | None = None) -> None:
        self._target = target
        self._token = token
        self._loop = loop
        self._parser = frames.Parser(frames.HELLO_BYTES_MAX)
        self._transport: Any = None
        self._replies: list[list[Any]] = []
        self._is_scheduled = False
        self._is_reading = False
        self._is_known = False
        self._is_refused = False
        self._sessions = sessions
        self._tasks: set[asyncio.Task[None]] = set()
        self._polling = BusyPolling(loop)
        self.client_id = ""
        self.low_water = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._sessions is not None:
            self._sessions.add(self)

    def connection_lost(self, _error: BaseException | None) -> None:
        self._transport = None
        if self._sessions is not None:
            self._sessions.discard(self)

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """End the connection without another byte."""
        self._replies.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            if self._sessions is not None:
                self._sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        self._polling.received()
        if self._is_refused:
            return
        self._is_reading = True
        try:
            for messages in self._parser.feed(data):
                self._frame(messages)
        except Exception as error:  # hostile bytes end their own connection, typed in the log, nothing else
            self._refuse(error)
        finally:
            self._is_reading = False
        if self._replies:
            self._flush()

    def _refuse(self, error: Exception) -> None:
        """The last word on this connection: why it is closed, for whoever can read it."""
        _log.warning("a connection was closed: %s: %s", type(error).__name__, error)
        self._is_refused = True
        if self._transport is not None:
            code, text = (error.code, str(error)) if isinstance(error, DotdoError) else (frames.FrameError.code, "a message is malformed")
            self._transport.write(frames.encode([[frames.REFUSED, code, text]]))
            self._transport.close()

    def _frame(self, messages: list[list[Any]]) -> None:
        if not self._is_known:
            self._greet(messages)
            return
        bases: dict[int, IncomingCall] | None = None
        for message in messages:
            if message[0] == frames.PIPE:
                bases = {}
                break
        deliver = self._target.deliver
        for message in messages:
            kind = message[0]
            if kind == frames.CALL:
                call = self._call(*message[1:])
                if bases is not None:
                    call.keeps_outcome = True
                    bases[call.seq] = call
                if message[6] & frames.PROMISES:
                    self._spawn(self._fill_then_deliver(call))
                else:
                    deliver(call)
            elif kind == frames.PIPE:
                assert bases is not None
                self._pipe(message, bases)
            elif kind == frames.RELEASE:
                self.low_water = max(self.low_water, int(message[1]))
            elif kind == frames.PING:
                self.reply([frames.PONG])
            elif kind == frames.BARRIER:
                self._target.barrier(self, str(message[1]), str(message[2]))
            elif kind != frames.PONG:
                raise frames.FrameError(f"unknown message type {kind}")

    def _greet(self, messages: list[list[Any]]) -> None:
        hello = messages[0] if messages else []
        if len(hello) != 5 or hello[0] != frames.HELLO or hello[1] != frames.VERSION:
            raise frames.FrameError("the first message is not a greeting of this version")
        if not isinstance(hello[2], str) or not hmac.compare_digest(hello[2].encode(), self._token.encode()):
            raise NotAllowed("the token is wrong: only who can reach the Ray cluster learns it")
        if not isinstance(hello[3], str) or not 1 <= len(hello[3]) <= 100:
            raise frames.FrameError("the client has no id")
        self.client_id = hello[3]
        self._is_known = True
        self._parser.limit = frames.FRAME_BYTES_MAX
        if len(messages) > 1:
            self._frame(messages[1:])

    def _call(self, seq: Any, noun: Any, entity_id: Any, path: Any, payload: Any, flags: Any, call_id: Any, options: Any) -> IncomingCall:
        if (
            type(seq) is not int or type(noun) is not str or type(entity_id) is not str or type(path) is not list
            or type(flags) is not int or (payload is not None and type(payload) is not bytes)
            or (call_id is not None and type(call_id) is not str) or (options is not None and type(options) is not dict)
            or not 1 <= len(path) <= PATH_LENGTH_MAX
        ):  # fmt: skip
            raise frames.FrameError("a call is malformed")
        return IncomingCall(self, seq, noun, entity_id, path, payload, flags, call_id, options)

    def _spawn(self, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill_then_deliver(self, call: IncomingCall) -> None:
        try:
            assert call.payload is not None
            call.payload = await follow.fill_promises(call.payload, self._target.call_out)
        except BaseException as error:  # the caller's to know
            call.reject_error(error)
            return
        self._target.deliver(call)

    def _pipe(self, message: list[Any], bases: dict[int, IncomingCall]) -> None:
        _, seq, base_seq, path, payload, flags, call_id, options = message
        base = bases.get(base_seq)
        if base is None:
            raise frames.FrameError("a chain on a call that is not in its frame")
        call = self._call(seq, base.noun, base.entity_id, path, payload, flags, call_id, options)
        call.keeps_outcome = True
        bases[seq] = call

        def go_on(ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
            if ok:
                self._spawn(self._follow(call, blob, flags))
            else:
                call.reject(blob)

        base.on_outcome(go_on)

    async def _follow(self, call: IncomingCall, blob: bytes, flags: int) -> None:
        try:
            payload = call.payload
            if payload is not None and flags & frames.PROMISES:
                payload = await follow.fill_promises(payload, self._target.call_out)
            value = await follow.follow(codec.decode(blob), call.path, payload, self._target.call_out, call.call_id)
            call.resolve(codec.encode(value))
        except BaseException as error:  # the caller's to know
            call.reject_error(error)

    # -- answers ------------------------------------------------------------------------------------------------

    def reply(self, message: list[Any]) -> None:
        self._replies.append(message)
        if not self._is_reading and not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        replies, self._replies = self._replies, []
        if replies and self._transport is not None:
            self._transport.write(frames.encode(replies))
            self._polling.sent()


def encode_error(error: BaseException) -> bytes:
    """An error as bytes, whatever it holds."""
    try:
        return codec.encode(error)
    except CodecError:
        return codec.encode(RemoteError(f"{type(error).__name__}: {error}", type_name=type(error).__qualname__))
