"""A page in a real Chromium, for tests of what people see. Its screenshots are kept in `.artefacts/`."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

ARTEFACTS = Path(__file__).parents[1] / ".artefacts"
PATIENCE_MS = 20_000
PHONE = 390

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable() -> str:
    """The browser of this machine; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here (make browser, as root)")
    return found


@asynccontextmanager
async def page_at(
    url: str, *, width: int = 1280, scheme: str = "light", ignored: tuple[str, ...] = (), script: str | None = None
) -> AsyncIterator[Any]:
    """A page that shows `url`. At the end no error may be on its console, but for those with a text of `ignored`."""
    playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed (make setup)")
    path = executable()
    async with playwright.async_playwright() as driver:
        args = ["--disable-gpu", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        try:
            browser = await driver.chromium.launch(executable_path=path, args=args)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error)[:200]}")
        try:
            context = await browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-GB")
            page = await context.new_page()
            page.set_default_timeout(PATIENCE_MS)
            errors: list[str] = []
            page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            if script is not None:
                await page.add_init_script(script)
            await page.goto(url)
            yield page
            assert [text for text in errors if not any(part in text for part in ignored)] == []
        finally:
            await browser.close()


async def keep(page: Any, name: str) -> None:
    """Keep a screenshot of the whole page."""
    ARTEFACTS.mkdir(exist_ok=True)
    await page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True)


async def sees(page: Any, text: str, *, within: str = "main") -> None:
    """Wait until the text is there."""
    await page.locator(within).get_by_text(text).locator("visible=true").first.wait_for()
