"""What the tests of the command share."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

import dotdo
from dotdo.testing import runtime
from tests.cli import shop


@pytest.fixture
async def data(tmp_path):
    """A folder with entities, executions that completed, failed and wait, an approval, a task, a schedule, a dead letter."""
    async with runtime(data=tmp_path / "data", modules=[shop.__name__]) as rt:
        await shop.Till("t1").pay("ann", 7)
        await shop.Till("t1").close()
        with pytest.raises(shop.Broken):
            await shop.Till("t2").break_down()
        run = await dotdo.start(shop.Till("t3").wait_for_someone)
        while await run.status() != "waiting":
            await asyncio.sleep(0.001)
        await dotdo.approvals.request(id="a1", title="PO 7", amount=5000, approvers=["boss", "vp"])
        await dotdo.approvals.request(id="a2", title="PO 8", approvers=["boss"])
        await dotdo.tasks.create("Count the till", id="k1", assignee="ann")
        await shop.Till("t1").remind_in(timedelta(days=3))
        await dotdo.send("Till.emptied", till="t9").queued()
        while not await dotdo.dead_letters.list(name="Till.emptied"):
            await asyncio.sleep(0.01)
        rt.host.folder.nouns.joinpath("0.modules").write_text(
            json.dumps({"modules": ["tests.cli.shop"], "path": [str(Path(__file__).parents[2])]})
        )
    return tmp_path / "data"
