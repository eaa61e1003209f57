"""Three hundred and more requests nobody should send, over all doors: each is refused, and nothing runs."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import time
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


JSON = {"content-type": "application/json"}
Case = tuple[str, str, dict[str, str], bytes]


def http_cases() -> list[Case]:
    """(method, path, headers, body), none of which may run anything."""
    cases: list[Case] = []
    bodies = [
        b"{", b"}", b"[", b"nul", b'{"how":}', b'{"how":1,}', b"{'how':1}", b"\xff\xfe", b'"\\ud800"', b'{"how":NaN}', b"NaN", b"Infinity",
        b"[" * 5_000, b'{"a":' * 5_000, b"1 2", b"\x00", b"--", b"1e", b'{"how":1}x', b"[1,2,3]", b'{"how":"x"}', b'{"how":null}', b'{"how":[]}',
        b'{"how":{}}', b'{"how":1.5}', b'{"how":1,"more":2}', b'{"HOW":1}', b'{"self":1}', b'{"__class__":1}', b"[]", b'["x"]', b"[null]", b'"x"',
        b"null", b"{}", b'{"how":1e400}', b'{"how":' + b"9" * 5_000 + b"}", b'{"$noun":"DotdoInbox","$id":"x"}',
        b'{"how":{"$noun":"DoorVictim","$id":""}}', b'{"how":{"$noun":"!","$id":"x"}}', b"",
    ]  # fmt: skip
    cases += [("POST", "/DoorVictim/v/touch", JSON, body) for body in bodies]
    types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/xml",
        "*/*",
        "application/json2",
    ]
    cases += [("POST", "/DoorVictim/v/touch", {"content-type": kind}, b'{"how":1}') for kind in types]
    names = [
        "_private", "__class__", "__init__", "__dict__", "setup", "alarm", "migrate", "do", "send", "storage", "id", "noun", "key", "env", "log",
        "now", "sleep", "abort", "with_options", "_do_", "_do_spec_", "!", "!/cancel", "touch/", "Touch", "touch()", "touch%00", "touch.call", "..",
        "%2e%2e", "%5f%5fclass%5f%5f", "mark/x", "nope", "me.touch", "a" * 300, "%ff", "\u202e", "' OR 1=1", "<script>",
    ]  # fmt: skip
    cases += [("POST", f"/DoorVictim/v/{name}", JSON, b"[1]") for name in names]
    cases += [("GET", f"/DoorVictim/v/{name}", {}, b"") for name in names]
    nouns = [
        "DotdoInbox", "DotdoFunction", "DotdoConnection", "DotdoWebhookInbox", "DotdoSchedules", "DotdoApproval", "DotdoTask", "DotdoWorkflow",
        "DotdoDeadLetters", "DotdoEventLog", "doorvictim", "Nope", "DO", "__main__", "!", "object", "A" * 5_000, "Door Victim", "DoorVictim\x01", "%",
    ]  # fmt: skip
    cases += [("POST", f"/{noun}/all/touch", JSON, b"[1]") for noun in nouns]
    cases += [("GET", f"/{noun}/all/mark", {}, b"") for noun in nouns]
    ids = ["x" * 600, "%00" * 600, "%ed%a0%80" * 200]
    cases += [("POST", f"/DoorVictim/{one}/touch", JSON, b"[1]") for one in ids]
    cases += [(method, "/DoorVictim/v/touch", JSON, b"[1]") for method in ("PUT", "PATCH", "DELETE", "TRACE", "OPTIONS", "PROPFIND", "X")]
    cases += [
        ("GET", "/DoorVictim/v/touch", {}, b""),
        ("POST", "/DoorVictim/v/mark", JSON, b"[1]"),
        ("POST", "/DoorVictim/v", JSON, b"[1]"),
    ]
    keys = ["", "k" * 300, "\u00e4".encode().decode("latin-1"), " ", '""']
    cases += [("POST", "/DoorVictim/v/touch", {**JSON, "idempotency-key": key}, b"[1]") for key in keys]
    hosts = ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::2]", "localhost.evil", "10.0.0.1"]
    cases += [("POST", "/DoorVictim/v/touch", {**JSON, "host": host}, b"[1]") for host in hosts]
    origins = ["http://evil.example", "null", "https://127.0.0.1.evil", "http://[", "file://", "http://localhost.evil:8000"]
    cases += [("POST", "/DoorVictim/v/touch", {**JSON, "origin": origin}, b"[1]") for origin in origins]
    cases += [("POST", "/rpc", {"origin": origin}, b'["push",["pipeline",0,["DoorVictim"],["v"]]]') for origin in origins]
    executions = [
        "x",
        "!",
        "x!",
        "/!",
        "DoorVictim/v!none",
        "DoorVictim/!x",
        "Nope/v!x",
        "a!b!c",
        "%00!x",
        "DoorVictim/v",
        "..",
        "!/!",
        "v" * 700,
    ]
    cases += [("GET", f"/executions/{one}", {}, b"") for one in executions]
    cases += [("POST", f"/executions/{one}/{verb}", JSON, b"") for one in executions for verb in ("cancel", "retry", "bogus")]
    cases += [("GET", f"/executions/{one}/events", {}, b"") for one in executions]
    cases += [
        ("POST", f"/callbacks/{one}", JSON, b"1")
        for one in ("x", "%23", "DoorVictim/v!none%23cb", "x!%23", "DoorVictim/v!%23x", "a%23b%23c")
    ]
    queries = ["limit=0", "limit=-1", "limit=x", "limit=1e9", "status=dreaming", "limit=" + "9" * 400, "status=%00"]
    cases += [("GET", f"/executions?{query}", {}, b"") for query in queries]
    cases += [("GET", f"/approvals?{query}", {}, b"") for query in ("limit=0", "offset=-1", "limit=x", "status=dreaming")]
    cases += [("GET", f"/tasks?{query}", {}, b"") for query in ("limit=0", "offset=-1", "priority=none")]
    for path in (
        "/approvals/none/approve",
        "/approvals/none/reject",
        "/approvals/none/cancel",
        "/tasks/none/claim",
        "/tasks/none/complete",
        "/tasks",
    ):
        cases += [("POST", path, JSON, body) for body in (b"", b"{}", b"[]", b'{"by":1}', b'{"by":"x"}', b'{"by":"x","extra":1}', b"{")]
    cases += [("POST", f"/events/{name}", JSON, b"{") for name in ("A.b", "A.created")]
    names = [
        "",
        "x y",
        "*.*",
        "A.",
        ".b",
        "DotdoFunction.handle",
        "DotdoInbox.put",
        "a" * 3_000,
        "A.b.c.d",
        "%00.%00",
        "DoorVictim.touch",
        "DoorVictim._x",
    ]
    cases += [("POST", f"/events/{name}?wait=true", JSON, b'{"$id":"v","how":"x"}') for name in names]
    cases += [
        ("GET", f"/assets/{name}", {}, b"")
        for name in ("../application.py", "%2e%2e/guard.py", "..%2fguard.py", "none.js", "", "/etc/passwd", "%00")
    ]
    cases += [("DELETE", f"/entities/{one}", {}, b"") for one in ("DotdoInbox/approvals", "Nope/x", "DoorVictim/", "!/x", "DoorVictim")]
    cases += [("POST", f"/dead-letters/{one}/replay", {}, b"") for one in ("0", "-1", "x", "9" * 400, "%00")]
    cases += [("DELETE", f"/dead-letters/{one}", {}, b"") for one in ("x", "1e3")]
    cases += [("POST", f"/schedules/{one}/pause", {}, b"") for one in ("none", "%00", "x" * 900)]
    cases += [
        ("GET", "/schedules?of=x", {}, b""),
        ("GET", "/schedules?of=/", {}, b""),
        ("GET", "/nowhere", {}, b""),
        ("POST", "/health", {}, b""),
    ]
    cases += [("POST", "/webhooks/door-hostile", {**JSON, **extra}, b'{"id":"e"}') for extra in (
        {}, {"stripe-signature": ""}, {"stripe-signature": "t=1,v1=00"}, {"stripe-signature": "t=x,v1="}, {"stripe-signature": "v1=" + "0" * 64},
        {"stripe-signature": "t=99999999999,v1=" + "0" * 64}, {"stripe-signature": ",,,=,=" * 50}, {"dotdo-signature": "t=\u00b2,v1=0".encode().decode("latin-1")},
    )]  # fmt: skip
    cases += webhook_cases()
    cases += [("POST", "/DoorVictim/v/touch", {**JSON, "content-length": length}, b"[1]") for length in ("-1", "x", "99999999999999999999")]
    cases += [("GET", "/" + "x/" * 5_000, {}, b"")]
    return cases + dashboard_cases() + operator_cases()


HOOKS = {"door-hostile": "stripe", "door-hostile-github": "github", "door-hostile-standard": "standard"}


def webhook_cases() -> list[Case]:
    """Deliveries with a wrong signature, and with a right one under a body that is none."""
    good = b'{"id":"e"}'
    digest, stamp = hmac.new(b"s", good, hashlib.sha256).hexdigest(), str(int(time.time()))
    signatures: list[tuple[str, dict[str, str]]] = [
        *(("door-hostile-github", {"x-hub-signature-256": one}) for one in ("", "sha256=", "sha1=" + digest, digest[:-1], digest.upper(), "sha256=" + "\u00e4")),
        *(("door-hostile-standard", {"webhook-id": "m", "webhook-timestamp": at, "webhook-signature": one})
          for at in (stamp, "", "x", "-1", "1e9", "9" * 13) for one in ("", "v1,", "v1,AAAA", "v2," + digest, "v1," * 500, "v1,\u00e4")),
        ("door-hostile", {"stripe-signature": f"t={stamp},v0={digest}"}), ("door-hostile", {"stripe-signature": f"t={stamp},v1={digest}"}),
        ("door-hostile", {"stripe-signature": f"t={stamp}," + "v1=00," * 2_000}), ("door-hostile", {"stripe-signature": f"t={stamp}.0,v1={digest}"}),
    ]  # fmt: skip
    cases: list[Case] = [("POST", f"/webhooks/{path}", {**JSON, **headers}, good) for path, headers in signatures]
    for body in (b"", b"{", b"\xff\xfe", b"NaN", b'{"id":1}x', b"[" * 5_000, b'"\\ud800"', b"\x00"):
        signed = hmac.new(b"s", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        cases.append(("POST", "/webhooks/door-hostile", {**JSON, "stripe-signature": f"t={stamp},v1={signed}"}, body))
        github = hmac.new(b"s", body, hashlib.sha256).hexdigest()
        cases.append(("POST", "/webhooks/door-hostile-github", {**JSON, "x-hub-signature-256": f"sha256={github}"}, body))
    wrong_ways = [("GET", "/webhooks/door-hostile"), ("DELETE", "/webhooks/door-hostile"), ("POST", "/webhooks/door-hostile/"), ("POST", "/webhooks/%00")]
    return cases + [(method, path, JSON, good) for method, path in wrong_ways]


KEYS = ["", "x", "/", "//", "Nope/x", "DoorVictim/", "DotdoInbox/all", "!/x", "DoorVictim/%00", "%ff%fe/x", "v" * 800, "DoorVictim/" + "x" * 600]
"""What is no key of an entity, or of none that may be named from outside."""


def dashboard_cases() -> list[Case]:
    """What the page asks, asked wrongly. These read only: answers of 200 are fine, as long as nothing runs."""
    paths = [f"/dashboard/entity?key={key}" for key in KEYS] + ["/dashboard/entity", "/dashboard/entity?key=a&key=b"]
    paths += [
        f"/dashboard/{what}?{query}"
        for what in ("entities", "executions", "events")
        for query in ("limit=0", "limit=-1", "limit=x", "limit=1e9", "limit=" + "9" * 400, "search=" + "x" * 300, "status=dreaming", "noun=%00",
                      "noun=../x", "name=[", "name=***" + "*?" * 90, "name=%00", "search=%ff", "all=maybe")
    ]  # fmt: skip
    paths += [f"/dashboard/graph?execution={one}" for one in (*KEYS, "DoorVictim/v!x", "a!b!c", "DotdoMachine/x", "DotdoServiceRequest/a!b")]
    paths += [f"/dashboard/graph?definition={one}&of={one}" for one in KEYS]
    paths += [f"/dashboard/graph?{one}" for one in ("", "machine=", "machine=%00", "service=", "service=" + "x" * 300, "instance=x", "definition=x")]
    unwatchable = [
        "", "/", "//evil.example/executions", "http://evil.example/executions", "/health", "/metrics", "/DoorVictim/v/mark", "/executions/x/events",
        "/executions/x/result", "/entities/DoorVictim/v/sql?query=SELECT+1", "/dashboard/live?watch=/executions", "/dashboard/../DoorVictim/v/mark",
        "/docs", "/assets/x", "/rpc", "executions", "/EXECUTIONS", "/executions" + "x" * 3_000, "/%65xecutions/x/%65vents", "/dashboard/session",
    ]  # fmt: skip
    paths += [f"/dashboard/live?watch={quote(one, safe='')}" for one in unwatchable]
    paths += ["/dashboard/live", "/dashboard/live?" + "&".join(f"watch=/executions?limit={n}" for n in range(1, 30))]
    paths += ["/dashboard", "/dashboard/", "/dashboard/nope", "/dashboard/%2e%2e/executions", "/dashboard/pulse/x", "/dashboard/session?x=" + "y" * 900]
    verbs = ("entity?key=DoorVictim/v", "entities", "executions", "events", "graphs", "graph", "pulse", "session", "live?watch=/executions", "nope")
    written = [(method, f"/dashboard/{path}", JSON, b"{}") for path in verbs for method in ("POST", "DELETE")]
    return [*(("GET", path, {}, b"") for path in paths), *written]


STATEMENTS = [
    "x", "DELETE FROM t", "DROP TABLE t", "INSERT INTO t VALUES(1)", "UPDATE t SET a = 1", "CREATE TABLE t(a)", "ATTACH '/etc/passwd' AS p",
    "PRAGMA writable_schema = 1", "PRAGMA journal_mode = DELETE", "VACUUM INTO '/tmp/stolen'", "SELECT 1; DROP TABLE t", "BEGIN", "COMMIT",
    "SELECT load_extension('x')", "SELECT readfile('/etc/passwd')", "SELECT writefile('/tmp/x', 1)", "SELECT * FROM _do_fields", "SELECT * FROM nope",
    "SELECT zeroblob(2000000000)", "SELECT randomblob(900000000)", "SELECT replace(hex(zeroblob(400000000)), '0', 'xxxxxxxx')", "SELECT printf('%2000000000d', 1)",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c", "\x00", "SELECT 1 WHERE ?", "'" * 9_000,
    "x" * 20_000, "EXPLAIN DELETE FROM t", "REINDEX", "ANALYZE", "SELECT * FROM sqlite_dbpage", "SELECT * FROM pragma_database_list",
]  # fmt: skip
"""SQL that does more than read an entity's own tables, or would cost too much."""


def operator_cases() -> list[Case]:
    """What an operator's routes must refuse."""
    cases: list[Case] = [("GET", f"/entities/{key}/sql", {}, b"") for key in KEYS]
    cases += [("GET", f"/entities/{key}", {}, b"") for key in KEYS]
    cases += [("POST", f"/entities/{key}/{verb}", JSON, b"") for key in KEYS for verb in ("hibernate", "release", "explode")]
    cases += [("POST", f"/workflows/{name}", JSON, b"{}") for name in ("", "none", "%00", "../x", "x" * 900, "__main__", "%ff")]
    cases += [("POST", f"/executions/DoorVictim/v!x/signal{query}", JSON, b"1") for query in ("", "?name=", "?name=a:b", "?name=!x", "?name=" + "x" * 300)]
    cases += [("POST", "/callbacks/" + one, JSON, b"1") for one in ("", "%23x", "%00%23x", "DotdoInbox/all!x%23y", "x" * 900)]
    cases += [("POST", "/events/A.b?to=" + one, JSON, b"{") for one in ("", "%00", "x" * 900)]
    odd: list[bytes] = [b'{"title":1}', b'{"title":"x","approvers":"mia"}', b'{"title":"x","approvers":[]}', b'{"title":"x","approvers":[1]}',
                        b'{"title":"x","approvers":["a"],"deadline":"soon"}', b'{"title":"x","approvers":["a"],"deadline":-5}', b'{"title":"x","id":""}',
                        b'{"title":"x","approvers":["a"],"id":"\\u0000"}', b'{"title":"x","approvers":["a"],"priority":"none"}', b'{"title":null}',
                        b'{"title":"x","approvers":["a"],"id":"' + b"x" * 900 + b'"}', b'{"title":"x","timeout":"soon"}']  # fmt: skip
    cases += [("POST", path, JSON, body) for path in ("/approvals", "/tasks") for body in odd if path == "/approvals" or b"approvers" not in body]
    cases += [("GET", f"/docs/{name}", {}, b"") for name in ("", "redoc.standalone.js", "..%2fcore.py", "%00", "swagger-ui.css/", "\u202e")]
    cases += [("GET", "/" + "?" + "a=b&" * 5_000, {}, b""), ("GET", "/schedules?of=" + "x" * 3_000, {}, b"")]
    return cases


def rpc_cases() -> list[str]:
    """Messages of Cap'n Web that break its protocol, or ask for what is not there."""
    bad = [
        "", "{", "1", "null", '"push"', "[]", "[1]", "[null]", '["nope"]', '["push"]', '["push",1,2]', '["pull"]', '["pull","x"]', '["pull",1.5]',
        '["pull",true]', '["pull",99]', '["release",0,1]', '["release",1,1]', '["release",0]', '["resolve",1]', '["pipe",1]',
        '["push",["import"]]', '["push",["import",99]]', '["push",["pipeline",0,"x"]]', '["push",["pipeline",0,[{}]]]', '["push",["pipeline",0,[],{}]]',
        '["push",["pipeline",0,[true]]]', '["push",["pipeline",true]]', '["push",["bigint","x"]]', '["push",["bigint","' + "9" * 9_000 + '"]]',
        '["push",["date","x"]]', '["push",["date",1e300]]', '["push",["bytes","?"]]', '["push",["bytes",1]]', '["push",["inf",1]]', '["push",["error"]]',
        '["push",["undefined",1]]', '["push",["nope"]]', '["push",[]]', '["push",[1,2]]', '["push",["export",1]]', '["push",["export"]]',
        '["push",["promise",0]]', '["push",["readable",0]]', '["push",["readable",99]]', '["push",["writable","x"]]', '["push",["headers",1]]',
        '["push",["request",1,{}]]', '["push",["response",1]]', '["push",["blob",1]]', '["push",["remap",0,[],[],[]]]', '["push",["remap",99,[],[],[1]]]',
        '["push",["remap",0,[],[["x",1]],[1]]]', '["push",["remap",0]]', '["push",' + "[[" * 200 + "1" + "]]" * 200 + "]", '["push",' + '{"a":' * 200 + "1" + "}" * 200 + "]",
        "[" * 100_000, '["push",NaN]', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), '["push",["pipeline",0,' + json.dumps(["x"] * 100) + "]]",
        '["stream"]', '["push",["remap",0,[],[],' + json.dumps([1] * 2_000) + "]]", '["push",["bytes","AA","Int8Array","x"]]', '["push",["url",1]]',
    ]  # fmt: skip
    private = ["_private", "__class__", "__init__", "!", "setup", "do", "storage", "send", "nope", "_do_spec_", "", "touch.x", "id"]
    bad += [json.dumps(["push", ["pipeline", 1, [name], [1]]]) for name in private]
    bad += [json.dumps(["push", ["pipeline", 1, ["me", name], [1]]]) for name in private]
    bad += [json.dumps(["push", ["pipeline", 2, [name], ["x"]]]) for name in private]
    bad += [
        json.dumps(["push", ["pipeline", 0, [noun], args]])
        for noun in ("DotdoInbox", "Nope", "!", "__main__", "object")
        for args in (["x"], [], [1], ["x", "y"])
    ]
    bad += [
        json.dumps(["push", ["pipeline", 0, ["DoorVictim"], args]])
        for args in ([], [1], [""], [None], [["undefined"]], ["x", "y"], ["x" * 600])
    ]
    bad += [json.dumps(["push", ["pipeline", 1, ["touch"], args]]) for args in ([], [1, 2], [[[1]], 2])]
    bad += [
        json.dumps(["push", ["pipeline", 1, [], [1]]]),
        json.dumps(["push", ["pipeline", 2, [], [1]]]),
        json.dumps(["push", ["pipeline", 1, [0], [1]]]),
    ]
    return bad


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
    """Always another name, method, token: what is refused is not remembered."""
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
        await wave(0, 30)
        gc.collect()
        tracemalloc.start()
        try:
            await wave(1_000, 60)
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            await wave(2_000, 60)
            gc.collect()
            left = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert left < 600 * 200, f"600 requests left {left} bytes"


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
