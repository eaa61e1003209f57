"""An execution that failed and is retried: what has its time again, what stays, and what its history shows."""

from collections import Counter

import pytest

import dotdo
from dotdo import DO, RetryPolicy, WaitTimeout

CALLS: Counter[str] = Counter()


class Waiter(DO):
    async def wait(self) -> str:
        await self.do(self.prepare)
        return await self.wait_for("go", timeout="1h")

    async def prepare(self) -> None:
        CALLS["prepare"] += 1

    async def flaky(self) -> str:
        return await self.do(self.fail_thrice, retry=RetryPolicy(max_attempts=2, backoff="constant", initial_delay="1m"))

    async def fail_thrice(self) -> str:
        CALLS["fail"] += 1
        if CALLS["fail"] <= 3:
            raise ValueError(f"failure {CALLS['fail']}")
        return "well"


@pytest.fixture(autouse=True)
def _fresh():
    CALLS.clear()


@pytest.mark.feature(207)
async def test_a_wait_that_timed_out_has_its_time_again_after_a_retry(virtual):
    run = await dotdo.start(Waiter("w").wait)
    with pytest.raises(WaitTimeout):
        await run.result()
    assert await run.retry()
    await virtual.advance("30m")
    assert await run.status() == "waiting"
    await virtual.crash()
    await run.signal("go", "now")
    assert await run.result() == "now"
    assert CALLS["prepare"] == 1


@pytest.mark.feature(207, 209)
async def test_the_history_shows_what_failed_before_a_retry_and_the_verbs_that_were_used(virtual):
    run = await dotdo.start(Waiter("w").flaky)
    with pytest.raises(ValueError, match="failure 2"):
        await run.result()
    await run.retry()
    await virtual.advance("10s")
    await run.pause()
    await virtual.crash()
    await run.resume()
    assert await run.result() == "well"
    entries = await run.history()
    shown = [(entry["type"], entry.get("error")) for entry in entries if entry["type"] != "write"]
    assert shown == [
        ("start", None), ("attempt", "ValueError: failure 1"), ("attempt", "ValueError: failure 2"), ("retry", None),
        ("attempt", "ValueError: failure 3"), ("pause", None), ("resume", None), ("step", None), ("completed", None),
    ]  # fmt: skip
    assert CALLS["fail"] == 4
