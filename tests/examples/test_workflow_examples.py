"""The examples of workflows do what their text says."""

import pytest

from dotdo.testing import runtime
from examples import approval_template, email_campaign, lead_enrichment, lead_intake, onboarding_workflow, shop_order, side_by_side


@pytest.mark.feature(109, 113, 374, 378, 427)
async def test_onboarding_shows_its_timeline(capsys):
    await onboarding_workflow.main()
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == "{'id': 'acc-c1', 'status': 'active'} True"
    assert head == "onboard-customer onboard-c1: completed, 3 of 3, took 3d"
    assert [row.split()[2] for row in rows[2:]] == ["welcome-email", "create-account", "progress", "sleep", "tips", "progress"]


@pytest.mark.feature(116, 117, 150, 427)
async def test_a_lead_is_enriched_by_what_could_be_found(capsys):
    await lead_enrichment.main()
    assert "'verified': True, 'company': {'name': 'Lamps Ltd', 'domain': 'lamps.example'}, 'social': None" in capsys.readouterr().out


@pytest.mark.feature(119, 403, 424, 427)
async def test_campaigns_send_every_mail_once_on_its_day(capsys):
    email_campaign.SENT.clear()
    await email_campaign.main()
    days = ["day 0: welcome", "day 1: getting-started", "day 3: tips", "day 7: case-study", "day 14: offer", "day 30: how-is-it-going"]
    assert capsys.readouterr().out.splitlines() == ["3 mails", *days, "9 mails in all"]
    assert [*[f"spring to {name}" for name in ("ann", "bob", "cyd")], *[f"{t} to dan" for t in email_campaign.NURTURE.values()]] == (
        email_campaign.SENT
    )


@pytest.mark.feature(44, 53, 142, 147, 149, 433)
async def test_an_order_that_fails_leaves_nothing_reserved_and_nothing_paid(capsys):
    await shop_order.main()
    assert capsys.readouterr().out.splitlines() == [
        "good: {'payment': 'paid 59.98', 'order': 'confirmed'}", "  8 lamps left",
        "unpaid: Payment failed", "  8 lamps left",
        "  refunded: paid 59.98", "lost: no such address", "  8 lamps left",
        "greedy: Insufficient inventory for desk", "  8 lamps left",
    ]  # fmt: skip


@pytest.mark.feature(124, 129, 130, 135, 430)
async def test_approvals_made_from_a_template_wait_for_their_own_decisions(capsys):
    approval_template.MAILS.clear()
    await approval_template.main()
    first, second, *mails = capsys.readouterr().out.splitlines()
    assert (first, second) == ("expense {'status': 'approved'}", "leave {'status': 'rejected'}")
    assert sorted(mails) == [
        "mia: expense 7 still waits for you", "mia: leave 7 still waits for you",
        "mia: please look at expense 7", "mia: please look at leave 7",
    ]  # fmt: skip


@pytest.mark.feature(400, 402, 435)
async def test_bounded_and_debounced_work(capsys):
    side_by_side.INDEXED.clear()
    await side_by_side.main()
    assert capsys.readouterr().out.splitlines() == [
        "['sea.small', 'mountains.small', 'sky.small', 'a.small', 'harbour.small']",
        "[None, None, None, 'indexed ann'] ['ann']",
    ]


@pytest.mark.feature(118, 121, 122, 123, 125, 397, 429)
async def test_a_lead_that_comes_in_is_asked_about_over_http_and_what_fails_is_made_good(capsys):
    await lead_intake.main()
    assert capsys.readouterr().out.splitlines() == [
        "{'company': 'Lamps Ltd', 'owner': 'vera', 'note': 'called Ann back'}", "  completed, 3 of 3, asked 2 times",
        "{'company': 'Corner Shop', 'owner': 'the pool', 'note': None}", "  completed, 3 of 3, asked 2 times",
        "{'company': None, 'owner': None, 'note': None}", "  completed, 3 of 3, asked 2 times",
    ]  # fmt: skip


@pytest.mark.feature(125, 429)
@pytest.mark.parametrize("after", ["find-company", "assign-owner"])
async def test_a_lead_goes_on_where_it_was_after_a_crash_and_asks_nobody_again(after):
    lead_intake.ASKED.clear()
    with lead_intake.other_system() as url:
        async with runtime(clock="virtual") as rt:
            rt.crash_after(after)
            run = await lead_intake.intake.start(url, {"name": "Ann", "email": "ann@lamps.example"}, id="lead")
            assert (await run.result())["note"] == "called Ann back"
            assert len(lead_intake.ASKED) == 2, "once refused, once answered"
