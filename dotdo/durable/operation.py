"""What an execution can wait for durably: the base of steps, sleeps, waits and calls.

An operation takes its key when user code asks for it and starts when user code awaits it. Where the journal already
holds its outcome, the outcome is delivered from there, in journal order; else it starts once the turn that awaits it
is committed. What an operation delivers is always decoded from the bytes that are journaled, so that the first run
and every replay see the same value.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.entity.turn import Branch, Turn
from dotdo.errors import Hibernated, OutsideTurn

if TYPE_CHECKING:
    from dotdo.durable.run import Run
    from dotdo.storage.journal import Row


class Operation:
    """One durable thing an execution waits for."""

    __slots__ = ("branch", "future", "hold", "is_parked", "key", "name", "run", "until", "waiting_for", "withdrawn")

    def __init__(self, run: Run, key: str, name: str) -> None:
        self.run = run
        self.key = key
        self.name = name
        self.future: asyncio.Future[tuple[bool, bytes]] | None = None
        self.hold: Any = None
        self.branch: Branch | None = None
        self.is_parked = False
        self.until: float | None = None
        self.waiting_for = name
        self.withdrawn = False

    async def outcome(self) -> Any:
        """Wait for the operation: its value, or its error raised."""
        run = self.run
        turn = run.activation.turn
        if turn is None or turn.task is None:
            raise OutsideTurn(f"{self.name} of {run.activation.key} was awaited outside a turn")
        if turn.dropped:
            raise Hibernated
        task = turn.task
        self.hold = task.hold
        self.branch = task.branch
        self.future = future = run.activation.host.loop.create_future()
        run.begin(self, turn)
        try:
            ok, blob = await future
        except BaseException:
            if not self.withdrawn:
                self.withdrawn = True
                run.operations.pop(self.key, None)
                self.withdraw()
            raise
        if not ok:
            raise self.error(blob)
        value = codec.decode(blob)
        self.delivered(value)
        return value

    def resolve(self, ok: bool, blob: bytes) -> None:  # (ok, blob) is the shape of every outcome here
        """Hand the outcome to whoever awaits."""
        run = self.run
        run.operations.pop(self.key, None)
        self.is_parked = False
        if ok and run.is_journaled and is_inner(self.key, self.name):
            run.inner[self.key] = blob
        future = self.future
        if future is not None and not future.done():
            if self.branch is not None:
                self.branch.pass_operation(self.key)  # now, so that the turn it resumes is known by what it follows
            future.set_result((ok, blob))

    @property
    def is_represented(self) -> bool:
        """True when a task of the run does the waiting for this operation (a step's body), or nobody waits any more."""
        return self.withdrawn

    @property
    def is_remote(self) -> bool:
        """True while the operation waits for another entity."""
        return False

    def error(self, blob: bytes) -> BaseException:
        """The recorded error, as it is raised at the await."""
        return self.run.error_of(self, blob)

    waits_for_somebody = False
    """True for a wait that something from outside ends, an event or a person; its deadline apart, no time does."""
    is_step = False
    """True for a function that runs as a step."""
    is_call = False
    """True for a call to another entity."""

    @property
    def body(self) -> str | None:
        """What is done under this name, if the name does not say it: recorded, so that a replay can compare."""
        return None

    # -- for the kinds of operation -----------------------------------------------------------------------------

    def start(self, turn: Turn) -> None:
        """Begin for real; `turn` is the turn that awaits."""
        raise NotImplementedError

    def withdraw(self) -> None:
        """Nobody awaits any more (cancelled, dropped): stop without recording anything."""

    def withdraw_timers(self) -> None:
        """The run is being dropped: leave no timer behind."""

    def keep_deadline(self) -> None:
        """The run is about to be dropped to its row: journal a deadline that is not on record yet."""

    def _kept_deadline(self, attempt: int) -> Row | None:
        """The row of `keep_deadline`, if it is of this attempt."""
        row = self.run.waits.get(self.key) if self.run.waits else None
        return row if row is not None and row.until is not None and row.attempt == attempt else None

    def delivered(self, value: Any) -> None:
        """The outcome reached the code that awaited it."""


def is_inner(key: str, name: str | None) -> bool:
    """True for an operation that was begun in the body of a step.

    It is no part of the order that a replay goes by, because the body as a whole has an outcome or runs again; a new
    attempt of the body gets what succeeded in it from the record.
    """
    if key.count("|") < 2 or (key.startswith("undo|") and name is not None and name.startswith("undo ")):
        return False
    before, found, _ = key.rpartition(name or "|")  # a step's own id may hold a bar: its name says where the id begins
    place = (before if found else key).rpartition("|")[0]
    return any(not part.startswith("try:") for part in place.split("|")[1:])
