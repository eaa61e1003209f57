"""What one entity has to do, and when: a row for each schedule, and one timer for the first that is due.

When a time comes, one commit moves the row on to its next time and adds the run to the deliveries of this entity (see
durable/deliveries.py). Before that commit the time is still to come, whatever dies; after it the run is a row of its own
that is started, tried again and given up as that of any event is. So each time runs once, and there is no other
machinery here. A schedule's runs are one line of deliveries, which is how `overlap` knows that one still goes on.

Nothing is kept in memory but the timer, so that what a failed turn wrote needs no undoing here: the timer is set anew
from the rows, and one that fires too early finds nothing due.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dotdo import clock, codec
from dotdo.durable import ports
from dotdo.entity.activation import State
from dotdo.errors import DefinitionError
from dotdo.events.event import Event
from dotdo.schedules import entry, handlers
from dotdo.schedules.entry import Definition, Times
from dotdo.schedules.every import Every
from dotdo.schedules.policies import CatchUp, Overlap, may_start
from dotdo.schedules.scheduled import NAME, Scheduled
from dotdo.schedules.times import Schedule

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger

FORM = "due"
"""Before the handler of a delivery that comes from here."""

EVENT_NAME = "Schedule.due"
BATCH = 500
"""So many schedules are moved on in one commit."""

_NAME = "_do_agenda"
_TABLE = """CREATE TABLE IF NOT EXISTS _do_agenda(
    name TEXT PRIMARY KEY, definition BLOB NOT NULL, rule BLOB NOT NULL, since REAL NOT NULL, due REAL, by_setup INTEGER NOT NULL,
    runs INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, last REAL, status TEXT, error TEXT)"""
_INDEX = "CREATE INDEX IF NOT EXISTS _do_agenda_due ON _do_agenda(due) WHERE due IS NOT NULL"
_PUT = """INSERT INTO _do_agenda(name, definition, rule, since, due, by_setup) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
    ON CONFLICT(name) DO UPDATE SET definition = ?2, rule = ?3, since = ?4, due = ?5, by_setup = ?6"""
_DUE = "SELECT name, definition, rule, since, due FROM _do_agenda WHERE due <= ?1 ORDER BY due, name LIMIT ?2"


class Agenda:
    """The schedules of one activation."""

    __slots__ = ("_activation", "_is_empty", "_ledger", "_named", "_timer")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._activation = ledger.activation
        self._timer: Any = None
        self._named: dict[str, Any] = {}
        """What this waking's setup has scheduled, by name."""
        self._is_empty = True
        ledger.forms[FORM] = self

    @property
    def key(self) -> str:
        return self._activation.key

    def now(self) -> float:
        return self._activation.host.clock.now()

    # -- Component ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        file = self._activation.file
        self._is_empty = not (file.has_table(_NAME) and file.query("SELECT 1 FROM _do_agenda LIMIT 1"))

    def wake(self) -> None:
        """`setup` has run: what it scheduled before and does not now is taken back."""
        declared = _declared_in(self._activation.spec.cls)
        if declared or not self._is_empty:
            self._activation.exclusively(lambda: self._settle(declared))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def due_times(self) -> list[float]:
        due = self._next_due()
        return [] if due is None else [due]

    def rolled_back(self) -> None:
        """The timer may follow rows that are not there, or miss one that is again."""
        if not self._is_empty:
            self._activation.host.loop.call_soon(self.arm)

    def _settle(self, declared: list[tuple[str, Schedule, str, Overlap, CatchUp]]) -> Callable[[], None]:
        for name, rule, method, overlap, catch_up in declared:
            self._named[name] = method
            self.keep(Definition(name, f"method:{method}", rule, None, overlap, catch_up), by_setup=True)
        gone = [name for (name,) in self.rows("SELECT name FROM _do_agenda WHERE by_setup") if name not in self._named]
        forgotten = [self.forget(name) for name in gone]

        def go_on() -> None:
            for withdrawn in forgotten:
                withdrawn()
            self.arm()

        return go_on

    # -- rows ---------------------------------------------------------------------------------------------------

    def rows(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Rows as the running turn sees them."""
        if self._is_empty:
            return []
        return self._activation.file.query(sql, params)

    def write(self, sql: str, *params: Any) -> int:
        """Change rows in the running turn's transaction; how many were changed."""
        file = self._activation.file
        connection = file.begin()
        self._is_empty = False
        if not file.has_table(_NAME):
            connection.execute(_TABLE)
            connection.execute(_INDEX)
            file.table_made(_NAME)
        connection.execute(sql, params)
        return connection.changes()

    def _next_due(self) -> float | None:
        rows = [] if self._is_empty else self._activation.file.query("SELECT min(due) FROM _do_agenda")
        return rows[0][0] if rows else None

    def keep(self, definition: Definition, *, by_setup: bool) -> None:
        """Make or replace a row. One that says the same goes on as it is, and so do the times of a rule that stays."""
        now = self.now()
        packed = codec.encode(definition)
        rows = self.rows("SELECT definition, by_setup FROM _do_agenda WHERE name = ?1", definition.name)
        if rows and rows[0][0] == packed and bool(rows[0][1]) == by_setup:
            return
        old: Any = codec.decode(rows[0][0]) if rows else None
        if old is not None and old.rule is not None and old.rule == definition.rule:
            self.write("UPDATE _do_agenda SET definition = ?2, by_setup = ?3 WHERE name = ?1", definition.name, packed, by_setup)
            return
        times = entry.begin(definition, now)
        self.write(_PUT, definition.name, packed, codec.encode(times.rule), times.since, times.due, by_setup)

    def forget(self, name: str) -> Callable[[], None]:
        """Delete a row and the runs that have not started; what is to be done once that is committed."""
        self.write("DELETE FROM _do_agenda WHERE name = ?1", name)
        deliveries, lines = self._ledger.deliveries, self._lines_of(name)
        for line in lines:
            deliveries.withdraw(line)

        def go_on() -> None:
            for line in lines:
                deliveries.withdrawn(line)
            self.arm()

        return go_on

    def _lines_of(self, name: str) -> list[str]:
        """The lines of deliveries in which its runs are: one, but many of a schedule whose runs may overlap."""
        line = _line(name)
        return [other for other in self._ledger.deliveries.lines() if other == line or other.startswith(f"{line}\n")]

    # -- what user code asks ------------------------------------------------------------------------------------

    def register(self, rule: Schedule, handler: Any, name: str, /, *, overlap: Overlap, catch_up: CatchUp) -> Scheduled:
        """`self.every...`: from this turn's commit on."""
        turn, _task = self._ledger.current("every")
        in_setup = self._is_in_setup()
        if in_setup:
            name = self._name_in_setup(name, handler)
        reference = handlers.of_entity(self._activation, handler, name, in_setup=in_setup)
        definition = Definition(name, reference, rule, None, overlap, catch_up)
        if not turn.is_replayed:
            self.keep(definition, by_setup=in_setup)
            turn.then(self.arm)
        return Scheduled(self.key, name)

    def once(self, when: datetime, handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Scheduled:
        """`self.schedule_at`: from this turn's commit on. Raises DefinitionError, CodecError."""
        turn, _task = self._ledger.current("schedule_at")
        if self._is_in_setup():
            raise DefinitionError(
                f"schedule_at in setup of {self.key} would schedule anew at every waking: call it from a method, or use self.every"
            )
        reference = handlers.of_entity(self._activation, handler, "", in_setup=False)
        token = self._ledger.handed(lambda: f"{self._ledger.rng.getrandbits(64):016x}")
        definition = once(when, reference, token, args, kwargs)
        if not turn.is_replayed:
            self.keep(definition, by_setup=False)
            turn.then(self.arm)
        return Scheduled(self.key, definition.name)

    def cancel(self, name: str) -> bool:
        """Take one back with this turn's commit; False if there is nothing to take back."""
        turn, _task = self._ledger.current("cancel")
        if turn.is_replayed:
            return bool(self._ledger.handed(lambda: False))
        is_there = self.has(name)
        if is_there:
            turn.then(self.forget(name))
        return bool(self._ledger.handed(lambda: is_there))

    def has(self, name: str) -> bool:
        return bool(self.rows("SELECT 1 FROM _do_agenda WHERE name = ?1", name) or self._lines_of(name))

    def _is_in_setup(self) -> bool:
        turn = self._activation.turn
        return turn is not None and turn.task is not None and turn.task.run is None

    def _name_in_setup(self, name: str, handler: Any) -> str:
        """Two lambdas on one phrase are two schedules, in the order in which they stand."""
        number, own = 1, name
        while own in self._named and "<lambda>" in name and not _same_code(self._named[own], handler):
            number += 1
            own = f"{name} #{number}"
        if own in self._named and "<lambda>" not in name:
            self._activation.host_log(f"setup schedules {own!r} twice, and the later one counts: give one of them another name=")
        self._named[own] = handler
        return own

    # -- times that come ----------------------------------------------------------------------------------------

    def arm(self) -> None:
        """Set the timer for the first that is due."""
        self.stop()
        if self._activation.state is not State.ACTIVE:  # it is being opened, and `wake` will ask; or closed, and the index knows
            return
        due = self._next_due()
        if due is not None:
            self._timer = self._activation.host.clock.call_at(due, self._due)

    def _due(self) -> None:
        self._timer = None
        self._activation.exclusively(self._move_on)

    def _move_on(self) -> Callable[[], None]:
        """Take what is due into the deliveries, and move each row to its next time, in one commit."""
        now = self.now()
        lines: list[str] = []
        for name, packed, rule, since, due in self.rows(_DUE, now, BATCH):
            definition: Any = codec.decode(packed)
            times = Times(codec.decode(rule), since, due)  # type: ignore[arg-type]
            lines += self._take(name, definition, times, now)

        def go_on() -> None:
            for line in lines:
                self._ledger.deliveries.go(line)
            self.arm()

        return go_on

    def _take(self, name: str, definition: Definition, times: Times, now: float) -> list[str]:
        """One schedule: the lines of the runs that start or join the queue."""
        up_since = self._ledger.host.started_at
        found, following = entry.go_on(definition, times, now, up_since)
        deliveries = self._ledger.deliveries
        lines = []
        for time in found:
            missed = len(found) > 1 or clock.to_epoch(time) < up_since
            side_by_side = definition.overlap == "allow"
            waiting = len(self._lines_of(name)) if side_by_side else deliveries.waiting(_line(name))
            if may_start(definition.overlap, definition.catch_up, waiting=waiting, is_missed=missed):
                line = f"{_line(name)}\n{time.isoformat()}" if side_by_side else _line(name)
                deliveries.insert(f"{FORM}:{definition.handler}", line, self._message(definition, time))
                lines.append(line)
        if following is None:
            self.write("DELETE FROM _do_agenda WHERE name = ?1", name)
            return lines
        skipped = len(found) - len(lines)
        sql = "UPDATE _do_agenda SET since = ?2, due = ?3, runs = runs + ?4, skipped = skipped + ?5 WHERE name = ?1"
        self.write(sql, name, following.since, following.due, len(lines), skipped)
        if lines:
            last = clock.to_epoch(found[-1])
            self.write("UPDATE _do_agenda SET last = ?2, status = 'running', error = NULL WHERE name = ?1", name, last)
        return lines

    def _message(self, definition: Definition, time: datetime) -> bytes:
        args, kwargs = entry.arguments_of(definition)
        data = {"schedule": definition.name, "args": args, "kwargs": kwargs}
        return codec.encode(Event(f"{self.key} {definition.name} {time.isoformat()}", EVENT_NAME, data, time, self.key))

    # -- DeliveryForm -------------------------------------------------------------------------------------------

    def call(self, handler: str, event: Event) -> Any:
        """Run what is scheduled, in the first turn of its execution."""
        return handlers.call(self._activation, handler, event.data["args"], event.data["kwargs"], self._named)

    def ended(self, event: Event, error: BaseException | None, *, is_final: bool) -> None:
        """Keep the outcome beside the schedule, if that is still there."""
        assert event.at is not None
        status = "completed" if error is None else "failed" if is_final else "retrying"
        text = None if error is None else f"{type(error).__name__}: {error}"
        sql = "UPDATE _do_agenda SET status = ?3, error = ?4 WHERE name = ?1 AND last = ?2"
        if self._activation.file.has_table(_NAME):
            self._activation.file.add(sql, (event.data["schedule"], clock.to_epoch(event.at), status, text))


def every_of(ledger: Ledger) -> Every:
    """`self.every`."""
    return Every(agenda_of(ledger).register)


def agenda_of(ledger: Ledger) -> Agenda:
    """The schedules of an activation."""
    return ledger.extensions[NAME]  # type: ignore[return-value]


def once(when: datetime, reference: str, token: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Definition:
    """The definition of a single time. Raises ValueError for a moment without a zone, CodecError for arguments that cannot travel."""
    if not isinstance(when, datetime):
        raise DefinitionError(f"schedule_at takes an aware datetime, as self.now() + timedelta(days=1), not {when!r}")
    name = f"{reference.rpartition(':')[2][:40]} at {when.isoformat()} {token}"
    return Definition(name, reference, None, clock.to_epoch(when), "queue", "once", codec.encode([list(args), kwargs]))


def _line(name: str) -> str:
    return f"{FORM} {name}"


def _same_code(one: Any, other: Any) -> bool:
    return bool(getattr(one, "__code__", one) == getattr(other, "__code__", other))


_declared: dict[type, list[tuple[str, Schedule, str, Overlap, CatchUp]]] = {}


def _declared_in(cls: type) -> list[tuple[str, Schedule, str, Overlap, CatchUp]]:
    """The schedules that a class declares for each of its entities, by decorating its methods."""
    found = _declared.get(cls)
    if found is None:
        members = [(name, inspect.getattr_static(cls, name)) for name in dir(cls) if not name.startswith("__")]
        found = [
            (schedule, rule, name, overlap, catch_up)
            for name, member in members
            for schedule, rule, overlap, catch_up in getattr(member, "_do_every_", ())
        ]
        _declared[cls] = found
    return found


ports.extensions[NAME] = Agenda
