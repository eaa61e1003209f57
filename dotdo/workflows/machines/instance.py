"""`MachineInstance`: the handle of one instance of a state machine, from anywhere.

It holds two names and nothing else. `await m.state` and its like ask the entity.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotdo import durations
from dotdo.people import parking
from dotdo.workflows.machines import known
from dotdo.workflows.machines.entity import MachineEntity

if TYPE_CHECKING:
    from dotdo.workflows.machines.machine import StateMachine


@dataclass(frozen=True, slots=True)
class MachineResult:
    """What became of an instance."""

    final_state: str
    context: Any
    history: list[dict[str, Any]]


class MachineInstance:
    """One instance: `id`, and its machine's name as `machine_name`."""

    __slots__ = ("_stub", "id", "machine_name")

    def __init__(self, machine_name: str, id: str) -> None:
        self.machine_name = machine_name
        self.id = id
        self._stub: Any = MachineEntity(f"{machine_name}/{id}")

    def __repr__(self) -> str:
        return f"<{self.machine_name} {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MachineInstance) and (other.machine_name, other.id) == (self.machine_name, self.id)

    def __hash__(self) -> int:
        return hash((self.machine_name, self.id))

    @property
    def machine(self) -> StateMachine:
        """Its machine. Raises MachineNotFound."""
        return known.find(self.machine_name)

    @property
    def state(self) -> Awaitable[str]:
        """The name of the state it is in. As all of these, raises MachineNotFound if it was never started."""
        return self._stub.current()  # type: ignore[no-any-return]

    @property
    def context(self) -> Awaitable[Any]:
        """Its context, as it is now."""
        return self._stub.context()  # type: ignore[no-any-return]

    @property
    def history(self) -> Awaitable[list[dict[str, Any]]]:
        """Every move so far, oldest first: `from`, `to`, `event`, `at`; and `attempt`, where a retry counts."""
        return self._stub.history()  # type: ignore[no-any-return]

    def send(self, event: str, data: Any = None, *, call_id: str | None = None, **fields: Any) -> Awaitable[str]:
        """Let an event happen; sent also when nobody awaits it.

        Args:
            data: merged into the context, a dict or a model; or as keywords.
            call_id: the same id again gives the answer of the first, and moves nothing.

        Returns:
            The state it led to.

        Raises:
            InvalidTransition: the state does not take the event.
            GuardFailed: the guard says no.
            Exception: whatever a function of the transition raised. The instance is where it was, in all of these.
        """
        if data is not None and fields:
            raise TypeError("send(event) takes its data as one value or as keywords, not both")
        given = fields or data
        target = self._stub.send_event
        if call_id is not None:
            target = target.with_options(call_id=call_id)
        return target(event, given)  # type: ignore[no-any-return]

    def can(self, event: str, data: Any = None) -> Awaitable[bool]:
        """Would the event be taken now: the state takes it and the guard holds?"""
        return self._stub.can(event, data)  # type: ignore[no-any-return]

    async def result(self, timeout: durations.Duration | None = None) -> MachineResult:
        """What became of it, waited for until it is in a terminal state.

        Raises WaitTimeout inside an execution, CallTimeout outside, after `timeout`.
        """
        return MachineResult(**await parking.within(timeout, self._stub, "outcome"))

    async def mermaid(self) -> str:
        """The machine as a Mermaid state diagram, with the state it is in marked."""
        return self.machine.mermaid(await self.state)

    async def svg(self) -> str:
        """The machine as an SVG picture, with the state it is in marked."""
        return self.machine.svg(await self.state)
