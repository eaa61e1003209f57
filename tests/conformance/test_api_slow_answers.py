"""Answers to events that come after hours, while everybody who waits for them sleeps: section 4 of the public page."""

from __future__ import annotations

import asyncio

import pytest

from dotdo import DO, on, send, sleep


class SlowAsker(DO):
    async def ask(self, number: int) -> int:
        return await send("SlowTotal.asked", {"number": number})


@pytest.fixture
def handlers():
    @on.SlowTotal.asked
    async def answer(question):
        await sleep("2h")
        return question["number"] * 2


async def test_answers_come_after_everybody_has_slept(handlers, virtual):
    asked = [asyncio.create_task(SlowAsker(str(number)).ask(number)) for number in range(3)]
    send("SlowTotal.asked", {"number": 9})
    outside = asyncio.create_task(_answer_to(7))
    await virtual.settle()
    await virtual.advance("1h")
    assert virtual.host.activations == {}
    await virtual.advance("2h")
    assert await asyncio.gather(*asked, outside) == [0, 2, 4, 14]


async def _answer_to(number: int) -> int:
    return await send("SlowTotal.asked", {"number": number})
