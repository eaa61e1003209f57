"""`with_timeout`: an answer in time, or an error in time; what was waited for is cancelled for real.

It lives in memory, as `asyncio.timeout` does. What must outlive the process has `timeout=` on a step, or `self.timeout`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from dotdo import durations
from dotdo.errors import CallTimeout
from dotdo.resilience import surroundings


async def with_timeout(what: Awaitable[Any] | Callable[[], Any], timeout: durations.Duration) -> Any:
    """The value of an awaitable, or of a function without arguments. Raises CallTimeout, which is a TimeoutError, when it is late."""
    seconds = durations.seconds(timeout)
    value = what if inspect.isawaitable(what) else what()  # type: ignore[operator]
    if not inspect.isawaitable(value):
        return value
    task = asyncio.ensure_future(value)
    found = surroundings.ledger()
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    if found is None:
        timer: Any = asyncio.get_running_loop().call_later(seconds, expire)
    else:
        clock = found.activation.host.clock
        timer = clock.call_at(clock.now() + seconds, expire)
    try:
        return await task
    except asyncio.CancelledError:
        if expired:
            raise CallTimeout(f"it took longer than {timeout}; what it has done already stays done") from None
        task.cancel()
        raise
    finally:
        timer.cancel()
