"""A link: one connection to one host, kept up, with every call that waits for an answer.

What is sent in one loop tick leaves in one frame. When the connection breaks, the link connects again and sends what is
unanswered once more, marked as a repeat: the callee answers it from its record, re-attaches it to the call that still
runs, or runs it if it never arrived. Callers see a late answer, not an error. A chain waits for the answer of its base; the
base is kept for as long, for it must stand in the same frame when the chain is sent again.

A link to a dedicated host (`links`) does not connect again: when it breaks, its calls go to the entity's owner.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from dotdo import codec
from dotdo.errors import DotdoError, HostLost, NotAllowed
from dotdo.rpc import frames
from dotdo.rpc.polling import BusyPolling
from dotdo.rpc.stats import COUNTERS

_log = logging.getLogger("dotdo.rpc")

CONNECT_RETRY_SECONDS = 0.02
CONNECT_RETRY_SECONDS_MAX = 0.5
GIVE_UP_SECONDS = 120.0
REFUSED_AGAIN_SECONDS = 0.25

_WITH_ANSWER = frozenset({frames.CALL, frames.PIPE})
_ANSWERS = frozenset({frames.RESOLVE, frames.REJECT, frames.ACK})


class Receiver(Protocol):
    """Who a reply is for."""

    def replied(self, kind: int, value: Any) -> None:
        """RESOLVE and a blob, REJECT and a blob, PARKED and an execution id, or ACK and None."""


class Router(Protocol):
    """Where entities live and how to reach their hosts."""

    token: str

    def host_of(self, noun: str, entity_id: str) -> str:
        """The name of the host that an entity's calls go to."""

    async def connect(self, host: str, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseTransport:
        """A connection to a host; raises OSError while there is none."""

    def host_names(self) -> list[str]:
        """The hosts that own shards."""

    def learn(self, host: str, address: list[Any]) -> None:
        """Where a dedicated host listens, as its owner says."""


class Switchboard(Protocol):
    """Who keeps the links of one caller: see `links`."""

    def moved(self, owner: Link, noun: str, entity_id: str, host: str, address: list[Any], /) -> None:
        """The owner says that the entity has a host of its own, and where."""

    def passed(self, noun: str, entity_id: str, /) -> None:
        """The owner says that all before has arrived there."""

    def owner_lost(self, owner: Link, /) -> None:
        """The connection to an owner broke."""

    def gone(self, link: Link, /) -> None:
        """A dedicated host cannot be reached."""


class _Answered:
    """Stands for a base whose answer is here, while chains on it wait for theirs."""

    def replied(self, kind: int, value: Any) -> None:
        """It is answered once more, after it was sent again for its chains' sake."""


_ANSWERED = _Answered()


class Link(asyncio.Protocol):
    """The client's end of a channel."""

    def __init__(
        self,
        router: Router,
        host: str,
        client_id: str,
        kind: str,
        loop: asyncio.AbstractEventLoop,
        *,
        links: Switchboard | None = None,
        owner: Link | None = None,
        entity: tuple[str, str] | None = None,
    ) -> None:
        self.owner = owner
        self.entity = entity
        self.is_held = owner is not None
        self._links = links
        self._bases: dict[int, int] = {}
        self._parked: set[int] = set()
        self._barriers: deque[Callable[[], None]] = deque()
        self._router = router
        self._host = host
        self._client_id = client_id
        self._kind = kind
        self._loop = loop
        self._transport: Any = None
        self._parser = frames.Parser()
        self._pending: dict[int, tuple[list[Any], Receiver]] = {}
        self._outgoing: list[list[Any]] = []
        self._is_scheduled = False
        self._is_connecting = False
        self._is_closed = False
        self._low_water = 0
        self._next_seq = 1
        self._drained: list[asyncio.Future[None]] = []
        self._polling = BusyPolling(loop)

    # -- sending ------------------------------------------------------------------------------------------------

    def send(self, message: list[Any], receiver: Receiver) -> None:
        """Send a CALL or a PIPE at the end of this pass of the loop; its answer comes to `receiver`."""
        self.post(message, receiver)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self.flush)

    def post(self, message: list[Any], receiver: Receiver) -> None:
        """`send`, for a caller that calls `flush` itself."""
        self._pending[message[1]] = (message, receiver)
        self._outgoing.append(message)
        if message[0] == frames.PIPE:
            self._bases[message[2]] = self._bases.get(message[2], 0) + 1
        COUNTERS.calls += 1

    def say(self, message: list[Any]) -> None:
        """Send a message that has no answer of its own, behind everything sent so far."""
        self._outgoing.append(message)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self.flush)

    def barrier(self, passed: Callable[[], None]) -> None:
        """Call back when everything sent so far has arrived, or the connection has broken."""
        self._barriers.append(passed)
        self.say([frames.PING])

    def next_seq(self) -> int:
        """A number for a message of a caller that has no numbers of its own."""
        seq = self._next_seq
        self._next_seq = seq + 1
        return seq

    def forget(self, seq: int) -> None:
        """Nobody waits for this answer any more."""
        self._pending.pop(seq, None)

    def flush(self) -> None:
        """Write what was sent in this tick, as one frame."""
        self._is_scheduled = False
        if not self._outgoing:
            return
        transport = self._transport
        if transport is None:
            if not self.is_held:
                self._connect()
            return
        outgoing, self._outgoing = self._outgoing, []
        low = next(iter(self._pending), 0)
        if self.owner is not None:  # the same entity's calls may still be on their way through its owner
            low = min(low, next(iter(self.owner._pending), low))
        if low > self._low_water:
            self._low_water = low
            outgoing.insert(0, [frames.RELEASE, low])
        self._write(outgoing)

    def _write(self, messages: list[list[Any]]) -> None:
        data = frames.encode(messages)
        COUNTERS.frames_sent += 1
        COUNTERS.bytes_sent += len(data)
        self._transport.write(data)
        self._polling.sent()

    @property
    def is_cut_off(self) -> bool:
        """True while messages wait for a connection that is being made, for the first time or again."""
        return self._transport is None and bool(self._pending) and not self._is_closed

    @property
    def unanswered(self) -> list[list[Any]]:
        """Messages without an answer."""
        return [message for message, _ in self._pending.values()]

    def release(self) -> None:
        """Nothing that was sent another way can be overtaken any more."""
        self.is_held = False
        self.flush()

    def hand_over(self) -> list[tuple[list[Any], Receiver]]:
        """What is unanswered, to be sent another way; marked as repeats, if it was sent. A parked callee answers by itself."""
        fresh = {id(message) for message in self._outgoing}
        pending, self._pending, self._outgoing = self._pending, {}, []
        taken = []
        for seq, (message, receiver) in pending.items():
            if seq in self._parked:
                continue
            if id(message) not in fresh:
                message[6 if message[0] == frames.CALL else 5] |= frames.REPEAT
            taken.append((message, receiver))
        return taken

    def take_over(self, taken: list[tuple[list[Any], Receiver]]) -> None:
        """Post what another link has handed over. The lowest number stays first: below it the callee forgets its answers."""
        for message, receiver in taken:
            self.post(message, receiver)
        in_order = sorted(self._pending.items())
        self._pending.clear()
        self._pending.update(in_order)

    async def drained(self) -> None:
        """Wait until every message has its answer."""
        if self._pending:
            future: asyncio.Future[None] = self._loop.create_future()
            self._drained.append(future)
            await future

    def _goes_again(self, seq: int) -> bool:
        """A program's call that nobody awaits was not taken: it is sent again in a moment, until it is taken or the program ends."""
        entry = self._pending.get(seq)
        message: list[Any] = entry[0] if entry is not None else [None]
        if self._kind != "client" or message[0] != frames.CALL or not message[6] & frames.ONEWAY:
            return False
        message[6] |= frames.REPEAT
        self._loop.call_later(REFUSED_AGAIN_SECONDS, self._send_again, seq)
        return True

    def _send_again(self, seq: int) -> None:
        entry = self._pending.get(seq)
        if entry is None or self._is_closed or self._transport is None:  # a new connection sends all that is pending
            return
        self._outgoing.append(entry[0])
        self.flush()

    # -- the connection -----------------------------------------------------------------------------------------

    def _connect(self) -> None:
        if not self._is_connecting and not self._is_closed:
            self._is_connecting = True
            self._task = self._loop.create_task(self._keep_connecting())

    async def _keep_connecting(self) -> None:
        delay = CONNECT_RETRY_SECONDS
        deadline = self._loop.time() + GIVE_UP_SECONDS
        try:
            while not self._is_closed:
                try:
                    await self._router.connect(self._host, lambda: self)
                except (OSError, DotdoError) as error:
                    if self.entity is not None and self._links is not None:
                        self._links.gone(self)
                        return
                    if isinstance(error, DotdoError):
                        self._fail(error)
                        return
                    if self._loop.time() > deadline:
                        self._fail(HostLost(f"host {self._host} could not be reached for {GIVE_UP_SECONDS:.0f} s: {error}"))
                        return
                    await asyncio.sleep(delay)
                    delay = min(delay * 1.5, CONNECT_RETRY_SECONDS_MAX)
                else:
                    return
        finally:
            self._is_connecting = False
            if self._transport is None and self._pending and not self._is_closed:
                # a dying host's backlog took the connection and dropped it before we were done here
                self._loop.call_later(CONNECT_RETRY_SECONDS, self._connect)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._parser = frames.Parser()
        hello = frames.encode([[frames.HELLO, frames.VERSION, self._router.token, self._client_id, self._kind]])
        transport.write(hello)
        fresh = {id(message) for message in self._outgoing}
        said = [message for message in self._outgoing if message[0] not in _WITH_ANSWER]
        self._outgoing = []
        again = []
        for message, _ in self._pending.values():
            if id(message) not in fresh:
                message[6 if message[0] == frames.CALL else 5] |= frames.REPEAT
            again.append(message)
        again += said
        if again:
            self._write(again)

    def connection_lost(self, _error: BaseException | None) -> None:
        self._transport = None
        barriers, self._barriers = self._barriers, deque()
        self._go_on()
        for passed in barriers:
            passed()

    def _go_on(self) -> None:
        """The connection is lost: what is unanswered goes another way, or the same way again."""
        if self._is_closed:
            return
        if self._links is not None:
            if self.entity is not None:
                self._links.gone(self)
                return
            self._links.owner_lost(self)
        if self._pending:
            self._connect()

    def close(self) -> None:
        """End the link; whoever still waits gets HostLost."""
        self._is_closed = True
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        self._fail(HostLost(f"the connection to host {self._host} was closed"))

    def _fail(self, error: DotdoError) -> None:
        pending, self._pending = self._pending, {}
        self._outgoing = []
        self._bases.clear()
        blob = codec.encode(error)
        for _, receiver in pending.values():
            receiver.replied(frames.REJECT, blob)
        self._wake_drained()

    def _wake_drained(self) -> None:
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    # -- receiving ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._polling.received()
        COUNTERS.bytes_received += len(data)
        try:
            for messages in self._parser.feed(data):
                self._frame(messages)
        except Exception as error:  # a host that sends what is no answer is left, and asked again on a new connection
            _log.warning("the connection to host %s was closed: %s: %s", self._host, type(error).__name__, error)
            if self._transport is not None:
                self._transport.abort()
        if self._drained and not self._pending:
            self._wake_drained()

    def _frame(self, messages: list[list[Any]]) -> None:
        COUNTERS.frames_received += 1
        pending = self._pending
        for message in messages:
            kind = message[0]
            if kind in _ANSWERS:
                if kind != frames.ACK and type(message[2]) is not bytes:
                    raise frames.FrameError("an answer holds no value")  # before its call is forgotten
                if kind == frames.REJECT and self._goes_again(message[1]):
                    continue
                entry = pending.pop(message[1], None) if not self._bases else self._answered(message[1])
                if entry is not None:
                    entry[1].replied(kind, message[2] if len(message) > 2 else None)
            elif kind == frames.PARKED:
                entry = pending.get(message[1])
                if entry is not None:
                    if self.entity is not None:
                        self._parked.add(message[1])
                    entry[1].replied(kind, message[2])
            elif kind == frames.PING:
                self._write([[frames.PONG]])
            else:
                self._said(kind, message)

    def _answered(self, seq: int) -> tuple[list[Any], Receiver] | None:
        """Take what waits for this answer; a base stays as long as a chain on it waits."""
        entry = self._pending.get(seq)
        if entry is None:
            return None
        if seq in self._bases:
            self._pending[seq] = (entry[0], _ANSWERED)
        else:
            self._leave(seq, entry[0])
        return entry

    def _leave(self, seq: int, message: list[Any]) -> None:
        self._pending.pop(seq, None)
        while message[0] == frames.PIPE:
            base = message[2]
            left = self._bases.get(base, 1) - 1
            if left:
                self._bases[base] = left
                return
            self._bases.pop(base, None)
            entry = self._pending.get(base)
            if entry is None or entry[1] is not _ANSWERED:
                return
            del self._pending[base]
            message = entry[0]

    def _said(self, kind: int, message: list[Any]) -> None:
        """What a host says of itself."""
        if kind == frames.PONG and self._barriers:
            self._barriers.popleft()()
        elif kind == frames.MOVED and self._links is not None:
            self._links.moved(self, *message[1:])
        elif kind == frames.PASSED and self._links is not None:
            self._links.passed(message[1], message[2])
        elif kind == frames.REFUSED:
            _log.warning("host %s refused the connection: %s", self._host, message[2])
            if message[1] == NotAllowed.code:
                self._fail(NotAllowed(f"host {self._host} refused the connection: {message[2]}"))
