"""The calls of an entity that are in memory, and how much of them waits.

`max_queue` and `max_queue_bytes` bound the calls that are accepted, unanswered and not parked. Counting them anew for
every call would cost as much as there are, so a run says when it comes to rest and a turn of it when it moves again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dotdo.durable.run import Run


class Runs(dict[str, "Run"]):
    """Runs by their id."""

    __slots__ = ("_resting", "waiting_bytes")

    def __init__(self) -> None:
        super().__init__()
        self._resting = 0
        self.waiting_bytes = 0
        """The arguments of those that are not parked."""

    @property
    def waiting(self) -> int:
        """How many are not parked."""
        return len(self) - self._resting

    def enter(self, run: Run) -> None:
        """A call begins, or an execution wakes."""
        self[run.id] = run
        if run.payload is not None:
            self.waiting_bytes += len(run.payload)

    def leave(self, run: Run) -> None:
        """It has its outcome, or is a row from now on."""
        if self.pop(run.id, None) is None:
            return
        if run.is_resting:
            self._resting -= 1
        elif run.payload is not None:
            self.waiting_bytes -= len(run.payload)

    def rest(self, run: Run) -> None:
        """It is parked."""
        if not run.is_resting and run.id in self:
            run.is_resting = True
            self._resting += 1
            self.waiting_bytes -= len(run.payload or b"")

    def move(self, run: Run) -> None:
        """It was parked, and runs again."""
        run.is_resting = False
        if run.id in self:
            self._resting -= 1
            self.waiting_bytes += len(run.payload or b"")
