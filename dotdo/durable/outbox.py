"""The outbox: messages nobody awaits, kept in the transaction that sent them until the receiver has them.

A message is a row in the same commit as the turn that sent it, so it exists exactly if the turn happened. The host
delivers it once the commit is safe; the receiver takes its number in the commit of what it does with it, and drops a
number it has taken before. Acknowledged rows are deleted with the next commit, not by one of their own.

The numbers of a new file begin at the time of day: receivers remember the last number of a sender, and an entity that is
deleted and made again must not begin below it.

A message whose arguments hold promises goes when their values are here. It holds nobody back meanwhile, so it bears no
number: the receiver knows a repeat by its call id.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dotdo import clock, codec
from dotdo.errors import DotdoError
from dotdo.rpc import follow, frames
from dotdo.storage import journal

if TYPE_CHECKING:
    from dotdo.durable.ports import LedgerHost
    from dotdo.entity.activation import Activation

_COUNTER = "outbox"
PROMISES_AGAIN_SECONDS = 1.0
"""A promise among the arguments that could not be had for now is asked for again after so long."""

_log = logging.getLogger("dotdo")


class _Delivery:
    """Receives the acknowledgement of one message."""

    __slots__ = ("_outbox", "_seq")

    def __init__(self, outbox: Outbox, seq: int) -> None:
        self._outbox = outbox
        self._seq = seq

    def replied(self, kind: int, _value: Any) -> None:
        if kind != frames.PARKED:
            self._outbox.was_acked(self._seq)


class Outbox:
    """One entity's outgoing messages, in order."""

    def __init__(self, activation: Activation, host: LedgerHost) -> None:
        self._activation = activation
        self._host = host
        self._last = -1
        self._fresh: list[tuple[int, str, str, bytes]] = []
        self._unacked: dict[int, tuple[str, str, bytes]] = {}
        self._acked: list[int] = []
        self._is_stopped = False

    @property
    def has_new(self) -> bool:
        """True if the turn that ends sent something."""
        return bool(self._fresh)

    @property
    def is_empty(self) -> bool:
        return not self._unacked and not self._fresh

    def load(self) -> None:
        """Read what was not acknowledged (worker thread, file open)."""
        for seq, noun, entity_id, message in journal.outgoing(self._activation.file):
            self._unacked[seq] = (noun, entity_id, message)

    def put(self, noun: str, entity_id: str, path: list[Any], payload: bytes, call_id: str, *, has_promises: bool = False) -> None:
        """Add a message to the transaction that is being put together."""
        file = self._activation.file
        if self._last < 0:
            self._last = journal.counter(file, _COUNTER) or int(clock.wall_now() * 1e6)
        self._last += 1
        message = codec.encode([path, payload, call_id, has_promises])
        journal.put_outgoing(file, self._last, noun, entity_id, message)
        journal.put_counter(file, _COUNTER, self._last)
        self.forget_acked()
        self._fresh.append((self._last, noun, entity_id, message))

    def forget_acked(self) -> None:
        """Delete acknowledged rows in the transaction that is being put together."""
        for seq in self._acked:
            journal.forget_outgoing(self._activation.file, seq)
        self._acked.clear()

    def send_new(self) -> None:
        """The transaction is committed: deliver its messages once it is safe."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        for seq, noun, entity_id, message in fresh:
            self._unacked[seq] = (noun, entity_id, message)
        self._activation.gate.when_safe(lambda error: None if error else self._send([f[0] for f in fresh], repeat=False))

    def send_all(self, *, repeat: bool) -> None:
        """After an activation: deliver again what was not acknowledged."""
        if self._unacked:
            numbers = list(self._unacked)
            self._activation.gate.when_safe(lambda error: None if error else self._send(numbers, repeat=repeat))

    def drop_fresh(self) -> None:
        """The transaction was rolled back."""
        self._fresh.clear()
        self._last = -1

    def stop(self) -> None:
        self._is_stopped = True

    def _send(self, numbers: list[int], *, repeat: bool) -> None:
        key = self._activation.key
        for seq in numbers:
            if self._is_stopped or seq not in self._unacked:
                continue
            noun, entity_id, message = self._unacked[seq]
            parts: Any = codec.decode(message)
            path, payload, call_id, has_promises = parts
            if has_promises:
                self._activation.host.loop.create_task(self._fill_then_send(seq, noun, entity_id, path, payload, call_id))
                continue
            options = {"sender": key, "number": seq, "chain": []}
            flags = frames.ONEWAY | (frames.REPEAT if repeat else 0)
            self._host.send_call(noun, entity_id, path, payload, flags, call_id, options, _Delivery(self, seq))

    async def _fill_then_send(self, seq: int, noun: str, entity_id: str, path: list[Any], payload: bytes, call_id: str) -> None:
        try:
            filled = await follow.fill_promises(payload, self._host.call_out)
        except Exception as error:  # of an argument's call: without its value there is nothing to send
            if self._is_stopped:
                return
            if isinstance(error, DotdoError) and error.retryable:
                clock = self._activation.host.clock
                clock.call_at(clock.now() + PROMISES_AGAIN_SECONDS, lambda: self._send([seq], repeat=True))
                return
            _log.warning("%s: a call of %s/%s was not sent: %s: %s", self._activation.key, noun, entity_id, type(error).__name__, error)
            self.was_acked(seq)
            return
        if not self._is_stopped:
            flags = frames.ONEWAY | frames.REPEAT
            self._host.send_call(noun, entity_id, path, filled, flags, call_id, {"chain": []}, _Delivery(self, seq))

    def was_acked(self, seq: int) -> None:
        """The receiver has the message."""
        if self._is_stopped or self._unacked.pop(seq, None) is None:
            return
        self._acked.append(seq)
        if not self._unacked:
            self._activation.host.touched(self._activation)
