"""Waiting for an event: `await self.wait_for("Approval.decided", match={"id": 7}, timeout="48h")`.

The wait is registered with the log of the event's name, in the commit that parks the execution, and the log offers it what
matches, one event at a time, also those that came since the execution began. The waiter decides: it has its filter, and
takes no event twice in one execution. What it takes is recorded in the very commit that takes it from the log's outbox;
what it refuses makes the log offer the next.

At the deadline the log is asked to end the wait. It answers in the order of its events, so an event that it published
before that is never lost to the timeout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable.waits import NO_DEFAULT, ParkedOperation
from dotdo.entity.turn import Turn
from dotdo.errors import WaitTimeout
from dotdo.names import execution_id_of
from dotdo.storage import journal
from dotdo.storage.journal import Kind, Row

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run
    from dotdo.rpc.server import IncomingCall

EVENT_LOG = "DotdoEventLog"
"""The noun of the entities that keep the events of one name each."""

_EXPIRED = -1
"""Offered instead of an event's number: the wait has ended without one."""


class EventWait(ParkedOperation):
    """One wait for an event."""

    __slots__ = ("_default", "_event", "_filter", "_is_asked_to_end", "_match", "_scope")

    waits_for_somebody = True

    def __init__(
        self,
        run: Run,
        key: str,
        name: str,
        *,
        match: dict[str, Any] | None,
        predicate: Callable[[Any], Any] | None,
        seconds: float | None,
        default: Any,
    ) -> None:
        super().__init__(run, key, name, seconds)
        self._event, _, self._scope = name.partition("@")
        self._match = match
        self._filter = predicate
        self._default = default
        self._is_asked_to_end = False
        self.waiting_for = name

    # -- the log's end ------------------------------------------------------------------------------------------

    @property
    def _wait_id(self) -> str:
        return f"{self.run.activation.key}!{self.run.id}|{self.key}"

    def _tell_log(self, verb: str, *args: Any) -> None:
        """In the transaction that is being put together."""
        self.run.ledger.outbox.put(EVENT_LOG, self._event, [verb], codec.encode([[self._wait_id, *args], {}]), f"{self._wait_id}/{verb}")

    def start(self, turn: Turn) -> None:
        if self.key not in self.run.waits:
            activation = self.run.activation
            match = dict(self._match or {})
            if self._scope:
                match["@"] = self._scope
            taken = sorted(self.run.events_taken.get(self._event, ()))
            where = [activation.spec.noun, activation.id, self.run.id, self.key]
            self._tell_log("wait", where, match, self.run.started_at, taken)
        super().start(turn)
        turn.then(self._look)

    def _look(self) -> None:
        """What was offered while the execution slept."""
        wanted = _kept_as(self.key)
        for index, (name, packed) in enumerate(self.run.signals):
            if name == wanted:
                del self.run.signals[index]
                number, blob = codec.decode(packed)  # type: ignore[misc]
                self.run.activation.exclusively(lambda: self.offer(number, blob))  # type: ignore[has-type]
                return

    # -- offers -------------------------------------------------------------------------------------------------

    def offer(self, number: int, blob: bytes) -> Callable[[], None] | None:
        """Take an event, or refuse it, in the transaction that is being put together; what to do once that is committed."""
        run = self.run
        if self.withdrawn or run.operations.get(self.key) is not self:
            return None
        if number == _EXPIRED:
            ok, blob = self.at_deadline()
            return self._taken(ok, blob)
        taken = run.events_taken.setdefault(self._event, set())
        if number in taken or not self._wants(codec.decode(blob)):
            self._tell_log("next", number)
            return self.run.ledger.outbox.send_new
        taken.add(number)
        run.add_row(Kind.EVENT, self._event, attempt=number)
        self._tell_log("unwait")
        return self._taken(True, blob)

    def _taken(self, ok: bool, blob: bytes) -> Callable[[], None]:  # (ok, blob) is an outcome
        run = self.run
        self.withdraw_timers()
        run.operations.pop(self.key, None)
        run.add_row(Kind.STEP, self.key, name=self.name, ok=ok, value=blob)

        def go_on() -> None:
            run.ledger.outbox.send_new()
            run.deliver(self, ok, blob)

        return go_on

    def _wants(self, data: Any) -> bool:
        """The user's filter; it may look at the entity."""
        if self._filter is None:
            return True
        activation = self.run.activation
        activation.turn = activation.fields.turn = Turn(None)
        try:
            return bool(self._filter(data))
        finally:
            activation.turn = activation.fields.turn = None

    # -- the deadline -------------------------------------------------------------------------------------------

    def _due(self) -> None:
        if self._is_asked_to_end:
            return
        self._is_asked_to_end = True
        self.until = None

        def ask() -> Callable[[], None] | None:
            if self.withdrawn or self.run.operations.get(self.key) is not self:
                return None
            self._tell_log("expire")
            return self.run.ledger.outbox.send_new

        self.run.activation.exclusively(ask)

    def at_deadline(self) -> tuple[bool, bytes]:
        if self._default is not NO_DEFAULT:
            return True, codec.encode(self._default)
        execution = execution_id_of(self.run.activation.key, self.run.id)
        return False, codec.encode(WaitTimeout(f"{execution} waited {self._seconds} s for '{self.name}', which did not come"))


def wait_for_event(
    ledger: Ledger,
    name: str,
    *,
    match: dict[str, Any] | None,
    predicate: Callable[[Any], Any] | None,
    seconds: float | None,
    default: Any,
) -> Any:
    """The coroutine of a wait for an event; its id is taken now."""
    run, task = ledger.current_run("wait_for")
    key = task.branch.key(f"wait:{name}")
    return EventWait(run, key, name, match=match, predicate=predicate, seconds=seconds, default=default).outcome()


def _kept_as(key: str) -> str:
    return f"event:{key}"


def take_offer(ledger: Ledger, call: IncomingCall, run_id: str, key: str, number: int, blob: bytes) -> None:
    """An event for a wait of this entity, or word that the wait has ended; it came through the log's outbox."""

    def keep() -> Callable[[], Any] | None:
        run = ledger.runs.get(run_id)
        operation = run.operations.get(key) if run is not None and not run.is_replaying else None
        if isinstance(operation, EventWait) and operation.is_parked:
            return operation.offer(number, blob)
        return _keep(ledger, run_id, key, number, blob)

    ledger.inbox.take(call, keep)


def _keep(ledger: Ledger, run_id: str, key: str, number: int, blob: bytes) -> Callable[[], Any] | None:
    """The execution sleeps, or is being replayed: the offer waits in its journal."""
    file = ledger.activation.file
    packed = codec.encode([number, blob])
    run = ledger.runs.get(run_id)
    if run is not None:
        run.signals.append((_kept_as(key), packed))
        run.add_row(Kind.SIGNAL, _kept_as(key), value=packed)
        return None
    row = ledger.dormant.rows.get(run_id)
    if row is None:
        return None
    sequence = 1 + max((r.seq for r in journal.rows_of(file, run_id)), default=0)
    now = ledger.activation.host.clock.now()
    journal.append(file, run_id, Row(sequence, Kind.SIGNAL, _kept_as(key), None, None, None, packed, None, now, None, None))
    if row.status != "waiting":
        return None
    journal.set_status(file, run_id, "running")
    return lambda: ledger.dormant.wake(run_id)
