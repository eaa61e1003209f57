"""A run of twelve steps with a child, a wait, a retry and compensations, killed at every single write: the same each time."""

import asyncio
from collections import Counter

import pytest

import dotdo
from dotdo import DO, N, Permanent, RetryPolicy, send, sleep, start_child, step, wait_for, workflow
from tests.crashes import killed_at_commit

BODIES: Counter = Counter()
"""How often each body ran, in this process, whatever was recorded of it."""

WRITES = 50
"""How many commits the run, its child, the ledger and the logs of events make; a few more or less are made from time to time."""


class KwLedger(DO):
    """What happened, as an outside world that keeps it would tell."""

    lines: list[str] = []

    async def add(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)


def body(name: str) -> str:
    BODIES[name] += 1
    return name


async def book(name: str) -> str:
    BODIES[name] += 1
    await KwLedger("l").add(name)
    return name


async def cancel_booking(name: str) -> None:
    BODIES[f"cancel {name}"] += 1
    await KwLedger("l").add(f"cancelled {name}")


def flaky() -> str:
    BODIES["flaky"] += 1
    if BODIES["flaky"] % 3:
        raise ConnectionError("not yet")
    return "flaky"


def refuse() -> None:
    BODIES["refuse"] += 1
    raise Permanent("no car left")


@workflow("kw-child")
async def child(trip: str) -> list[str]:
    done = [await step("check", body, "check")]
    await sleep("2h")
    send("KwTrip.decided", {"trip": trip, "by": "ann"})
    done.append(await step("report", book, "report"))
    return done


@workflow("kw-trip")
async def trip(id: str) -> None:
    done = [await step(f"s{n}", body, f"s{n}") for n in (1, 2)]  # 1, 2
    done.append(await step("flight", book, "flight", undo=cancel_booking))  # 3
    done.append(await step("flaky", flaky, retry=RetryPolicy(max_attempts=4, initial_delay="1m")))  # 4
    started = await start_child("kw-child", id)  # 5
    decision = await wait_for(N.KwTrip.decided, match={"trip": id}, timeout="3d")  # 6
    done += await started.result()  # 7
    done += await asyncio.gather(step("left", book, "left"), step("right", body, "right"))  # 8, 9
    done.append(await step("hotel", book, "hotel", undo=cancel_booking))  # 10
    await sleep("1d")  # 11
    await step("note", KwLedger("l").add, f"{decision['by']}: {', '.join(done)}")
    await step("car", refuse)  # 12


DONE = "s1, s2, flight, flaky, check, report, left, right, hotel"
LINES = ["flight", "report", "left", "hotel", f"ann: {DONE}", "cancelled hotel", "cancelled flight"]
RAN = {**dict.fromkeys(("s1", "s2", "flight", "check", "report", "left", "right", "hotel", "refuse"), 1), "flaky": 3}
RAN |= {"cancel hotel": 1, "cancel flight": 1}


async def travel(virtual, number: int) -> int:
    """Run the workflow, killed at this commit; how many there were."""
    BODIES.clear()
    with killed_at_commit(virtual, number) as commits:
        run = await trip.start("rome", id="rome")
        with pytest.raises(Permanent, match="no car left"):
            await run.result()
        await virtual.settle()
        assert await KwLedger("l").lines == LINES
        assert await run.status() == "failed"
        assert await dotdo.execution("rome/kw-child").result() == ["check", "report"]
    return len(commits)


async def test_the_number_of_writes_is_the_one_that_is_tried(virtual):
    assert abs(await travel(virtual, 0) - WRITES) <= 3
    assert RAN == BODIES


@pytest.mark.feature(10, 23, 34, 49, 148)
@pytest.mark.parametrize("number", range(1, WRITES + 1))
async def test_a_run_killed_at_this_write_ends_the_same(virtual, number):
    commits = await travel(virtual, number)
    assert commits >= number, "nothing was killed: WRITES is too large"
    # a body may run twice only if it waited for another entity when its host was killed; what that entity did is done once
    twice = {name: count for name, count in BODIES.items() if count != RAN[name]}
    assert all(
        count == 2 and name in ("flight", "report", "left", "hotel", "cancel flight", "cancel hotel") for name, count in twice.items()
    )
    assert set(BODIES) == set(RAN)
