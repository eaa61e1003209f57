"""A turn: what one task of an entity runs from one suspension to the next.

A turn is the unit of atomicity. While it runs it collects what it has read of the entity and what it was handed
(`reads`, `results`), because a replay must see the same, and what it asked of the runtime (`effects`), because
nothing it asked may start before its writes are committed.

A turn's position inside its call is (branch path, last durable operation passed, turns since): replay finds the record of
a turn by its position, so that neither a different number of ordinary awaits between two steps nor a step that changed
code adds before them can shift what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dotdo.entity.task import EntityTask


class Ending(Enum):
    """How a turn ended."""

    SUSPENDED = "suspended"
    RETURNED = "returned"
    RAISED = "raised"
    CANCELLED = "cancelled"


Position = tuple[str, str, int]
"""Where a turn stands in its call: branch path, key of the last durable operation passed, turns since."""

_NOWHERE: Position = ("", "", 0)


class Branch:
    """The place of one task in its call: its path, and how many of each thing it has begun.

    The path is the parent's path plus the parent's count of tasks started, so two gathered branches that reserve and
    charge keep their ids apart whichever finishes first. In a step's body the path names the attempt, because a new
    attempt runs its turns anew; `call_path` does not, because a call must keep its id over all attempts.
    """

    ATTEMPTS_MAX = 1000

    __slots__ = ("_calls", "_children", "_ids", "attempt", "call_path", "in_step", "passed", "path", "since")

    def __init__(self, path: str, *, call_path: str | None = None, in_step: bool = False) -> None:
        self.path = path
        self.call_path = path if call_path is None else call_path
        self.in_step = in_step
        self.attempt = 1
        """Grows with every attempt of this branch, over all attempts of what it is part of: a callee that failed for an
        earlier number tries again for a later one."""
        self.passed = ""
        self.since = 0
        self._children = 0
        self._calls: dict[str, int] | None = None
        self._ids: dict[str, int] | None = None

    def child(self) -> Branch:
        """The branch of the next task started in this one."""
        self._children += 1
        n = self._children
        branch = Branch(f"{self.path}.{n}", call_path=f"{self.call_path}.{n}", in_step=self.in_step)
        branch.attempt = self.attempt
        return branch

    def attempt_within(self, number: int) -> int:
        """The attempt of a body begun in this branch for the time `number`."""
        return min((self.attempt - 1) * self.ATTEMPTS_MAX + number, 2**62)  # it travels as a number of 64 bits

    def next_call(self, name: str) -> str:
        """The place of the next call by this name that the branch makes, as part of its derived id."""
        calls = self._calls
        if calls is None:
            calls = self._calls = {}
        count = calls[name] = calls.get(name, 0) + 1
        return f"{self.call_path}:{name}:{count}"

    def key(self, step_id: str) -> str:
        """The key of the next step called `step_id`; a repeated id gets `#2`, `#3` in order of appearance."""
        ids = self._ids
        if ids is None:
            ids = self._ids = {}
        count = ids.get(step_id, 0) + 1
        ids[step_id] = count
        path = self.call_path
        return f"{path}|{step_id}" if count == 1 else f"{path}|{step_id}#{count}"

    def pass_operation(self, key: str) -> None:
        """A durable operation of this branch has delivered its outcome."""
        self.passed = key
        self.since = 0


class TurnRecord:
    """What one turn read and was handed: enough for a replay to run it again on the same values."""

    __slots__ = ("position", "reads", "results", "wrote")

    def __init__(
        self,
        position: Position,
        reads: dict[str, bytes | None],
        results: list[Any],
        *,
        wrote: bool = False,
    ) -> None:
        self.position = position
        self.reads = reads
        self.results = results
        self.wrote = wrote


class Turn:
    """The running turn of an entity."""

    __slots__ = (
        "begins",
        "calls",
        "dropped",
        "effects",
        "finished",
        "has_drawn",
        "nodes",
        "position",
        "reads",
        "record",
        "result_index",
        "results",
        "task",
        "view",
    )

    def __init__(self, task: EntityTask | None) -> None:
        self.task = task
        self.reads: dict[str, bytes | None] = {}
        self.results: list[Any] | None = None
        self.effects: list[Callable[[], None]] | None = None
        self.nodes: list[Any] | None = None
        self.calls: list[Any] | None = None
        self.position: Position = _NOWHERE
        self.record: TurnRecord | None = None
        self.result_index = 0
        self.begins = False
        """A durable operation was begun in it: what it drew may be seen outside before the operation's own row."""
        self.has_drawn = False
        self.view: Any = None
        self.finished: Any = None
        self.dropped = False

    @property
    def is_replayed(self) -> bool:
        """True while a turn whose record exists runs again on recorded values; it writes nothing."""
        return self.record is not None

    def then(self, effect: Callable[[], None]) -> None:
        """Start `effect` once the turn's writes are committed; never, if the turn fails."""
        if self.effects is None:
            self.effects = []
        self.effects.append(effect)

    def run_effects(self) -> None:
        """The writes are committed: start what was asked for."""
        for effect in self.effects or ():
            effect()
