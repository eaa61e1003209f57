"""Requests nobody should send, as tables: what `test_hostile` sends over all doors. A new one is a row here."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from urllib.parse import quote

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
    wrong_ways = [
        ("GET", "/webhooks/door-hostile"),
        ("DELETE", "/webhooks/door-hostile"),
        ("POST", "/webhooks/door-hostile/"),
        ("POST", "/webhooks/%00"),
    ]
    return cases + [(method, path, JSON, good) for method, path in wrong_ways]


KEYS = [
    "",
    "x",
    "/",
    "//",
    "Nope/x",
    "DoorVictim/",
    "DotdoInbox/all",
    "!/x",
    "DoorVictim/%00",
    "%ff%fe/x",
    "v" * 800,
    "DoorVictim/" + "x" * 600,
]
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
    paths += [
        f"/dashboard/graph?execution={one}" for one in (*KEYS, "DoorVictim/v!x", "a!b!c", "DotdoMachine/x", "DotdoServiceRequest/a!b")
    ]
    paths += [f"/dashboard/graph?definition={one}&of={one}" for one in KEYS]
    paths += [
        f"/dashboard/graph?{one}"
        for one in ("", "machine=", "machine=%00", "service=", "service=" + "x" * 300, "instance=x", "definition=x")
    ]
    unwatchable = [
        "", "/", "//evil.example/executions", "http://evil.example/executions", "/health", "/metrics", "/DoorVictim/v/mark", "/executions/x/events",
        "/executions/x/result", "/entities/DoorVictim/v/sql?query=SELECT+1", "/dashboard/live?watch=/executions", "/dashboard/../DoorVictim/v/mark",
        "/docs", "/assets/x", "/rpc", "executions", "/EXECUTIONS", "/executions" + "x" * 3_000, "/%65xecutions/x/%65vents", "/dashboard/session",
    ]  # fmt: skip
    paths += [f"/dashboard/live?watch={quote(one, safe='')}" for one in unwatchable]
    paths += ["/dashboard/live", "/dashboard/live?" + "&".join(f"watch=/executions?limit={n}" for n in range(1, 30))]
    paths += [
        "/dashboard",
        "/dashboard/",
        "/dashboard/nope",
        "/dashboard/%2e%2e/executions",
        "/dashboard/pulse/x",
        "/dashboard/session?x=" + "y" * 900,
    ]
    verbs = (
        "entity?key=DoorVictim/v",
        "entities",
        "executions",
        "events",
        "graphs",
        "graph",
        "pulse",
        "session",
        "live?watch=/executions",
        "nope",
    )
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
    cases += [
        ("POST", f"/executions/DoorVictim/v!x/signal{query}", JSON, b"1")
        for query in ("", "?name=", "?name=a:b", "?name=!x", "?name=" + "x" * 300)
    ]
    cases += [("POST", "/callbacks/" + one, JSON, b"1") for one in ("", "%23x", "%00%23x", "DotdoInbox/all!x%23y", "x" * 900)]
    cases += [("POST", "/events/A.b?to=" + one, JSON, b"{") for one in ("", "%00", "x" * 900)]
    odd: list[bytes] = [b'{"title":1}', b'{"title":"x","approvers":"mia"}', b'{"title":"x","approvers":[]}', b'{"title":"x","approvers":[1]}',
                        b'{"title":"x","approvers":["a"],"deadline":"soon"}', b'{"title":"x","approvers":["a"],"deadline":-5}', b'{"title":"x","id":""}',
                        b'{"title":"x","approvers":["a"],"id":"\\u0000"}', b'{"title":"x","approvers":["a"],"priority":"none"}', b'{"title":null}',
                        b'{"title":"x","approvers":["a"],"id":"' + b"x" * 900 + b'"}', b'{"title":"x","timeout":"soon"}']  # fmt: skip
    cases += [
        ("POST", path, JSON, body) for path in ("/approvals", "/tasks") for body in odd if path == "/approvals" or b"approvers" not in body
    ]
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
