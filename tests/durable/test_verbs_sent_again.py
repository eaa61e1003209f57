"""Verbs of an execution that a crash cut short: sent again, they say what they did and do it once."""

from __future__ import annotations

import pytest

from dotdo import DO

from ..crashes import killed_at_commit

RUNS: list[str] = []


class Ruled(DO, noun="RuledByVerbs"):
    got: list[str] = []

    async def rest(self) -> list[str]:
        for _ in range(2):
            self.got.append(await self.wait_for("word"))
        return self.got

    async def fail(self) -> None:
        RUNS.append("ran")
        await self.do(self._fail, step_id="fail", retry=1)

    async def _fail(self) -> None:
        raise ValueError("as ever")


async def settled(rt, run) -> None:
    for _ in range(3):
        await rt.settle()
        await run.status()


@pytest.mark.parametrize("commit", [1, 2])
async def test_pause_and_resume_answer_true_when_they_took_effect_before_a_crash(rt, commit):
    run = await rt.execute(Ruled("r").rest)
    await settled(rt, run)
    with killed_at_commit(rt, commit):
        assert await run.pause() is True
    assert await run.status() == "paused"
    with killed_at_commit(rt, commit):
        assert await run.resume() is True
    assert await run.resume() is False
    await run.signal("word", "a")
    await run.signal("word", "b")
    assert await run.result() == ["a", "b"]
    assert await run.pause() is False


async def test_a_retry_answers_true_and_happens_once(rt):
    RUNS.clear()
    run = await rt.execute(Ruled("r").fail)
    with pytest.raises(ValueError, match="as ever"):
        await run.result()
    with killed_at_commit(rt, 1):
        assert await run.retry() is True
    with pytest.raises(ValueError, match="as ever"):
        await run.result()
    assert (await run.info()).attempt == 2


@pytest.mark.parametrize("asleep", [True, False])
async def test_a_signal_sent_again_is_received_once(rt, asleep):
    run = await rt.execute(Ruled("r").rest)
    await settled(rt, run)
    if asleep:
        await rt.restart()
    with killed_at_commit(rt, 1):
        await run.signal("word", "a")
    await settled(rt, run)
    assert await run.status() == "waiting"
    await run.signal("word", "b")
    assert await run.result() == ["a", "b"]
