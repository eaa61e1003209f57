"""What section 8 of the public page says of the patterns, as a user would write it."""

from __future__ import annotations

import pytest

from dotdo import Bulkhead, CircuitBreaker, CircuitOpen, RateLimiter, cache, gather_limited, retry, with_timeout


async def double(number):
    return 2 * number


async def fail():
    raise ConnectionError("down")


@pytest.mark.parametrize("form", ["execute", "call", "decorator"])
async def test_each_guard_runs_a_function_in_each_form(virtual, form):
    for guard in (CircuitBreaker("api-patterns", threshold=5, timeout="60s"), Bulkhead(2), RateLimiter(10, "1s")):
        if form == "decorator":
            assert await guard(double)(21) == 42
        else:
            assert await getattr(guard, form)(double, 21) == 42


async def test_a_breaker_opens_and_lets_through_again(virtual):
    breaker = CircuitBreaker("api-breaker", threshold=2, timeout="60s")
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await breaker.call(fail)
    with pytest.raises(CircuitOpen):
        await CircuitBreaker("api-breaker", threshold=2, timeout="60s").call(double, 1)
    await virtual.advance("61s")
    assert await breaker.call(double, 1) == 2


async def test_retry_cache_timeout_and_a_bounded_gather(virtual):
    tries = []

    @retry(max_attempts=3, initial_delay="1s")
    async def flaky():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("down")
        return len(tries)

    assert await flaky() == 3
    await cache.set("rates", {"EUR": 1.1}, ttl="1h")
    assert await cache.get("rates") == {"EUR": 1.1}
    await virtual.advance("2h")
    assert await cache.get("rates") is None
    assert await with_timeout(double(2), "1s") == 4
    assert await gather_limited([lambda n=n: double(n) for n in range(4)], 10) == [0, 2, 4, 6]
