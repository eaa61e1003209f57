"""What an activation needs of the world around it, as small protocols.

The host carries activations; the ledger (one per activation) journals its calls. Both live in higher layers and are
handed in, so that this layer can be read, and tested, without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

from dotdo.clock import Clock
from dotdo.config import Settings
from dotdo.entity.turn import Ending, Turn
from dotdo.rpc.server import IncomingCall
from dotdo.storage.sync_pool import SyncPool

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation
    from dotdo.entity.task import EntityTask


class TurnSlot(Protocol):
    """Where it stands, for whoever looks after a death, whose turn was running."""

    def mark_of(self, key: str) -> bytes:
        """What `begin` takes for this entity; made once."""

    def begin(self, mark: bytes) -> None:
        """An entity's code is about to hold the loop."""

    def end(self) -> None: ...


class EntityHost(Protocol):
    """The host, as its activations see it."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    settings: Settings
    sync_pool: SyncPool
    env: Any
    turns_run: int
    calls_taken: int
    steps_recorded: int
    slot: TurnSlot | None

    def run_in_worker(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Run a blocking job on a worker thread; `done` is called on the loop."""

    def activation_ended(self, activation: Activation, error: BaseException | None) -> None:
        """The activation is gone (hibernated, aborted or broken); what comes next for its key starts anew."""

    def file_opened(self, activation: Activation) -> None:
        """The activation holds its file open from now on; too many open ones close the least recently used."""

    def event_published(self, event: Any, to: str | None) -> None:
        """The log of an event's name has committed it (tests look at them)."""

    def rests(self, activation: Activation) -> None:
        """An execution of the activation is parked, and nothing of it is due soon."""

    def touched(self, activation: Activation) -> None:
        """The activation went from idle to busy or back; its idle clock starts again."""


class TransactionCalls(Protocol):
    """Calls made in a transaction leave with its commit, or never."""

    def mark(self) -> Any:
        """Where an inner transaction begins."""


class Ledger(Protocol):
    """The durable side of an entity: its calls, their journals, the outbox."""

    def load(self) -> None:
        """Read what is unfinished (worker thread, file open)."""

    def wake(self) -> None:
        """Replay the executions that can move and send what waits in the outbox."""

    def accept(self, call: IncomingCall) -> None:
        """Begin to handle one call, now."""

    def turn_begins(self, turn: Turn, task: EntityTask) -> None:
        """A turn of a call: is it on record?"""

    @property
    def caller(self) -> TransactionCalls:
        """What knows of the calls made in a transaction."""

    def rolled_back(self) -> None:
        """The transaction that was being put together is undone, with the messages in it."""

    def rolled_back_to(self, calls: Any) -> None:
        """An inner transaction is undone, with the calls made since `calls`."""

    def turn_ends(self, turn: Turn, ending: Ending, outcome: Any) -> tuple[Ending, Any]:
        """Add the turn's rows to the batch; what it returns is how the task is settled."""

    def turn_committed(self, turn: Turn, ending: Ending, outcome: Any) -> None:
        """The turn's writes are in the file: let out what it asked for."""

    def turn_settled(self, run: Any) -> None:
        """A task of an execution is settled: it may have come to rest."""

    def fail_all(self, error: BaseException) -> None:
        """The activation broke: everyone waiting gets the error, every coroutine is dropped."""

    def take_calls(self) -> list[IncomingCall]:
        """The calls that are accepted and not answered; their runs have no callers from now on."""

    @property
    def waiting_bytes(self) -> int:
        """The arguments of calls that are accepted and neither answered nor parked."""

    @property
    def is_idle(self) -> bool:
        """True when no call runs and every execution is parked."""

    @property
    def is_at_rest(self) -> bool:
        """True when every call is parked, or waits for another entity."""

    @property
    def waits_outside(self) -> bool:
        """True when a call waits for something the runtime knows nothing of."""

    def abandon(self) -> None:
        """Drop everything without telling anybody."""

    def let_go(self) -> None:
        """Nothing will be asked of it any more: let go of the parts that hold it."""

    def shelve_parked(self, before: float) -> None:
        """Drop coroutines parked since before `before`, although their entity is awake."""

    def park(self) -> float | None:
        """Drop parked coroutines to their rows (adds rows to the batch); when to wake, or None."""


def base_context() -> Context:
    """An empty context: an entity's code inherits nothing from whoever happened to call it."""
    return Context()
