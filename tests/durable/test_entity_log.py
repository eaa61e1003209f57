"""`self.log`: what was written before a crash or a sleep is not written again by the replay."""

from __future__ import annotations

import logging

import pytest

import dotdo
from dotdo import DO
from tests.crashes import killed_at_commit


class LoggingClerk(DO):
    done: int = 0

    async def work(self) -> str:
        self.log.info("begun at %s", self.done)
        await self.do(self._step, step_id="first")
        self.log.info("first done")
        await self.sleep("3d")
        self.log.info("slept")
        await self.do(self._step, step_id="second")
        self.log.info("second done")
        return "fine"

    async def _step(self) -> None:
        self.done += 1


LINES = ["begun at 0", "first done", "slept", "second done"]


@pytest.mark.feature(409)
async def test_each_line_is_written_once_although_the_entity_slept_meanwhile(virtual, caplog):
    caplog.set_level(logging.INFO, logger="dotdo.entity")
    run = await dotdo.start(LoggingClerk("c").work)
    await virtual.advance("1d")
    assert virtual.host.activations == {}
    await virtual.advance("3d")
    assert await run.result() == "fine"
    assert [record.getMessage() for record in caplog.records if record.name == "dotdo.entity.LoggingClerk"] == LINES
    assert {record.key for record in caplog.records if record.name == "dotdo.entity.LoggingClerk"} == {"LoggingClerk/c"}


@pytest.mark.feature(409)
@pytest.mark.parametrize("commit", range(1, 9))
async def test_after_a_kill_only_the_last_turn_may_say_its_line_again(virtual, caplog, commit):
    caplog.set_level(logging.INFO, logger="dotdo.entity")
    with killed_at_commit(virtual, commit):
        run = await dotdo.start(LoggingClerk("c").work)
        assert await run.result() == "fine"
    said = [record.getMessage() for record in caplog.records if record.name == "dotdo.entity.LoggingClerk"]
    assert list(dict.fromkeys(said)) == LINES
    assert len(said) <= len(LINES) + 1
