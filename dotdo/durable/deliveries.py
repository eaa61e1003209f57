"""Events that have arrived at an entity: each handled once, in order, tried again when its handler fails.

An event is a row from the commit that takes it from its sender until the commit of its handler's last turn, so that what
the handler wrote and the end of the row are one thing: an effect happens once, whatever dies meanwhile. Starts are counted
before the handler runs. A handler that fails is tried again with growing delays; when its tries are used up, or it has
killed its host twice, the event goes to the dead letters in the commit that gives it up.

Events of one line (one sender, one handler) are handled one after the other, and one that waits for its next try holds its
line. Other lines go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import retry
from dotdo.errors import NoSuchMember, Quarantined
from dotdo.storage import journal

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.ports import DeliveryForm
    from dotdo.rpc.server import IncomingCall
    from dotdo.storage.journal import RunRow

METHOD = "!event"
"""What the execution of a handler is called in the journal."""

DEAD_LETTERS = ("DotdoDeadLetters", "all")
"""The entity that keeps what was given up."""

POLICY = retry.RetryPolicy(max_attempts=5)
RUNNING_MAX = 256
"""Handlers that run at once in one entity."""

STARTED_AT_ONCE_MAX = 64
"""So many handlers are started one after another before the loop sees to others."""

DEATHS_MAX = 2
LOST_STARTS_MAX = 10
"""So often may a handler have begun and neither ended nor failed: something ended its host each time."""

HISTORY_MAX = 20

_TABLE = """CREATE TABLE IF NOT EXISTS _do_deliveries(
    seq INTEGER PRIMARY KEY, line TEXT NOT NULL, handler TEXT NOT NULL, message BLOB NOT NULL,
    starts INTEGER NOT NULL, failures INTEGER NOT NULL, due REAL NOT NULL, history BLOB)"""
_COUNTER = "deliveries"


@dataclass(slots=True, eq=False)
class Delivery:
    """One event on its way to one handler."""

    seq: int
    line: str
    handler: str
    message: bytes
    starts: int
    failures: int
    due: float
    history: bytes | None
    is_counted: bool = False
    """Its next start is in the row already."""
    is_running: bool = False


class Deliveries:
    """The events that have arrived at one activation."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._activation = ledger.activation
        self._lines: dict[str, deque[Delivery]] = {}
        self._by_seq: dict[int, Delivery] = {}
        self._timers: dict[str, Any] = {}
        self._held: deque[str] = deque()
        self._to_start: deque[str] = deque()
        self._is_starting = False
        self._running = 0
        self._last = -1

    # -- Component ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        sql = "SELECT seq, line, handler, message, starts, failures, due, history FROM _do_deliveries ORDER BY seq"
        for row in self._activation.file.query(sql):
            self._add(Delivery(*row))

    def wake(self) -> None:
        for row in self._ledger.dormant.rows.values():
            if row.method == METHOD:  # parked: its execution is replayed when it can move
                self._is_resumed(row.payload)
        for line in list(self._lines):
            self._pump(line)

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def due_times(self) -> list[float]:
        return [line[0].due for line in self._lines.values() if not line[0].is_running]

    def gives_up(self, row: RunRow) -> bool:
        """A handler that was interrupted in the middle is counted again, or ended here if that has happened too often."""
        delivery = self._by_seq.get(int(codec.decode(row.payload or b"\x00")))
        if delivery is None:
            return False
        error = self._lost_too_often(delivery)
        if error is None:

            def count() -> None:
                self._add_start(delivery)

            self._activation.exclusively(count)
            return False
        self._is_resumed(row.payload)

        def end() -> Callable[[], None]:
            now = self._activation.host.clock.now()
            journal.end_run(self._activation.file, row.id, "failed", codec.encode(error), now, ok=False)
            return self._give_up(delivery, error)

        self._activation.exclusively(end)
        return True

    def again(self, payload: bytes | None) -> tuple[Any, Callable[[BaseException | None], Callable[[], None] | None]]:
        """The handler's coroutine for a replay of its execution, and what ends it."""
        delivery = self._is_resumed(payload)
        return self._handle(delivery), lambda error: self._ended(delivery, error)

    def _is_resumed(self, payload: bytes | None) -> Delivery:
        delivery = self._by_seq.get(int(codec.decode(payload or b"\x00")))
        if delivery is None:
            raise LookupError("the event of this execution is not there any more")
        if not delivery.is_running:
            delivery.is_running = True
            self._running += 1
        return delivery

    # -- arriving -----------------------------------------------------------------------------------------------

    def take(self, call: IncomingCall, handler: str, line: str, message: bytes) -> None:
        """Take an event from its sender's outbox: once."""

        def keep() -> Callable[[], None]:
            delivery = self.insert(handler, line, message)
            return lambda: self._pump(delivery.line)

        self._ledger.inbox.take(call, keep)

    def insert(self, handler: str, line: str, message: bytes) -> Delivery:
        """Add an event to the transaction that is being put together; `_pump` its line once that is committed."""
        file = self._activation.file
        if self._last < 0:
            self._last = journal.counter(file, _COUNTER)
        self._last += 1
        journal.put_counter(file, _COUNTER, self._last)
        file.ensure_table(_TABLE)
        starts = int(line not in self._lines and self._running < RUNNING_MAX)
        delivery = Delivery(self._last, line, handler, message, starts, 0, self._activation.host.clock.now(), None, starts == 1)
        file.add(
            "INSERT INTO _do_deliveries VALUES(?1, ?2, ?3, ?4, ?5, 0, ?6, NULL)",
            (delivery.seq, line, handler, message, starts, delivery.due),
        )
        self._add(delivery)
        return delivery

    def lines(self) -> list[str]:
        """The lines that have events which are not done."""
        return list(self._lines)

    def waiting(self, line: str) -> int:
        """How many events of this line are not done, the one that runs included."""
        return len(self._lines.get(line, ()))

    def withdraw(self, line: str) -> int:
        """Take back what waits in a line, in the transaction that is being put together; how many. What runs goes on."""
        gone = [delivery for delivery in self._lines.get(line, ()) if not delivery.is_running]
        for delivery in gone:
            self._activation.file.add("DELETE FROM _do_deliveries WHERE seq = ?1", (delivery.seq,))
        return len(gone)

    def withdrawn(self, line: str) -> None:
        """What `withdraw` took back is committed."""
        waiting = self._lines.get(line)
        if waiting is None:
            return
        for delivery in [delivery for delivery in waiting if not delivery.is_running]:
            waiting.remove(delivery)
            self._by_seq.pop(delivery.seq, None)
        timer = self._timers.pop(line, None)
        if timer is not None:
            timer.cancel()
        if not waiting:
            del self._lines[line]

    def go(self, line: str) -> None:
        """What `insert` added is committed."""
        self._pump(line)

    def _add(self, delivery: Delivery) -> None:
        self._lines.setdefault(delivery.line, deque()).append(delivery)
        self._by_seq[delivery.seq] = delivery

    # -- handling -----------------------------------------------------------------------------------------------

    def _pump(self, line: str) -> None:
        """Start the first event of a line, if it may start now; the stack must not grow with the line."""
        self._to_start.append(line)
        if not self._is_starting:
            self._start_some()

    def _start_some(self) -> None:
        self._is_starting = True
        try:
            for _ in range(STARTED_AT_ONCE_MAX):
                if not self._to_start or self._activation.has_ended:
                    return
                self._start_first(self._to_start.popleft())
        finally:
            self._is_starting = False
        self._activation.host.loop.call_soon(self._start_some)

    def _start_first(self, line: str) -> None:
        waiting = self._lines.get(line)
        if not waiting or waiting[0].is_running:
            return
        head = waiting[0]
        clock = self._activation.host.clock
        if head.due > clock.now():
            if line not in self._timers:
                self._timers[line] = clock.call_at(head.due, lambda: self._due(line))
            return
        if self._running >= RUNNING_MAX:
            self._held.append(line)
            return
        head.is_running = True
        self._running += 1
        if head.is_counted:
            head.is_counted = False
            self._begin(head)
        else:
            self._activation.exclusively(lambda: self._count_start(head))

    def _due(self, line: str) -> None:
        self._timers.pop(line, None)
        self._pump(line)

    def _count_start(self, head: Delivery) -> Callable[[], None]:
        error = self._lost_too_often(head)
        if error is not None:
            return self._give_up(head, error)
        self._add_start(head)
        return lambda: self._begin(head)

    def _add_start(self, head: Delivery) -> None:
        head.starts += 1
        self._activation.file.add("UPDATE _do_deliveries SET starts = ?2 WHERE seq = ?1", (head.seq, head.starts))

    def _lost_too_often(self, head: Delivery) -> Quarantined | None:
        """Why a handler is not begun or gone on with again, if it is not."""
        if self._ledger.host.deaths_of(self._activation.key) >= DEATHS_MAX and head.starts > 0:
            return Quarantined(f"its host died {DEATHS_MAX} times while it ran")
        if head.starts - head.failures >= LOST_STARTS_MAX:
            return Quarantined(f"its host died or was stopped {LOST_STARTS_MAX} times before it came to an end")
        return None

    def _begin(self, head: Delivery) -> None:
        run_id = f"event-{head.seq}-{head.failures}"  # the same again after a crash, so that what it called answers from its record
        self._ledger.run_internal(
            run_id, METHOD, self._handle(head), lambda error: self._ended(head, error), codec.encode(head.seq), is_repeat=head.starts > 1
        )

    async def _handle(self, head: Delivery) -> None:
        """Call the handler: `name` gets the event, `call:name` its data as arguments; other forms are higher layers'."""
        event: Any = codec.decode(head.message)
        task = self._activation.turn.task if self._activation.turn is not None else None
        if task is not None and task.run is not None:
            task.run.event = event
        form, name = self._form_of(head)
        result = form.call(name, event) if form is not None else self._call(name, event)
        if hasattr(result, "__await__"):
            await result

    def _form_of(self, head: Delivery) -> tuple[DeliveryForm | None, str]:
        word, _, name = head.handler.partition(":")
        form = self._ledger.forms.get(word)
        return form, name if form is not None else head.handler

    def _call(self, name: str, event: Any) -> Any:
        takes_data = name.startswith("call:")
        name = name.removeprefix("call:")
        handler = getattr(self._activation.instance, name, None)
        if handler is None:
            raise NoSuchMember(f"{self._activation.spec.noun} has no handler {name!r} (any more)")
        if not takes_data:
            return handler(event)
        args, kwargs = event.arguments(handler)
        return handler(*args, **kwargs)

    def _ended(self, head: Delivery, error: BaseException | None) -> Callable[[], None]:
        """In the transaction of the handler's last turn."""
        if error is None:
            self._tell_form(head, None, is_final=True)
            self._activation.file.add("DELETE FROM _do_deliveries WHERE seq = ?1", (head.seq,))
            return lambda: self._done(head)
        head.failures += 1
        delay = retry.next_delay(POLICY, False, head.failures, error, self._ledger.rng)
        if delay is None:
            return self._give_up(head, error)
        self._tell_form(head, error, is_final=False)
        head.due = self._activation.host.clock.now() + delay
        head.history = self._history(head, error)
        self._activation.file.add(
            "UPDATE _do_deliveries SET failures = ?2, due = ?3, history = ?4 WHERE seq = ?1",
            (head.seq, head.failures, head.due, head.history),
        )

        def wait() -> None:
            head.is_running = False
            self._running -= 1
            self._pump(head.line)
            self._pump_held()

        return wait

    def _tell_form(self, head: Delivery, error: BaseException | None, *, is_final: bool) -> None:
        form, _name = self._form_of(head)
        if form is not None:
            form.ended(codec.decode(head.message), error, is_final=is_final)

    def _history(self, head: Delivery, error: BaseException) -> bytes:
        entries: Any = codec.decode(head.history) if head.history else []
        entries.append([self._activation.host.clock.now(), f"{type(error).__name__}: {error}"])
        return codec.encode(entries[-HISTORY_MAX:])

    def _give_up(self, head: Delivery, error: BaseException) -> Callable[[], None]:
        """Move the event to the dead letters."""
        self._tell_form(head, error, is_final=True)
        letter = {
            "noun": self._activation.spec.noun, "entity": self._activation.id, "handler": head.handler, "line": head.line,
            "message": head.message, "error": f"{type(error).__name__}: {error}", "attempts": head.starts,
            "history": codec.decode(self._history(head, error)), "at": self._activation.host.clock.now(),
        }  # fmt: skip
        self._ledger.outbox.put(*DEAD_LETTERS, ["keep"], codec.encode([[letter], {}]), f"{self._activation.key}/letter/{head.seq}")
        self._activation.file.add("DELETE FROM _do_deliveries WHERE seq = ?1", (head.seq,))

        def go_on() -> None:
            self._ledger.outbox.send_new()
            self._done(head)

        return go_on

    def _done(self, head: Delivery) -> None:
        self._running -= 1
        self._by_seq.pop(head.seq, None)
        waiting = self._lines[head.line]
        waiting.popleft()
        if waiting:
            self._pump(head.line)
        else:
            del self._lines[head.line]
        self._pump_held()
        self._activation.host.touched(self._activation)

    def _pump_held(self) -> None:
        if self._held and self._running < RUNNING_MAX:
            self._pump(self._held.popleft())
