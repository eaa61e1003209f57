"""What one entity has subscribed to while it ran: `self.on.Payment.failed(self.failed)`.

A subscription is a row here and a row with the log of the event's name (patterns have a place of their own that tells the
logs). Both are made in the commit of the turn that subscribes. What `setup` subscribes to it names anew at every waking;
what it no longer names is taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import ports
from dotdo.durable.event_waits import EVENT_LOG
from dotdo.errors import DefinitionError
from dotdo.events import names

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger

NAME = "subscriptions"
PATTERNS = ("DotdoPatterns", "all")
"""The entity that knows who subscribed to patterns."""

_TABLE = """CREATE TABLE IF NOT EXISTS _do_subscriptions(
    pattern TEXT NOT NULL, handler TEXT NOT NULL, by_setup INTEGER NOT NULL, PRIMARY KEY(pattern, handler)) WITHOUT ROWID"""


class Subscription:
    """One subscription of an entity."""

    __slots__ = ("_keeper", "handler", "pattern")

    def __init__(self, keeper: Subscriptions, pattern: str, handler: str) -> None:
        self._keeper = keeper
        self.pattern = pattern
        self.handler = handler

    def cancel(self) -> None:
        """Take it back, with the commit of this turn; what is on its way may still arrive."""
        self._keeper.cancel(self.pattern, self.handler)

    def __repr__(self) -> str:
        return f"<subscription to {self.pattern} for {self.handler}>"


class Subscriptions:
    """The subscriptions of one activation."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._activation = ledger.activation
        self._rows: dict[tuple[str, str], bool] = {}
        self._named: set[tuple[str, str]] = set()

    # -- Component ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        for pattern, handler, by_setup in self._activation.file.query("SELECT pattern, handler, by_setup FROM _do_subscriptions"):
            self._rows[(pattern, handler)] = bool(by_setup)

    def wake(self) -> None:
        """`setup` has run: what it named before and does not name now is taken back."""
        gone = [row for row, by_setup in self._rows.items() if by_setup and row not in self._named]
        if gone:
            self._activation.exclusively(lambda: self._take_back(gone))

    def stop(self) -> None: ...

    def due_times(self) -> list[float]:
        return []

    def _take_back(self, gone: list[tuple[str, str]]) -> Callable[[], None]:
        for pattern, handler in gone:
            self._forget(pattern, handler)
        return self._ledger.outbox.send_new

    # -- subscribing --------------------------------------------------------------------------------------------

    def subscribe(self, pattern: str, handler: Any, key: str | None = None) -> Subscription:
        """Let a method of this entity get what matches the pattern, from this turn's commit on."""
        turn, _task = self._ledger.current("on")
        if key is not None:
            raise DefinitionError("self.on takes no key=: the events come to this very entity")
        name = getattr(handler, "__name__", "")
        if getattr(handler, "__self__", None) is not self._activation.instance or not hasattr(type(self._activation.instance), name):
            raise DefinitionError(f"self.on takes a method of this entity, as self.on.Order.placed(self.placed), not {handler!r}")
        pattern = str(names.parse(pattern))
        row = (pattern, name)
        by_setup = turn.task is not None and turn.task.run is None
        if by_setup:
            self._named.add(row)
        if row not in self._rows and not turn.is_replayed:
            self._rows[row] = by_setup
            file = self._activation.file
            file.ensure_table(_TABLE)
            file.add("INSERT OR REPLACE INTO _do_subscriptions VALUES(?1, ?2, ?3)", (pattern, name, by_setup))
            self._tell("subscribe", pattern, name)
        return Subscription(self, pattern, name)

    def cancel(self, pattern: str, handler: str) -> None:
        """Take a subscription back in the running turn."""
        turn, _task = self._ledger.current("cancel")
        if (pattern, handler) in self._rows and not turn.is_replayed:
            self._forget(pattern, handler)

    def _forget(self, pattern: str, handler: str) -> None:
        del self._rows[(pattern, handler)]
        self._activation.file.add("DELETE FROM _do_subscriptions WHERE pattern = ?1 AND handler = ?2", (pattern, handler))
        self._tell("unsubscribe", pattern, handler)

    def _tell(self, verb: str, pattern: str, handler: str) -> None:
        noun, entity_id = PATTERNS if names.is_pattern(pattern) else (EVENT_LOG, pattern.partition("@")[0])
        key = self._activation.key
        self._ledger.outbox.put(noun, entity_id, [verb], codec.encode([[key, handler, pattern], {}]), f"{key}/{verb}/{pattern}/{handler}")


ports.extensions[NAME] = Subscriptions
