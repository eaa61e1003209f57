"""The outbox: messages nobody awaits, kept in the transaction that sent them until the receiver has them.

A message is a row in the same commit as the turn that sent it, so it exists exactly if the turn happened. The host
delivers it once the commit is safe; the receiver takes its number in the commit of what it does with it, and drops a
number it has taken before. Acknowledged rows are deleted with the next commit, not by one of their own.

The numbers of a new file begin at the time of day: receivers remember the last number of a sender, and an entity that is
deleted and made again must not begin below it.

Messages to one receiver are a line. So many of a line are on their way at once; each says which one must have come before
it, and the receiver refuses one that is out of order. A refused message (the receiver's file failed, its host cannot be
reached, its code is not there) holds its line, and is sent again after a growing delay; the entity may sleep meanwhile.

A message whose arguments hold promises goes when their values are here. It is in no line and bears no number: the
receiver knows a repeat by its call id.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from dotdo import clock, codec
from dotdo.errors import DotdoError
from dotdo.rpc import follow, frames
from dotdo.storage import journal

if TYPE_CHECKING:
    from dotdo.durable.ports import LedgerHost
    from dotdo.entity.activation import Activation

_COUNTER = "outbox"
IN_FLIGHT_MAX = 256
"""So many messages of one line are on their way at once."""
LINES_IN_FLIGHT_MAX = 500
"""So many receivers have something to answer at once; each may have to open its file for it."""
SENT_AT_ONCE_MAX = 16
"""So many leave one after another before the loop sees to others."""
AGAIN_SECONDS, AGAIN_SECONDS_MAX = 0.05, 60.0
"""A refused message is sent again after so long, twice as long each time, and never longer than that."""

_log = logging.getLogger("dotdo")


class _Line:
    """The messages to one receiver that it has not acknowledged."""

    __slots__ = ("again_at", "delay_s", "messages", "on_their_way", "timer", "waiting")

    def __init__(self) -> None:
        self.messages: dict[int, bytes] = {}
        self.waiting: deque[int] = deque()
        self.on_their_way: set[int] = set()
        self.delay_s = AGAIN_SECONDS
        self.again_at: float | None = None
        self.timer: Any = None

    def add(self, number: int, message: bytes) -> None:
        """One more, at the end."""
        self.messages[number] = message
        self.waiting.append(number)

    def wait_again(self) -> None:
        """What was refused goes before what has not been sent yet."""
        self.waiting = deque(number for number in self.messages if number not in self.on_their_way)

    def before(self, number: int) -> int:
        """The message that must have come before this one: the last of those on their way that is older; 0 for none."""
        return max((other for other in self.on_their_way if other < number), default=0)

    @property
    def is_at_rest(self) -> bool:
        """True while nothing is on its way, and nothing goes before a time."""
        return not self.on_their_way and (self.again_at is not None or not self.messages)


class _Delivery:
    """Receives the answer to one message."""

    __slots__ = ("_number", "_outbox", "_place")

    def __init__(self, outbox: Outbox, place: tuple[str, str] | None, number: int) -> None:
        self._outbox = outbox
        self._place = place
        self._number = number

    def replied(self, kind: int, value: Any) -> None:
        if kind == frames.PARKED:
            return
        if self._place is None:
            self._outbox.promises_answered(self._number, was_taken=kind != frames.REJECT)
        elif kind == frames.REJECT:
            self._outbox.was_refused(self._place, self._number, value)
        else:
            self._outbox.was_acked(self._place, self._number)


class Outbox:
    """One entity's outgoing messages, in order."""

    def __init__(self, activation: Activation, host: LedgerHost) -> None:
        self._activation = activation
        self._host = host
        self._last = -1
        self._fresh: list[tuple[int, str, str, bytes, bool]] = []
        self._lines: dict[tuple[str, str], _Line] = {}
        self._with_promises: dict[int, tuple[str, str, bytes]] = {}
        self._acked: list[int] = []
        self._leaving: deque[tuple[tuple[str, str], bool]] = deque()
        self._busy: set[tuple[str, str]] = set()
        self._is_sending = False
        self._is_stopped = False

    @property
    def has_new(self) -> bool:
        """True if the turn that ends sent something."""
        return bool(self._fresh)

    @property
    def is_at_rest(self) -> bool:
        """True when nothing goes before a time: the entity may sleep until then."""
        if self._fresh or self._with_promises:
            return False
        return not self._lines or all(line.is_at_rest for line in self._lines.values())

    def due_times(self) -> list[float]:
        """When refused messages go again."""
        return [line.again_at for line in self._lines.values() if line.again_at is not None]

    def load(self) -> None:
        """Read what was not acknowledged (worker thread, file open)."""
        for number, noun, entity_id, message in journal.outgoing(self._activation.file):
            parts: Any = codec.decode(message)
            self._enter(number, noun, entity_id, message, has_promises=parts[3])

    def _enter(self, number: int, noun: str, entity_id: str, message: bytes, *, has_promises: bool) -> None:
        if has_promises:
            self._with_promises[number] = (noun, entity_id, message)
            return
        line = self._lines.get((noun, entity_id))
        if line is None:
            line = self._lines[(noun, entity_id)] = _Line()
        line.add(number, message)

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
        self._fresh.append((self._last, noun, entity_id, message, has_promises))

    def forget_acked(self) -> None:
        """Delete acknowledged rows in the transaction that is being put together."""
        for number in self._acked:
            journal.forget_outgoing(self._activation.file, number)
        self._acked.clear()

    def send_new(self) -> None:
        """The transaction is committed: deliver its messages once it is safe."""
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, []
        places: dict[tuple[str, str], None] = {}
        alone = []
        for number, noun, entity_id, message, has_promises in fresh:
            self._enter(number, noun, entity_id, message, has_promises=has_promises)
            if has_promises:
                alone.append(number)
            else:
                places[noun, entity_id] = None
        self._activation.gate.when_safe(lambda error: None if error else self._go(list(places), alone))

    def send_all(self) -> None:
        """After an activation: deliver again what was not acknowledged."""
        if self._lines or self._with_promises:
            places, alone = list(self._lines), list(self._with_promises)
            self._activation.gate.when_safe(lambda error: None if error else self._go(places, alone, repeat=True))

    def drop_fresh(self) -> None:
        """The transaction was rolled back."""
        self._fresh.clear()
        self._last = -1

    def stop(self) -> None:
        """Send nothing more, leave no timer."""
        self._is_stopped = True
        for line in self._lines.values():
            if line.timer is not None:
                line.timer.cancel()

    # -- lines --------------------------------------------------------------------------------------------------

    def _go(self, places: list[tuple[str, str]], alone: list[int], *, repeat: bool = False) -> None:
        self._leaving.extend((place, repeat) for place in places)
        self._send_on()
        for number in alone:
            if not self._is_stopped and number in self._with_promises:
                self._activation.host.loop.create_task(self._fill_then_send(number))

    def _send_on(self) -> None:
        if self._leaving and not self._is_sending:
            self._send_some()

    def _send_some(self) -> None:
        """Line after line, in slices: a fan-out to thousands must hold neither its sender nor those beside it."""
        self._is_sending = True
        left = SENT_AT_ONCE_MAX
        while self._leaving and left > 0:
            place, repeat = self._leaving[0]
            if len(self._busy) >= LINES_IN_FLIGHT_MAX and place not in self._busy:
                self._is_sending = False  # goes on when one of them has answered
                return
            left -= self._pump(place, repeat=repeat, most=left)
            if left > 0:
                self._leaving.popleft()
        self._is_sending = bool(self._leaving)
        if self._is_sending:
            self._activation.host.loop.call_soon(self._send_some)

    def _pump(self, place: tuple[str, str], *, repeat: bool = False, most: int = IN_FLIGHT_MAX) -> int:
        """Send of a line what may go now; how many went."""
        line = self._lines.get(place)
        sent = 0
        while line is not None and line.waiting and line.again_at is None and len(line.on_their_way) < IN_FLIGHT_MAX:
            if self._is_stopped or sent == most:
                break
            number = line.waiting.popleft()
            message = line.messages.get(number)
            if message is None:
                continue
            before = line.before(number)
            line.on_their_way.add(number)
            self._busy.add(place)
            self._send(place, number, before, message, repeat=repeat)
            sent += 1
        return sent

    def _send(self, place: tuple[str, str], number: int, before: int, message: bytes, *, repeat: bool) -> None:
        parts: Any = codec.decode(message)
        path, payload, call_id, _ = parts
        options = {"sender": self._activation.key, "number": number, "after": before, "chain": []}
        flags = frames.ONEWAY | (frames.REPEAT if repeat else 0)
        self._host.send_call(*place, path, payload, flags, call_id, options, _Delivery(self, place, number))

    def _was_answered(self, place: tuple[str, str], line: _Line, number: int) -> None:
        line.on_their_way.discard(number)
        if not line.on_their_way:
            self._busy.discard(place)

    def was_acked(self, place: tuple[str, str], number: int) -> None:
        """The receiver has the message."""
        line = self._lines.get(place)
        if self._is_stopped or line is None or line.messages.pop(number, None) is None:
            return
        self._was_answered(place, line, number)
        line.delay_s = AGAIN_SECONDS
        self._acked.append(number)
        if line.messages:
            self._pump(place)
        elif line.timer is None and self._lines.get(place) is line:
            del self._lines[place]
        self._send_on()
        if not self._lines and not self._with_promises:
            self._activation.host.touched(self._activation)

    def was_refused(self, place: tuple[str, str], number: int, reason: bytes) -> None:
        """The receiver does not take the message now: it goes again, and holds those behind it."""
        line = self._lines.get(place)
        if self._is_stopped or line is None or number not in line.messages:
            return
        self._was_answered(place, line, number)
        self._send_on()
        if line.again_at is not None:
            return
        clock = self._activation.host.clock
        line.again_at = clock.now() + line.delay_s
        line.delay_s = min(line.delay_s * 2, AGAIN_SECONDS_MAX)
        line.timer = clock.call_at(line.again_at, lambda: self._again(place))
        _log.info("%s: a message to %s/%s is refused for now: %r", self._activation.key, *place, codec.decode(reason))
        self._activation.host.touched(self._activation)

    def _again(self, place: tuple[str, str]) -> None:
        line = self._lines.get(place)
        if line is not None:
            line.again_at = line.timer = None
            if line.messages:
                line.wait_again()
                self._pump(place, repeat=True)
            else:
                del self._lines[place]

    # -- with promises ------------------------------------------------------------------------------------------

    async def _fill_then_send(self, number: int) -> None:
        noun, entity_id, message = self._with_promises[number]
        parts: Any = codec.decode(message)
        path, payload, call_id, _ = parts
        try:
            filled = await follow.fill_promises(payload, self._host.call_out)
        except Exception as error:  # of an argument's call: without its value there is nothing to send
            if isinstance(error, DotdoError) and error.retryable:
                self.promises_answered(number, was_taken=False)
                return
            _log.warning("%s: a call of %s/%s was not sent: %s: %s", self._activation.key, noun, entity_id, type(error).__name__, error)
            self.promises_answered(number, was_taken=True)
            return
        if not self._is_stopped:
            flags = frames.ONEWAY | frames.REPEAT
            self._host.send_call(noun, entity_id, path, filled, flags, call_id, {"chain": []}, _Delivery(self, None, number))

    def promises_answered(self, number: int, *, was_taken: bool) -> None:
        """The receiver has a message that held promises, or it goes again."""
        if self._is_stopped or number not in self._with_promises:
            return
        if not was_taken:
            clock = self._activation.host.clock
            clock.call_at(clock.now() + 1.0, lambda: self._go([], [number]))
            return
        del self._with_promises[number]
        self._acked.append(number)
        if not self._lines and not self._with_promises:
            self._activation.host.touched(self._activation)
