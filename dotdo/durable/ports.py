"""What the ledger needs of its host, and what may be added to it from above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from dotdo.rpc.link import Receiver
from dotdo.rpc.server import IncomingCall

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.storage.journal import RunRow


class Component(Protocol):
    """A part of the ledger with rows of its own and times at which its entity must be awake."""

    def load(self) -> None:
        """Read the rows (worker thread, file open)."""

    def wake(self) -> None:
        """The entity is active: go on, set timers."""

    def stop(self) -> None:
        """Leave no timer behind."""

    def due_times(self) -> list[float]:
        """When the entity must be awake."""


class OwnExecutions(Protocol):
    """A component that runs handlers as executions."""

    def again(self, payload: bytes | None) -> tuple[Any, Callable[[BaseException | None], Callable[[], None] | None]]:
        """The handler's coroutine for a replay, and what ends it. Raises LookupError."""

    def gives_up(self, row: RunRow) -> bool:
        """True if an execution that was interrupted is not to be replayed; the component ends it."""


class Undoable(Protocol):
    """A component whose timers follow rows that user code writes."""

    def rolled_back(self) -> None:
        """Rows of the running turn, or of an inner transaction, are undone."""


class DeliveryForm(Protocol):
    """A way to handle what `Deliveries` keeps, chosen by the word before the colon of a handler's name."""

    def call(self, handler: str, event: Any) -> Any:
        """Call the handler; what it returns is awaited if it can be."""

    def ended(self, event: Any, error: BaseException | None, *, is_final: bool) -> None:
        """In the transaction of the handler's last turn; `is_final` says that it is not tried again."""


extensions: dict[str, Callable[[Ledger], Component]] = {}
"""Components of higher layers, by name; every ledger gets one of each."""

call_as_event: Callable[[str, str, Any, float], Any] | None = None
"""Makes of a call (its id, `Noun.method`, its arguments, when) an event that dead letters can show; set by the layer of events."""

verbs: dict[str, Callable[..., None]] = {}
"""Control verbs of higher layers: `verb(ledger, call, *args)`."""


class LedgerHost(Protocol):
    """The host, as ledgers see it."""

    started_at: float
    """Since when it could have woken anybody; what was due before that was missed."""

    def send_call(
        self,
        noun: str,
        entity_id: str,
        path: Sequence[Any],
        payload: bytes | None,
        flags: int,
        call_id: str,
        options: dict[str, Any],
        receiver: Receiver,
    ) -> None:
        """Call an entity, here or elsewhere; `flags` are those of a CALL, replies come as on a link."""

    async def call_out(self, noun: str, entity_id: str, path: list[Any], payload: bytes | None, call_id: str | None) -> bytes:
        """Call any entity; its encoded value."""

    def deaths_of(self, key: str) -> int:
        """How often in a row its host died while this entity's turn ran."""

    def listeners_of(self, key: str) -> dict[str, list[IncomingCall]]:
        """Callers that wait for executions of a sleeping entity; they outlive its activation."""

    def mocked(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run for a step: `fn`, unless a test replaced it."""

    def step_recorded(self, key: str, run_id: str, name: str) -> None:
        """A step's record is committed (tests crash here)."""

    def delete_left(self, key: str) -> None:
        """An entity woke that was to be deleted when its host died: delete it now."""

    def execution_ended(self, execution_id: str, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        """An execution has its outcome."""
