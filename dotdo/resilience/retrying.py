"""`retry`: the policy of steps, for any function.

    @retry(max_attempts=3, backoff="exponential", initial_delay="1s")
    async def fetch(url): ...

    reply = await with_retry(lambda: fetch(url), max_attempts=5)

In the body of an execution a call that is retried is a step, so its attempts and its waits outlive the process, and a replay
gets the recorded outcome. Anywhere else the loop below runs, and what the policy says is the same.
"""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

from dotdo import durations
from dotdo.durable import step
from dotdo.durable.retry import RetryPolicy
from dotdo.resilience import surroundings

P = ParamSpec("P")
R = TypeVar("R")

_JITTER = random.Random()  # noqa: S311  # spreads attempts, keeps no secret


@overload
def retry(fn: Callable[P, Awaitable[R]], /) -> Callable[P, Awaitable[R]]: ...
@overload
def retry(fn: RetryPolicy | int | None = None, /, **options: Any) -> Callable[[Callable[P, Any]], Callable[P, Awaitable[Any]]]: ...
def retry(fn: Any = None, /, **options: Any) -> Any:
    """A decorator: the function is tried again when it raises.

    Args:
        fn: with `@retry` alone, the function; else a RetryPolicy or a number of attempts.
        options: those of `RetryPolicy`: max_attempts, backoff, initial_delay, max_delay, factor, jitter, non_retryable.

    Raises:
        Exception: the last attempt's error.
    """
    if callable(fn) and not isinstance(fn, RetryPolicy):
        return _retried(fn, RetryPolicy(**options))
    policy = _policy(fn, options)
    return lambda function: _retried(function, policy)


def _policy(given: RetryPolicy | int | None, options: dict[str, Any]) -> RetryPolicy:
    if isinstance(given, RetryPolicy):
        if options:
            raise TypeError(f"retry() takes a RetryPolicy or {', '.join(options)}, not both")
        return given
    return RetryPolicy(**options) if given is None else RetryPolicy(max_attempts=given, **options)


def _retried(fn: Callable[..., Any], policy: RetryPolicy) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(fn)
    async def tried(*args: Any, **kwargs: Any) -> Any:
        return await _try(functools.partial(fn, *args, **kwargs) if kwargs else fn, () if kwargs else args, policy)

    return tried


async def with_retry(
    fn: Callable[..., Any],
    *args: Any,
    max_attempts: int = 3,
    backoff: str | Callable[[int], durations.Duration] = "exponential",
    policy: RetryPolicy | None = None,
    **options: Any,
) -> Any:
    """Call `fn(*args)`, again when it raises; its value, or the last error.

    Args:
        max_attempts: calls in all, at least 1.
        backoff: "exponential", "linear", "constant", or a function from the number of attempts so far (from 0) to a duration.
        policy: a whole RetryPolicy instead.
        options: further options of RetryPolicy.
    """
    if callable(backoff):
        if policy is not None or options:
            raise TypeError("with_retry() takes a function as backoff, or a policy and its options, not both")
        return await _try_with(fn, args, max_attempts, backoff)
    return await _try(fn, args, policy or RetryPolicy(max_attempts=max_attempts, backoff=backoff, **options))  # type: ignore[arg-type]


async def _try(fn: Callable[..., Any], args: tuple[Any, ...], policy: RetryPolicy) -> Any:
    found = surroundings.ledger()
    if found is not None and surroundings.is_execution_body(found):
        return await found.do(fn, args, step_id=step.name_of(fn), policy=policy)
    attempt = 1
    while True:
        try:
            return await _call(fn, args)
        except Exception as error:
            delay_s = policy.delay_after(attempt, error, _JITTER)
            if delay_s is None:
                raise
        attempt += 1
        await surroundings.pause(delay_s)


async def _try_with(fn: Callable[..., Any], args: tuple[Any, ...], max_attempts: int, backoff: Callable[[int], durations.Duration]) -> Any:
    if max_attempts < 1:
        raise ValueError(f"max_attempts is {max_attempts}: a function is tried at least once")
    for attempt in range(max_attempts - 1):
        try:
            return await _call(fn, args)
        except Exception as error:
            if RetryPolicy(max_attempts=max_attempts).delay_after(attempt + 1, error) is None:
                raise
        await surroundings.pause(durations.seconds(backoff(attempt)))
    return await _call(fn, args)


async def _call(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    value = fn(*args)
    return await value if inspect.isawaitable(value) else value


def exponential_backoff(attempt: int) -> float:
    """Seconds before the next attempt: 1, 2, 4, 8, 16, then 30, for attempts from 0."""
    return float(min(2.0 ** min(attempt, 10), 30.0))


def linear_backoff(attempt: int) -> float:
    """Seconds before the next attempt: 1, 2, 3 and so on, at most 30, for attempts from 0."""
    return float(min(attempt + 1, 30))


def fixed_backoff(attempt: int) -> float:
    """Five seconds before every next attempt."""
    return 5.0
