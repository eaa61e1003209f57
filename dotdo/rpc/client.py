"""The caller outside entities: one per event loop.

What is written in one tick leaves at its end, in one frame per host. The end is one loop pass after the first record, and
one pass later if something recorded is not awaited yet, because `gather` awaits its promises a pass late.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from dotdo import codec
from dotdo.clock import wall_now
from dotdo.errors import CallTimeout, CodecError, DotdoError, RemoteError, mark_remote
from dotdo.rpc import frames
from dotdo.rpc.follow import fill_promises, follow
from dotdo.rpc.link import Link, Router
from dotdo.rpc.links import Links
from dotdo.rpc.node import IMPLICIT, Node


def new_client_id() -> str:
    """An id for a client connection; it carries its start, so that stale repeats can be told."""
    return f"c{secrets.token_hex(6)}{int(wall_now()):x}"


class Client:
    """Records nodes, sends them, and gives their values."""

    def __init__(self, router: Router, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._call_soon = loop.call_soon
        self._create_future = loop.create_future
        self.client_id = new_client_id()
        self._links = Links(router, self.client_id, "client", loop)
        self._recorded: list[Node] = []
        self._is_scheduled = False
        self._waits_a_pass = False
        self._next_seq = 1
        self.waiting = 0
        self.on_waiting: Callable[[], None] | None = None
        self.call_later: Callable[[float, Callable[[], None]], Any] = loop.call_later

    # -- Caller -------------------------------------------------------------------------------------------------

    def record(self, node: Node) -> None:
        node.owner = self
        node.seq = self._next_seq
        self._next_seq += 1
        if node.call_id is None:
            node.call_id = f"{self.client_id}.{node.seq}"
        self._recorded.append(node)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._waits_a_pass = False
            self._call_soon(self._tick)

    def pull(self, node: Node) -> Awaitable[Any]:
        owner = node.owner
        if owner is None:
            if node.base is not None and node.base.owner is not None and node.base.owner is not self:
                return self._bridge(node, node.base.owner)
            self.record(node)
        elif owner is not self:
            return self._bridge(node, owner)
        node.is_wanted = True
        future = node.future
        if future is None:
            node.future = future = self._create_future()
            self.waiting += 1
            if node.slot is not None:
                self._settle(node, *node.slot)
            elif node.options is not None and node.options.timeout_s is not None:
                self._limit(node, node.options.timeout_s)
            if self.on_waiting is not None:
                self.on_waiting()
        return future  # type: ignore[no-any-return]

    @property
    def is_cut_off(self) -> bool:
        """True while something waits for a connection to its host."""
        return any(link.is_cut_off for link in self._links)

    def result(self, node: Node, timeout_s: float | None) -> Any:
        raise RuntimeError(f"{node.text}.result() blocks, and an event loop is running here: await it instead")

    def _bridge(self, node: Node, owner: Any) -> Awaitable[Any]:
        """A promise made on another loop (or without one) is awaited here."""

        async def get() -> Any:
            return await owner.pull(node)

        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(get(), owner.loop), loop=self.loop)

    def _limit(self, node: Node, timeout_s: float) -> None:
        future = node.future

        def expire() -> None:
            if not future.done():
                future.set_exception(CallTimeout(f"{node.text} gave no answer within {timeout_s} s; it may still run"))

        handle = self.call_later(timeout_s, expire)
        future.add_done_callback(lambda _f: handle.cancel())

    # -- sending ------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        recorded = self._recorded
        if not self._waits_a_pass:
            for node in recorded:
                if not node.is_wanted:
                    self._waits_a_pass = True
                    self._call_soon(self._tick)
                    return
        self._is_scheduled = False
        self._recorded = []
        links: set[Link] = set()
        sent: dict[Node, Link] | None = {} if len(recorded) > 1 else None
        for node in recorded:
            try:
                link = self._send(node, sent)
            except DotdoError as error:
                self.arrived(node, frames.REJECT, codec.encode(error))
                continue
            if link is not None:
                links.add(link)
                if sent is not None:
                    sent[node] = link
        for link in links:
            link.flush()

    def _send(self, node: Node, sent: dict[Node, Link] | None) -> Link | None:
        """Give the node to its host's link; None if it does not travel (now). `sent` is what this tick has sent."""
        options = node.options
        explicit = extra = None
        if options is not None:
            explicit, extra = options.call_id, options.extra
        flags = frames.PROMISES if node.has_promises else 0
        if node.is_wanted or node.is_held:
            flags |= frames.WANTED
        elif node.is_consumed or node.payload is None:
            return None
        elif node.children == 0:
            flags |= frames.ONEWAY
        if node.is_consumed:
            flags |= frames.REPEAT
        base = node.base
        if base is None:
            link = self._links.to(node.noun, node.entity_id)
            link.post([frames.CALL, node.seq, node.noun, node.entity_id, node.path, node.payload, flags, explicit, extra], node)
            return link
        base_link = sent.get(base) if sent is not None else None
        if base_link is None:
            self.loop.create_task(self._follow_late(node, base))
            return None
        base_link.post([frames.PIPE, node.seq, base.seq, node.path, node.payload, flags, explicit, extra], node)
        return base_link

    async def _follow_late(self, node: Node, base: Node) -> None:
        """A chain on a result that is here already, or on its way."""
        try:
            value = await self.pull(base)
            payload = node.payload
            if payload is not None and node.has_promises:
                payload = await fill_promises(payload, self.call_out)
            result = await follow(value, node.path, payload, self.call_out, node.call_id)
        except BaseException as error:  # it belongs to whoever awaits the node
            self.arrived(node, frames.REJECT, _encode_error(error))
            return
        self.arrived(node, frames.RESOLVE, codec.encode(result))

    async def call_out(self, noun: str, entity_id: str, path: list[Any], payload: bytes | None, call_id: str | None) -> bytes:
        """One call that is not a user's node; its encoded value."""
        link = self._links.to(noun, entity_id)
        answer = Answer(self.loop)
        seq = self._next_seq
        self._next_seq += 1
        flags, options = frames.WANTED, None
        if call_id is not None and call_id.startswith(IMPLICIT):
            call_id, flags, options = call_id.removeprefix(IMPLICIT), flags | frames.REPEAT, {"from": ["", ""]}
        link.send([frames.CALL, seq, noun, entity_id, path, payload, flags, call_id, options], answer)
        return await answer.future

    # -- answers ------------------------------------------------------------------------------------------------

    def arrived(self, node: Node, kind: int, value: Any) -> None:
        if kind == frames.PARKED:
            return
        if node.future is None:
            node.slot = (kind, value)
        else:
            self._settle(node, kind, value)

    def _settle(self, node: Node, kind: int, value: Any) -> None:
        future = node.future
        self.waiting -= 1
        if future.done():
            return
        try:
            if kind == frames.REJECT:
                future.set_exception(decode_error(value))
            else:
                future.set_result(codec.decode(value) if value is not None else None)
        except CodecError as error:
            future.set_exception(error)

    # -- the end ------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Wait until everything recorded so far is sent and answered."""
        while self._recorded or self._is_scheduled:
            await asyncio.sleep(0)
        while any(link.unanswered for link in self._links):
            for link in self._links:
                await link.drained()

    def unacknowledged(self) -> list[str]:
        """What was sent and not answered, as text."""
        texts = []
        for link in self._links:
            for message in link.unanswered:
                if message[0] == frames.CALL:
                    texts.append(f"{message[2]}({message[3]!r}).{'.'.join(str(p) for p in message[4])}")
        return texts

    def close(self) -> None:
        """Close every connection; whoever still waits gets HostLost."""
        self._links.close()


class Answer:
    """Receives one answer as encoded bytes."""

    __slots__ = ("future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[bytes] = loop.create_future()

    def replied(self, kind: int, value: Any) -> None:
        if self.future.done() or kind == frames.PARKED:
            return
        if kind == frames.REJECT:
            self.future.set_exception(decode_error(value))
        else:
            self.future.set_result(value if value is not None else _NONE)


_NONE = codec.encode(None)


def decode_error(blob: bytes) -> BaseException:
    """The exception of a REJECT."""
    try:
        error = codec.decode(blob)
    except CodecError as problem:
        return problem
    if not isinstance(error, BaseException):
        return RemoteError(f"the call failed with {error!r}")
    return mark_remote(error)


def _encode_error(error: BaseException) -> bytes:
    try:
        return codec.encode(error)
    except CodecError:
        return codec.encode(RemoteError(f"{type(error).__name__}: {error}"))
