import asyncio

import pytest

from dotdo.errors import StorageError
from dotdo.storage.gate import OutputGate


def test_an_open_gate_lets_out_at_once():
    let_out = []
    OutputGate().when_safe(let_out.append)
    assert let_out == [None]


def test_waiters_leave_in_order_when_the_commit_they_saw_is_safe():
    gate, let_out = OutputGate(), []
    gate.committed_to(1, safe=0)
    gate.when_safe(lambda error: let_out.append("a"))
    gate.committed_to(2, safe=0)
    gate.when_safe(lambda error: let_out.append("b"))
    gate.when_safe(lambda error: let_out.append("c"))
    gate.safe_to(1)
    assert let_out == ["a"]
    assert not gate.is_open
    gate.safe_to(2)
    assert let_out == ["a", "b", "c"]
    assert gate.is_open


def test_a_waiter_that_comes_while_others_leave_stays_behind_them():
    gate, let_out = OutputGate(), []
    gate.committed_to(1, safe=0)

    def first(error):
        let_out.append("first")
        gate.when_safe(lambda error: let_out.append("third"))

    gate.when_safe(first)
    gate.when_safe(lambda error: let_out.append("second"))
    gate.safe_to(1)
    assert let_out == ["first", "second", "third"]


async def test_a_failed_sync_is_told_to_everyone_and_for_good():
    gate, errors = OutputGate(), []
    gate.committed_to(1, safe=0)
    gate.when_safe(errors.append)
    waiting = asyncio.ensure_future(gate.wait())
    await asyncio.sleep(0)
    error = StorageError("disk")
    gate.fail(error)
    gate.safe_to(1)
    gate.when_safe(errors.append)
    assert errors == [error, error]
    assert not gate.is_open
    with pytest.raises(StorageError):
        await waiting
    with pytest.raises(StorageError):
        await gate.wait()


async def test_a_cancelled_waiter_does_not_stop_the_others():
    gate = OutputGate()
    gate.committed_to(1, safe=0)
    first, second = (asyncio.ensure_future(gate.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.safe_to(1)
    await second
    assert first.cancelled() or first.cancelling()
