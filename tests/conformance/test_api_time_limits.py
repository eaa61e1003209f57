"""Time limits, where what is waited for rests longer than the limit: sections 3 and 11 of the public page."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import DO, send

ATTEMPTS: list[str] = []


class LimitedJob(DO):
    async def rest(self) -> str:
        await self.sleep("1d")
        return "rested"


class LimitingBoss(DO):
    async def as_step(self) -> str:
        return await self.do(LimitedJob(self.id).rest, step_id="rest", timeout="3h", retry=1)

    async def within_a_step(self) -> str:
        return await self.do(self._ask, step_id="ask", timeout="3h", retry=1)

    async def two_attempts(self) -> str:
        return await self.do(self._ask, step_id="ask", timeout="90m", retry=2)

    async def step_of_a_step(self) -> str:
        return await self.do(self._ask_in_a_step, step_id="outer", retry=2)

    async def call(self) -> str:
        return await LimitedJob(self.id).with_options(timeout="3h").rest()

    async def call_in_a_step(self) -> str:
        return await self.do(LimitedJob(self.id).with_options(timeout="3h").rest, step_id="rest", retry=1)

    async def attempt(self) -> str:
        return await self.try_(LimitedJob(self.id).rest, timeout="3h")

    async def long_enough(self) -> str:
        return await self.do(LimitedJob(self.id).rest, step_id="rest", timeout="25h", retry=1)

    async def _ask(self) -> str:
        ATTEMPTS.append(self.id)
        return await LimitedJob(self.id).rest()

    async def _ask_in_a_step(self) -> str:
        return await self.do(self._ask, step_id="inner", timeout="90m", retry=1)


@pytest.mark.parametrize("method", ["as_step", "within_a_step", "call", "call_in_a_step", "attempt"])
async def test_a_limit_holds_although_what_is_waited_for_rests_for_longer(virtual, method):
    run = await dotdo.start(getattr(LimitingBoss(method), method))
    await virtual.advance("2h")
    assert await run.status() in ("waiting", "running")
    await virtual.advance("61m")
    assert await run.status() == "failed"
    with pytest.raises(TimeoutError):
        await run.result()


@pytest.mark.parametrize("method", ["as_step", "within_a_step", "call"])
async def test_a_limit_counts_from_its_begin_over_rest_and_crash(virtual, method):
    run = await dotdo.start(getattr(LimitingBoss(method), method))
    await virtual.advance("2h")
    assert virtual.host.activations == {}  # nobody stays awake for a limit
    info = await run.info()
    assert info.until is not None and (info.until - info.started_at).total_seconds() == pytest.approx(3 * 3600, abs=1)
    await virtual.crash()
    await virtual.advance("59m")
    assert await run.status() == "waiting"
    await virtual.advance("2m")
    assert await run.status() == "failed"


@pytest.mark.parametrize("method", ["two_attempts", "step_of_a_step"])
async def test_each_attempt_has_the_whole_time(virtual, method):
    ATTEMPTS.clear()
    run = await dotdo.start(getattr(LimitingBoss(method), method))
    await virtual.advance("1h")
    await virtual.crash()
    await virtual.advance("1h")
    assert await run.status() == "waiting"
    await virtual.crash()
    await virtual.advance("59m")
    assert await run.status() == "waiting"
    await virtual.advance("2m")
    assert await run.status() == "failed"
    with pytest.raises(dotdo.StepTimeout, match="90|5400"):
        await run.result()


async def test_an_execution_that_is_retried_has_the_whole_time_again(virtual):
    run = await dotdo.start(LimitingBoss("retried").as_step)
    await virtual.advance("4h")
    assert await run.status() == "failed"
    await run.retry()
    await virtual.advance("2h")
    assert await run.status() == "waiting"
    await virtual.advance("2h")
    assert await run.status() == "failed"


async def test_time_goes_on_while_an_execution_is_paused(virtual):
    run = await dotdo.start(LimitingBoss("paused").as_step)
    await virtual.advance("1h")
    await run.pause()
    await virtual.advance("5h")
    assert await run.status() == "paused"
    await run.resume()
    with pytest.raises(dotdo.StepTimeout):
        await run.result()


async def test_what_is_done_within_the_limit_is_the_answer(virtual):
    run = await dotdo.start(LimitingBoss("patient").long_enough)
    await virtual.advance("2h")
    await virtual.crash()
    assert await run.result() == "rested"


class ImpatientJob(DO, idle_timeout="0.2s"):
    async def under_timeout(self) -> str:
        try:
            async with asyncio.timeout(1):
                return await self.wait_for("Impatient.answered")
        except TimeoutError:
            return await self.do(self._given_up, step_id="given-up")

    async def under_wait_for(self) -> str:
        try:
            return await asyncio.wait_for(self.wait_for("Impatient.answered"), 1)
        except TimeoutError:
            return await self.do(self._given_up, step_id="given-up")

    async def under_wait(self) -> str:
        waiting = asyncio.create_task(self.wait_for("Impatient.answered"))
        done, _ = await asyncio.wait([waiting], timeout=1)
        return "answered" if done else await self.do(self._given_up, step_id="given-up")

    async def in_a_step(self) -> str:
        return await self.do(self._ask, step_id="ask", retry=1)

    async def and_then_sleeps(self) -> str:
        said = await self.under_timeout()
        await self.sleep("1h")
        return said

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(1):
                return await LimitedJob(f"of-{self.id}").rest()
        except TimeoutError:
            return "given up"

    def _given_up(self) -> str:
        return "given up"


@pytest.mark.parametrize("method", ["under_timeout", "under_wait_for", "under_wait", "in_a_step"])
async def test_asyncios_limits_around_durable_waits_keep_the_entity_awake(rt, method):
    run = await dotdo.start(getattr(ImpatientJob(method), method))
    assert await run.result(timeout=20) == "given up"


async def test_an_entity_sleeps_again_when_the_limit_is_over(virtual):
    run = await dotdo.start(ImpatientJob("sleeper").and_then_sleeps)
    await virtual.settle()
    await send("Impatient.answered", "yes")
    await virtual.advance("1m")
    assert virtual.host.activations == {}
    assert await run.result() == "yes"
