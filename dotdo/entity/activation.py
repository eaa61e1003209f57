"""An entity in memory: one activation at most in the whole cluster.

The activation is the keeper of turns. It decides which task may run now (the input gate), and what the end of a turn
does: changed fields go into the file's batch, the ledger adds its rows, one commit takes all of it, and only then is
anything let out that the turn asked for. A turn that raised is rolled back, in memory too.

A commit runs right here on the loop (5 us), except when it must make or open the file: then a worker thread does it and
the entity is held meanwhile. Syncs never happen here; the output gate waits for them.

A failed commit or sync ends the activation. Everybody behind the gate gets the error, also when user code swallowed it,
and the next call starts from the last safe commit.
"""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from enum import Enum
from typing import Any

from dotdo.entity.fields import FieldStore
from dotdo.entity.noun import NounSpec
from dotdo.entity.opening import Opening
from dotdo.entity.ports import EntityHost, Ledger
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Branch, Ending, Turn
from dotdo.errors import HostLost, Overloaded, StorageError, WouldDeadlock
from dotdo.names import key_of
from dotdo.rpc.server import IncomingCall
from dotdo.storage import journal
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.gate import OutputGate

GATE_HELD_SECONDS_MAX = 30.0

_log = logging.getLogger("dotdo")


class State(Enum):
    """The life of an activation: from OPENING to ACTIVE, and by CLOSING (hibernation) or at once to ENDED."""

    OPENING = "opening"
    ACTIVE = "active"
    CLOSING = "closing"
    ENDED = "ended"


class Hold:
    """A shut input gate: only its owner's task and tasks that one starts may run."""

    __slots__ = ("outer", "timer", "transaction")

    def __init__(self, outer: Hold | None, *, transaction: bool) -> None:
        self.outer = outer
        self.transaction = transaction
        self.timer: Any = None


class Activation:
    """One entity in memory, on its host's loop."""

    def __init__(
        self,
        host: EntityHost,
        spec: NounSpec,
        entity_id: str,
        file: EntityFile,
        make_ledger: Callable[[Activation], Ledger],
    ) -> None:
        self.host = host
        self.spec = spec
        self.id = entity_id
        self.key = key_of(spec.noun, entity_id)
        self.file = file
        self.gate = OutputGate(durable=file.durability == "full")
        self.fields = FieldStore(spec.fields, self.key)
        self.context = Context()
        self.instance: Any = None
        self.state = State.OPENING
        self.turn: Turn | None = None
        self.hold: Hold | None = None
        self.committing = False
        self.is_handing_over = False
        self.draining = False
        self.queue: deque[IncomingCall] = deque()
        self.queue_bytes = 0
        self.waiting: deque[tuple[EntityTask | None, Any]] = deque()
        self.tasks: set[EntityTask] = set()
        self.used_at = host.clock.now()
        self.error: BaseException | None = None
        self.abort_error: BaseException | None = None
        self.idle_timer: Any = None
        self.before_commit: Callable[[], Callable[[], None] | None] | None = None
        """May add to each commit; what it returns runs after the commit's own effects."""
        self._slot = host.slot
        self._mark = host.slot.mark_of(self.key) if host.slot is not None else b""
        self.ledger = make_ledger(self)

    def __repr__(self) -> str:
        return f"<activation of {self.key}, {self.state.value}>"

    # -- opening ------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the file on a worker thread, run `setup`, wake what can move, then let calls in."""
        Opening(self).start()

    @property
    def has_ended(self) -> bool:
        return self.state is State.ENDED

    def hold_for_setup(self) -> Hold:
        """Nobody but `setup` may run."""
        self.hold = hold = Hold(None, transaction=False)
        return hold

    @contextlib.contextmanager
    def holding_the_loop(self) -> Iterator[None]:
        """The entity's code runs outside any turn; should the host die of it, this entity is named."""
        if self._slot is not None:
            self._slot.begin(self._mark)
        try:
            yield
        finally:
            if self._slot is not None:
                self._slot.end()

    def was_opened(self) -> None:
        """It is awake: let calls in."""
        self.state = State.ACTIVE
        if self.file.is_open and self.file.committed > self.file.safe and self.gate.durable:
            self.host.sync_pool.request(self.file, self.gate)
        self.ledger.wake()
        self._drain()
        self.host.touched(self)

    # -- calls in -----------------------------------------------------------------------------------------------

    def deliver(self, call: IncomingCall) -> None:
        """A call for this entity: started now if the input gate is open, in its turn otherwise."""
        self.used_at = self.host.clock.now()
        self.host.calls_taken += 1
        if self.state is State.ACTIVE and self.hold is None and not self.committing and not self.queue:
            self.ledger.accept(call)
            return
        if self.hold is not None and self.key in call.chain:
            call.reject_error(
                WouldDeadlock(
                    f"{self.key} is held by a transaction or block_concurrency_while that waits for this very call: "
                    f"{' -> '.join(call.chain)}"
                )
            )
            return
        limit = self.spec.options.max_queue or self.host.settings.max_queue
        if len(self.queue) >= limit and not call.is_message and self.key not in call.chain:
            call.reject_error(self.overloaded(limit))
            return
        size = len(call.payload or b"")
        waiting = self.queue_bytes + self.ledger.waiting_bytes
        if waiting and waiting + size > self.host.settings.max_queue_bytes and not call.is_message and self.key not in call.chain:
            call.reject_error(self.overloaded_bytes())
            return
        self.queue_bytes += size
        self.queue.append(call)

    def overloaded(self, limit: int) -> Overloaded:
        return Overloaded(f"{self.key} has {limit} calls waiting already; try again later, or raise max_queue")

    def overloaded_bytes(self) -> Overloaded:
        limit = self.host.settings.max_queue_bytes
        return Overloaded(f"{self.key} has calls of {limit} bytes or nearly so waiting already; try again later, or raise max_queue_bytes")

    def _drain(self) -> None:
        """Let in what waited: held steps first, in order, then calls in arrival order."""
        if self.draining:  # a turn that ends in here comes back to the loop below: depth must not grow with the queue
            return
        self.draining = True
        try:
            while self._let_in_next():
                pass
        finally:
            self.draining = False

    def _let_in_next(self) -> bool:
        """Let in the one whose turn it is; False when nobody may come in now."""
        if self.committing or self.state is not State.ACTIVE:
            return False
        for index, (task, what) in enumerate(self.waiting):
            if (task is None and self.hold is None) or (task is not None and self.admits(task)):
                del self.waiting[index]
                if task is None:
                    what()
                else:
                    task.step_again(what)
                return True
        if self.waiting or not self.queue or self.hold is not None:
            return False
        call = self.queue.popleft()
        self.queue_bytes -= len(call.payload or b"")
        self.ledger.accept(call)
        return True

    # -- turns --------------------------------------------------------------------------------------------------

    def make_task(self, coroutine: Coroutine[Any, Any, Any], branch: Branch, *, run: Any, hold: Hold | None = None) -> EntityTask:
        """A task of this entity; start it with `start_now` or `start_soon`."""
        task = EntityTask(
            coroutine,
            loop=self.host.loop,
            keeper=self,
            branch=branch,
            run=run,
            context=self.context.copy(),
            hold=hold,
        )
        self.tasks.add(task)
        if run is not None:
            run.tasks.add(task)
        return task

    def task_started(self, task: EntityTask) -> None:
        self.tasks.add(task)
        if task.run is not None:
            task.run.tasks.add(task)

    def task_ended(self, task: EntityTask) -> None:
        tasks = self.tasks
        tasks.discard(task)
        run = task.run
        if run is not None:
            run.tasks.discard(task)
            if run.is_over and run.main is task:
                run.main = None  # or task and run would hold each other until the collector comes
        if not tasks:
            if self.fields.held:
                self.fields.release_containers()
            if self.idle_timer is None:
                self.host.touched(self)

    def begin_turn(self, task: EntityTask) -> Turn | None:
        hold = self.hold
        if self.turn is not None or self.committing or self.state is State.ENDED or (hold is not None and task.hold is not hold):
            return None
        turn = Turn(task)
        if task.is_abandoned:
            turn.dropped = True
        self.turn = self.fields.turn = turn
        self.host.turns_run += 1
        if self._slot is not None:
            self._slot.begin(self._mark)
        if task.run is not None:
            self.ledger.turn_begins(turn, task)
        return turn

    def wait_turn(self, task: EntityTask, error: BaseException | None) -> None:
        if self.state is not State.ENDED:
            self.waiting.append((task, error))
            if self.turn is not None:
                self.host.loop.call_soon(self._drain)

    def admits(self, task: EntityTask) -> bool:
        """True if the task's next turn may begin now."""
        if self.committing or self.turn is not None or self.state is State.ENDED:
            return False
        hold = self.hold
        return hold is None or task.hold is hold

    def _end(self) -> None:
        self.turn = self.fields.turn = None
        if self._slot is not None:
            self._slot.end()

    def end_turn(self, turn: Turn, ending: Ending, outcome: Any) -> None:
        """Commit what the turn wrote, or undo it, and settle its task."""
        task = turn.task
        assert task is not None
        if self.abort_error is not None or self.state is State.ENDED:
            self._end()
            self.break_down(self.abort_error or StorageError(f"{self.key} has ended"))
            return
        fields = self.fields
        try:
            if turn.view is not None:
                fields.leave_view(turn.view)
            elif turn.dropped:
                fields.dirty.clear()
            elif ending is Ending.RAISED or ending is Ending.CANCELLED:
                if not self.in_transaction:
                    self.roll_back()
            elif fields.dirty or fields.held:
                try:
                    self.flush_fields()
                except Exception as error:  # a bad container value is the user's error, thrown at the await
                    self.roll_back()
                    turn.nodes = turn.calls = turn.effects = None
                    if ending is Ending.SUSPENDED:
                        self._end()
                        self.host.loop.call_soon(task._Task__step, error, context=task._context)
                        return
                    ending, outcome = Ending.RAISED, error
            ending, outcome = self.ledger.turn_ends(turn, ending, outcome)
        except BaseException as error:  # the runtime's own failure must not leave callers hanging
            self._end()
            self.break_down(error)
            return
        self._end()
        if not self.file.has_writes or self.in_transaction:
            self._turn_committed(turn, ending, outcome)
        else:
            self._commit(lambda: self._turn_committed(turn, ending, outcome))

    def _turn_committed(self, turn: Turn, ending: Ending, outcome: Any) -> None:
        self.ledger.turn_committed(turn, ending, outcome)
        task = turn.task
        if task is not None:
            task.settle(ending, outcome)
            run = task.run
            if run is not None and run.is_journaled:
                self.ledger.turn_settled(run)
        if self.waiting or self.queue:
            self._drain()

    def _checkpoint(self) -> None:
        """Empty a long -wal on a worker thread, with the entity held."""
        self._hold_for(self.file.checkpoint)

    def close_file(self) -> bool:
        """Close the file of an entity that stays in memory, to save descriptors; False if it is in use."""
        if self.state is not State.ACTIVE or self.turn is not None or self.committing or self.in_transaction:
            return False
        if not self.gate.is_open or self.file.has_writes:
            return False
        self._hold_for(lambda: self.file.close(checkpoint=False))
        return True

    def run_held(self, job: Callable[[], None]) -> bool:
        """Run a job that only reads the file on a worker thread, between two turns; False if that cannot be just now."""
        if self.state is not State.ACTIVE or self.turn is not None or self.committing or self.in_transaction or self.file.has_writes:
            return False
        self._hold_for(job)
        return True

    def _hold_for(self, job: Callable[[], None]) -> None:
        """Run a job on the file on a worker thread, with the entity held."""
        self.committing = True

        def was_done(_result: Any, error: BaseException | None) -> None:
            self.committing = False
            if self.state is State.ENDED:
                return
            if error is not None:
                self.break_down(error)
                return
            self.gate.committed_to(self.file.committed, safe=self.file.safe if self.gate.durable else self.file.committed)
            self._drain()

        self.host.run_in_worker(job, was_done)

    def flush_fields(self) -> None:
        """Put changed fields into the transaction that is being put together. Raises what validation raises."""
        for name, data in self.fields.flush():
            self.file.add(journal.FIELD_PUT, (name, data))

    def roll_back(self) -> None:
        """Undo what the running turn, or the open transaction, wrote; in memory too."""
        self.file.rollback()
        self.fields.roll_back()
        self.ledger.rolled_back()  # what it asked of others was part of it

    @property
    def in_transaction(self) -> bool:
        return self.hold is not None and self.hold.transaction

    def _commit(self, done: Callable[[], None]) -> None:
        file = self.file
        if self.before_commit is not None:
            also = self.before_commit()
            if also is not None:
                first, done = done, lambda: (first(), also())[0]
        if file.commit_needs_worker:
            self.committing = True

            def was_committed(_number: Any, error: BaseException | None) -> None:
                self.committing = False
                if self.state is State.ENDED:  # its host stopped meanwhile: the next one finds what was committed
                    return
                if error is not None:
                    self.break_down(error)
                    return
                self.fields.committed()
                self.host.file_opened(self)
                self.gate.committed_to(file.committed, safe=0)
                done()  # before anybody is let out who might come back in with something later
                self.gate.safe_to(file.safe if self.gate.durable else file.committed)
                if self.waiting or self.queue:
                    self._drain()

            self.host.run_in_worker(lambda: file.commit(sync=self.gate.durable), was_committed)
            return
        try:
            file.commit()
        except StorageError as error:
            self.break_down(error)
            return
        self.fields.committed()
        self.request_sync()
        done()
        if file.wants_checkpoint and not self.in_transaction and not self.committing and self.state is State.ACTIVE:
            self._checkpoint()

    def request_sync(self) -> None:
        """Tell the gate of the commit just made and have it synced."""
        file = self.file
        if self.gate.durable:
            self.gate.committed_to(file.committed, safe=0)  # who waits is let out by the sync, not in the middle of this
            self.host.sync_pool.request(file, self.gate)
        else:
            self.gate.committed_to(file.committed, safe=file.committed)

    def exclusively(self, action: Callable[[], Callable[[], None] | None]) -> None:
        """Run a write of the runtime between turns; what `action` returns runs once it is committed."""
        if self.state is State.ENDED:
            return
        if self.turn is not None or self.committing or self.hold is not None or self.state is not State.ACTIVE:
            self.waiting.append((None, lambda: self.exclusively(action)))
            if self.turn is not None:
                self.host.loop.call_soon(self._drain)
            return
        try:
            done = action()
        except BaseException as error:  # as in end_turn
            self.break_down(error)
            return
        if self.file.has_writes:
            self._commit(done or _nothing)
        elif done is not None:
            done()

    # -- the end ------------------------------------------------------------------------------------------------

    def break_down(self, error: BaseException, *, wakes_again: bool = True) -> None:
        """The activation ends here: nothing after the last safe commit may be seen.

        What it has still to do wakes it again in a moment, unless only other code could help.
        """
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        self.error = error
        self.turn = self.fields.turn = None
        self.gate.fail(error)
        self.ledger.fail_all(error)
        self.waiting.clear()
        calls, self.queue = self.queue, deque()
        for call in calls:
            call.reject_error(error)
        self.host.run_in_worker(self.file.discard, lambda _r, e: self.host.activation_ended(self, e or (error if wakes_again else None)))

    def abort(self, error: BaseException) -> None:
        """Reset the entity, whatever it is doing: uncommitted writes are dropped, everyone waiting gets `error`."""
        if self.turn is not None:
            self.abort_error = error
        else:
            self.break_down(error)

    def leave(self) -> None:
        """The host stops while this entity is busy: what is committed stays, the rest is finished by the next owner."""
        self.state = State.ENDED
        self.error = HostLost(f"the host of {self.key} is stopping")
        self.ledger.abandon()
        calls, self.queue = self.queue, deque()
        for call in calls:
            call.reject_error(self.error)
        self.host.run_in_worker(lambda: self.file.close(checkpoint=False), lambda _r, _e: self.host.activation_ended(self, None))

    def hand_over(self) -> bool:
        """End between two turns, for new code: every call goes to the next activation. False: not yet, call again in a moment.

        Nothing new begins meanwhile, so that a busy entity comes to where nothing of it waits to be made safe.
        """
        if self.state is not State.ACTIVE or self.turn is not None or self.in_transaction:
            return False
        if not self.is_handing_over:
            if self.committing:
                return False
            self.committing = self.is_handing_over = True
        if not self.gate.is_open:
            return False
        self.queue.extendleft(reversed(self.ledger.take_calls()))
        for call in self.queue:
            call.is_repeat = True
        self.state = State.ENDED
        self.error = HostLost(f"{self.key} goes on with new code")
        self.ledger.abandon()
        self.host.run_in_worker(
            lambda: self.file.close(checkpoint=False), lambda _r, error: self.host.activation_ended(self, error or self.error)
        )
        return True

    def vanish(self) -> Callable[[], None]:
        """As if the process had been killed: not a byte more is written. What is returned lets go of the file's locks."""
        self.state = State.ENDED
        self.ledger.abandon()
        return self.file.vanish()

    @property
    def is_at_rest(self) -> bool:
        """True when nothing of the entity can run before a timer fires or a message comes."""
        if self.state is State.ENDED:
            return True
        return self.state is State.ACTIVE and self.gate.is_open and not self.committing and self.turn is None and self.ledger.is_at_rest

    @property
    def waits_outside(self) -> bool:
        """True when its code waits for something the runtime knows nothing of: a socket, a thread."""
        return self.state is State.ACTIVE and self.ledger.waits_outside

    def host_log(self, message: str) -> None:
        """Say something about this entity in the host's log."""
        _log.warning("%s: %s", self.key, message)

    @property
    def is_idle(self) -> bool:
        return (
            self.state is State.ACTIVE
            and self.turn is None
            and self.hold is None
            and not self.committing
            and not self.queue
            and not self.waiting
            and self.gate.is_open
            and self.ledger.is_idle
        )

    def hibernate(self, index: Callable[[float | None, Callable[[], None]], None]) -> None:
        """Put the idle entity to sleep: parked coroutines dropped, its index row made safe, then the file closed.

        `index(due, done)` makes the shard's row safe and calls `done` on the loop.
        """
        assert self.is_idle, self
        self.state = State.CLOSING
        try:
            due = self.ledger.park()
            if self.file.has_writes:
                self.file.commit()
                self.fields.committed()
        except StorageError as error:
            self.break_down(error)
            return
        self._index_then_close(index, due)

    def _index_then_close(self, index: Callable[[float | None, Callable[[], None]], None], due: float | None) -> None:
        if not self.file.is_open and not self.file.exists():
            self._closed(None, None)
            return
        index(due, lambda: self.host.run_in_worker(self.file.close, self._closed))

    def _closed(self, _result: Any, error: BaseException | None) -> None:
        self.state = State.ENDED
        self.error = error
        self.host.activation_ended(self, error)

    def let_go(self) -> None:
        """The activation is over for good: take its objects apart, so that they are freed now and not by the collector."""
        self.ledger.let_go()
        del self.ledger
        self.instance = self.before_commit = None
        self.context = Context()
        self.idle_timer = None
        self.tasks.clear()


def _nothing() -> None:
    return None
