"""Retries, breakers, bulkheads, rate limits, timeouts and the cache, as programs and entities use them."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import DO, Bulkhead, CircuitBreaker, CircuitOpen, Overloaded, Permanent, RateLimiter, cache, on, retry, with_retry, with_timeout
from dotdo.resilience.retrying import exponential_backoff, linear_backoff

alerts: list[dict] = []
tried: list[str] = []
asked: list[int] = []
guarded = CircuitBreaker("bank", threshold=3, timeout="60s")


@on.Alert.send
async def alerted(data):
    alerts.append(data)


class FragileBank(DO):
    is_down: bool = True

    async def charge(self, amount: int) -> int:
        asked.append(amount)
        if self.is_down:
            raise ConnectionError("the bank is down")
        return amount

    async def repair(self) -> None:
        self.is_down = False


class FragileShop(DO):
    async def pay(self, amount: int) -> int:
        return await self.do(guarded.execute, FragileBank("b").charge, amount, retry=dotdo.RetryPolicy(max_attempts=2))

    async def pay_patiently(self) -> str:
        return await flaky(self.id)

    async def look_up(self) -> list[int]:
        first = await cache.get_or_set("rate", lambda: 1)
        await self.sleep("2h")
        return [first, await cache.get("rate", 0)]

    async def in_line(self, count: int) -> list[float]:
        start = self.now().timestamp()
        moments = []
        for _ in range(count):
            await RateLimiter(1, per="10s", name="mails").acquire()
            moments.append(self.now().timestamp() - start)
        return moments

    async def late(self) -> None:
        await with_timeout(lambda: self.sleep("1h"), "5s")


@retry(max_attempts=3)
async def flaky(name: str) -> str:
    tried.append(name)
    if tried.count(name) < 3:
        raise ConnectionError("not yet")
    return f"{name} at last"


@pytest.mark.feature(364, 366, 367)
async def test_a_named_breaker_is_shared_counts_attempts_of_steps_and_alerts_once(virtual):
    alerts.clear()
    asked.clear()
    bank = FragileBank("b")
    for shop in ("s1", "s2"):
        with pytest.raises((ConnectionError, CircuitOpen)):
            await FragileShop(shop).pay(5)
    assert len(asked) == 3  # four attempts in all, of which the fourth was refused
    with pytest.raises(CircuitOpen, match="Circuit breaker is open"):
        await FragileShop("s3").pay(5)
    assert len(asked) == 3
    await virtual.crash()  # it is remembered
    assert await guarded.state() == "open"
    await bank.repair()
    await virtual.advance("61s")
    assert await guarded.state() == "half-open"
    assert await FragileShop("s4").pay(7) == 7
    assert await guarded.state() == "closed"
    await virtual.settle()
    assert [(alert["type"], alert["service"]) for alert in alerts] == [("circuit-breaker-open", "bank")]


@pytest.mark.feature(365)
async def test_an_unnamed_breaker_works_without_any_runtime_and_as_a_decorator():
    breaker = CircuitBreaker(threshold=2, timeout="60s")

    @breaker
    async def fails() -> None:
        raise ConnectionError

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await fails()
    with pytest.raises(CircuitOpen):
        await fails()
    assert await breaker.state() == "open"
    await breaker.reset()
    assert await breaker.execute(lambda: 5) == 5


async def test_a_failed_trial_opens_it_again_and_a_cancelled_one_makes_room():
    breaker = CircuitBreaker(threshold=1, timeout=0.0)
    with pytest.raises(ConnectionError):
        await breaker.execute(_raise, ConnectionError())
    breaker.limits = type(breaker.limits)(1, 60.0, 1)
    breaker._here.circuit = type(breaker._here.circuit)("open", opened_at=0.0)
    hanging = asyncio.create_task(breaker.execute(asyncio.Event().wait))
    await asyncio.sleep(0)
    with pytest.raises(CircuitOpen):
        await breaker.execute(lambda: 1)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert await breaker.execute(lambda: 1) == 1


async def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.feature(368)
async def test_a_bulkhead_runs_each_function_once_and_hands_on_errors_in_order():
    bulkhead, order, running = Bulkhead(2, max_waiting=4), [], []
    gate = asyncio.Event()

    async def work(number: int) -> int:
        running.append(number)
        assert bulkhead.running <= 2
        await gate.wait()
        order.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    tasks = [asyncio.create_task(bulkhead.execute(work, number)) for number in range(6)]
    await asyncio.sleep(0)
    assert (running, bulkhead.waiting) == ([0, 1], 4)
    with pytest.raises(Overloaded):
        await bulkhead.execute(work, 9)
    tasks[2].cancel()
    gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [r for r in results if not isinstance(r, BaseException)] == [0, 1, 4, 5]
    assert isinstance(results[2], asyncio.CancelledError)
    assert isinstance(results[3], ValueError)
    assert sorted(order) == [0, 1, 3, 4, 5]
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


async def test_whoever_is_cancelled_in_the_moment_of_its_turn_gives_its_room_back():
    bulkhead = Bulkhead(1)
    await bulkhead.__aenter__()
    waiter = asyncio.create_task(bulkhead.__aenter__())
    await asyncio.sleep(0)
    await bulkhead.__aexit__(None, None, None)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert bulkhead.running == 0


@pytest.mark.feature(403)
async def test_a_shared_rate_spaces_calls_and_its_waits_outlive_a_crash(virtual):
    run = await dotdo.start(FragileShop("r").in_line, 4)
    await virtual.advance("15s")
    await virtual.crash()
    assert [round(moment) for moment in await run.result()] == [0, 10, 20, 30]


async def test_a_rate_limiter_says_no_at_once_to_who_will_not_wait():
    limiter = RateLimiter(2, per="1h")
    assert [await limiter.try_acquire() for _ in range(3)] == [True, True, False]
    with pytest.raises(Overloaded):
        await RateLimiter(1, per="1h", max_wait="1s", burst=1).execute(lambda: None) or await _twice()


async def _twice() -> None:
    limiter = RateLimiter(1, per="1h", max_wait="1s")
    await limiter.acquire()
    await limiter.acquire()


@pytest.mark.feature(359, 360)
async def test_a_retried_function_is_a_step_in_an_execution(virtual):
    tried.clear()
    run = await dotdo.start(FragileShop("patient").pay_patiently)
    await virtual.advance("0.5s")
    assert tried == ["patient"]
    await virtual.crash()  # in the middle of the first delay
    assert await run.result() == "patient at last"
    assert tried == ["patient"] * 3


@pytest.mark.feature(359, 361)
async def test_retries_outside_entities_follow_the_same_policy():
    calls = []

    def fails_twice(value: int) -> int:
        calls.append(value)
        if len(calls) < 3:
            raise ConnectionError
        return value

    assert await with_retry(fails_twice, 7, initial_delay=0.0) == 7
    assert calls == [7, 7, 7]
    with pytest.raises(Permanent):
        await with_retry(_raise, Permanent("no"), initial_delay=0)
    waits = []
    with pytest.raises(ConnectionError):
        await with_retry(_raise, ConnectionError(), max_attempts=3, backoff=lambda attempt: waits.append(attempt) or 0)
    assert waits == [0, 1]
    assert [exponential_backoff(n) for n in range(6)] == [1, 2, 4, 8, 16, 30]
    assert [linear_backoff(n) for n in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="at least once"):
        await with_retry(fails_twice, 1, max_attempts=0)


@pytest.mark.feature(369)
async def test_a_timeout_cancels_what_it_waited_for():
    cancelled = []

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(TimeoutError) as caught:
        await with_timeout(hangs(), 0.01)
    assert isinstance(caught.value, dotdo.CallTimeout)
    assert cancelled == [True]
    assert await with_timeout(lambda: 3, 1) == 3


async def test_a_timeout_inside_an_entity_goes_by_its_clock(virtual):
    with pytest.raises(TimeoutError):
        await FragileShop("late").late()


@pytest.mark.feature(398, 399)
async def test_the_cache_keeps_falsy_values_for_seconds(virtual):
    for value in (0, "", False, None, []):
        await cache.set("k", value, ttl=60)
        assert await cache.get("k", "missing") == value
        assert await cache.has("k")
    assert await cache.get_or_set("k", lambda: "new") == []
    await virtual.advance("61s")
    assert not await cache.has("k")
    assert await cache.get("k", "missing") == "missing"
    assert await cache.get_or_set("k", lambda: "new", ttl="1h") == "new"
    assert await cache.delete("k")
    assert not await cache.delete("k")
    assert cache.key("op", {"a": 1, "b": 2}) == cache.key("op", {"b": 2, "a": 1})


@pytest.mark.feature(398)
async def test_a_look_into_the_cache_is_the_same_on_replay(virtual):
    run = await dotdo.start(FragileShop("looks").look_up)
    await virtual.settle()
    await cache.set("rate", 2)
    await virtual.crash()
    assert await run.result() == [1, 2]
