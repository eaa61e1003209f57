"""`/docs`: every route to read and to try, from this door alone."""

from __future__ import annotations

import re

from dotdo import DO
from dotdo.http import app
from dotdo.testing import runtime
from tests.browser import page_at
from tests.doors import client_of, serving

TOKENS = {"caller-token-of-docs": "caller"}


class DocsCounter(DO):
    """Counts."""

    async def add(self, how: int = 1) -> int:
        """Add some."""
        return how


async def test_the_page_and_its_files_come_from_this_door():
    async with runtime(), client_of(app()) as http:
        page = await http.get("/docs")
        assert page.status_code == 200
        assert "script-src 'self';" in page.headers["content-security-policy"]
        found = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert "/docs/swagger-ui-bundle.js" in found
        for one in found:
            assert one.startswith("/"), one
            assert (await http.get(one)).status_code == 200, one
        for wrong in ("redoc.standalone.js", "%2e%2e%2fcore.py", "..%2f__init__.py", "%00", "x" * 900):
            answer = await http.get(f"/docs/{wrong}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), wrong


async def test_in_a_browser_it_asks_no_foreign_address_takes_the_token_and_calls():
    ignored = ("401",)
    async with runtime(), serving(app(tokens=TOKENS)) as port, page_at(f"http://127.0.0.1:{port}/", ignored=ignored) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"http://127.0.0.1:{port}/docs")
        await page.get_by_label("Token").fill("caller-token-of-docs")
        await page.get_by_role("button", name="Open").click()
        operation = page.locator("#operations-DocsCounter-DocsCounter_add")
        await operation.locator("button").first.click()
        await operation.get_by_role("button", name="Try it out").click()
        await operation.get_by_placeholder("id", exact=True).fill("c1")
        await operation.locator("textarea").fill('{"how": 41}')
        await operation.get_by_role("button", name="Execute").click()
        await operation.locator(".live-responses-table").get_by_text("41", exact=True).first.wait_for()
        assert f"http://127.0.0.1:{port}/openapi.json" in asked
        assert [url for url in asked if not url.startswith((f"http://127.0.0.1:{port}/", "data:"))] == []
