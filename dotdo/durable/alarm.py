"""The alarm of an entity: one row, one timer, `alarm(self, info)` when it is due.

The row is deleted when the handler has committed. A handler that fails is tried again after 2 s, doubling, six times;
then the alarm is given up and the error logged. Setting a new one in the handler replaces it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotdo.entity.activation import State

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.storage.journal import RunRow

METHOD = "alarm"
"""What the execution of the handler is called in the journal."""

FIRST_DELAY_SECONDS = 2.0
TRIES_MAX = 6

_TABLE = "CREATE TABLE IF NOT EXISTS _do_alarm(one INTEGER PRIMARY KEY, due REAL NOT NULL, tries INTEGER NOT NULL, asked REAL NOT NULL)"


@dataclass(frozen=True, slots=True)
class AlarmInfo:
    """What the handler is told: when the alarm was due (epoch seconds), and how often it failed before."""

    scheduled_time: float
    retry_count: int
    is_retry: bool


class Alarm:
    """The alarm of one activation."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.due: float | None = None
        self._asked = 0.0
        self._tries = 0
        self._timer: Any = None
        self.is_running = False
        self._was_changed = False
        self._is_written = False
        self._begun: tuple[float | None, int, float] = (None, 0, 0.0)
        """What the row was when the handler that runs was begun."""

    def load(self) -> None:
        """Read the row (worker thread)."""
        rows = self._ledger.activation.file.query("SELECT due, tries, asked FROM _do_alarm")
        self.due, self._tries, self._asked = rows[0] if rows else (None, 0, 0.0)

    def rolled_back(self) -> None:
        """What the turn set or deleted is undone: the alarm is as its row is."""
        if not self._is_written:
            return
        self.load()
        self._was_changed = self._was_changed and (self.due, self._tries, self._asked) != self._begun
        if not self.is_running:
            self._ledger.activation.host.loop.call_soon(self._rearm)

    def _rearm(self) -> None:
        if self._ledger.activation.state is State.ACTIVE:
            self.arm()

    def wake(self) -> None:
        self.is_running = self._ledger.dormant.has(METHOD) or any(r.method == METHOD for r in self._ledger.runs.values())
        if not self.is_running:
            self.arm()

    def stop(self) -> None:
        self.disarm()

    def due_times(self) -> list[float]:
        """When the entity must be awake for its alarm."""
        return [] if self.next_due is None else [self.next_due]

    def arm(self) -> None:
        """Set the timer for the row."""
        self.disarm()
        if self.due is not None:
            self._timer = self._ledger.activation.host.clock.call_at(self.due, self._fire)

    @property
    def next_due(self) -> float | None:
        """When the entity must be awake for its alarm; a handler that runs is an execution with a time of its own."""
        return None if self.is_running and not self._was_changed else self.due

    def disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def write(self, due: float | None, tries: int = 0, asked: float | None = None) -> None:
        """Change the row in the transaction that is being put together, at once, so that an inner one can undo it; the timer follows."""
        file = self._ledger.activation.file
        self.due, self._tries = due, tries
        self._was_changed = self._is_written = True
        if due is None:
            if file.has_table("_do_alarm"):
                file.begin().execute("DELETE FROM _do_alarm")
            return
        self._asked = due if asked is None else asked
        connection = file.begin()
        if not file.has_table("_do_alarm"):
            connection.execute(_TABLE)
            file.table_made("_do_alarm")
        connection.execute("INSERT OR REPLACE INTO _do_alarm VALUES(1, ?1, ?2, ?3)", (due, tries, self._asked))

    def _fire(self) -> None:
        self._timer = None
        self._ledger.activation.exclusively(lambda: self._begin)

    def _begin(self) -> None:
        ledger = self._ledger
        handler = ledger.activation.spec.alarm
        if self.due is None or self.is_running:
            return
        if handler is None:
            ledger.activation.host_log("an alarm is due, but its class has no `alarm` method")
            ledger.activation.exclusively(lambda: self.write(None))
            return
        self._begins()
        info = self._info()
        ledger.run_internal(f"alarm-{self._asked!r}-{self._tries}", METHOD, handler(ledger.activation.instance, info), self._ended)

    def _begins(self) -> None:
        self.is_running = True
        self._was_changed = False
        self._begun = (self.due, self._tries, self._asked)

    def _info(self) -> AlarmInfo:
        return AlarmInfo(self._asked, self._tries, self._tries > 0)

    def gives_up(self, _row: RunRow) -> bool:
        return False

    def again(self, _payload: bytes | None) -> tuple[Any, Callable[[BaseException | None], Callable[[], None]]]:
        """The handler's coroutine for a replay of its execution, and what ends it."""
        handler = self._ledger.activation.spec.alarm
        if handler is None:
            raise LookupError("the class has no `alarm` method any more")
        self._begins()
        return handler(self._ledger.activation.instance, self._info()), self._ended

    def _ended(self, error: BaseException | None) -> Callable[[], None]:
        """In the transaction of the handler's last turn; the timer follows its commit."""
        if error is None:
            self._succeeded()
        else:
            self._failed(error)
        return self.arm

    def _succeeded(self) -> None:
        self.is_running = False
        if not self._was_changed:
            self.write(None)

    def _failed(self, error: BaseException) -> None:
        self.is_running = False
        if self._was_changed and self.due is not None:
            return
        tries = self._tries + 1
        activation = self._ledger.activation
        if tries > TRIES_MAX:
            activation.host_log(f"its alarm failed {tries} times and is given up: {type(error).__name__}: {error}")
            self.write(None)
            return
        self.write(activation.host.clock.now() + FIRST_DELAY_SECONDS * 2 ** (tries - 1), tries, self._asked)


def set_alarm(ledger: Ledger, due: float) -> None:
    """Set the alarm in the running turn's transaction."""
    ledger.alarm.write(due)
    _rearm(ledger)


def get_alarm(ledger: Ledger) -> float | None:
    """When the alarm is due."""
    return ledger.alarm.next_due


def delete_alarm(ledger: Ledger) -> None:
    """Clear the alarm in the running turn's transaction."""
    ledger.alarm.write(None)
    _rearm(ledger)


def _rearm(ledger: Ledger) -> None:
    turn = ledger.activation.turn
    arm: Callable[[], None] = ledger.alarm.arm
    if turn is not None:
        turn.then(arm)
