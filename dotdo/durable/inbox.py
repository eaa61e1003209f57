"""The inbox: messages of other entities' outboxes come in the order they were sent, each once.

What was taken from a sender is one number in the entity's file, written in the commit of what was done with the message. A
message whose number is not beyond it came before. A message that names another which must come first is refused until that
one has come; its sender then sends both again. What has come is remembered here before it is committed, so that a burst is
not refused; if it is never committed, this activation is over, and so is this memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dotdo.errors import OutOfOrder
from dotdo.storage import journal

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation
    from dotdo.rpc.server import IncomingCall


class Inbox:
    """What has come to one activation."""

    __slots__ = ("_activation", "_come", "_open")

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._come: dict[str, int] = {}
        self._open: set[IncomingCall] = set()

    def is_next(self, call: IncomingCall) -> bool:
        """True if everything that must come before this message has; else it is refused."""
        options = call.options
        assert options is not None
        sender, after = options["sender"], options.get("after", 0)
        if after > self._come.get(sender, 0) and after > journal.last_from(self._activation.file, sender):
            call.refuse_error(OutOfOrder(f"message {after} of {sender} has not come to {self._activation.key} yet"))
            return False
        number = options["number"]
        if number > self._come.get(sender, 0):
            self._come[sender] = number
        return True

    def take(self, call: IncomingCall, keep: Callable[[], Callable[[], None] | None]) -> None:
        """Take a message that is for the runtime: `keep` adds to the commit, what it returns runs after it. Once, and acknowledged."""
        options = call.options
        assert options is not None
        sender, number = options["sender"], options["number"]
        self._open.add(call)

        def add() -> Callable[[], None]:
            file = self._activation.file
            after = None
            if journal.last_from(file, sender) < number:
                journal.take(file, sender, number)
                after = keep()

            def done() -> None:
                self._activation.gate.when_safe(lambda error: self._answer(call, error))
                if after is not None:
                    after()

            return done

        self._activation.exclusively(add)

    def _answer(self, call: IncomingCall, error: BaseException | None) -> None:
        self._open.discard(call)
        call.settle_receipt(error)

    def fail(self, error: BaseException) -> None:
        """The activation is over: what was not taken is refused."""
        calls, self._open = self._open, set()
        for call in calls:
            call.reject_error(error)
