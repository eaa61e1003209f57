"""`RateLimiter`: at most so many per second, hour or day, on average.

    mails = RateLimiter(10, per="1s", name="mails")
    await mails.acquire()          # waits for its place in line
    if await mails.try_acquire():  # or is told no

The decision is the generic cell rate algorithm: one number, the time at which the next place in line is free, is all there
is to remember (https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm). With a name that number lives in an entity, for
everybody who uses the name; without, in this object.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, cast

from dotdo import durations
from dotdo.durable_object.do import DO
from dotdo.errors import Overloaded
from dotdo.resilience import surroundings


@dataclass(frozen=True, slots=True)
class Rate:
    """One place in line is `interval_s` long; `burst` of them may be taken at once after a rest."""

    interval_s: float
    burst: int


def reserve(free_at: float, rate: Rate, now: float, wait_s_max: float) -> tuple[float, float | None]:
    """Take the next place in line: when the one after it is free, and how long to wait for this one.

    None instead of a wait, and nothing taken, if that would be longer than `wait_s_max`.
    """
    wait_s = max(free_at - (rate.burst - 1) * rate.interval_s - now, 0.0)
    if wait_s > wait_s_max:
        return free_at, None
    return max(free_at, now) + rate.interval_s, wait_s


class Limiter(DO, noun="DotdoLimiter", max_queue=100_000, durability="normal"):
    """The line of one name."""

    free_at: float = 0.0

    async def reserve(self, rate: Rate, wait_s_max: float) -> float | None:
        """A place in line: seconds to wait for it; None if that is too long."""
        self.free_at, wait_s = reserve(self.free_at, rate, self.now().timestamp(), wait_s_max)
        return wait_s


class _Here:
    """The line of a limiter without a name."""

    def __init__(self) -> None:
        self.free_at = 0.0

    async def reserve(self, rate: Rate, wait_s_max: float) -> float | None:
        self.free_at, wait_s = reserve(self.free_at, rate, surroundings.now(), wait_s_max)
        return wait_s


class RateLimiter:
    """At most `rate` in every `per`.

    Args:
        rate: how many, at least 1.
        per: in which time.
        burst: how many may come at once after a rest; `rate` by default, 1 spaces them evenly.
        name: who shares it; None: this object alone, in this process.
        max_wait: who would have to wait longer gets Overloaded instead; None: they wait.
    """

    def __init__(
        self,
        rate: int,
        per: durations.Duration = "1s",
        *,
        burst: int | None = None,
        name: str | None = None,
        max_wait: durations.Duration | None = None,
    ) -> None:
        per_s = durations.seconds(per)
        burst = rate if burst is None else burst
        if rate < 1 or burst < 1 or per_s <= 0:
            raise ValueError(f"RateLimiter({rate}, per={per!r}, burst={burst}): rate and burst are at least 1, the time is more than 0")
        self.name = name
        self._rate = Rate(per_s / rate, burst)
        self._wait_s_max = float("inf") if max_wait is None else durations.seconds(max_wait)
        self._here = _Here() if name is None else None

    @property
    def _line(self) -> Limiter:
        if self._here is not None:
            return cast(Limiter, self._here)
        return surroundings.asked_anew(cast(Limiter, Limiter(cast(str, self.name))))

    async def acquire(self) -> None:
        """Wait for a place in line. Raises Overloaded if that would take longer than `max_wait`."""
        wait_s = await self._line.reserve(self._rate, self._wait_s_max)
        if wait_s is None:
            raise Overloaded(f"{self.name or 'this rate limiter'} has no room within {self._wait_s_max:.3g} s; try again later")
        if wait_s > 0:
            await surroundings.pause(wait_s)

    async def try_acquire(self) -> bool:
        """A place in line now, or False."""
        return await self._line.reserve(self._rate, 0.0) is not None

    async def __aenter__(self) -> RateLimiter:
        await self.acquire()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        return None

    async def execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The value of `fn(*args, **kwargs)`, called when its place in line has come."""
        await self.acquire()
        value = fn(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    call = execute

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """As a decorator: every call goes through `execute`."""

        @functools.wraps(fn)
        async def limited(*args: Any, **kwargs: Any) -> Any:
            return await self.execute(fn, *args, **kwargs)

        return limited
