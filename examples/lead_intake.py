"""A lead comes in: another system is asked over HTTP, a branch is taken, and what fails is made good.

    python -m examples.lead_intake

What is asked of others stands in a step: it is asked again while it fails (the first answer here is a 503), and never again once it has answered.
Between the steps is plain Python on what they gave: `if`, `try`, a variable that stays None.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from dotdo import Permanent, progress, sleep, step, workflow
from dotdo.testing import runtime

Lead = dict[str, Any]
COMPANIES = {"lamps.example": {"name": "Lamps Ltd", "size": 1200}, "corner.example": {"name": "Corner Shop", "size": 3}}
ASKED: list[str] = []


async def find_company(url: str, lead: Lead) -> dict[str, Any] | None:
    """The company behind a mail address, as the other system knows it; None if it does not."""
    domain = lead["email"].rpartition("@")[2]
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/companies/{domain}")
    if answer.status_code == 404:
        return None
    return answer.raise_for_status().json()  # type: ignore[no-any-return]  # a 503 raises here, and the step is tried again


def assign_owner(company: dict[str, Any]) -> str:
    if company["size"] < 10:
        raise Permanent(f"nobody looks after {company['name']}")
    return "vera"


@workflow("lead-intake")
async def intake(url: str, lead: Lead) -> dict[str, Any]:
    owner = note = None
    await progress(0, 3)
    company = await step("find-company", find_company, url, lead)
    await progress(1, 3)
    if company is not None:
        try:
            owner = await step("assign-owner", assign_owner, company)
        except Permanent:
            owner = await step("fallback", lambda: "the pool")
    await progress(2, 3)
    if owner == "vera":
        await sleep("2d")
        note = await step("call-back", lambda: f"called {lead['name']} back")
    await progress(3, 3)
    return {"company": company and company["name"], "owner": owner, "note": note}


@contextmanager
def other_system() -> Iterator[str]:
    """A stand-in for the system that knows companies; it answers everything the second time only."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            domain = self.path.rpartition("/")[2]
            ASKED.append(domain)
            status = 503 if ASKED.count(domain) == 1 else 200 if domain in COMPANIES else 404
            body = json.dumps(COMPANIES.get(domain)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def main() -> None:
    ASKED.clear()
    with other_system() as url:
        async with runtime(clock="virtual"):
            for name, domain in (("Ann", "lamps.example"), ("Bob", "corner.example"), ("Cyd", "nowhere.example")):
                run = await intake.start(url, {"name": name, "email": f"{name.lower()}@{domain}"}, id=f"lead-{name}")
                print(await run.result())
                info = await run.info()
                done = info.progress or {}
                print(f"  {info.status}, {done['step']} of {done['total']}, asked {ASKED.count(domain)} times")


if __name__ == "__main__":
    asyncio.run(main())
