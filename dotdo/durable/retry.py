"""When a failed attempt is tried again, and after how long.

A pure decision: `RetryPolicy.delay_after(attempt, error)` is None when the step has failed for good. Programming errors
are never retried, nor errors raised by another entity's method, which had its own retries: pass a policy for those.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from dotdo import durations
from dotdo.errors import Permanent, is_remote

Duration = float | int | str | timedelta

_NEVER: tuple[type[BaseException], ...] = (Permanent, TypeError, AttributeError, NameError)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a step is tried.

    Args:
        max_attempts: calls of the body in all, at least 1.
        backoff: how the delay grows from one attempt to the next.
        initial_delay: the delay after the first failure.
        max_delay: no delay is longer, unless `initial_delay` is: delays then do not grow.
        factor: what an exponential delay is multiplied by.
        jitter: 0.0 to 1.0; up to this part of the delay is added at random.
        non_retryable: errors that end the step at once.
    """

    max_attempts: int = 3
    backoff: Literal["exponential", "linear", "constant"] = "exponential"
    initial_delay: Duration = "1s"
    max_delay: Duration = "30s"
    factor: float = 2
    jitter: float = 0.0
    non_retryable: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError(f"max_attempts is {self.max_attempts}: a step is tried at least once")
        if self.backoff not in ("exponential", "linear", "constant"):
            raise ValueError(f"unknown backoff {self.backoff!r}: use 'exponential', 'linear' or 'constant'")
        if not 0.0 <= self.jitter <= 1.0:
            raise ValueError(f"jitter is {self.jitter}: it is a part of the delay, 0.0 to 1.0")
        if durations.seconds(self.initial_delay) < 0 or durations.seconds(self.max_delay) < 0:
            raise ValueError("a retry delay cannot be negative")

    def delay_s(self, attempt: int) -> float:
        """Seconds from the failure of attempt `attempt` (from 1) to the next, without jitter."""
        initial = durations.seconds(self.initial_delay)
        longest = max(initial, durations.seconds(self.max_delay))
        if self.backoff == "constant":
            return initial
        if self.backoff == "linear":
            return min(initial * attempt, longest)
        try:
            return float(min(initial * self.factor ** (attempt - 1), longest))
        except OverflowError:
            return longest

    def delay_after(self, attempt: int, error: BaseException, rng: random.Random | None = None) -> float | None:
        """Seconds until the next attempt, or None when there is none."""
        if attempt >= self.max_attempts or isinstance(error, (*_NEVER, *self.non_retryable)):
            return None
        delay = self.delay_s(attempt)
        if self.jitter and rng is not None:
            delay += delay * self.jitter * rng.random()
        return delay


DEFAULT = RetryPolicy()
ONCE = RetryPolicy(max_attempts=1)


def policy_of(retry: RetryPolicy | int | None) -> tuple[RetryPolicy, bool]:
    """The policy meant by a `retry=` argument, and whether the user chose it."""
    if retry is None:
        return DEFAULT, False
    if isinstance(retry, bool) or not isinstance(retry, (RetryPolicy, int)):
        raise TypeError(f"retry={retry!r}: give a RetryPolicy or a number of attempts")
    return (retry, True) if isinstance(retry, RetryPolicy) else (RetryPolicy(max_attempts=retry), True)


def next_delay(
    policy: RetryPolicy, chosen: bool, attempt: int, error: BaseException, rng: random.Random
) -> float | None:  # one flag, read beside its policy
    """As `RetryPolicy.delay_after`; an error of another entity's method is final unless the user chose a policy."""
    if not chosen and is_remote(error):
        return None
    return policy.delay_after(attempt, error, rng)
