"""The declared workflows among the examples do what their texts say."""

import pytest

import dotdo
from examples import customer_lifecycle, fraud_check, onboarding_wait, order_processing, resilient_workflow


@pytest.mark.feature(439, 207, 413)
async def test_an_order_goes_on_from_the_declined_charge(rt, capsys):
    await order_processing.main()
    assert capsys.readouterr().out.replace(" \n", "\n") == (
        "failed: Card declined\n  validate: completed\n  reserve: completed\n  charge: failed (Card declined, 3 retries)\n"
        "ord_123: charge of 129.50, sent from shelf 7 for ord_123\n"
    )
    assert await order_processing.Card("cus_456").charged == 129.5


@pytest.mark.feature(439, 200, 201)
async def test_an_order_is_approved_or_reviewed_or_says_why_not(virtual, capsys):
    await fraud_check.main()
    assert capsys.readouterr().out == "small -> small approved\nlarge -> review number 1\nodd -> score is null, so it has no 'risk'\n"


@pytest.mark.feature(439, 197, 415)
async def test_the_tips_come_three_days_after_the_welcome(capsys):
    await onboarding_wait.main()
    assert capsys.readouterr().out == (
        "in memory: 0\nwaiting: Ben, Ann\nNov 14: welcome, Ann\nNov 14: welcome, Ben\nNov 17: tips for Ann\nNov 17: tips for Ben\n"
    )


@pytest.mark.feature(439, 202)
async def test_events_start_what_their_triggers_say(rt, capsys):
    await customer_lifecycle.main()
    assert capsys.readouterr().out == (
        "listening: customer-lifecycle\nhello CUS_1\nhello CUS_1, CUS_1 is looked after by Kim\nall runs: 2\n"
    )
    assert len([one async for one in dotdo.executions(noun="Lifecycle", status="completed") if one.method == "execute"]) == 2


@pytest.mark.feature(439, 193, 194)
async def test_failure_is_tried_again_worked_around_and_reported(capsys):
    await resilient_workflow.main()
    broken, where, again, around, told = capsys.readouterr().out.splitlines()
    assert broken == "workflow 'resilient-workflow': one thing is wrong with its definition"
    assert where == "  steps[1].errorBranch: 'notify-admin' is not a step; the steps are risky-step, fallback"
    assert again.startswith("answered after the interface was back")
    assert around == "answered from the cache"
    assert told == "the administrator knows"
