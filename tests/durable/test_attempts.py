"""Attempts within attempts: a callee that failed for one tries again for the next, also when the attempt is one of an outer step."""

from __future__ import annotations

import pytest

from dotdo import DO, RetryPolicy

TRIES: list[str] = []
FAILS = {"callee": 0, "outer": 0}


class Callee(DO, noun="AttemptedCallee"):
    async def work(self) -> str:
        await self.do(self._body, step_id="body", retry=1)
        return "done"

    async def _body(self) -> None:
        TRIES.append("callee")
        if FAILS["callee"] > 0:
            FAILS["callee"] -= 1
            raise ValueError("not yet")


class Caller(DO, noun="AttemptedCaller"):
    async def run(self) -> str:
        return await self.do(self._outer, step_id="outer", retry=RetryPolicy(max_attempts=3, initial_delay="10s"))

    async def _outer(self) -> str:
        TRIES.append("outer")
        return await self.do(Callee("c").work, step_id="inner", retry=1)

    async def tried(self) -> str:
        return await self.do(self._trying, step_id="outer", retry=3)

    async def _trying(self) -> str:
        TRIES.append("outer")
        return await self.try_(Callee("c").work)

    async def run_once(self) -> str:
        return await self.do(Callee("c").work, step_id="only", retry=1)

    async def call_once(self) -> str:
        return await Callee("c").work()


@pytest.fixture(autouse=True)
def fresh():
    TRIES.clear()
    FAILS["callee"] = 0


@pytest.mark.feature(21, 23)
@pytest.mark.parametrize("crash", [None, "body", "inner", "outer"])
@pytest.mark.parametrize("method", ["run", "tried"])
async def test_a_new_attempt_of_the_outer_step_is_a_new_attempt_for_what_failed_in_it(virtual, crash, method):
    FAILS["callee"] = 2
    if crash is not None:
        virtual.crash_after(crash)
    run = await virtual.execute(getattr(Caller("a"), method))
    assert await run.result() == "done"
    if crash is None:
        assert TRIES == ["outer", "callee"] * 3


@pytest.mark.feature(207)
@pytest.mark.parametrize("method", ["run_once", "call_once"])
async def test_retrying_a_failed_execution_tries_what_failed_in_other_entities_again(virtual, method):
    FAILS["callee"] = 2
    run = await virtual.execute(getattr(Caller("a"), method))
    for _ in range(2):
        with pytest.raises(ValueError, match="not yet"):
            await run.result()
        assert await run.retry()
    assert await run.result() == "done"
    assert TRIES == ["callee"] * 3
