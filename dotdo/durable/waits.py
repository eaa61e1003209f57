"""Waits that outlive the process: sleeps, callbacks and signals.

The deadline is journaled before the wait begins. Replay finds it there, so a sleep interrupted by a crash wakes at the
time it first promised, not later. A parked wait costs a row: its coroutine may be dropped and is replayed when due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable.operation import Operation
from dotdo.entity.turn import Turn
from dotdo.errors import WaitTimeout
from dotdo.storage.journal import Kind, Row

if TYPE_CHECKING:
    from dotdo.durable.run import Run

NO_DEFAULT: Any = object()

TOOK_SIGNAL = 0
"""As the attempt of a wait's row: its outcome is a signal that was kept in the journal, and that is used up by it."""


class ParkedOperation(Operation):
    """A wait with an optional deadline; something outside, or the deadline, ends it."""

    __slots__ = ("_seconds", "_timer")

    def __init__(self, run: Run, key: str, name: str, seconds: float | None) -> None:
        super().__init__(run, key, name)
        self._seconds = seconds
        self._timer: Any = None

    def start(self, turn: Turn) -> None:
        recorded = self.run.waits.get(self.key)
        if recorded is not None:
            self.until = recorded.until
        else:
            now = self.run.activation.host.clock.now()
            self.until = None if self._seconds is None else now + self._seconds
            self.run.add_row(Kind.WAIT, self.key, name=self.name, until=self.until, started=now)
        turn.then(self._park)

    def _park(self) -> None:
        if self.withdrawn:
            return
        self.is_parked = True
        if self.until is not None:
            self._timer = self.run.activation.host.clock.call_at(self.until, self._due)
        self.run.may_be_parked()

    def _due(self) -> None:
        ok, blob = self.at_deadline()
        self.end(ok, blob)

    def end(self, ok: bool, blob: bytes, also: Callable[[], None] | None = None) -> None:  # (ok, blob) is an outcome
        """Record the outcome, then let the execution go on; `also` adds rows to the same commit."""

        def record() -> Callable[[], None] | None:
            if also is not None:
                also()
            if self.withdrawn or self.run.operations.get(self.key) is not self:
                return None
            self.withdraw_timers()
            self.run.operations.pop(self.key, None)
            self.run.add_row(Kind.STEP, self.key, name=self.name, ok=ok, value=blob)
            return lambda: self.run.deliver(self, ok, blob)

        self.run.activation.exclusively(record)

    def at_deadline(self) -> tuple[bool, bytes]:
        """The outcome when the deadline passes."""
        return True, codec.encode(None)

    def withdraw_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def withdraw(self) -> None:
        self.withdraw_timers()


class SleepOperation(ParkedOperation):
    """`self.sleep("3d")`."""

    __slots__ = ()

    def __init__(self, run: Run, key: str, seconds: float) -> None:
        super().__init__(run, key, "sleep", max(seconds, 0.0))
        self.waiting_for = "sleep"


class WaitOperation(ParkedOperation):
    """A wait for something from outside, by name: a callback or a signal."""

    __slots__ = ("_default", "signal")

    waits_for_somebody = True

    def __init__(self, run: Run, key: str, signal: str, seconds: float | None, default: Any = NO_DEFAULT) -> None:
        super().__init__(run, key, signal, seconds)
        self.signal = signal
        self.waiting_for = signal
        self._default = default

    def start(self, turn: Turn) -> None:
        for index, (name, blob) in enumerate(self.run.signals):
            if name == self.signal:
                del self.run.signals[index]
                ok, value = _outcome_of(blob)
                self.run.add_row(Kind.STEP, self.key, name=self.name, attempt=TOOK_SIGNAL, ok=ok, value=value)
                turn.then(lambda: self.run.deliver(self, ok, value))
                return
        super().start(turn)

    def at_deadline(self) -> tuple[bool, bytes]:
        if self._default is not NO_DEFAULT:
            return True, codec.encode(self._default)
        key = f"{self.run.activation.key}!{self.run.id}"
        return False, codec.encode(WaitTimeout(f"{key} waited {self._seconds} s for '{self.signal}', which did not come"))


def forget_taken(signals: list[tuple[str, bytes]], row: Row) -> None:
    """While a journal is read: take away the signal that the wait of this row has taken."""
    if row.attempt == TOOK_SIGNAL:
        taken = next((index for index, (name, _) in enumerate(signals) if name == row.name), None)
        if taken is not None:
            del signals[taken]


def pack_signal(ok: bool, blob: bytes) -> bytes:  # (ok, blob) is an outcome
    """How a signal is kept in the journal until somebody waits for it."""
    return codec.encode([ok, blob])


def _outcome_of(packed: bytes) -> tuple[bool, bytes]:
    ok, blob = codec.decode(packed)  # type: ignore[misc]
    return bool(ok), blob  # type: ignore[has-type]
