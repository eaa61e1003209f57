"""Compensation: undoing the completed steps of an execution that fails, newest first, each once, each durable.

Every undo is a step of its own whose key names the step it undoes, so a loop of compensations can never share one id,
and a crash between two of them resumes with the next. A failing undo is recorded as a note on the original error, the
rest still run, and the original error is what the caller gets.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dotdo.durable import retry, step

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run

Undo = tuple[str, str, Callable[..., Any]]
"""Key and name of the step to undo, and the function that does it."""


async def unwind(run: Run, undos: list[Undo], reason: BaseException) -> None:
    """Run the undos, newest first; raises `reason`, with a note for each undo that failed."""
    for key, name, fn in reversed(undos):
        operation = step.StepOperation(
            run, f"undo|{key}", f"undo {name}", fn, (), policy=retry.DEFAULT, is_chosen=False, timeout_s=None, undo=None
        )
        try:
            await operation.outcome()
        except Exception as error:  # the rest must still be undone
            reason.add_note(f"the undo of step '{name}' failed: {type(error).__name__}: {error}")
    raise reason


class Saga:
    """`async with self.saga() as saga: saga.add(fn, *args)`: the same by hand."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._undos: list[tuple[str, Callable[..., Any]]] = []
        self.failed = False

    @property
    def steps(self) -> list[str]:
        """The names of the registered compensations, oldest first."""
        return [name for name, _ in self._undos]

    def add(self, fn: Callable[..., Any], *args: Any) -> None:
        """Run `fn(*args)` if the block fails; newest first, each once."""
        self._undos.append((step.name_of(fn), functools.partial(fn, *args)))

    async def __aenter__(self) -> Saga:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or not isinstance(error, (Exception, asyncio.CancelledError)) or self._ledger.current_run("saga")[0].is_over:
            return
        self.failed = True
        for name, fn in reversed(self._undos):
            try:
                await self._ledger.do(fn, (), step_id=f"undo:{name}")
            except Exception as problem:  # the rest must still be undone
                error.add_note(f"the undo '{name}' failed: {type(problem).__name__}: {problem}")
