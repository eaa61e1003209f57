"""SEMANTICS 1 and 2: a replay never writes twice and sees what the first run saw, wherever it was killed."""

import asyncio

import pytest

from dotdo import DO
from dotdo.testing import runtime

from ..crashes import killed_at_commit

EFFECTS: list[str] = []


class Counting(DO):
    count: int = 0
    seen: list[int] = []

    async def run(self) -> list[int]:
        self.count += 1
        await self.do(self._work, "one", step_id="one")
        self.count += 1
        self.seen.append(self.count)
        await self.do(self._work, "two", step_id="two")
        self.count += 1
        self.seen.append(self.count)
        return [self.count, *self.seen]

    async def _work(self, name: str) -> str:
        EFFECTS.append(name)
        return name


class AlreadyStarted(Exception):
    pass


class Guarded(DO):
    status: str = "new"
    steps_done: list[str] = []

    async def run(self) -> list[str]:
        if self.status != "new":
            raise AlreadyStarted(self.status)
        self.status = "started"
        await self.do(self._note, "first", step_id="first")
        await self.do(self._note, "second", step_id="second")
        self.status = "finished"
        return self.steps_done

    async def _note(self, name: str) -> str:
        EFFECTS.append(name)
        self.steps_done.append(name)
        return name


class Looping(DO):
    lines: list[str] = []
    handled: list[str] = []

    async def append(self, line: str) -> int:
        self.lines.append(line)
        return len(self.lines)

    async def run(self) -> list[str]:
        for line in self.lines:
            await self.do(self._handle, line)
        return self.handled

    async def _handle(self, line: str) -> None:
        EFFECTS.append(line)
        if len(self.lines) < 5:
            self.lines.append(f"more-{len(self.lines)}")
        self.handled.append(line)


class Branching(DO):
    async def run(self) -> list[list[str]]:
        return await asyncio.gather(self._branch("a", slow=True), self._branch("b", slow=False))

    async def _branch(self, name: str, *, slow: bool) -> list[str]:
        first = await self.do(self._reserve, name, slow, step_id="reserve")
        second = await self.do(self._charge, name, slow, step_id="charge")
        return [first, second]

    async def _reserve(self, name: str, slow: bool) -> str:
        await self._wait(slow)
        EFFECTS.append(f"reserve-{name}")
        return f"reserved-{name}"

    async def _charge(self, name: str, slow: bool) -> str:
        await self._wait(slow)
        EFFECTS.append(f"charge-{name}")
        return f"charged-{name}"

    async def _wait(self, slow: bool) -> None:
        for _ in range(40 if slow else 1):
            await asyncio.sleep(0)


async def _commits_of(noun: type[DO], prepare=None) -> tuple[int, object, list[str]]:
    EFFECTS.clear()
    async with runtime(durability="normal") as rt:
        if prepare:
            await prepare()
        with killed_at_commit(rt, 10_000) as commits:
            result = await noun("x").run()
        return len(commits), result, list(EFFECTS)


async def _prepare_lines():
    await Looping("x").append("l1")
    await Looping("x").append("l2")


@pytest.mark.feature(10, 23, 24, 34, 35, 43)
@pytest.mark.parametrize(
    ("noun", "prepare", "expected"),
    [
        (Counting, None, [3, 2, 3]),
        (Guarded, None, ["first", "second"]),
        (Looping, _prepare_lines, ["l1", "l2", "more-2", "more-3", "more-4"]),
        (Branching, None, [["reserved-a", "charged-a"], ["reserved-b", "charged-b"]]),
    ],
    ids=["counter-between-steps", "status-check-at-the-top", "loop-over-a-changing-field", "gathered-branches"],
)
async def test_a_run_killed_at_every_commit_ends_as_if_nothing_had_happened(noun, prepare, expected):
    count, result, effects = await _commits_of(noun, prepare)
    assert result == expected
    assert count >= 3
    for number in range(1, count + 1):
        EFFECTS.clear()
        async with runtime(durability="normal") as rt:
            if prepare:
                await prepare()
            with killed_at_commit(rt, number):
                assert await noun("x").run() == expected, f"killed at commit {number} of {count}"
            # a step whose outcome was committed never runs again; one that was killed before may (at least once)
            assert set(EFFECTS) == set(effects)
            assert len(EFFECTS) <= len(effects) + 1


@pytest.mark.feature(22)
async def test_a_recorded_failure_is_raised_again_by_a_replay(virtual):
    calls = []

    class Failing(DO, noun="FailingOnce"):
        async def run(self) -> str:
            try:
                await self.do(self._fail, step_id="charge", retry=2)
            except ValueError as error:
                await self.do(self._note, step_id="note")
                return f"caught {error}"
            return "no error"

        async def _fail(self) -> None:
            calls.append(1)
            if len(calls) <= 2:
                raise ValueError("declined")

        async def _note(self) -> str:
            return "noted"

    virtual.crash_after("charge")
    assert await Failing("f").run() == "caught declined"
    assert len(calls) == 2


@pytest.mark.feature(36, 37)
async def test_time_randomness_and_uuids_are_the_same_in_a_replay(virtual):
    class Handed(DO, noun="HandedValues"):
        async def run(self) -> list:
            values = [self.now(), self.random.random(), self.uuid4(), self.random.choice(list(range(1000)))]
            kept = await self.do(self._keep, values, step_id="keep")
            again = [self.now(), self.uuid4()]
            await self.do(self._keep, again, step_id="again")
            return [values, kept, again]

        async def _keep(self, values: list) -> list:
            return values

    virtual.crash_after("again")
    values, kept, _ = await Handed("h").run()
    assert values == kept


@pytest.mark.feature(42)
async def test_storage_reads_of_a_replay_are_those_of_the_first_run(virtual):
    class Reading(DO, noun="ReadingStorage"):
        async def put(self, value: int) -> None:
            self.storage.put("limit", value)

        async def run(self) -> list:
            first = self.storage.get("limit")
            self.storage.put("limit", first + 1)
            await self.do(self._work, step_id="work")
            second = self.storage.get("limit")
            self.storage.put("limit", second + 1)
            await self.do(self._work, step_id="more")
            return [first, second, self.storage.get("limit")]

        async def _work(self) -> str:
            return "done"

    await Reading("r").put(10)
    virtual.crash_after("more")
    assert await Reading("r").run() == [10, 11, 12]


@pytest.mark.feature(40)
async def test_a_nondeterministic_body_is_paused_and_reported_not_answered_wrongly(virtual):
    from dotdo import ReplayMismatch

    coin = []

    class Flipping(DO, noun="Flipping"):
        async def run(self) -> str:
            coin.append(1)
            if len(coin) == 1:
                await self.do(self._work, step_id="heads")
            else:
                await self.do(self._work, step_id="tails")
            await self.do(self._work, step_id="last")
            return "done"

        async def _work(self) -> str:
            return "x"

    virtual.crash_after("last")
    with pytest.raises(ReplayMismatch, match="heads"):
        await Flipping("f").run()


class Keyed(DO):
    """Steps whose arguments are values that were handed out just before them; the first run of each body is killed."""

    async def run(self) -> list:
        seen = []
        for step in ("first", "second"):
            key = f"{self.uuid4()} {self.now().isoformat()} {self.random.random()}"
            seen.append((key, await self.do(_killed_once, step, key, step_id=step)))
        return seen


_bodies: dict[str, list[str]] = {}
_killers: list = []


async def _killed_once(step: str, key: str) -> str:
    _bodies.setdefault(step, []).append(key)
    if len(_bodies[step]) == 1:
        _killers[0]()
        await asyncio.Event().wait()
    return key


@pytest.mark.feature(36, 37)
async def test_values_handed_out_before_a_step_are_the_same_when_its_body_runs_again(rt):
    _bodies.clear()
    _killers[:] = [rt.crash_now]
    seen = await Keyed("k").run()
    for step, (key, answer) in zip(("first", "second"), seen, strict=True):
        assert _bodies[step] == [key, key]
        assert answer == key


class Till(DO, noun="ReplayTill"):
    keys: list[str] = []

    async def note(self, key: str) -> None:
        self.keys.append(key)


class Drawing(DO):
    async def run(self) -> list[str]:
        first = f"{self.uuid4()} {self.random.random()}"
        await self.do(Till("t").note, first, step_id="first")
        second = str(self.uuid4())
        await self.do(Till("t").note, second, step_id="second")
        return [first, second]


@pytest.mark.feature(36, 37)
@pytest.mark.parametrize("commit", range(1, 9))
async def test_a_step_that_runs_again_after_a_kill_uses_the_values_drawn_before_it(virtual, commit):
    """An idempotency key drawn before a step is worth something only if its second run has the first one's."""
    with killed_at_commit(virtual, commit):
        drawn = await asyncio.wait_for(Drawing("d").run(), 30)
    assert await Till("t").keys == drawn
