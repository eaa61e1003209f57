"""What the ledger needs of its host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from dotdo.rpc.link import Receiver
from dotdo.rpc.server import IncomingCall


class LedgerHost(Protocol):
    """The host, as ledgers see it."""

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

    def listeners_of(self, key: str) -> dict[str, list[IncomingCall]]:
        """Callers that wait for executions of a sleeping entity; they outlive its activation."""

    def mocked(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run for a step: `fn`, unless a test replaced it."""

    def step_recorded(self, key: str, run_id: str, name: str) -> None:
        """A step's record is committed (tests crash here)."""

    def execution_ended(self, execution_id: str, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        """An execution has its outcome."""
