"""The dashboard before hosts of their own: a host is killed while somebody looks."""

from __future__ import annotations

import json
import os
import signal

import pytest

import dotdo
from dotdo import application
from dotdo.http import Limits, app
from examples.expense_approval import ExpenseReport
from tests.browser import keep, page_at, sees
from tests.doors import serving

pytestmark = pytest.mark.ray

EXPENSE = {"description": "train", "amount": 300, "submitter": "sam", "manager": "dash-mia", "vp": "vera"}


async def test_an_expense_survives_its_host_while_the_page_looks_on(ray_data):
    async with serving(app(limits=Limits(pulse_s=0.3))) as port, page_at(f"http://127.0.0.1:{port}/#/executions") as page:
        await page.evaluate("window.isTheSamePage = true")
        await page.get_by_role("button", name="Start…").click()
        await page.get_by_label("Method").select_option("ExpenseReport.submit")
        await page.get_by_label("Entity").fill("cluster-e1")
        await page.get_by_label("Arguments").fill(json.dumps({"expense": EXPENSE}))
        await page.get_by_role("button", name="Start", exact=True).click()
        await sees(page, "waiting for an approval")

        name = str(application.current().router.host_of("ExpenseReport", "cluster-e1"))
        [before] = [one["pid"] for one in await dotdo.hosts() if one["host"] == name]
        await page.get_by_role("link", name="Overview").click()
        row = page.locator("tr", has=page.get_by_text(name, exact=True))
        await row.get_by_text(str(before), exact=True).wait_for()
        os.kill(before, signal.SIGKILL)
        await row.get_by_text(str(before), exact=True).wait_for(state="detached", timeout=60_000)
        await keep(page, "cluster-1-host-was-killed")
        await row.locator(".pill.active").wait_for(timeout=60_000)
        [after] = [one["pid"] for one in await dotdo.hosts() if one["host"] == name]
        assert after != before
        await row.get_by_text(str(after), exact=True).wait_for()
        await keep(page, "cluster-2-host-is-back")

        await page.get_by_role("link", name="Inbox").click()
        await page.get_by_label("Only for this person or role").fill("dash-mia")
        await page.get_by_role("button", name="Approve Expense: train").click()
        await page.get_by_role("button", name="Approve", exact=True).click()
        await page.locator("#toasts").get_by_text("approved.").wait_for(timeout=60_000)
        await page.get_by_role("link", name="Executions").click()
        await page.get_by_label("Search executions").fill("cluster-e1")
        await page.locator("tr", has=page.get_by_text("completed")).get_by_role("link").first.click(timeout=60_000)
        await page.locator(".status-line .pill.completed").wait_for(timeout=60_000)
        await sees(page, '"status": "approved"')
        await keep(page, "cluster-3-finished")
        assert await page.evaluate("window.isTheSamePage")
        assert await ExpenseReport("cluster-e1").status == "approved"
