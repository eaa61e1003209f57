"""`do`, `sleep` and friends for code outside a class: they act on the execution that is running."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import datetime
from typing import Any, TypeVar, TypeVarTuple, overload
from uuid import UUID

from dotdo import clock, durations
from dotdo.durable import attempt
from dotdo.durable import step as steps
from dotdo.durable.calls import EntityCaller
from dotdo.durable.ledger import Ledger
from dotdo.durable.retry import RetryPolicy
from dotdo.errors import OutsideTurn
from dotdo.rpc.caller import CALLER

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
F = TypeVar("F", bound=Callable[..., Any])


def ledger_of(what: str) -> Ledger:
    caller = CALLER.get()
    if not isinstance(caller, EntityCaller):
        raise OutsideTurn(f"{what} acts on the execution that is running, and none is: call it from an entity's method")
    return caller.ledger


def _seconds(duration: durations.Duration | None) -> float | None:
    return None if duration is None else durations.seconds(duration)


@overload
def do(
    fn: Callable[[*Ts], Awaitable[R]], *args: *Ts, step_id: str | None = None, retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
) -> Coroutine[Any, Any, R]: ...  # fmt: skip
@overload
def do(
    fn: Callable[[*Ts], R], *args: *Ts, step_id: str | None = None, retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
) -> Coroutine[Any, Any, R]: ...  # fmt: skip
def do(fn: Callable[..., Any], *args: Any, **options: Any) -> Any:  # type: ignore[misc]  # mypy does not see that *args holds *Ts
    """As `self.do`."""
    return _do(fn, args, **options)


def _do(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    *,
    step_id: str | None = None,
    retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None,
    undo: Callable[..., Any] | None = None,
) -> Any:
    return ledger_of("do").do(fn, args, step_id=step_id, policy=retry, timeout_s=_seconds(timeout), undo=undo)


@overload
def try_(fn: Callable[[*Ts], Awaitable[R]], *args: *Ts, timeout: durations.Duration | None = None) -> Coroutine[Any, Any, R]: ...
@overload
def try_(fn: Callable[[*Ts], R], *args: *Ts, timeout: durations.Duration | None = None) -> Coroutine[Any, Any, R]: ...
def try_(fn: Callable[..., Any], *args: Any, timeout: durations.Duration | None = None) -> Any:  # type: ignore[misc]  # mypy does not see that *args holds *Ts
    """As `self.try_`."""
    ledger = ledger_of("try_")
    run, task = ledger.current_run("try_")
    return attempt.attempt(ledger, run, task, task.branch.key(f"try:{steps.name_of(fn)}"), fn, args, _seconds(timeout))


def sleep(duration: durations.Duration) -> Any:
    """As `self.sleep`."""
    return ledger_of("sleep").sleep(durations.seconds(duration))


def now() -> datetime:
    """As `self.now`."""
    ledger = ledger_of("now")
    return clock.to_datetime(ledger.handed(ledger.activation.host.clock.now))


def uuid4() -> UUID:
    """As `self.uuid4`."""
    ledger = ledger_of("uuid4")
    return UUID(bytes=ledger.handed(lambda: ledger.rng.getrandbits(128).to_bytes(16, "big")), version=4)


def patched(name: str) -> bool:
    """Say which code a point of a changed workflow or method shall run: `if patched("v2"): ...new... else: ...old...`.

    True for executions that come to the point for the first time on code that has it, False for those that had passed it
    before; recorded, so that each execution keeps its answer. Once no execution from before is left, the old branch and
    `patched` can go.
    """
    ledger = ledger_of("patched")
    run, _task = ledger.current_run("patched")
    turn, _task = ledger.current("patched")
    return run.patched(name, turn)


@overload
def step(
    name: str, fn: Callable[[*Ts], Awaitable[R]], /, *args: *Ts, retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
) -> Coroutine[Any, Any, R]: ...  # fmt: skip
@overload
def step(
    name: str, fn: Callable[[*Ts], R], /, *args: *Ts, retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
) -> Coroutine[Any, Any, R]: ...  # fmt: skip
@overload
def step(method: F, /) -> F: ...
@overload
def step(
    *, step_id: str | None = None, retry: RetryPolicy | int | None = None, timeout: durations.Duration | None = None,
    undo: Callable[..., Any] | None = None,
) -> Callable[[F], F]: ...  # fmt: skip
def step(*args: Any, **options: Any) -> Any:  # type: ignore[misc]  # mypy does not see that *args holds *Ts
    """`step("name", fn, *args)` runs now, as a durable step; `@step` and `@step(retry=..., timeout=...)` stand above a method."""
    if args and isinstance(args[0], str):
        name, fn, *rest = args
        return _do(fn, tuple(rest), step_id=name, **options)
    if len(args) == 1 and callable(args[0]) and not options:
        return steps.as_step(args[0], {})
    if args:
        raise TypeError("step takes a name and a function, or only keywords as a decorator")
    return lambda fn: steps.as_step(fn, options)


async def gather_limited(
    fns: Iterable[Callable[[], Any]],
    limit: int = 10,
    min_successful: int | None = None,
    tolerated_failures: int = 0,
) -> list[Any]:
    """Run functions, at most `limit` at once; results in order (None for a tolerated failure).

    Each has a branch of its own, by its place in `fns`, so the steps in it keep their ids whichever ends first; an execution
    rests while all that run rest.

    Raises:
        Exception: the first error, once more than `tolerated_failures` failed, or fewer than `min_successful` can succeed. What
            runs then is let finish, nothing more is begun.
        ValueError: a limit below 1, or more successes wanted than there are functions.
    """
    waiting = list(fns)
    if limit < 1:
        raise ValueError(f"limit={limit}: at least 1")
    if min_successful is not None and not 0 <= min_successful <= len(waiting):
        raise ValueError(f"min_successful={min_successful}: there are {len(waiting)} functions")
    allowed = tolerated_failures if min_successful is None else max(tolerated_failures, len(waiting) - min_successful)
    results: list[Any] = [None] * len(waiting)
    errors: list[Exception] = []

    async def run(index: int, fn: Callable[[], Any]) -> None:
        try:
            value = fn()
            results[index] = await value if hasattr(value, "__await__") else value
        except Exception as error:  # counted, and the first one raised
            errors.append(error)

    running: set[asyncio.Task[None]] = set()
    try:
        for index, fn in enumerate(waiting):
            if len(running) == limit:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if len(errors) > allowed:
                break
            running.add(asyncio.create_task(run(index, fn)))
        if running:
            await asyncio.wait(running)
    finally:
        for task in running:
            task.cancel()
    if len(errors) > allowed:
        raise errors[0]
    return results


def in_thread(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a blocking function for `do`, `try_` and `step`: it runs on a thread, not on the host's loop."""

    @functools.wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(fn, *args, **kwargs)

    return run
