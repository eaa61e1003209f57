"""Waiting for the outside: signals, callbacks and polls, made of waits and steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from dotdo.durable.waits import WaitOperation
from dotdo.errors import WaitTimeout
from dotdo.names import execution_id_of

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger

POLL_INTERVAL_SECONDS_MAX = 3600.0


def wait_for_signal(ledger: Ledger, name: str, timeout_s: float | None, default: Any) -> Any:
    """The coroutine of a wait for a signal; its id is taken now."""
    run, task = ledger.current_run("wait_for")
    return WaitOperation(run, task.branch.key(f"wait:{name}"), name, timeout_s, default).outcome()


class Callback:
    """A promise that the outside world keeps: `id` goes out, `await` waits for it."""

    __slots__ = ("_operation", "id")

    def __init__(self, callback_id: str, operation: WaitOperation) -> None:
        self.id = callback_id
        self._operation = operation

    def __await__(self) -> Generator[Any, None, Any]:
        return self._operation.outcome().__await__()

    def __repr__(self) -> str:
        return f"<callback {self.id}>"


def make(ledger: Ledger, name: str, timeout_s: float | None) -> Callback:
    """A callback of the running execution; its id is the same on every replay."""
    run, task = ledger.current_run("callback")
    key = task.branch.key(f"callback:{name}")
    run.must_be_journaled()
    place = key.replace("#", "~")
    callback_id = f"{execution_id_of(ledger.activation.key, run.id)}#{place}"
    return Callback(callback_id, WaitOperation(run, key, f"callback:{place}", timeout_s))


async def first(awaitables: tuple[Any, ...]) -> tuple[int, Any]:
    """Index and value of the awaitable that is done first; the others are cancelled. The same one again on replay."""
    if not awaitables:
        raise TypeError("first() takes at least one awaitable")
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    order: list[asyncio.Future[Any]] = []
    for task in tasks:
        task.add_done_callback(order.append)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    winner = order[0]  # several may be done by now; which was the first is what a replay sees again
    return tasks.index(winner), winner.result()


class Timeout:
    """`async with self.timeout("1h")`: a deadline that outlives the process. Raises WaitTimeout."""

    def __init__(self, ledger: Ledger, seconds: float) -> None:
        self._ledger = ledger
        self._seconds = seconds
        self._is_due = False
        self._sleeper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Timeout:
        _run, task = self._ledger.current_run("timeout")
        waiting = self._ledger.sleep(self._seconds)

        async def expire() -> None:
            await waiting
            self._is_due = True
            task.cancel()

        self._task = task
        self._sleeper = asyncio.create_task(expire())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._sleeper is not None:
            self._sleeper.cancel()
        if self._is_due and isinstance(error, asyncio.CancelledError):
            self._task.uncancel()
            raise WaitTimeout(f"{self._ledger.activation.key} did not get through within {self._seconds} s") from None


async def poll(
    ledger: Ledger,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    until: Callable[[Any], bool],
    interval_s: float,
    backoff: float,
    timeout_s: float | None,
) -> Any:
    """The first value that satisfies `until`. Raises WaitTimeout."""
    waited = 0.0
    while True:
        value = await ledger.do(fn, args)
        if until(value):
            return value
        pause = interval_s
        if timeout_s is not None:
            if waited >= timeout_s:
                raise WaitTimeout(f"the condition polled by {ledger.activation.key} did not hold within {timeout_s} s")
            pause = min(pause, timeout_s - waited)
        await ledger.sleep(pause)
        waited += pause
        interval_s = min(interval_s * backoff, POLL_INTERVAL_SECONDS_MAX)
