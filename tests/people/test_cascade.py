"""Cascades: the order, when an answer is sure enough, and that what was paid for is not paid for again."""

from __future__ import annotations

import asyncio

import pytest

import dotdo
from dotdo import DO, CascadeError, DefinitionError, Tiered, approvals, cascade, tasks
from dotdo.people import tiers as rules

calls: list = []


@pytest.fixture(autouse=True)
def fresh():
    calls.clear()


def gives(name, value):
    async def tier():
        calls.append(name)
        if isinstance(value, Exception):
            raise value
        return value

    return tier


class Sorter(DO, noun="PcSorter"):
    result: object = None

    async def run(self, answers: dict, threshold: float = 0.9):
        tiers = {name: gives(name, value) for name, value in answers.items()}
        return await self.cascade(task="categorize", tiers=tiers, confidence_threshold=threshold)

    async def failing(self, names: list[str]):
        return await self.cascade(task="categorize", tiers={name: gives(name, LookupError(f"{name} is down")) for name in names})

    async def with_a_person(self):
        return await self.cascade(
            task="categorize",
            tiers={
                "human": self.ask_someone,
                "generative": gives("generative", Tiered("food", 0.4)),
                "code": gives("code", None),
                "agentic": gives("agentic", {"value": "travel", "confidence": 0.6}),
            },
            confidence_threshold=0.9,
        )

    async def ask_someone(self):
        calls.append("human")
        task = await tasks.ask("Which category?", assignee="accounting")
        return task.decision

    async def with_an_approver(self):
        async def ask():
            return (await self.approval_flow.request_approval(title="ok?", approvers=["ann"])).decision

        return (await self.cascade(task="judge", tiers={"human": ask})).value

    async def slow(self, tier: str, limit=None):
        async def stuck():
            await asyncio.sleep(3600)

        timeouts = None if limit is None else {tier: limit}
        return await self.cascade(task="t", tiers={tier: stuck, "human": gives("human", "done")}, timeouts=timeouts)

    async def sync_and_with_argument(self):
        one = await self.cascade(task="first", tiers={"code": lambda: "sync"})
        two = await self.cascade(task="second", tiers={"code": lambda task: task.upper()})
        three = await cascade(task="third", tiers={"code": lambda task="default": task})
        return [one.value, two.value, three.value]

    async def wrong(self, options: dict):
        return await self.cascade(**options)


@pytest.mark.feature(300, 301, 308)
async def test_tiers_are_asked_in_their_own_order_until_one_is_sure(virtual):
    answers = {"human": "h", "agentic": Tiered("a", 0.95), "code": None, "generative": Tiered("g", 0.5)}
    result = await Sorter("s").run(answers)
    assert calls == ["code", "generative", "agentic"]
    assert (result.value, result.tier, result.confidence, result.is_confident, result.attempts) == ("a", "agentic", 0.95, True, 3)
    assert result.path == ["code", "generative", "agentic"]
    assert result.scores == {"generative": 0.5, "agentic": 0.95}
    assert result.errors == {"code": "it gave no answer"}
    assert set(result.timing) == set(result.path)


@pytest.mark.feature(302)
@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ("food", Tiered("food", 1.0)),
        (None, None),
        (0, Tiered(0, 1.0)),
        ("", Tiered("", 1.0)),
        (False, Tiered(False, 1.0)),
        ([], Tiered([], 1.0)),
        ({"value": "x", "confidence": 0.3}, Tiered("x", 0.3)),
        ({"value": None, "confidence": 0.9}, None),
        ({"value": 12, "confidence": 0.4, "currency": "EUR"}, Tiered({"value": 12, "confidence": 0.4, "currency": "EUR"}, 1.0)),
        ({"value": 12}, Tiered({"value": 12}, 1.0)),
        (Tiered({"value": 1, "confidence": 2}, 0.5), Tiered({"value": 1, "confidence": 2}, 0.5)),
        (Tiered(None, 1.0), None),
    ],
)
def test_what_counts_as_an_answer(given, answer):
    assert rules.answer_of(given) == answer


@pytest.mark.feature(302)
@pytest.mark.parametrize("confidence", [1.1, -0.1, True, "high", None, float("nan")])
async def test_a_confidence_that_is_none_counts_as_a_failed_tier(virtual, confidence):
    result = await Sorter("s").run({"code": {"value": "x", "confidence": confidence}, "human": "h"})
    assert (result.value, result.tier) == ("h", "human")
    assert "a confidence is a number from 0 to 1" in result.errors["code"]


@pytest.mark.feature(303)
@pytest.mark.parametrize(("confidence", "tier"), [(0.9, "code"), (0.8999, "human")])
async def test_the_threshold_itself_is_sure_enough(virtual, confidence, tier):
    assert (await Sorter("s").run({"code": Tiered("c", confidence), "human": "h"})).tier == tier


@pytest.mark.feature(304)
async def test_a_tier_that_fails_passes_the_question_on_without_a_second_try(virtual):
    result = await Sorter("s").run({"code": ValueError("no rule"), "generative": "g"})
    assert (result.value, calls, result.errors) == ("g", ["code", "generative"], {"code": "ValueError: no rule"})


@pytest.mark.feature(305)
async def test_no_answer_at_all_is_an_error_that_says_why_tier_by_tier(virtual):
    with pytest.raises(CascadeError, match="code: LookupError: code is down; human: LookupError: human is down") as caught:
        await Sorter("s").failing(["human", "code"])
    assert caught.value.errors == {"code": "LookupError: code is down", "human": "LookupError: human is down"}


@pytest.mark.feature(305)
async def test_the_best_answer_counts_when_none_is_sure(virtual):
    result = await Sorter("s").run({"code": Tiered("c", 0.3), "generative": Tiered("g", 0.7), "agentic": Tiered("a", 0.7)})
    assert (result.value, result.tier, result.confidence, result.is_confident, result.attempts) == ("g", "generative", 0.7, False, 3)


@pytest.mark.feature(307)
@pytest.mark.parametrize("crash_at", ["categorize:generative", "categorize:agentic", "create-task", None])
async def test_what_was_paid_for_is_not_asked_again_when_a_person_answers_days_later(virtual, crash_at):
    if crash_at:
        virtual.crash_after(crash_at)
    run = await dotdo.start(Sorter("s").with_a_person)
    await virtual.advance("3d")
    assert virtual.host.activations == {}
    await virtual.crash()
    await virtual.advance("3d")
    (task,) = await tasks.list(assignee="accounting")
    await tasks.complete(task.id, by="accounting", decision="office")
    result = await run.result()
    assert (result.value, result.tier, result.path) == ("office", "human", ["code", "generative", "agentic", "human"])
    assert result.timing["human"] >= 6 * 86_400
    assert [name for name in calls if name != "human"] == ["code", "generative", "agentic"]
    assert len(await tasks.list()) == 1


async def test_the_human_tier_may_ask_for_an_approval(virtual):
    run = await dotdo.start(Sorter("s").with_an_approver)
    await virtual.advance("10d")
    (approval,) = await approvals.list()
    await approvals.approve(approval.id, by="ann")
    assert await run.result() == "approved"


@pytest.mark.feature(306)
@pytest.mark.parametrize(
    ("tier", "limit", "seconds"), [("code", None, 5), ("generative", None, 30), ("agentic", None, 120), ("code", "1s", 1)]
)
async def test_a_tier_that_takes_too_long_passes_the_question_on(virtual, tier, limit, seconds):
    result = await Sorter("s").slow(tier, limit)
    assert (result.value, result.tier, result.timing[tier]) == ("done", "human", seconds)
    assert "StepTimeout" in result.errors[tier]


async def test_tiers_may_be_plain_functions_and_may_take_the_task(virtual):
    assert await Sorter("s").sync_and_with_argument() == ["sync", "SECOND", "default"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"task": "t", "tiers": {}}, "at least one"),
        ({"task": "t", "tiers": {"oracle": "x"}}, "no tier 'oracle'"),
        ({"task": "t", "tiers": {"code": "x"}}, "not a function"),
        ({"task": "", "tiers": {"code": "x"}}, "what is asked"),
    ],
)
async def test_what_makes_no_sense_is_said_at_once(virtual, options, says):
    with pytest.raises(DefinitionError, match=says):
        await Sorter("s").wrong(options)


def test_thresholds_and_timeouts_are_checked():
    for threshold in (1.5, -1, True, "0.9"):
        with pytest.raises(DefinitionError, match="from 0 to 1"):
            rules.threshold_of(threshold)
    with pytest.raises(DefinitionError, match="people take the time they take"):
        rules.timeouts_of({"human": "1d"})
    with pytest.raises(DefinitionError, match="no tier"):
        rules.timeouts_of({"robot": "1d"})


async def test_a_cascade_outside_an_execution_says_so():
    with pytest.raises(dotdo.OutsideTurn):
        await cascade(task="t", tiers={"code": lambda: 1})
