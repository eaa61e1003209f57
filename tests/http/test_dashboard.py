"""The dashboard in a real Chromium: what it shows, what its buttons do, who may press them, and on what screens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import dotdo
from dotdo import application, approvals, tasks
from dotdo.http import Limits, Server, app
from dotdo.testing import runtime
from examples.expense_approval import ExpenseReport
from tests.browser import PATIENCE_MS, PHONE, keep, page_at, sees
from tests.doors import serving
from tests.http import shop
from tests.http.shop import HOSTILE, DashShelf, lamp, open_shop

pytestmark = pytest.mark.usefixtures("shop")

EXPENSE = {"description": "flight", "amount": 300, "submitter": "sam", "manager": "mia", "vp": "vera"}
SECTIONS = {
    "": ["Active entities", "Latency", "Hosts", "DashShelf/s1"],
    "executions": ["DashShelf/s1!", "waiting for DashLamp.arrived until", "the belt is stuck <img"],
    "inbox": ["Buy a lamp <img", "Call the customer <img", "1 of 2: mia → vera", "Sign it"],
    "entities": ["DashShelf/s0", "DashFulfilment/main"],
    "entity/DashShelf%2Fs1": ["on_hand", HOSTILE, "DashShelf/s1!"],
    "graphs": ["Order processing", "dash-lamp", "dash-service"],
    "graphs?machine=dash-lamp&instance=l1": ["broken", "press"],
    "graphs?definition=dash-order&of=DashFulfilment/main": ["validate", "DashFulfilment/main!r1"],
    "graphs?service=dash-service": ["Sign it"],
    "run/DashFulfilment%2Fmain!r1": ["waiting for step 'cool' until", "Graph", "Timeline", "validate"],
    "run/dash-g1": ["waiting for a sleep until", "greet"],
    "events": ["DashLetter.sent", "Approval.requested"],
    "schedules": ["every 45 minutes", "dash_sweep"],
    "dead-letters": ["no such street <img", "DashLetter.sent"],
}


@asynccontextmanager
async def open_at(path: str = "", **options: Any) -> AsyncIterator[tuple[Any, int]]:
    """A shop, its door, and a page that shows one section."""
    async with runtime(modules=shop.MODULES) as rt:
        await open_shop()
        await rt.settle()
        asgi = app(limits=Limits(stream_poll_s=0.05, stream_poll_max_s=0.2, pulse_s=0.2))
        async with serving(asgi) as port, page_at(f"http://127.0.0.1:{port}/#/{path}", **options) as page:
            yield page, port


async def to(page: Any, path: str) -> None:
    await page.evaluate("path => { location.hash = `#/${path}` }", path)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


async def says(page: Any, text: str) -> None:
    """Wait for a message of the page."""
    await page.locator("#toasts").get_by_text(text).first.wait_for()


async def run_of(key: str) -> str:
    return [info.id async for info in dotdo.executions(noun=key.partition("/")[0]) if info.id.startswith(f"{key}!")][0]


@pytest.mark.feature(378, 382, 396)
async def test_an_expense_is_started_seen_waiting_approved_in_the_inbox_and_seen_finished_without_reloading():
    async with runtime(modules=shop.MODULES), serving() as port, page_at(f"http://127.0.0.1:{port}/#/executions") as page:
        await page.evaluate("window.isTheSamePage = true")
        await button(page, "Start…").click()
        await page.get_by_label("Method").select_option("ExpenseReport.submit")
        await page.get_by_label("Entity").fill("e1")
        await page.get_by_label("Arguments").fill(json.dumps({"expense": EXPENSE}))
        await page.get_by_text("expense: {description, amount").wait_for()  # what the method takes
        await button(page, "Start").click()
        await sees(page, "waiting for an approval")
        await sees(page, "request-approval")
        await keep(page, "expense-1-waits")
        await page.get_by_role("link", name="Open the inbox").click()
        await button(page, "Approve Expense: flight").click()
        await page.get_by_label("Comment").fill("have a good flight")
        await keep(page, "expense-2-approve")
        await button(page, "Approve").click()
        await says(page, "Expense: flight: approved.")
        await sees(page, "No approval waits.")
        await page.go_back()
        await page.locator(".status-line .pill.completed").wait_for()
        await page.locator(".entry.completed strong", has_text="pay").wait_for()
        await sees(page, '"status": "approved"')
        await keep(page, "expense-3-finished")
        assert await page.evaluate("window.isTheSamePage")
        assert await ExpenseReport("e1").status == "approved"


async def test_every_section_shows_what_there_is_and_markup_in_it_stays_text():
    async with open_at() as (page, _):
        for path, texts in SECTIONS.items():
            await to(page, path)
            for text in texts:
                await sees(page, text)
            assert await page.locator("main img").count() == 0, path
            await keep(page, f"section-{path.partition('?')[0].replace('/', '-').replace('%2F', '-') or 'overview'}")
        await to(page, f"run/{(await run_of('DashShelf/s1')).replace('/', '%2F')}")
        for text in ("attempt 1: ", "2 attempts", "the belt is stuck <img", "Value error"):
            await sees(page, text)
        await page.get_by_text("Inputs, outputs and errors in full").click()
        await sees(page, "step look")
        await keep(page, "run-failed")


@pytest.mark.feature(382)
async def test_what_happens_is_shown_as_it_happens():
    async with open_at("graphs?machine=dash-lamp&instance=l1") as (page, _):
        await page.locator(".node.current", has_text="on").wait_for()
        instance = await lamp.start({}, id="l1")
        await instance.send("drop")
        await page.locator(".node.current", has_text="broken").wait_for()
        await to(page, "events")
        await button(page, "Send…").click()
        await page.get_by_label("Name").fill("DashLamp.arrived")
        await page.get_by_label("Data").fill('{"shelf": "s2"}')
        await button(page, "Send").click()
        await page.locator(".feed li", has_text="DashLamp.arrived").wait_for()
        await to(page, "entity/DashShelf%2Fs0")
        await sees(page, "on_hand")
        await DashShelf("s0").receive(37)
        await page.locator(".pairs", has_text="42").wait_for()
        await to(page, "executions?status=completed&search=rest")
        await page.locator("tr", has_text="DashShelf/s2").wait_for()
        for _ in range(20):
            await DashShelf("s0").receive(1)
        await to(page, "")
        await page.locator(".chart[class] .line").first.wait_for(state="attached")
        assert await page.locator(".chart").count() == 5


async def test_the_buttons_of_executions_do_what_they_say():
    async with open_at() as (page, _):
        failed = await run_of("DashShelf/s1")
        await to(page, f"run/{failed.replace('/', '%2F')}")
        shop.broken["belt"] = False
        await button(page, "Retry").click()
        await page.locator(".status-line .pill.completed").wait_for()
        await button(page, "Replay").click()
        await page.wait_for_function("id => !location.hash.includes(encodeURIComponent(id))", arg=failed)
        await page.locator(".status-line .pill.completed").wait_for()
        listening = await dotdo.start(DashShelf("s0").listen)
        await to(page, f"run/{listening.id.replace('/', '%2F')}")
        await sees(page, "waiting for hello")
        await button(page, "Signal…").click()
        await page.get_by_label("Name").fill("hello")
        await page.get_by_label("Data").fill('{"from": "the page"}')
        await button(page, "Send").click()
        await sees(page, '"from": "the page"')
        resting = await run_of("DashShelf/s2")
        await to(page, f"run/{resting.replace('/', '%2F')}")
        await button(page, "Pause").click()
        await page.locator(".status-line .pill.paused").wait_for()
        await button(page, "Resume").click()
        await page.locator(".status-line .pill.waiting").wait_for()
        await button(page, "Cancel").click()
        await button(page, "Close").click()
        assert await dotdo.execution(resting).status() == "waiting"
        await button(page, "Cancel").click()
        await button(page, "Cancel it").click()
        await page.locator(".status-line .pill.cancelled").wait_for()
        assert await dotdo.execution(resting).status() == "cancelled"


async def test_the_buttons_for_people_letters_schedules_and_entities_do_what_they_say():
    async with open_at("inbox", ignored=("403",)) as (page, _):  # a refused query is on Chromium's console, too
        await page.get_by_label("Acting as").fill("mia")
        await button(page, f"Claim Call the customer {HOSTILE}").click()
        await button(page, f"Complete Call the customer {HOSTILE}").click()
        await page.get_by_label("Decision").fill("approved")
        await button(page, "Complete").click()
        await says(page, "completed.")
        [task] = [one for one in await tasks.list(status="completed")]
        assert (task.completed_by, task.approved) == ("mia", True)
        await button(page, f"Reject Buy a lamp {HOSTILE}").click()
        await button(page, "Reject").click()
        assert await page.locator("dialog textarea:invalid").count() == 1  # a rejection says why
        await page.get_by_label("Reason").fill("too bright")
        await button(page, "Reject").click()
        await says(page, "rejected.")
        assert (await approvals.list(status="rejected"))[0].rejection_reason == "too bright"

        await to(page, "dead-letters")
        shop.broken["street"] = False
        shop.delivered.clear()
        await page.locator(".cards").get_by_role("button", name="Replay").first.click()
        await sees(page, "There are no dead letters.")
        while not shop.delivered:
            await asyncio.sleep(0.01)

        await to(page, "schedules")
        row = page.locator("tr", has_text="dash_sweep")
        await row.get_by_role("button", name="Pause").click()
        await row.locator(".pill.paused").wait_for()
        await row.get_by_role("button", name="Resume").click()
        await row.locator(".pill.pending").wait_for()

        application.current().host.quarantine["DashShelf/bad"] = "it was running when its host died, 3 times"
        await to(page, "entities?status=quarantined")
        await page.get_by_role("link", name="DashShelf/bad").click()
        await sees(page, "it was running when its host died")
        await button(page, "Release").click()
        await says(page, "It may run again.")
        await page.locator(".pill.quarantined").wait_for(state="detached")

        await to(page, "entity/DashShelf%2Fs0")
        await button(page, "Hibernate").click()
        await page.locator(".pill.hibernated").wait_for()
        await page.get_by_label("SQL that only reads").fill("SELECT quantity, note FROM moves")
        await button(page, "Read").click()
        await sees(page, HOSTILE, within=".sql")
        await page.get_by_label("SQL that only reads").fill("DELETE FROM moves")
        await button(page, "Read").click()
        await says(page, "DELETE is not allowed here")
        await button(page, "Delete").click()
        await button(page, "Delete it").click()
        await page.locator("tr", has_text="DashShelf/s1").wait_for()
        await page.locator("tr", has_text="DashShelf/s0").wait_for(state="detached")


async def test_an_approval_is_given_with_the_keyboard_alone():
    async with open_at() as (page, _):
        await page.locator("#nav").get_by_text("Inbox").wait_for()
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
        await tab_to(page, "Inbox")
        await page.keyboard.press("Enter")
        await sees(page, "Buy a lamp")
        assert await page.evaluate("document.activeElement.id") == "main"
        await tab_to(page, f"Approve Buy a lamp {HOSTILE}")
        await page.keyboard.press("Enter")
        await page.locator("dialog").wait_for()
        assert await page.evaluate("document.activeElement.name") == "by"
        await page.keyboard.press("Escape")
        await page.locator("dialog").wait_for(state="detached")
        assert await page.evaluate("document.activeElement.ariaLabel") == f"Approve Buy a lamp {HOSTILE}"
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")  # the name is filled in: whom it waits for
        await says(page, "it goes on to vera.")
        [approval] = [one for one in await approvals.list() if one.amount == 1200]
        assert (approval.level, approval.decisions[0].by) == (2, "mia")


async def tab_to(page: Any, name: str) -> None:
    """Press Tab until the focus is on what has this name."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        here = await page.evaluate("(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()")
        if here == name or (name == "Inbox" and here.startswith("Inbox")):
            return
    raise AssertionError(f"Tab never comes to {name}")


NAMELESS = """() => {
  const bad = [];
  for (const one of document.querySelectorAll("button, a, input, select, textarea, svg[role=img], summary")) {
    const name = (one.ariaLabel || one.labels?.[0]?.textContent || one.textContent || "").trim();
    if (!name) bad.push(one.outerHTML.slice(0, 100));
  }
  if (document.querySelectorAll("h1").length !== 1) bad.push(`${document.querySelectorAll("h1").length} h1`);
  for (const landmark of ["header", "nav[aria-label]", "main", "[aria-live]"]) if (!document.querySelector(landmark)) bad.push(`no ${landmark}`);
  for (const table of document.querySelectorAll("table")) if (!table.caption || table.querySelector("th:not([scope])")) bad.push("table");
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  if (new Set(ids).size !== ids.length) bad.push(`ids ${ids.filter((id, i) => ids.indexOf(id) !== i)}`);
  return bad;
}"""


FAINT = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (one) => {
    const colour = parse(getComputedStyle(one).backgroundColor);
    return colour.length < 4 || colour[3] === 1 ? colour : colour[3] > 0 || !one.parentElement ? null : behind(one.parentElement);
  };
  const faint = [];
  for (const one of document.querySelectorAll("body *")) {
    if (one.closest("svg, .unseen, .skip, :disabled") || !one.checkVisibility()) continue;
    if (![...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())) continue;
    const background = behind(one);
    if (!background) continue;
    const [high, low] = [light(parse(getComputedStyle(one).color)), light(background)].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push(one.textContent.slice(0, 40));
  }
  return faint;
}"""


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (1280, "light")])
async def test_every_section_has_names_for_a_screen_reader_enough_contrast_and_fits_its_width(width: int, scheme: str):
    async with open_at(width=width, scheme=scheme) as (page, _):
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(15, 17, 22)") == (scheme == "dark")
        for path, texts in SECTIONS.items():
            await to(page, path)
            await sees(page, texts[-1])
            assert await page.evaluate(NAMELESS) == [], path
            assert await page.evaluate(FAINT) == [], path  # WCAG's 4.5 to 1
            assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
            if width == PHONE and path in ("", "executions", "inbox", "run/DashFulfilment%2Fmain!r1"):
                await keep(page, f"phone-dark-{path.partition('/')[0] or 'overview'}")


TOKENS = {"viewer-token-000001": "viewer", "operator-token-0001": "operator"}


async def test_with_tokens_the_page_asks_for_one_and_shows_a_viewer_nothing_to_press():
    async with runtime(modules=shop.MODULES) as rt:
        await open_shop()
        await rt.settle()
        asgi = app(tokens=TOKENS, limits=Limits(stream_poll_s=0.05))
        async with serving(asgi) as port, page_at(f"http://127.0.0.1:{port}/#/inbox", ignored=("401", "403")) as page:
            await page.get_by_label("Token").fill("not-a-token-000001")
            await button(page, "Open the dashboard").click()
            await sees(page, "The door does not know this token.")
            await page.get_by_label("Token").fill("viewer-token-000001")
            await button(page, "Open the dashboard").click()
            await sees(page, "Buy a lamp")
            assert await page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
            for path, words in (("inbox", "Buy a lamp"), ("dead-letters", "no such street"), ("schedules", "dash_sweep"),
                                ("run/DashFulfilment%2Fmain!r1", "Timeline"), ("entity/DashShelf%2Fs1", "on_hand"), ("executions", "DashShelf/s1")):  # fmt: skip
                await to(page, path)
                await sees(page, words)
                names = await page.locator("main .actions button, main .heading button, main form button").all_inner_texts()
                assert names == [], path
            refused = await page.evaluate("""async () => {
                const door = await import("/assets/door.js");
                return door.post("/dead-letters/replay").catch((error) => error.code);
            }""")
            assert refused == "role_too_low"
            await keep(page, "viewer")
            await button(page, "Sign out").click()
            await page.get_by_label("Token").fill("operator-token-0001")
            await page.keyboard.press("Enter")
            await to(page, "inbox")
            await button(page, f"Approve Buy a lamp {HOSTILE}").wait_for()


async def test_a_page_whose_door_goes_away_goes_on_when_it_is_back():
    limits = Limits(stream_poll_s=0.05)
    async with runtime(modules=shop.MODULES):
        async with serving(app(limits=limits)) as port:
            browser = page_at(f"http://127.0.0.1:{port}/#/entities", ignored=("ERR_",))
            page = await browser.__aenter__()
            await sees(page, "There are no entities yet.")
        await page.locator("#connection.lost").wait_for()
        await DashShelf("later").receive(1)
        server = Server("127.0.0.1", port, asgi=app(limits=limits), log_level="error")
        task = asyncio.create_task(server.serve())
        try:
            await page.locator("tr", has_text="DashShelf/later").wait_for(timeout=PATIENCE_MS)
            await page.locator("#connection.open").wait_for()
        finally:
            await browser.__aexit__(None, None, None)
            server.should_exit = True
            await task
