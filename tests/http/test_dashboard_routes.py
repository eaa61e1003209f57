"""What only the dashboard asks for: streams of answers, executions of everybody, events, graphs, tables; and its files."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

import dotdo
from dotdo import approvals, send
from dotdo.hosting import control
from dotdo.http import Limits, app
from dotdo.http.pages import ASSETS
from dotdo.testing import runtime
from tests.doors import client_of, serving
from tests.http import shop
from tests.http.shop import DashShelf, open_shop

pytestmark = pytest.mark.usefixtures("shop")

TOKENS = {"viewer-token-000001": "viewer", "caller-token-000001": "caller", "operator-token-0001": "operator"}
FAST = Limits(stream_poll_s=0.02, stream_poll_max_s=0.1, pulse_s=0.05)


class Stream:
    """The answers of one live stream, as they come."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def any(self) -> Any:
        """The next answer of whatever is watched."""
        async with asyncio.timeout(30):
            async for line in self._lines:
                if line.startswith('data: {"watch"'):
                    return json.loads(line[6:])
        raise AssertionError("the stream ended")

    async def next(self, watch: str) -> Any:
        """The next answer of `watch`."""
        while (event := await self.any())["watch"] != watch:
            pass
        return event


@asynccontextmanager
async def watching(port: int, *watches: str, token: str = "") -> AsyncIterator[Stream]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http,
        http.stream("GET", "/dashboard/live", params={"watch": list(watches)}, headers=headers) as response,
    ):
        assert response.status_code == 200
        yield Stream(response)


async def test_a_stream_sends_each_answer_at_once_and_again_only_when_it_is_another():
    pending = "/approvals?status=pending"
    async with runtime(modules=shop.MODULES), serving(app(limits=FAST)) as port, watching(port, pending, "/dashboard/pulse") as stream:
        assert (await stream.next(pending))["body"] == {"approvals": []}
        asked = await approvals.request(title="a lamp", approver="mia")
        event = await stream.next(pending)
        assert [one["id"] for one in event["body"]["approvals"]] == [asked.id]
        first, second = [(await stream.next("/dashboard/pulse"))["body"] for _ in "ab"]
        assert second["at"] > first["at"]
        assert second["hosts"][0]["active"] > 0
        await approvals.approve(asked.id, by="mia")
        assert (await stream.next(pending))["body"] == {"approvals": []}


async def test_figures_count_calls_and_steps_and_tell_how_long_requests_take():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        await open_shop()
        await rt.settle()
        before = (await http.get("/dashboard/pulse")).json()["hosts"][0]
        shop.broken["belt"] = False
        await DashShelf("figures").pick()  # two steps
        answer = (await http.get("/dashboard/pulse")).json()
        after = answer["hosts"][0]
        assert (after["steps"] - before["steps"], after["calls"] - before["calls"]) == (2, 1)
        assert after["active"] == before["active"] + 1
        assert 0 < answer["latency_ms"]["p50"] <= answer["latency_ms"]["p95"]
        assert answer["requests"] == 1  # before this one


async def test_a_host_that_does_not_answer_is_shown_as_silent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dotdo.http.dashboard.pulse.HOST_PATIENCE_S", 0.05)
    hang = asyncio.Event()
    async with runtime(modules=shop.MODULES), client_of(app()) as http:
        await DashShelf("a").receive(1)
        monkeypatch.setitem(control._VERBS, "status", lambda host: hang.wait())
        answer = (await http.get("/dashboard/pulse")).json()
        assert [one.get("is_silent") for one in answer["hosts"]] == [True]
        hang.set()


async def test_no_more_streams_are_opened_than_the_door_holds():
    async with runtime(modules=shop.MODULES), client_of(app(limits=Limits(streams_max=0))) as http:
        assert (await http.get("/dashboard/live?watch=/tasks")).json()["code"] == "too_many_streams"


async def test_streams_of_the_same_share_one_watcher_which_ends_with_the_last_of_them():
    asgi = app(limits=FAST)
    door = asgi.state.door
    async with runtime(modules=shop.MODULES), serving(asgi) as port:
        async with watching(port, "/entities") as first:
            await first.next("/entities")
            async with watching(port, "/entities", "/tasks") as second:
                await second.next("/entities")
                assert {watch for watch, _ in door.live} == {"/entities", "/tasks"}
                assert door.stream_count == 2
        while door.stream_count:
            await asyncio.sleep(0.01)
        assert door.live == {}


async def test_a_request_that_acts_is_seen_without_waiting_for_the_next_look():
    slow = Limits(stream_poll_s=600, stream_poll_max_s=600)
    async with runtime(modules=shop.MODULES), serving(app(limits=slow)) as port, watching(port, "/tasks") as stream:
        await stream.next("/tasks")
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await http.post("/tasks", json={"title": "count"})
        assert (await stream.next("/tasks"))["body"]["tasks"][0]["title"] == "count"


@pytest.mark.parametrize(
    "watch",
    [
        "", "approvals", "//evil/approvals", "http://evil/approvals", "/dashboard/live", "/dashboard/live?watch=/tasks", "/executions/a!b/events",
        "/executions/a!b/result", "/executions/a!b%2fevents", "/entities/DashShelf/a/sql?query=SELECT 1", "/entities/DashShelf/a%2Fsql", "/metrics", "/rpc",
        "/DashShelf/a/note", "/openapi.json", "/tasks?x=" + "y" * 2_000, "/approvals\x00",
    ],
)  # fmt: skip
async def test_what_is_no_list_or_record_cannot_be_watched(watch: str):
    asgi = app()
    async with runtime(modules=shop.MODULES), client_of(asgi) as http:
        answer = await http.get("/dashboard/live", params={"watch": watch})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_watchable")
        answer = await http.get("/dashboard/live", params={"watch": ["/tasks"] * 17})
        assert answer.status_code == 422
        assert asgi.state.door.live == {}


async def test_what_is_refused_is_an_answer_of_the_stream():
    missing, wrong = "/executions/DashShelf/s0!none", "/approvals?limit=none"
    async with runtime(modules=shop.MODULES), serving(app(limits=FAST)) as port:
        async with watching(port, missing) as stream:
            assert (await stream.next(missing))["body"]["code"] == "no_such_execution"
        async with watching(port, wrong) as stream:
            assert (await stream.next(wrong))["status"] == 422


async def test_what_is_large_is_cut_or_refused_rather_than_sent_again_and_again():
    async with runtime(modules=shop.MODULES) as rt:
        await send("DashBig.came", {"id": "b", "text": "x" * 100_000}).queued()
        await rt.settle()
        await approvals.request(title="a lamp", approver="mia", item="x" * 100_000)
        asgi = app(limits=Limits(stream_poll_s=0.02, live_bytes_max=50_000))
        async with serving(asgi) as port, watching(port, "/dashboard/events", "/approvals") as stream:
            found: dict[str, Any] = {}
            while len(found) < 2:
                event = await stream.any()
                found[event["watch"]] = event
            assert len(found["/dashboard/events"]["body"]["events"][-1]["data"]) < 9_000
            assert (found["/approvals"]["status"], found["/approvals"]["body"]["code"]) == (413, "too_large_to_watch")


@pytest.mark.feature(383)
async def test_executions_of_everybody_are_found_by_status_words_and_noun():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        await open_shop()
        await rt.settle()

        async def found(query: str = "") -> list[str]:
            answer = (await http.get(f"/dashboard/executions?{query}")).json()
            return [f"{one['id'].partition('!')[0]} {one['status']}" for one in answer["executions"]]

        everything = await found()
        assert {"DashShelf/s1 failed", "DashShelf/s2 waiting", "DashFulfilment/main waiting", "dash-g1 waiting"} < set(everything)
        assert await found("status=failed&noun=DashShelf") == ["DashShelf/s1 failed"]
        assert await found("search=dashlamp.ARRIVED rest") == ["DashShelf/s2 waiting"]
        assert await found("search=belt stuck&limit=1") == ["DashShelf/s1 failed"]
        assert await found("noun=WorkflowRun") == ["dash-g1 waiting"]
        assert await found("search=nothing like this") == []
        assert not [one for one in everything if one.startswith(("DotdoApproval", "DotdoEventLog", "DotdoDeadLetters"))]
        assert (await http.get("/dashboard/executions?status=odd")).status_code == 422
        started = [one["started_at"] for one in (await http.get("/dashboard/executions")).json()["executions"]]
        assert started == sorted(started, reverse=True)


async def test_looking_again_and_again_lets_sleepers_sleep_and_still_sees_what_changes():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        await open_shop()
        await rt.settle()

        async def statuses() -> dict[str, str]:
            return {one["key"]: one["status"] for one in await dotdo.entities("DashShelf")}

        async def look() -> dict[str, str]:
            answer = (await http.get("/dashboard/executions?noun=DashShelf")).json()
            return {one["id"].partition("!")[0]: one["status"] for one in answer["executions"]}

        assert await look() == {"DashShelf/s1": "failed", "DashShelf/s2": "waiting"}
        for shelf in ("s0", "s1", "s2"):
            await dotdo.hibernate(DashShelf(shelf))
        for _ in range(3):
            assert await look() == {"DashShelf/s1": "failed", "DashShelf/s2": "waiting"}
        assert set((await statuses()).values()) == {"hibernated"}
        await send("DashLamp.arrived", {"shelf": "s2"}).queued()
        await rt.settle()
        assert await look() == {"DashShelf/s1": "failed", "DashShelf/s2": "completed"}
        assert (await statuses())["DashShelf/s1"] == "hibernated"


async def test_only_so_many_sleepers_are_asked_and_the_rest_is_said(monkeypatch: pytest.MonkeyPatch):
    from dotdo.http.dashboard import survey

    monkeypatch.setattr(survey.Survey.__init__, "__defaults__", (2,))
    async with runtime(modules=shop.MODULES), client_of(app()) as http:
        for number in range(5):
            await DashShelf(f"many{number}").receive(1)
            await dotdo.hibernate(DashShelf(f"many{number}"))
        for _ in range(3):
            assert (await http.get("/dashboard/executions?noun=DashShelf")).json()["not_asked"] == 3


async def test_events_of_every_name_come_newest_first_and_by_pattern():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        for name in ("DashA.came", "DashB.went", "DashA.went"):
            await send(name, {"id": name}).queued()
            await rt.settle()
        answer = (await http.get("/dashboard/events")).json()
        assert [one["name"] for one in answer["events"]] == ["DashA.went", "DashB.went", "DashA.came"]
        assert answer["names"] == ["DashA.came", "DashA.went", "DashB.went"]
        assert [one["name"] for one in (await http.get("/dashboard/events?name=*.went&limit=1")).json()["events"]] == ["DashA.went"]
        await send("DashA.came", {"id": 2}).queued()
        await rt.settle()
        assert (await http.get("/dashboard/events?name=DashA.came")).json()["events"][0]["data"] == {"id": 2}


async def test_graphs_have_nodes_edges_and_where_a_run_stands():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        await open_shop()
        await rt.settle()
        listed = (await http.get("/dashboard/graphs")).json()
        assert [one["definition"] for one in listed["definitions"] if one["of"] == "DashFulfilment/main"] == ["dash-order"]
        assert {"machine": "dash-lamp", "instances": ["l1"]} in listed["machines"]
        assert {"service": "dash-service"} in listed["services"]

        async def graph(query: str) -> tuple[dict[str, Any], set[str]]:
            answer = (await http.get(f"/dashboard/graph?{query}")).json()
            return {one["id"]: one["status"] for one in answer["nodes"]}, {f"{one['source']}>{one['target']}" for one in answer["edges"]}

        nodes, edges = await graph("execution=DashFulfilment/main!r1")
        assert nodes == {"validate": "completed", "reserve": "completed", "score": "completed", "cool": "waiting", "thank": "pending"}
        assert edges == {"validate>reserve", "validate>score", "reserve>cool", "score>cool", "cool>thank"}
        assert set((await graph("definition=dash-order&of=DashFulfilment/main"))[0].values()) == {None}
        nodes, edges = await graph("machine=dash-lamp&instance=l1")
        assert nodes == {"off": "visited", "on": "current", "broken": None}
        assert edges == {"off>on", "on>off", "on>broken"}
        [request] = [one["id"] async for one in _ids(http, "noun=ServiceRequest&search=run")]
        assert await graph(f"execution={request}") == ({"check": "completed", "sign": "running"}, {"check>sign"})
        for query, status in (("machine=none", 404), ("definition=none&of=DashFulfilment/main", 404), ("execution=dash-g1", 404), ("", 422),
                              ("definition=x&of=DashShelf/s0", 404), ("definition=x&of=DotdoApproval/a", 404), ("service=none", 404), ("execution=x/y", 404)):  # fmt: skip
            answer = await http.get(f"/dashboard/graph?{query}")
            assert answer.status_code == status, (query, answer.text)


async def _ids(http: httpx.AsyncClient, query: str) -> AsyncIterator[dict[str, Any]]:
    for one in (await http.get(f"/dashboard/executions?{query}")).json()["executions"]:
        yield one


@pytest.mark.feature(378)
async def test_a_timeline_is_one_entry_for_each_operation():
    async with runtime(modules=shop.MODULES) as rt, client_of(app()) as http:
        await open_shop()
        await rt.settle()
        [failed] = [one["id"] async for one in _ids(http, "status=failed&noun=DashShelf")]
        line = (await http.get(f"/executions/{failed}/timeline")).json()
        assert [(one["name"], one["status"], one["attempts"], len(one["errors"])) for one in line["entries"]] == [
            ("look", "completed", 1, 0), ("move", "failed", 2, 2),
        ]  # fmt: skip
        assert (await http.get("/executions/DashShelf/s1!none/timeline")).status_code == 404


WRITES = [
    "DELETE FROM moves", "INSERT INTO moves(quantity) VALUES(1)", "UPDATE moves SET quantity = 0", "DROP TABLE moves", "CREATE TABLE x(y)",
    "ALTER TABLE moves RENAME TO other", "PRAGMA user_version = 9", "PRAGMA journal_mode = DELETE", "ATTACH ':memory:' AS other", "BEGIN", "COMMIT", "ROLLBACK",
    "SAVEPOINT a", "VACUUM", "REINDEX", "ANALYZE", "SELECT 1; DELETE FROM moves", "WITH a AS (SELECT 1) DELETE FROM moves",
    "SELECT * FROM _do_fields", "SELECT load_extension('x')", "CREATE TEMP TABLE t(a)", "EXPLAIN DELETE FROM moves",
]  # fmt: skip


async def test_an_operator_reads_an_entitys_tables_and_can_only_read():
    async with runtime(modules=shop.MODULES), client_of(app()) as http:
        await DashShelf("sql").receive(5)

        async def read(query: str) -> httpx.Response:
            return await http.get("/entities/DashShelf/sql/sql", params={"query": query})

        assert (await http.get("/entities/DashShelf/sql/sql")).json()["rows"][0][0] == "moves"
        assert (await read("SELECT quantity AS q, id FROM moves")).json() == {"columns": ["q", "id"], "rows": [[5, 1]], "is_cut": False}
        assert (await read("SELECT id FROM moves WHERE 0")).json() == {"columns": ["id"], "rows": [], "is_cut": False}
        for query in WRITES:
            answer = await read(query)
            assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed"), (query, answer.text)
        assert (await read("SELECT nothing FROM moves")).status_code == 422
        assert (await read("")).json()["rows"] == []
        many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n {}) SELECT i FROM n"
        cut = (await read(many.format("LIMIT 10000"))).json()
        assert (len(cut["rows"]), cut["is_cut"]) == (500, True)
        endless = await read(many.format("").replace("SELECT i FROM n", "SELECT count(*) FROM n"))
        assert (endless.status_code, "took longer" in endless.json()["detail"]) == (422, True)
        assert not (await read("SELECT name FROM sqlite_schema WHERE name LIKE '~_do%' ESCAPE '~'")).json()["rows"]
        assert (await read("SELECT count(*) AS n FROM moves")).json()["rows"] == [[1]]
        assert await DashShelf("sql").receive(1) == 6  # and its own code writes as before
        assert (await http.get("/entities/DashShelf/never/sql")).json()["rows"] == []
        assert [one["key"] for one in await dotdo.entities("DashShelf") if one["size"]] == ["DashShelf/sql"]
        assert (await http.get("/entities/DotdoApproval/x/sql")).status_code == 404


async def test_roles_hold_for_what_the_dashboard_asks():
    async with runtime(modules=shop.MODULES), client_of(app(tokens=TOKENS)) as http:

        async def status(path: str, role: str | None) -> int:
            token = next((token for token, one in TOKENS.items() if one == role), None)
            return (await http.get(path, headers={"authorization": f"Bearer {token}"} if token else {})).status_code

        for path in ("/dashboard/session", "/dashboard/pulse", "/dashboard/executions", "/dashboard/events", "/dashboard/graphs"):
            assert [await status(path, role) for role in (None, "viewer", "operator")] == [401, 200, 200], path
        assert await status("/dashboard/live?watch=/tasks", None) == 401
        sql = "/entities/DashShelf/a/sql"
        assert [await status(sql, role) for role in (None, "viewer", "caller", "operator")] == [401, 403, 403, 200]
        for path in ("/", "/assets/main.js", "/assets/sections/run.js", "/assets/style.css"):
            assert await status(path, None) == 200  # the page itself: it knows nothing, and asks for the token
        for path in ("/assets/../pages.py", "/assets/%2e%2e/pages.py", "/assets/none.js"):
            assert await status(path, None) in (401, 404)
        assert (await http.post("/")).status_code == 401
        assert (await http.get("/dashboard/session", headers={"authorization": "Bearer viewer-token-000001"})).json()["role"] == "viewer"


async def test_the_page_comes_with_a_strict_policy_and_has_nothing_from_elsewhere_or_inline():
    async with runtime(modules=shop.MODULES), client_of(app()) as http:
        page = await http.get("/")
        assert (await http.head("/")).status_code == 200
        policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in page.headers["content-security-policy"]
        for file in sorted(ASSETS.rglob("*.*")):
            text = file.read_text()
            served = await http.get(f"/assets/{file.relative_to(ASSETS)}")
            assert served.status_code == 200
            assert served.text == text
            assert served.headers["content-security-policy"] == page.headers["content-security-policy"]
            assert set(re.findall(r"https?://[^\"' )]+", text)) <= {"http://www.w3.org/2000/svg"}, file
            for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
                assert word not in text, (file, word)
        assert not re.search(r"<script(?![^>]*src=)|style=|\son\w+=", page.text)


def test_the_page_ships_in_the_wheel_and_is_small(tmp_path: Path):
    sizes = [file.stat().st_size for file in ASSETS.rglob("*.*")]
    assert sum(sizes) < 150 * 1024
    assert len(sizes) > 20
    pytest.importorskip("hatchling", reason="the build backend is not installed here")
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=root, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 2 * 1024 * 1024
    import zipfile

    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"dotdo/http/assets/{file.relative_to(ASSETS).as_posix()}" for file in ASSETS.rglob("*.*")} <= names
