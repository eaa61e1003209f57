"""A retry takes another way than the run that failed: what that run did on its way is kept, and hides nothing of the new one."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import DO

down = {"charge": True}
notes: list[str] = []


async def _charge() -> str:
    if down["charge"]:
        raise ConnectionError("no line")
    return "receipt"


async def _note(text: str) -> str:
    notes.append(text)
    return text


class Caught(DO):
    status: str = "new"
    lines: list[str] = []
    count: int = 0

    async def pay(self, with_step: bool) -> str:
        self.count += 1
        try:
            await self.do(_charge, step_id="charge", retry=1)
        except ConnectionError:
            self.status = "failed"
            self.lines.append("caught")
            if with_step:
                await self.do(_note, "failed", step_id="note failure")
            raise
        self.status = "paid"
        self.lines.append("paid")
        await self.do(_note, "paid", step_id="note")
        self.count += 10
        return self.status

    async def beside(self) -> str:
        async def other() -> None:
            await self.do(_note, "other", step_id="other")
            self.lines.append("other")
            await self.do(_note, "another", step_id="another")

        async def charging() -> str:
            try:
                return await self.do(_charge, step_id="charge", retry=1)
            except ConnectionError:
                await self.do(_note, "failed", step_id="note failure")
                self.lines.append("caught")
                raise

        receipt, _ = await asyncio.gather(charging(), other())
        self.lines.append(receipt)
        return receipt


@pytest.fixture(autouse=True)
def line_is_down():
    down["charge"] = True
    notes.clear()


@pytest.mark.feature(120, 207)
@pytest.mark.parametrize("with_step", [False, True])
@pytest.mark.parametrize("crash", [False, True])
async def test_what_was_written_after_the_failure_does_not_hide_what_the_retry_writes(rt, with_step, crash):
    run = await dotdo.start(Caught("a").pay, with_step)
    with pytest.raises(ConnectionError):
        await run.result()
    assert await Caught("a").status == ("failed" if with_step else "new")
    down["charge"] = False
    await run.retry()
    if crash:
        await rt.crash()
    assert await run.result(timeout="10s") == "paid"
    assert (await Caught("a").status, await Caught("a").count) == ("paid", 11)
    assert await Caught("a").lines == (["caught", "paid"] if with_step else ["paid"])
    assert notes == (["failed", "paid"] if with_step else ["paid"])


async def test_a_retry_that_fails_in_the_same_way_goes_the_same_way_again(rt):
    run = await dotdo.start(Caught("b").pay, True)
    with pytest.raises(ConnectionError):
        await run.result()
    await run.retry()
    with pytest.raises(ConnectionError):
        await run.result(timeout="10s")
    down["charge"] = False
    await run.retry()
    assert await run.result(timeout="10s") == "paid"
    assert (await Caught("b").status, await Caught("b").count) == ("paid", 11)


async def test_what_ran_beside_the_failure_is_not_done_again(rt):
    run = await dotdo.start(Caught("c").beside)
    with pytest.raises(ConnectionError):
        await run.result()
    await rt.settle()
    down["charge"] = False
    await run.retry()
    assert await run.result(timeout="10s") == "receipt"
    log = await Caught("c").lines
    assert log.count("other") == 1
    assert log[-1] == "receipt"
    assert sorted(set(notes)) == ["another", "failed", "other"]
    assert notes.count("other") == 1
