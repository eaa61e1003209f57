"""`do`, `sleep` and friends for code outside a class: they act on the execution that is running."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from dotdo import clock, durations
from dotdo.durable import attempt
from dotdo.durable import step as steps
from dotdo.durable.calls import EntityCaller
from dotdo.durable.ledger import Ledger
from dotdo.durable.retry import RetryPolicy
from dotdo.errors import OutsideTurn
from dotdo.rpc.caller import CALLER


def ledger_of(what: str) -> Ledger:
    caller = CALLER.get()
    if not isinstance(caller, EntityCaller):
        raise OutsideTurn(f"{what} acts on the execution that is running, and none is: call it from an entity's method")
    return caller.ledger


def _seconds(duration: durations.Duration | None) -> float | None:
    return None if duration is None else durations.seconds(duration)


def do(
    fn: Callable[..., Any],
    *args: Any,
    step_id: str | None = None,
    retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None,
    undo: Callable[..., Any] | None = None,
) -> Any:
    """As `self.do`."""
    return ledger_of("do").do(fn, args, step_id=step_id, policy=retry, timeout_s=_seconds(timeout), undo=undo)


def try_(fn: Callable[..., Any], *args: Any, timeout: durations.Duration | None = None) -> Any:
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


def step(*args: Any, **options: Any) -> Any:
    """`@step(retry=..., timeout=...)` on a method, `@step`, or `step("name", fn, *args)` which runs now."""
    if args and isinstance(args[0], str):
        name, fn, *rest = args
        return do(fn, *rest, step_id=name, **options)
    if len(args) == 1 and callable(args[0]) and not options:
        return steps.as_step(args[0], {})
    if args:
        raise TypeError("step takes a name and a function, or only keywords as a decorator")
    return lambda fn: steps.as_step(fn, options)


async def gather_limited(
    fns: list[Callable[[], Any]],
    limit: int = 10,
    min_successful: int | None = None,
    tolerated_failures: int = 0,
) -> list[Any]:
    """Run functions, at most `limit` at once; results in order (None for a tolerated failure).

    Raises the first error once more than `tolerated_failures` failed, or fewer than `min_successful` can succeed.
    """
    import asyncio

    if limit < 1:
        raise ValueError(f"limit={limit}: at least 1")
    results: list[Any] = [None] * len(fns)
    errors: list[BaseException] = []
    allowed = tolerated_failures if min_successful is None else max(tolerated_failures, len(fns) - min_successful)
    slots = asyncio.Semaphore(limit)

    async def run(index: int, fn: Callable[[], Any]) -> None:
        async with slots:
            if len(errors) > allowed:
                return
            try:
                value = fn()
                results[index] = await value if hasattr(value, "__await__") else value
            except Exception as error:  # counted, and the first one raised
                errors.append(error)

    await asyncio.gather(*(run(index, fn) for index, fn in enumerate(fns)))
    if len(errors) > allowed:
        raise errors[0]
    return results


def in_thread(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a blocking function for `do`, `try_` and `step`: it runs on a thread, not on the host's loop."""
    import asyncio
    import functools

    @functools.wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(fn, *args, **kwargs)

    return run
