"""`send`: say that something happened, or ask for something to be done.

    send("Order.created", order)       send.Order.created(order)       send(N.Payment.process, order=order)

What is sent goes to the log of its name (`dotdo.nouns.event_log`), which keeps it and hands it to everyone who listens. It
goes in any case, awaited or not: inside an entity with the turn's commit, outside at the end of the tick. Awaited, it
gives what the handlers answer.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any, Protocol

from dotdo import clock, codec
from dotdo.durable.event_waits import EVENT_LOG
from dotdo.errors import CodecError, DefinitionError, NoKey
from dotdo.events import names, registry
from dotdo.events.event import Event, current_event
from dotdo.events.names import EventName
from dotdo.rpc import caller as callers
from dotdo.rpc.node import CallOptions, Node
from dotdo.rpc.promise import CallPromise, make_options


class Watcher(Protocol):
    """Looks at what this process sends (a test's mailbox)."""

    def sent(self, event_id: str) -> None:
        """An event is about to leave that is not delayed; a replay sends it again under the same id."""

    def published(self, event: Event, to: str | None) -> None:
        """The turn of an entity that sends it is committed, so it will be published."""


watchers: list[Watcher] = []

VIA_MAX = 64
"""So many handlers may lead from one event to the next; a longer chain is a loop."""


class _EventNode(Node):
    """The call to the log: for the answers of the handlers if somebody may want them, else for its receipt."""

    __slots__ = ("wants_receipt",)
    wants_receipt: bool

    @property
    def path(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("ask",) if (self.is_wanted or self.is_held) and not self.wants_receipt else ("publish",)

    @path.setter
    def path(self, _path: Any) -> None: ...


class Delivery(CallPromise):
    """What `send` gives: sent already; await it for what the handlers answer."""

    __slots__ = ("id",)
    id: str

    async def queued(self) -> None:
        """Wait until the event is safe with its log; of its handlers only if it had left before this was called."""
        node = self._do_get_node()
        assert isinstance(node, _EventNode)
        node.wants_receipt = True
        await callers.current().pull(node)


class Send:
    """`send`, for code inside and outside entities."""

    __slots__ = ("_options",)

    def __init__(self, options: CallOptions | None = None) -> None:
        self._options = options

    def with_options(self, *, call_id: str) -> Send:
        """`send` of an event that goes once: the same id, name and payload again send nothing, and give the first answer.

        Args:
            call_id: 1 to 200 characters; known for as long as the ids of calls are.

        Raises:
            CallIdConflict: (when awaited) the id was used for the same name with another payload.
        """
        return Send(make_options(call_id, None))

    def __call__(
        self, name: str | EventName, /, *payload: Any, to: str | EventName | None = None, send_at: datetime | None = None, **fields: Any
    ) -> Delivery:
        """Send an event or a command.

        Args:
            name: "Order.created" or N.Order.created; a noun alone means its verb `send`.
            payload: one value, or nothing and keywords instead.
            to: the id of the entity a command is for; else the payload's "$id" or "id" says. Where no method of a noun takes
                the name, it is a keyword of the payload as well: `send.Email(to="ann@example.org")`.
            send_at: an aware datetime; a time in the past means now.

        Raises:
            DefinitionError, CodecError: the name or the payload cannot be sent.
            NoKey: a command for a noun's method does not say which entity it is for.
        """
        text = str(names.parse_event(name))
        if names.is_signal(text):
            if not text[:1].isupper():
                raise DefinitionError(f"send({text!r}): a bare word is a signal; send it to an execution with execution.signal({text!r})")
            noun, at, scope = text.partition("@")
            text = f"{noun}.send{at}{scope}"
        if len(payload) > 1 or (payload and fields):
            raise DefinitionError(f"send({text!r}) takes one payload or keywords, not {len(payload)} values and {len(fields)} keywords")
        if to is not None and not payload:
            fields = {"to": to, **fields}
        data = payload[0] if payload else (fields or None)
        if to is None and names.scope_of(text) is None and registry.command_noun(text) is not None:
            entity_of(text, data)
        receiver = None if to is None else str(to)
        return _send(text, data, receiver, send_at, self._options, is_keywords=bool(fields), has_data=bool(payload or fields))

    def __getattr__(self, noun: str) -> _Sending:
        if noun.startswith("_"):
            raise AttributeError(noun)
        return _Sending(self, names.parse_event(noun))

    def __getitem__(self, name: Any) -> _Sending:
        return _Sending(self, name if isinstance(name, EventName) else names.parse_event(name))

    def __repr__(self) -> str:
        return "send"


class _Sending:
    """`send.Order.created`."""

    __slots__ = ("_name", "_send")

    def __init__(self, send: Send, name: EventName) -> None:
        self._send = send
        self._name = name

    def __getattr__(self, verb: str) -> _Sending:
        if verb.startswith("_"):
            raise AttributeError(verb)
        return _Sending(self._send, self._name[verb])

    def __getitem__(self, verb: str) -> _Sending:
        return _Sending(self._send, self._name[verb])

    def __call__(self, *payload: Any, **fields: Any) -> Delivery:
        return self._send(self._name, *payload, **fields)


def entity_of(name: str, data: Any, key: str | None = None) -> str:
    """Which entity an event or a command is for, by its data. Raises NoKey."""
    for field in (key,) if key is not None else ("$id", "id"):
        value = value_of(data, field)
        if value is not None:
            return value if isinstance(value, str) else str(value)
    wanted = repr(key) if key is not None else "'$id' or 'id'"
    raise NoKey(f"{name}: its payload has no {wanted} that says which entity it is for; give to='...' or key='...'")


def value_of(data: Any, field: str) -> Any:
    """A field of a payload, or None."""
    return data.get(field) if isinstance(data, dict) else getattr(data, field.lstrip("$"), None)


def _send(
    name: str, data: Any, to: str | None, send_at: datetime | None, options: CallOptions | None, *, is_keywords: bool, has_data: bool
) -> Delivery:
    cause = current_event()
    via = cause.via if cause is not None else ()
    caller = callers.current()
    ledger = getattr(caller, "ledger", None)
    at = None  # of what goes once the log says when: a repeat is to be the same to the byte
    if ledger is not None and options is None:
        at = clock.to_datetime(ledger.handed(ledger.activation.host.clock.now))
    source = ledger.activation.key if ledger is not None else ""
    node = _EventNode(EVENT_LOG, name.partition("@")[0], None, (), b"", options)
    node.wants_receipt = False
    promise = Delivery(node)
    due = None if send_at is None else clock.to_epoch(send_at)
    if options is not None:
        identity = hashlib.blake2b(f"{name} {options.call_id}".encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    else:
        identity = secrets.token_hex(8) if ledger is None else ledger.handed(lambda: secrets.token_hex(8))
    event = Event(identity, name, data, at, source, is_keywords, has_data, via[-VIA_MAX:])
    try:
        node.payload = codec.encode([[event, to, due], {}])
    except CodecError as error:
        raise CodecError(f"the payload of {name}: {error}") from None
    promise.id = identity
    caller.record(node)
    if due is None:
        for watcher in watchers:
            _tell(watcher, node, event, to, None if ledger is None else ledger.activation)
    return promise


def _tell(watcher: Watcher, node: Node, event: Event, to: str | None, sender: Any) -> None:
    watcher.sent(event.id)
    if sender is not None and sender.turn is not None and not sender.in_transaction:
        sender.turn.then(lambda: None if node.slot.is_undone else watcher.published(event, to))


send = Send()
