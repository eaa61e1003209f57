"""The official Cap'n Web client in a browser page, against the door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import FileResponse

from dotdo import DO, ClientObject
from dotdo.http import app
from dotdo.testing import runtime
from tests.browser import page_at
from tests.doors import serving

PAGE = Path(__file__).parent / "page"


class RpcPagePerson(DO, noun="RpcPagePerson"):
    name: str = "?"
    boss: RpcPagePerson | None = None
    listener: ClientObject | None = None

    async def become(self, name: str, boss: Any = None) -> str:
        self.name, self.boss = name, boss
        return name

    async def friend(self) -> RpcPagePerson | None:
        return self.boss

    async def greet(self, who: str) -> str:
        return f"{self.name} greets {who}"

    async def listen(self, listener: ClientObject) -> None:
        self.listener = listener

    async def say(self, text: str) -> Any:
        assert self.listener is not None
        return await self.listener.hear(text)

    async def fail(self) -> None:
        raise ValueError("bad thing")


@pytest.mark.feature(346, 352)
async def test_a_page_holds_entities_calls_chains_of_them_and_is_called_by_them(node_scripts: Path):
    files = {
        "/test/page": PAGE / "capnweb.html",
        "/test/page.js": PAGE / "page.js",
        "/test/capnweb.js": node_scripts / "node_modules/capnweb/dist/index.js",
    }
    asgi = app()
    for path, file in files.items():
        asgi.add_api_route(path, lambda file=file: FileResponse(file))
    async with runtime(), serving(asgi) as port, page_at(f"http://127.0.0.1:{port}/test/page", ignored=("favicon", "404")) as page:
        await page.locator("#said:not(:empty)").wait_for()
        text = await page.locator("#said").inner_text()
        assert text.startswith("{"), text
        assert json.loads(text) == {
            "greeting": "ann greets carol", "answer": "heard a lamp came", "said": ["a lamp came"], "failure": "bad thing", "name": "ann",
        }  # fmt: skip
