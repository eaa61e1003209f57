"""Three hundred and more requests nobody should send, over all doors: each is refused, and nothing runs."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from typing import Any
from urllib.parse import quote, unquote

import httpx
import pytest
import websockets

from dotdo import DO
from dotdo.errors import DefinitionError, NoSuchMember
from dotdo.http import Limits, Server, app, webhook
from dotdo.http.capnweb.session import Session
from dotdo.http.webhooks import forget
from dotdo.testing import runtime
from tests.doors import client_of, serving
from tests.http.hostile import HOOKS, JSON, STATEMENTS, http_cases, rpc_cases

ran: list[str] = []

TOKENS = {"viewer-token-of-tests": "viewer", "caller-token-of-tests": "caller", "operator-token-tests": "operator"}


class DoorVictim(DO):
    """Whoever gets in leaves a mark."""

    mark: int = 0
    other: DoorVictim | None = None

    async def touch(self, how: int) -> int:
        ran.append("touch")
        self.mark += how
        return self.mark

    async def free(self) -> None:
        ran.append("free")

    async def setup(self) -> None:
        self.storage.sql("CREATE TABLE IF NOT EXISTS t(a)")

    async def me(self) -> DoorVictim:
        return DoorVictim(self.id)

    async def _private(self) -> None:
        ran.append("_private")


async def asked(asgi: Any, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
    """The answer to a request that no decent client would send, as a server would hand it on."""
    raw, _, query = path.encode("utf-8", "surrogatepass").partition(b"?")
    given = {"host": "127.0.0.1", "content-length": str(len(body)), **headers}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": unquote(raw.decode()),
        "raw_path": raw, "query_string": query, "root_path": "", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given.items()],
    }  # fmt: skip
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


async def test_no_hostile_request_is_answered_with_500_and_none_runs_anything():
    for hook, scheme in HOOKS.items():
        webhook(f"/webhooks/{hook}", secret="DOOR_SECRET", event="DoorVictim.free", scheme=scheme)
    ran.clear()
    limits = Limits(request_timeout_s=5.0, request_bytes_max=1_000_000)
    try:
        asgi = app(limits=limits, secrets={"DOOR_SECRET": "s"})
        cases = http_cases()
        async with runtime() as rt:
            for method, path, headers, body in cases:
                answer = await asked(asgi, method, path, headers, body)
                assert answer.status_code < 500, (method, path[:80], headers, body[:60], answer.status_code, answer.text[:300])
                if answer.status_code >= 400 and method != "HEAD":
                    assert answer.headers["content-type"] == "application/problem+json", (method, path[:80], answer.text[:200])
                    assert "Traceback" not in answer.text
                if path.startswith("/webhooks/"):
                    assert answer.status_code >= 400, (path, headers, body[:60], answer.text)
            await rt.settle()
            assert ran == []
            assert len({str(case) for case in cases}) >= 600
    finally:
        for hook in HOOKS:
            forget(f"/webhooks/{hook}")


async def test_every_hostile_message_ends_its_session_or_is_rejected_and_nothing_runs():
    ran.clear()
    async with runtime():
        for text in rpc_cases():
            sent: list[bytes] = []
            session = Session(sent.append, Limits())
            session.receive('["push",["pipeline",0,["DoorVictim"],["v"]]]')
            session.receive('["push",["pipeline",1,["me"],[]]]')
            session.receive(text)
            session.receive('["pull",3]')
            await session.drained(5.0)
            session.close()
            told = [json.loads(message) for message in sent]
            assert told, text[:100]
            assert told[-1][0] in ("abort", "reject"), (text[:100], told)
            assert "Traceback" not in str(told)
            assert ran == [], text[:100]


async def test_no_hostile_statement_changes_an_entity_reads_a_file_or_lasts():
    async with runtime(), client_of(app()) as http:
        await DoorVictim("sql").touch(7)
        where = "/entities/DoorVictim/sql/sql"
        tables = (await http.get(where)).json()
        assert [row[0] for row in tables["rows"]] == ["t"]
        for statement in STATEMENTS:
            query = quote(statement.encode("utf-8", "surrogatepass"), safe="")
            answer = await http.get(f"{where}?query={query}")
            assert 400 <= answer.status_code < 500, (statement[:100], answer.status_code, answer.text[:300])
            assert "Traceback" not in answer.text
        assert (await http.get(where)).json() == tables
        assert (await http.get(f"{where}?query=SELECT count(*) FROM t")).json()["rows"] == [[0]]
        assert (await http.get("/DoorVictim/sql/mark")).json() == 7


async def test_every_hostile_message_is_refused_in_a_batch_as_well():
    ran.clear()
    async with runtime(), client_of(app()) as http:
        lines = ['["push",["pipeline",0,["DoorVictim"],["v"]]]', '["push",["pipeline",1,["me"],[]]]']
        for text in rpc_cases():
            body = "\n".join([*lines, text, '["pull",3]']).encode("utf-8", "surrogatepass")
            answer = await http.post("/rpc", content=body)
            assert answer.status_code == 200, (text[:100], answer.text)
            told = [json.loads(line) for line in answer.text.split("\n")]
            assert told[-1][0] in ("abort", "reject"), (text[:100], told)
            assert "Traceback" not in answer.text
            assert ran == [], text[:100]
        too_many = await http.post("/rpc", content=b"x\n" * 10_001)
        assert (too_many.status_code, too_many.json()["code"]) == (413, "batch_too_large")


async def test_every_hostile_message_ends_its_connection_or_is_rejected_and_the_server_goes_on():
    ran.clear()
    async with runtime(), serving(app(limits=Limits(request_bytes_max=200_000))) as port:
        url = f"ws://127.0.0.1:{port}/rpc"
        texts: list[str | bytes] = [*rpc_cases(), b"", b"\xff\xfe", b"\x00" * 1_000, b'["push"']
        for text in texts:
            async with websockets.connect(url, compression=None) as socket:
                await socket.send('["push",["pipeline",0,["DoorVictim"],["v"]]]')
                await socket.send('["push",["pipeline",1,["me"],[]]]')
                await socket.send(text)
                await socket.send('["pull",3]')
                told = json.loads(await asyncio.wait_for(socket.recv(), 10))
                assert told[0] in ("abort", "reject"), (text[:100], told)
                assert "Traceback" not in str(told)
        async with websockets.connect(url, compression=None) as socket:
            await socket.send("x" * 200_001)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            assert (await http.get("/ready")).json() == {"status": "ready"}
            assert "dotdo_rpc_connections 0.0" in (await http.get("/metrics")).text
        assert ran == []


async def test_hostile_requests_leave_nothing_in_memory():
    """Always another name, method, token: what is refused is not remembered, but for caches and figures that are bounded."""
    asgi = app(tokens=TOKENS)
    operator = {"authorization": f"Bearer {list(TOKENS)[2]}"}

    async def wave(first: int, count: int) -> None:
        for n in range(first, first + count):
            for method, path, headers, body in (
                ("POST", f"/Nope{n}/x/y", operator, b"[1]"), ("POST", f"/DoorVictim/v/nope{n}", operator, b"[1]"), (f"METHOD{n}", "/x", operator, b""),
                ("GET", f"/DoorVictim/v/mark?{n}", {"authorization": f"Bearer wrong-token-{n:08}"}, b""), ("GET", f"/assets/{n}", {}, b""),
                ("POST", f"/workflows/none{n}", operator, b"{}"), ("GET", f"/dashboard/live?watch=/nope{n}", operator, b""),
                ("GET", f"/nowhere/{n}", operator, b""), ("POST", f"/rpc?{n}", operator, b'["push",["import",%d]]' % n),
                ("POST", f"/rpc?{n}", operator, b'["push",["pipeline",0,["Nope%d"],["x"]]]\n["pull",1]' % n),
            ):  # fmt: skip
                answer = await asked(asgi, method, path, headers, body)
                assert answer.status_code < 500, (method, path, answer.text)

    async with runtime():
        await wave(0, 15)
        gc.collect()
        tracemalloc.start()
        try:
            await wave(1_000, 60)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await wave(2_000, 30)
            gc.collect()
            left = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert left < 300 * 150, f"300 requests left {left} bytes"


async def test_a_path_cannot_reach_the_runtime_behind_a_stub():
    async with runtime():
        with pytest.raises(NoSuchMember):
            await DoorVictim("v").me()["!"]["list"](None, 10)


async def test_without_a_token_nothing_but_health_is_answered_on_another_address():
    ran.clear()
    asgi = app(tokens={})
    async with runtime(), client_of(asgi, client="10.0.0.9", base_url="http://10.0.0.1") as http:
        open_paths = set()
        paths = set(asgi.openapi()["paths"]) - asgi.state.door.webhook_paths | {
            "/",
            "/openapi.json",
            "/DoorVictim/v/touch",
            "/DoorVictim/v/mark",
            "/nowhere",
            "/rpc",
            "/docs",
        }
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                answer = await http.request(method, path.replace("{", "").replace("}", ""), json=[1])
                if answer.status_code != 401:
                    open_paths.add((method, path, answer.status_code))
        assert open_paths == {("GET", "/health", 200), ("GET", "/ready", 200)}
        assert ran == []
    with pytest.raises(DefinitionError, match="needs tokens"):
        Server("0.0.0.0", 0)


@pytest.mark.parametrize(
    ("method", "path", "lowest"),
    [
        ("GET", "/DoorVictim/v/mark", 0), ("GET", "/executions", 0), ("GET", "/metrics", 0), ("POST", "/DoorVictim/v/free", 1),
        ("POST", "/events/Door.came", 1), ("POST", "/rpc", 1), ("POST", "/events/Approval.decided", 2), ("POST", "/approvals", 2), ("POST", "/tasks", 2),
        ("POST", "/dead-letters/replay", 2), ("POST", "/executions/DoorVictim/v!x/cancel", 2), ("DELETE", "/entities/DoorVictim/v", 2),
        ("POST", "/executions/DoorVictim/v!x/signal?name=a", 1), ("DELETE", "/schedules/x", 2),
    ],
)  # fmt: skip
async def test_roles_may_do_what_they_may(method: str, path: str, lowest: int):
    async with runtime(), client_of(app(tokens=TOKENS), client="10.0.0.9") as http:
        for rank, token in enumerate(TOKENS):
            answer = await http.request(method, path, headers={"authorization": f"Bearer {token}"})
            assert (answer.status_code == 403) == (rank < lowest), (token, answer.text)
        for wrong in ("Bearer nope", "Basic x", "Bearer", f"bearer {list(TOKENS)[2]}x"):
            assert (await http.request(method, path, headers={"authorization": wrong})).status_code == 401
        assert (await http.request(method, path)).status_code == 401


async def test_a_body_over_the_limit_is_refused_while_it_comes_in():
    taken = 0

    async def chunks() -> Any:
        nonlocal taken
        for _ in range(1_000):
            taken += 1
            yield b" " * 10_000

    async with runtime(), client_of(app(limits=Limits(request_bytes_max=50_000))) as http:
        answer = await http.post("/DoorVictim/v/touch", content=chunks(), headers=JSON)
        assert answer.status_code == 413


async def test_one_connection_holds_a_bounded_number_of_things():
    async with runtime():
        for messages in (
            ['["push",1]'] * 200,
            ['["pipe"]'] * 200,
            [json.dumps(["push", [[["export", -number] for number in range(1, 200)]]])],
        ):
            sent: list[bytes] = []
            session = Session(sent.append, Limits(exports_max=100, imports_max=50))
            for message in messages:
                session.receive(message)
            assert session.is_over
            assert json.loads(sent[-1])[0] == "abort"
            assert session.counts["exports"] == 0


async def test_cors_is_off_unless_an_origin_is_named():
    asked = {"origin": "https://shop.example", "access-control-request-method": "POST"}
    async with runtime():
        async with client_of(app()) as http:
            answer = await http.options("/DoorVictim/v/free", headers=asked)
            assert "access-control-allow-origin" not in answer.headers
        async with client_of(app(cors=["https://shop.example"], tokens=TOKENS)) as http:
            answer = await http.options("/DoorVictim/v/free", headers=asked)
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"


async def test_a_websocket_needs_a_token_where_a_request_does():
    async with runtime(), serving(app(tokens=TOKENS)) as port:
        url = f"ws://127.0.0.1:{port}/rpc"
        caller, viewer = "caller-token-of-tests", "viewer-token-of-tests"
        for headers, status in (({}, 401), ({"authorization": "Bearer nope"}, 401), ({"authorization": f"Bearer {viewer}"}, 403)):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url, additional_headers=headers)
            assert refused.value.response.status_code == status
        async with websockets.connect(url, subprotocols=["dotdo", f"bearer.{caller}"]) as socket:
            assert socket.subprotocol == "dotdo"
            await socket.send('["push",["pipeline",0,["DoorVictim"],["ws"]]]')
            await socket.send('["push",["pipeline",1,["mark"]]]')
            await socket.send('["pull",2]')
            assert await socket.recv() == '["resolve",2,0]'
            await socket.send('["nonsense"]')
            assert json.loads(await socket.recv())[0] == "abort"
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
    async with runtime(), serving() as port:
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(f"ws://127.0.0.1:{port}/rpc", origin="http://evil.example")
