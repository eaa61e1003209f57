"""Declared workflows under crashes: random graphs against a model, and one order killed at every single commit."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dotdo import DO, Workflow
from dotdo.testing import runtime
from tests.crashes import killed_at_commit

CALLS: Counter[str] = Counter()
BROKEN: set[str] = set()


class Book(DO):
    """What was done, each thing once: calls of steps to other entities are exactly once."""

    lines: list[str] = []

    async def write(self, line: str) -> None:
        self.lines.append(line)


class Broken(Exception):
    pass


class Dag(Workflow):
    async def act(self, params, state):
        """Leave a line in the book; fail as the step's params say."""
        step = params["step"]
        CALLS[step] += 1
        assert all(dependency in state for dependency in params["needs"]), f"{step} began before what it depends on"
        if step in BROKEN or params["fails"] == "always" or (params["fails"] == "once" and CALLS[step] == 1):
            raise Broken(step)
        await Book("all").write(step)
        return step


KINDS = ["ok", "ok", "ok", "wait", "skip", "continue", "once", "broken"]


@st.composite
def definitions(draw):
    """Steps in random order, each with a kind, and what each depends on."""
    count = draw(st.integers(1, 9))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=count, max_size=count))
    needs = [sorted(draw(st.sets(st.integers(0, number - 1), max_size=3))) if number else [] for number in range(count)]
    order = draw(st.permutations(range(count)))
    return kinds, needs, order


def definition_of(kinds, needs, order):
    steps = []
    for number in order:
        kind = kinds[number]
        certain = [f"s{n}" for n in needs[number] if kinds[n] in ("ok", "wait", "once", "broken") and _runs(kinds, needs, n)]
        step = {"id": f"s{number}", "action": "act", "dependsOn": [f"s{n}" for n in needs[number]]}
        step["params"] = {"step": f"s{number}", "needs": certain, "fails": {"continue": "always", "once": "once"}.get(kind, "")}
        if kind == "wait":
            step["wait"] = "1h"
        if kind == "skip":
            step["condition"] = "go === 1"
        if kind == "continue":
            step["onError"] = "continue"
        if kind == "once":
            step |= {"maxRetries": 9, "retryDelay": "1m"}
        steps.append(step)
    return {"id": "dag", "steps": steps}


def _runs(kinds, needs, number):
    """The model: a step runs unless its condition says no, or all that it depends on was skipped."""
    if kinds[number] == "skip":
        return False
    return not needs[number] or any(_runs(kinds, needs, n) for n in needs[number])


def expected(kinds, needs):
    return {
        f"s{n}": "skipped" if not _runs(kinds, needs, n) else "failed" if kinds[n] == "continue" else "completed" for n in range(len(kinds))
    }


async def _run(drawn, commit, crash_step):
    kinds, needs, _order = drawn
    CALLS.clear()
    BROKEN.clear()
    BROKEN.update(f"s{n}" for n, kind in enumerate(kinds) if kind == "broken")
    async with runtime(clock="virtual") as rt:
        wf = Dag("d")
        if crash_step is not None:
            rt.crash_after(f"s{crash_step}")
        with killed_at_commit(rt, commit):
            await wf.register(definition_of(*drawn))
            execution = await wf.start("dag", {"go": 0}, id="r")
            failed = None
            try:
                await execution.result()
            except Broken as error:
                failed = error
        found = await wf.status(execution.id)
        if any(kinds[n] == "broken" and _runs(kinds, needs, n) for n in range(len(kinds))):
            assert found.status == "failed"
            assert str(failed) in BROKEN
            BROKEN.clear()
            await wf.retry(execution.id)
            await execution.result()
            found = await wf.status(execution.id)
        assert found.status == "completed"
        assert {step: result.status for step, result in found.step_results.items()} == expected(kinds, needs)
        lines = await Book("all").lines
        assert Counter(lines) == Counter(step for step, status in expected(kinds, needs).items() if status == "completed"), "each once"


@pytest.mark.feature(10, 184, 185, 193, 207)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(definitions(), st.integers(1, 60), st.none() | st.integers(0, 8))
def test_random_graphs_end_as_the_model_says_whatever_crashes(drawn, commit, crash_step):
    asyncio.run(_run(drawn, commit, crash_step))


@pytest.mark.feature(195)
async def test_two_hundred_steps_in_random_order_run_once_each_as_parallel_as_the_graph_allows(rt):
    """Ten layers of twenty, each needing the layer before; the steps of a layer wait until all of them run."""
    rng = random.Random(7)
    layers = [[f"l{layer}n{number}" for number in range(20)] for layer in range(10)]
    steps = []
    for layer, names in enumerate(layers):
        for name in names:
            steps.append({"id": name, "action": "meet", "params": {"layer": layer}, "dependsOn": layers[layer - 1] if layer else []})
    rng.shuffle(steps)
    wf = Wide("w")
    MET.clear()
    await wf.register({"id": "wide", "steps": steps})
    execution = await wf.start("wide")
    await execution.result(timeout="60s")
    done = await wf.status(execution.id)
    assert sorted(done.completed_steps) == sorted(step["id"] for step in steps)
    assert {layer: len(names) for layer, names in enumerate(layers)} == {layer: meeting.came for layer, meeting in MET.items()}


class Meeting:
    def __init__(self):
        self.came = 0
        self.everybody = asyncio.Event()


MET: dict[int, Meeting] = {}


class Wide(Workflow):
    async def meet(self, params):
        """Go on only when all twenty steps of the layer run at the same time."""
        meeting = MET.setdefault(params["layer"], Meeting())
        meeting.came += 1
        if meeting.came == 20:
            meeting.everybody.set()
        await meeting.everybody.wait()


# -- one order, killed at every commit -----------------------------------------------------------------------------------


class Fulfilment(Workflow):
    async def setup(self):
        await self.register({
            "id": "order", "steps": [
                {"id": "notify", "action": "book", "params": {"line": "notify"}, "dependsOn": ["pack", "tell"]},
                {"id": "validate", "action": "book", "params": {"line": "validate"}},
                {"id": "stock", "action": "book", "params": {"line": "stock"}, "dependsOn": ["validate"]},
                {"id": "fraud", "action": "book", "params": {"line": "fraud"}, "dependsOn": ["validate"]},
                {"id": "charge", "action": "charge", "dependsOn": ["stock", "fraud"], "maxRetries": 2, "retryDelay": "1m"},
                {"id": "pause", "action": "noop", "wait": "2h", "dependsOn": ["charge"]},
                {"id": "pack", "action": "book", "params": {"line": "pack"}, "dependsOn": ["pause"]},
                {"id": "gift", "action": "book", "params": {"line": "gift"}, "dependsOn": ["charge"], "condition": "gift === true"},
                {"id": "label", "action": "lose", "onError": "branch", "errorBranch": "tell", "dependsOn": ["charge"]},
                {"id": "tell", "action": "book", "params": {"line": "tell"}},
            ],
        })  # fmt: skip

    async def book(self, params):
        await Book("order").write(params["line"])
        return params["line"]

    async def charge(self, params, state):
        CALLS["charge"] += 1
        if CALLS["charge"] == 1:
            raise Broken("the line is busy")
        await Book("order").write("charge")
        return {"amount": params["amount"], "after": sorted(state)}

    async def lose(self):
        raise Broken("no label")


async def _order(commit):
    CALLS.clear()
    async with runtime(clock="virtual") as rt:
        with killed_at_commit(rt, commit) as commits:
            execution = await Fulfilment("f").start("order", {"amount": 7}, id="o1")
            result = await execution.result()
        found = await Fulfilment("f").status("o1")
        return result, sorted(await Book("order").lines), {s: r.status for s, r in found.step_results.items()}, len(commits)


@pytest.mark.feature(10, 197)
async def test_an_order_killed_at_any_commit_ends_the_same_with_each_effect_once():
    result, lines, steps, commits = await _order(0)
    assert lines == ["charge", "fraud", "notify", "pack", "stock", "tell", "validate"]
    assert steps == {
        "validate": "completed", "stock": "completed", "fraud": "completed", "charge": "completed", "pause": "completed",
        "pack": "completed", "gift": "skipped", "label": "failed", "tell": "completed", "notify": "completed",
    }  # fmt: skip
    assert commits > 15
    for commit in range(1, commits + 1):
        assert (await _order(commit))[:3] == (result, lines, steps), f"killed at commit {commit}"
