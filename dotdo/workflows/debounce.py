"""`debounce`: of calls that follow each other closely, only the last does its work.

The calls of one key meet in an entity, which counts them. Each waits out its time there, durably, and learns whether
another came meanwhile. So nobody waits longer than the time given, whoever crashes, and the work is done by the execution
that came last, as a step of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, overload

from dotdo import durations
from dotdo.durable import step
from dotdo.durable.calls import EntityCaller
from dotdo.durable.current import do
from dotdo.durable_object import DO
from dotdo.rpc import caller as callers

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Debounce(DO, noun="DotdoDebounce"):
    """Those who called with one key."""

    arrived: int = 0

    async def arrive(self, seconds: float) -> bool:
        """Wait; True if nobody came in the meantime."""
        self.arrived += 1
        mine = self.arrived
        await self.sleep(seconds)
        return self.arrived == mine


@overload
def debounce(
    key: str, duration: durations.Duration, fn: Callable[[*Ts], Awaitable[R]], *args: *Ts
) -> Coroutine[Any, Any, R | None]: ...  # fmt: skip
@overload
def debounce(key: str, duration: durations.Duration, fn: Callable[[*Ts], R], *args: *Ts) -> Coroutine[Any, Any, R | None]: ...
def debounce(key: str, duration: durations.Duration, fn: Callable[..., Any], *args: Any) -> Any:  # type: ignore[misc]  # mypy does not see that *args holds *Ts
    """Run `fn(*args)` once nobody has called with this key for `duration`; every earlier call is answered None without it.

    In an execution the wait is durable and `fn` is a step of the execution that came last; elsewhere it is simply called.
    """
    arriving = Debounce(key).arrive(durations.seconds(duration))
    return _when_last(key, arriving, fn, args)


async def _when_last(key: str, arriving: Awaitable[bool], fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    if not await arriving:
        return None
    if isinstance(callers.current(), EntityCaller):
        return await do(fn, *args, step_id=f"debounce {key}")
    return await step.run_body(fn, args)
