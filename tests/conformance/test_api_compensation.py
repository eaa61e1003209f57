"""Undoing completed steps: newest first, each once, whatever fails, is cancelled or crashes."""

import asyncio
import functools

import pytest

import dotdo
from dotdo import DO, Permanent

LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


class Declined(Exception):
    pass


class Saga(DO):
    undone: list[str] = []
    done: list[str] = []

    async def run(self, count: int, end: str, broken: str = "") -> str:
        for number in range(count):
            await self.do(self._book, f"b{number}", step_id=f"book-{number}", undo=functools.partial(self._cancel, broken))
        if end == "fail":
            raise Declined("no car")
        if end == "wait":
            await self.sleep("30d")
        if end == "step":
            await self.do(self._decline, step_id="decline", retry=1, undo=self._never)
        return "booked"

    async def catching(self) -> str:
        await self.do(self._book, "b", undo=functools.partial(self._cancel, ""))
        try:
            await self.do(self._decline, retry=1)
        except Declined:
            return "without"
        return "with"

    async def same_id(self) -> None:
        for number in range(3):
            await self.do(self._book, f"b{number}", step_id="book", undo=functools.partial(self._cancel, ""))
        raise Declined("all of them go")

    async def by_hand(self, end: str, broken: str = "") -> str:
        async with self.saga() as saga:
            for number in range(3):
                booking = await self.do(self._book, f"b{number}", step_id="book")
                saga.add(self._cancel, broken, booking)
            if end == "fail":
                raise Declined("no car")
            if end == "wait":
                await self.sleep("30d")
        return "booked"

    async def undo_with_retries(self) -> None:
        await self.do(self._book, "b", undo=self._flaky_cancel)
        raise Declined("original")

    async def _book(self, name: str) -> str:
        self.done.append(name)
        return name

    async def _decline(self) -> None:
        raise Declined("no car")

    async def _never(self, _result: object) -> None:
        LOG.append("the undo of a step that failed")

    async def _cancel(self, broken: str, booking: str) -> None:
        LOG.append(booking)
        if booking == broken:
            raise Permanent(f"cannot cancel {booking}")
        self.undone.append(booking)

    async def _flaky_cancel(self, booking: str) -> None:
        LOG.append(booking)
        if len(LOG) < 3:
            raise ConnectionError("later")
        self.undone.append(booking)


@pytest.mark.feature(44, 45, 48, 52, 53)
@pytest.mark.parametrize("end", ["fail", "step"])
async def test_undos_run_newest_first_each_with_the_result_of_its_step(virtual, end):
    with pytest.raises(Declined, match="no car"):
        await Saga("s").run(3, end)
    assert await Saga("s").undone == ["b2", "b1", "b0"]
    assert LOG == ["b2", "b1", "b0"]


@pytest.mark.feature(44)
async def test_nothing_is_undone_when_the_method_returns_or_catches(virtual):
    assert await Saga("s").run(2, "return") == "booked"
    assert await Saga("c").catching() == "without"
    assert LOG == []


@pytest.mark.feature(47, 48)
@pytest.mark.parametrize("method", ["run", "by_hand"])
async def test_a_failing_undo_is_noted_and_recorded_and_the_rest_run(virtual, method):
    args = (3, "fail", "b1") if method == "run" else ("fail", "b1")
    run = await dotdo.start(getattr(Saga("s"), method), *args)
    with pytest.raises(Declined, match="no car") as caught:
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b0"]
    notes = [note for note in caught.value.__notes__ if note.startswith("the undo")]
    assert len(notes) == 1
    assert "cannot cancel b1" in notes[0]
    failed = [one for one in await run.history() if one["type"] == "step" and not one["ok"]]
    assert len(failed) == 1
    assert "cannot cancel b1" in failed[0]["error"]
    assert await run.status() == "failed"


@pytest.mark.feature(46)
@pytest.mark.parametrize("method", ["same_id", "by_hand"])
async def test_compensations_with_one_step_id_are_all_run(virtual, method):
    with pytest.raises(Declined):
        await getattr(Saga("s"), method)(*(["fail"] if method == "by_hand" else []))
    assert LOG == ["b2", "b1", "b0"]


@pytest.mark.feature(49)
@pytest.mark.parametrize("step_name", ["undo book-2", "undo book-1", "undo book-0"])
async def test_a_crash_between_two_undos_goes_on_with_the_next(virtual, step_name):
    virtual.crash_after(step_name)
    with pytest.raises(Declined, match="no car"):
        await Saga("s").run(3, "fail", "b0")
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b1"]


async def test_an_undo_is_retried_like_any_step(virtual):
    with pytest.raises(Declined, match="original") as caught:
        await Saga("s").undo_with_retries()
    assert LOG == ["b", "b", "b"]
    assert await Saga("s").undone == ["b"]
    assert not any(note.startswith("the undo") for note in getattr(caught.value, "__notes__", []))


@pytest.mark.feature(206)
@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "hibernated"])
@pytest.mark.parametrize("method", ["run", "by_hand"])
async def test_cancelling_runs_the_undos(virtual, method, asleep):
    run = await dotdo.start(getattr(Saga("s"), method), *((3, "wait") if method == "run" else ("wait",)))
    await virtual.settle()
    if asleep:
        await virtual.advance("1h")
        assert virtual.host.activations == {}
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await run.status() == "cancelled"


@pytest.mark.feature(49)
@pytest.mark.parametrize(("method", "crash"), [("run", "undo book-1"), ("by_hand", "undo:cancel")])
async def test_a_crash_while_a_cancelled_execution_is_undone_goes_on_with_the_next(virtual, method, crash):
    run = await dotdo.start(getattr(Saga("s"), method), *((3, "wait") if method == "run" else ("wait",)))
    await virtual.settle()
    virtual.crash_after(crash)
    assert await run.cancel()
    with pytest.raises(dotdo.ExecutionCancelled):
        await run.result()
    assert LOG == ["b2", "b1", "b0"]
    assert await Saga("s").undone == ["b2", "b1", "b0"]


@pytest.mark.feature(50)
async def test_a_saga_names_its_steps_and_says_whether_it_failed(virtual):
    class Named(DO, noun="NamedSaga"):
        async def run(self) -> list:
            saga = self.saga()
            try:
                async with saga:
                    saga.add(self._release, 1)
                    saga.add(self._refund, 2)
                    raise Declined("x")
            except Declined:
                pass
            return [saga.steps, saga.failed]

        async def _release(self, number: int) -> None:
            LOG.append(number)

        async def _refund(self, number: int) -> None:
            LOG.append(number)

    assert await Named("n").run() == [["release", "refund"], True]
    assert LOG == [2, 1]


async def test_undos_of_gathered_steps_run_too(virtual):
    class Gathering(DO, noun="GatheringSaga"):
        async def run(self) -> None:
            await asyncio.gather(*(self.do(self._book, n, step_id=f"book-{n}", undo=self._cancel) for n in range(3)))
            raise Declined("x")

        async def _book(self, number: int) -> int:
            return number

        async def _cancel(self, number: int) -> None:
            LOG.append(number)

    with pytest.raises(Declined):
        await Gathering("g").run()
    assert sorted(LOG) == [0, 1, 2]
