"""The log of one event's name: an entity that numbers what is published, keeps it for a while, and hands it out.

    who listens                                      how it gets the event
    a noun's method that a command names             a delivery to that entity
    functions and methods declared with `on`         a delivery to the function's entity, or to the one the key names
    entities that subscribed while they ran          a delivery to them
    executions that wait for it                      an offer, one event at a time

Deliveries and offers leave through this entity's outbox, in the commit that publishes the event; many of them in pages,
so that nobody waits for a fan-out to ten thousand. An awaited event is different in one thing: its exact handlers are
asked here, and their answers go back.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from dotdo import clock, codec
from dotdo.durable.deliveries import DEAD_LETTERS
from dotdo.durable.event_waits import EVENT_LOG
from dotdo.durable_object.do import DO
from dotdo.errors import NoHandler, NoKey
from dotdo.events import names, registry
from dotdo.events.event import Event
from dotdo.events.registry import Handler
from dotdo.events.sending import entity_of, value_of
from dotdo.events.subscriptions import PATTERNS
from dotdo.events.tense import is_event
from dotdo.hosting import catalog
from dotdo.nouns.functions import Function
from dotdo.nouns.patterns import Patterns
from dotdo.rpc.node import Node
from dotdo.rpc.promise import record_call
from dotdo.rpc.stub import make_stub

PAGE = 100
"""So many subscribers are served in one commit."""

EVENTS_MAX = 100_000
RELOAD_SECONDS = 0.5

_TABLES = """
CREATE TABLE IF NOT EXISTS events(number INTEGER PRIMARY KEY, id TEXT NOT NULL, at REAL NOT NULL, event BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS events_at ON events(at);
CREATE TABLE IF NOT EXISTS delayed(id TEXT PRIMARY KEY, due REAL NOT NULL, event BLOB NOT NULL, entity TEXT);
CREATE TABLE IF NOT EXISTS subscribers(number INTEGER PRIMARY KEY, key TEXT NOT NULL, handler TEXT NOT NULL, pattern TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS subscribers_once ON subscribers(key, handler, pattern);
CREATE TABLE IF NOT EXISTS waits(id TEXT PRIMARY KEY, noun TEXT NOT NULL, entity TEXT NOT NULL, run TEXT NOT NULL, key TEXT NOT NULL,
    fields TEXT NOT NULL, wanted BLOB NOT NULL, after INTEGER NOT NULL, since REAL NOT NULL, taken BLOB NOT NULL, offered INTEGER);
CREATE INDEX IF NOT EXISTS waits_for ON waits(fields, wanted) WHERE offered IS NULL;
"""


class EventLog(DO, noun=EVENT_LOG, max_queue=100_000):
    """The events of one name, as "Order.created"."""

    async def setup(self) -> None:
        for statement in _TABLES.split(";"):
            if statement.strip():
                self.storage.sql(statement)
        if not self.storage.get("joined"):
            for subscriber in await Patterns(PATTERNS[1]).join(self.id):
                self.storage.sql("INSERT OR IGNORE INTO subscribers(key, handler, pattern) VALUES(?, ?, ?)", *subscriber)
            self.storage.put("joined", True)
        self._reloaded = 0.0
        # What there is to look for, at least: a look into an empty table costs as much as one that finds something.
        self._shapes = {row["fields"] for row in self.storage.sql("SELECT DISTINCT fields FROM waits").all()}
        self._has_subscribers = self.storage.sql("SELECT count(*) AS n FROM subscribers").one()["n"] > 0

    # -- publishing ---------------------------------------------------------------------------------------------

    async def publish(self, event: Event, to: str | None = None, due: float | None = None) -> None:
        """Keep an event and hand it to everyone who listens; at `due` (epoch seconds), if that is to come."""
        if due is not None and due > self._now():
            self._delay(event, to, due)
            return
        event = self._stamped(event)
        handlers = self._handlers(event)
        self._number(event, to)
        for handler in handlers:
            self._deliver(handler, event, to)
        if self._has_subscribers:
            await self._serve_subscribers(event)

    async def ask(self, event: Event, to: str | None = None, due: float | None = None) -> Any:
        """`publish`, and give what the exact handlers answer.

        Raises what a handler raised, or NoHandler for a command that nobody handles.
        """
        if due is not None and due > self._now():
            self._delay(event, to, due)
            return None
        event = self._stamped(event)
        handlers = self._handlers(event)
        asked = [handler for handler in handlers if handler.is_exact]
        if not asked and not is_event(event.verb):
            raise NoHandler(
                f"nobody handles {event.name}: no noun has that method, and nothing is registered for it with on; "
                f"for those that only listen or wait for it, send it without awaiting an answer"
            )
        self._number(event, to)
        for handler in handlers:
            if not handler.is_exact:
                self._deliver(handler, event, to)
        answers = [self._ask(handler, event, to) for handler in asked]
        await self._serve_subscribers(event)
        if not answers:
            return None
        found = await asyncio.gather(*answers)
        return found[0] if len(found) == 1 else list(found)

    async def page(self, after: int | None, limit: int) -> list[tuple[int, Event]]:
        """Events with their numbers, oldest first: those behind a number, or the latest ones."""
        if after is None:
            rows = self.storage.sql("SELECT number, event FROM events ORDER BY number DESC LIMIT ?", limit).all()[::-1]
        else:
            rows = self.storage.sql("SELECT number, event FROM events WHERE number > ? ORDER BY number LIMIT ?", after, limit).all()
        return [(row["number"], codec.decode(row["event"])) for row in rows]  # type: ignore[misc]

    def _now(self) -> float:
        return clock.to_epoch(self.now())

    def _stamped(self, event: Event) -> Event:
        return event if event.at is not None else dataclasses.replace(event, at=self.now())

    def _number(self, event: Event, to: str | None) -> None:
        number = self.storage.sql(
            "INSERT INTO events(id, at, event) VALUES(?, ?, ?) RETURNING number", event.id, _epoch(event), codec.encode(event)
        ).one()["number"]
        if number % PAGE == 0:
            self._forget_old()
        self._offer_to_waits(number, event)
        turn, host = self._do_.turn, self._do_.host
        if turn is not None:
            turn.then(lambda: host.event_published(event, to))

    def _forget_old(self) -> None:
        kept_s = self._do_.host.settings.event_retention_s
        self.storage.sql("DELETE FROM events WHERE at < ?", self._now() - kept_s)
        self.storage.sql("DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", EVENTS_MAX)

    # -- declared handlers --------------------------------------------------------------------------------------

    def _handlers(self, event: Event) -> list[Handler]:
        """Who is to get the event by declaration: the noun's own method first, then in the order they were declared."""
        now = self._do_.host.clock.now()  # not `self.now()`: what memory decides must leave no mark in the record of the turn
        if now - self._reloaded > RELOAD_SECONDS:
            self._reloaded = now
            catalog.load_shipped()
        name = str(names.unscoped(event.name))
        found = [h for h in registry.handlers_of(event.name) if h.is_exact or h.id not in event.via]
        spec = registry.command_noun(name)
        if spec is not None and not any(h.noun == spec.noun and h.name == event.verb for h in found):
            found.insert(0, Handler(name, f"call:{event.verb}", spec.noun, module=spec.cls.__module__))
        if any(h.is_exact and not h.is_default for h in found):
            found = [h for h in found if not h.is_default]
        return found

    def _deliver(self, handler: Handler, event: Event, to: str | None) -> None:
        try:
            noun, entity_id, method = _receiver(handler, event, to)
        except NoKey as error:
            self._keep_undeliverable(handler, event, error)
            return
        line = f"{event.source or 'outside'} {method}" if handler.noun else event.id
        caused = dataclasses.replace(event, via=(*event.via, handler.id))
        _tell(noun, entity_id, "event", method, line, codec.encode(caused))

    def _keep_undeliverable(self, handler: Handler, event: Event, error: NoKey) -> None:
        """One handler cannot have the event; that is nothing to the others."""
        letter = {
            "noun": handler.noun, "entity": "", "handler": handler.name, "line": "", "message": codec.encode(event),
            "error": f"NoKey: {error}", "attempts": 0, "history": [], "at": self._now(),
        }  # fmt: skip
        make_stub(*DEAD_LETTERS).keep(letter)

    def _ask(self, handler: Handler, event: Event, to: str | None) -> Any:
        """The promise of a handler's answer."""
        noun, entity_id, method = _receiver(handler, event, to)
        caused = dataclasses.replace(event, via=(*event.via, handler.id))
        if not handler.noun:
            return Function(entity_id).answer(caused)
        method = method.removeprefix("call:")
        target = make_stub(noun, entity_id)[method]
        if not handler.name.startswith("call:"):
            return target(caused)
        args, kwargs = event.arguments(getattr(catalog.lookup(noun).cls, method))
        return target(*args, **kwargs)

    # -- subscribers --------------------------------------------------------------------------------------------

    async def subscribe(self, key: str, handler: str, pattern: str) -> None:
        """Let an entity's method get the events from now on."""
        self._has_subscribers = True
        self.storage.sql("INSERT OR IGNORE INTO subscribers(key, handler, pattern) VALUES(?, ?, ?)", key, handler, pattern)

    async def unsubscribe(self, key: str, handler: str, pattern: str) -> None:
        """Take it back."""
        self.storage.sql("DELETE FROM subscribers WHERE key = ? AND handler = ? AND pattern = ?", key, handler, pattern)

    async def _serve_subscribers(self, event: Event) -> None:
        patterns = names.patterns_of(event.name)
        wanted = ", ".join("?" * len(patterns))
        # who subscribed to several patterns that match gets it once
        sql = (
            f"SELECT number, key, handler, pattern FROM subscribers AS s WHERE pattern IN ({wanted}) AND number > ? AND NOT EXISTS "
            f"(SELECT 1 FROM subscribers AS e WHERE e.key = s.key AND e.handler = s.handler AND e.pattern IN ({wanted}) "
            f"AND e.number < s.number) ORDER BY number LIMIT ?"
        )
        after = 0
        while True:
            page = self.storage.sql(sql, *patterns, after, *patterns, PAGE).all()
            for row in page:
                noun, _, entity_id = row["key"].partition("/")
                handler = Handler(row["pattern"], row["handler"], noun)
                if handler.is_exact or handler.id not in event.via:
                    self._deliver(handler, event, entity_id)
            if len(page) < PAGE:
                return
            after = page[-1]["number"]
            await asyncio.sleep(0)

    # -- waits --------------------------------------------------------------------------------------------------

    async def wait(self, wait: str, where: list[str], match: dict[str, Any], since: float, taken: list[int]) -> None:
        """Register a wait and offer it the first event that matches since its execution began."""
        noun, entity_id, run, key = where
        fields = sorted(match)
        self._shapes.add("\n".join(fields))
        self.storage.sql(
            "INSERT OR IGNORE INTO waits VALUES(?, ?, ?, ?, ?, ?, ?, 0, ?, ?, NULL)",
            wait, noun, entity_id, run, key, "\n".join(fields), codec.encode([match[f] for f in fields]), since, codec.encode(taken),
        )  # fmt: skip
        self._offer_kept(wait)

    async def next(self, wait: str, after: int) -> None:
        """The waiter refused event `after`: offer it the next one that matches."""
        self.storage.sql("UPDATE waits SET after = ?, offered = NULL WHERE id = ? AND offered = ?", after, wait, after)
        self._offer_kept(wait)

    async def unwait(self, wait: str) -> None:
        """The wait is over."""
        self.storage.sql("DELETE FROM waits WHERE id = ?", wait)

    async def expire(self, wait: str) -> None:
        """The waiter's time is up: end the wait, unless an event is on its way to it."""
        row = self.storage.sql("SELECT * FROM waits WHERE id = ?", wait).first()
        if row is None or row["offered"] is not None:
            return
        self.storage.sql("DELETE FROM waits WHERE id = ?", wait)
        _tell(row["noun"], row["entity"], "offer", row["run"], row["key"], -1, b"\xc0")

    def _offer_kept(self, wait: str) -> None:
        row = self.storage.sql("SELECT * FROM waits WHERE id = ? AND offered IS NULL", wait).first()
        if row is None:
            return
        taken: Any = codec.decode(row["taken"])
        fields = row["fields"].split("\n") if row["fields"] else []
        after = row["after"]
        while True:
            page = self.storage.sql(
                "SELECT number, event FROM events WHERE number > ?1 AND at >= ?2 "
                "AND number >= (SELECT min(number) FROM events WHERE at >= ?2) ORDER BY number LIMIT ?3",
                after, row["since"], PAGE,
            ).all()  # fmt: skip
            for kept in page:
                event: Any = codec.decode(kept["event"])
                if kept["number"] not in taken and _projection(event, fields) == row["wanted"]:
                    self._offer(row, kept["number"], event)
                    return
            if len(page) < PAGE:
                return
            after = page[-1]["number"]

    def _offer_to_waits(self, number: int, event: Event) -> None:
        for shape in list(self._shapes):
            fields = shape.split("\n") if shape else []
            wanted = _projection(event, fields)
            if wanted is None:
                continue
            sql = "SELECT * FROM waits WHERE fields = ? AND wanted = ? AND offered IS NULL"
            for row in self.storage.sql(sql, shape, wanted).all():
                self._offer(row, number, event)

    def _offer(self, row: Any, number: int, event: Event) -> None:
        self.storage.sql("UPDATE waits SET offered = ? WHERE id = ?", number, row["id"])
        _tell(row["noun"], row["entity"], "offer", row["run"], row["key"], number, codec.encode(event.data))

    # -- delayed ------------------------------------------------------------------------------------------------

    def _delay(self, event: Event, to: str | None, due: float) -> None:
        self.storage.sql("INSERT OR IGNORE INTO delayed VALUES(?, ?, ?, ?)", event.id, due, codec.encode(event), to)
        self._set_alarm()

    def _set_alarm(self) -> None:
        due = self.storage.sql("SELECT min(due) AS due FROM delayed").one()["due"]
        if due is not None:
            self.storage.set_alarm(clock.to_datetime(due))

    async def alarm(self, info: Any) -> None:
        """Publish what is due."""
        for row in self.storage.sql("SELECT id, event, entity FROM delayed WHERE due <= ? ORDER BY due, id", self._now()).all():
            self.storage.sql("DELETE FROM delayed WHERE id = ?", row["id"])
            event: Any = codec.decode(row["event"])
            await self.publish(dataclasses.replace(event, at=self.now()), row["entity"])
        self._set_alarm()


def _epoch(event: Event) -> float:
    assert event.at is not None
    return clock.to_epoch(event.at)


def _receiver(handler: Handler, event: Event, to: str | None) -> tuple[str, str, str]:
    """Noun, id and method of who gets an event."""
    if not handler.noun:
        return Function._do_spec_.noun, handler.name, "handle"
    if handler.key is not None and (to is None or value_of(event.data, handler.key) is not None):
        to = entity_of(event.name, event.data, handler.key)
    elif to is None:
        scope = names.scope_of(event.name)
        to = scope[1] if scope is not None and scope[0] == handler.noun else entity_of(event.name, event.data)
    return handler.noun, f"{handler.within}{to}", handler.name


def _projection(event: Event, fields: list[str]) -> bytes | None:
    """The values of these fields of an event's data, encoded; None if it lacks one."""
    values = []
    for field in fields:
        if field == "@":
            values.append(event.scope)
        elif isinstance(event.data, dict):
            if field not in event.data:
                return None
            values.append(event.data[field])
        elif hasattr(event.data, field):
            values.append(getattr(event.data, field))
        else:
            return None
    return codec.encode(values)


def _tell(noun: str, entity_id: str, verb: str, *args: Any) -> None:
    """A message to the runtime's side of an entity, through the outbox of the one that runs."""
    record_call(Node(noun, entity_id, None, ("!", verb), codec.encode([list(args), {}]), None))
