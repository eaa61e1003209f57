"""Shutting the input gate: `storage.transaction()` and `block_concurrency_while`.

While it is shut only its owner's task runs, and tasks that one starts; every other resumption of the entity waits, in
order. A transaction spans turns: none of them commits, its end commits all of them together, or rolls all back, in memory
too. Both end the activation if they last longer than 30 s, because everybody else waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

from dotdo.entity.activation import GATE_HELD_SECONDS_MAX, Activation, Hold
from dotdo.entity.task import EntityTask
from dotdo.errors import Aborted, Hibernated, OutsideTurn, StorageError


class EndOfTurn:
    """Awaiting it ends the turn and goes on in the next pass of the loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def _task_of(activation: Activation, what: str) -> EntityTask:
    turn = activation.turn
    if turn is None or turn.task is None:
        raise OutsideTurn(f"{what} of {activation.key} was used outside a turn")
    if turn.dropped:
        raise Hibernated
    return turn.task


def _shut(activation: Activation, task: EntityTask, *, transaction: bool) -> Hold:
    hold = Hold(activation.hold, transaction=transaction)
    what = "a transaction" if transaction else "block_concurrency_while"
    clock = activation.host.clock
    hold.timer = clock.call_at(
        clock.now() + GATE_HELD_SECONDS_MAX,
        lambda: activation.abort(Aborted(f"{what} of {activation.key} held the entity longer than {GATE_HELD_SECONDS_MAX:.0f} s")),
    )
    activation.hold = hold
    task.hold = hold
    return hold


def _open(activation: Activation, task: EntityTask, hold: Hold) -> None:
    hold.timer.cancel()
    activation.hold = hold.outer
    task.hold = hold.outer
    activation.host.loop.call_soon(activation._drain)


class Transaction:
    """`async with self.storage.transaction():` all of it or nothing."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._hold: Hold | None = None
        self._pending: dict[str, bytes] | None = None
        self._calls: Any = None

    async def __aenter__(self) -> Transaction:
        activation = self._activation
        task = _task_of(activation, "storage.transaction()")
        if activation.in_transaction:
            activation.flush_fields()
            activation.file.savepoint()
            self._pending = dict(activation.fields.pending)
            self._calls = activation.ledger.caller.mark()
            return self
        await EndOfTurn()
        self._hold = _shut(activation, task, transaction=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        activation = self._activation
        if kind is not None and issubclass(kind, Hibernated):
            return
        if self._pending is not None:
            if error is None:
                activation.flush_fields()
                activation.file.release()
            else:
                activation.file.rollback_to()
                activation.fields.roll_back_to(self._pending)
                activation.ledger.rolled_back_to(self._calls)
            return
        hold = self._hold
        assert hold is not None
        task = _task_of(activation, "storage.transaction()")
        if error is not None:
            activation.roll_back()
            _open(activation, task, hold)
            return
        try:
            activation.flush_fields()
        except Exception:
            activation.roll_back()
            _open(activation, task, hold)
            raise
        _open(activation, task, hold)
        await EndOfTurn()
        if activation.file.is_broken:
            raise StorageError(f"the transaction of {activation.key} could not be committed")


async def block_concurrency_while(activation: Activation, fn: Callable[[], Any]) -> Any:
    """Run `fn` with the input gate shut; its value. An error resets the entity, because it may be half set up."""
    task = _task_of(activation, "block_concurrency_while")
    hold = _shut(activation, task, transaction=False)
    try:
        result = fn()
        if inspect.isawaitable(result):
            result = await result
    except Exception as error:
        activation.abort(error)
        raise
    _open(activation, task, hold)
    return result
