"""The virtual clock and the outside world: it does not pass over a thread or a socket that is about to answer."""

from __future__ import annotations

import asyncio
import threading

import pytest

import dotdo
from dotdo import DO


class Outsider(DO):
    async def asks_a_thread(self) -> str:
        return await self.do(asyncio.to_thread, _slow, step_id="thread", timeout="1s")

    async def asks_nobody(self) -> None:
        await self.do(asyncio.Event().wait, step_id="hangs", timeout="1d", retry=1)


def _slow() -> str:
    threading.Event().wait(0.05)
    return "answer of a thread"


@pytest.mark.feature(392)
async def test_a_thread_that_answers_in_a_moment_is_not_timed_out(virtual):
    assert await Outsider("a").asks_a_thread() == "answer of a thread"
    run = await dotdo.start(Outsider("b").asks_a_thread)
    await virtual.settle()
    assert await run.status() == "completed"


async def test_what_never_answers_is_passed_over(virtual):
    with pytest.raises(dotdo.StepTimeout):
        await Outsider("c").asks_nobody()
