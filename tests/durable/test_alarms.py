"""The alarm and turns that fail: what a failed turn set or deleted did not happen."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dotdo import DO


class Clock(DO, noun="AlarmClock"):
    rung: list = []

    async def set(self, hours: int, *, fail: bool = False):
        self.storage.set_alarm(self.now() + timedelta(hours=hours))
        if fail:
            raise RuntimeError("no")

    async def clear_and_fail(self):
        self.storage.delete_alarm()
        raise RuntimeError("no")

    async def set_in_a_transaction_that_fails(self):
        async with self.storage.transaction():
            try:
                async with self.storage.transaction():
                    self.storage.set_alarm(self.now() + timedelta(hours=1))
                    raise RuntimeError("no")
            except RuntimeError:
                pass

    async def set_around_one_that_fails(self):
        async with self.storage.transaction():
            self.storage.set_alarm(self.now() + timedelta(hours=2))
            try:
                async with self.storage.transaction():
                    self.storage.set_alarm(self.now() + timedelta(hours=1))
                    raise RuntimeError("no")
            except RuntimeError:
                pass

    async def due(self):
        return self.storage.get_alarm()

    async def alarm(self, info):
        self.rung.append(self.now().strftime("%H:%M"))


async def test_an_alarm_set_by_a_turn_that_fails_does_not_ring(virtual):
    clock = Clock("c")
    with pytest.raises(RuntimeError):
        await clock.set(1, fail=True)
    assert await clock.due() is None
    await virtual.advance("1d")
    assert await clock.rung == []


async def test_an_alarm_that_a_failed_turn_moved_or_deleted_rings_when_it_was_to(virtual):
    clock = Clock("c")
    await clock.set(2)
    with pytest.raises(RuntimeError):
        await clock.set(5, fail=True)
    with pytest.raises(RuntimeError):
        await clock.clear_and_fail()
    await virtual.advance("1d")
    assert await clock.rung == ["00:13"]


async def test_an_alarm_of_an_inner_transaction_that_fails_does_not_ring(virtual):
    clock = Clock("c")
    await clock.set_in_a_transaction_that_fails()
    await virtual.advance("1d")
    assert await clock.rung == []
    await clock.set_around_one_that_fails()
    await virtual.advance("1d")
    assert await clock.rung == ["00:13"]


tries: list = []


class Again(DO, noun="AlarmAgain"):
    done: int = 0

    async def begin(self):
        self.storage.set_alarm(self.now())

    async def alarm(self, info):
        tries.append((info.retry_count, int(self.now().timestamp()) % 100))
        self.storage.set_alarm(self.now() + timedelta(hours=1))
        if info.retry_count < 2:
            raise RuntimeError("no")
        self.storage.delete_alarm()
        self.done += 1


async def test_a_handler_that_sets_the_next_alarm_and_fails_is_tried_again_with_growing_delays(virtual):
    tries.clear()
    await Again("a").begin()
    await virtual.advance("1h")
    assert tries == [(0, 0), (1, 2), (2, 6)]
    assert await Again("a").done == 1
