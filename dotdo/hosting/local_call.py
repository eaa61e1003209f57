"""A call between two entities of one host: no frame, the same meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dotdo.rpc import frames
from dotdo.rpc.link import Receiver
from dotdo.rpc.server import IncomingCall, Replier


class LocalCall(IncomingCall):
    """It answers its receiver directly."""

    __slots__ = ("_receiver",)

    def __init__(
        self,
        host: Replier,
        noun: str,
        entity_id: str,
        path: Sequence[Any],
        payload: bytes | None,
        flags: int,
        call_id: str,
        options: dict[str, Any],
        receiver: Receiver,
    ) -> None:
        super().__init__(host, 0, noun, entity_id, path, payload, flags, call_id, options)
        self._receiver = receiver

    def resolve(self, blob: bytes) -> None:
        self._receiver.replied(frames.ACK if self.is_oneway else frames.RESOLVE, blob)

    def reject(self, blob: bytes) -> None:
        self._receiver.replied(frames.ACK if self.is_oneway else frames.REJECT, blob)

    def refuse(self, blob: bytes) -> None:
        self._receiver.replied(frames.REJECT, blob)

    def ack(self) -> None:
        self._receiver.replied(frames.ACK, None)

    def parked(self, execution_id: str) -> None:
        self._receiver.replied(frames.PARKED, execution_id)
