"""Signed webhooks that become events once, and workflows started over HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from dotdo import DO, on, progress, send, sleep, step, workflow
from dotdo.http import Limits, app, webhook
from dotdo.http.webhooks import forget
from dotdo.testing import runtime
from tests.doors import client_of, serving

SECRET = "whsec_" + base64.b64encode(b"0" * 24).decode()


class DoorTill(DO):
    """Hears of payments."""

    paid: list[str] = []

    @on.DoorPayment.succeeded(key="till")
    async def succeeded(self, event: Any) -> None:
        self.paid = [*self.paid, event.data["id"]]


@workflow("door-greeting")
async def greeting(name: str, times: int = 1) -> str:
    """Greets."""
    await progress(1, 2)
    return await step("greet", lambda: f"hi {name} " * times)


@workflow("door-sleeper")
async def sleeper() -> None:
    await sleep("1h")


@pytest.fixture(autouse=True)
def hooks() -> Any:
    webhook("/webhooks/door-stripe", secret="DOOR_SECRET", scheme="stripe", event={"payment_intent.succeeded": "DoorPayment.succeeded"})
    webhook("/webhooks/door-github", secret="DOOR_SECRET", scheme="github", event="DoorPayment.succeeded")
    webhook("/webhooks/door-standard", secret="DOOR_SECRET", scheme="standard", event="DoorPayment.succeeded")
    yield
    for name in ("stripe", "github", "standard"):
        forget(f"/webhooks/door-{name}")


def hex_of(message: bytes) -> str:
    return hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


def stripe(body: bytes, at: float) -> dict[str, str]:
    return {"stripe-signature": f"t={int(at)},v1={'0' * 64},v1={hex_of(f'{int(at)}.'.encode() + body)}"}


@pytest.mark.feature(395)
async def test_a_signed_delivery_becomes_an_event_once_however_often_it_is_sent():
    body = json.dumps({"id": "evt_1", "type": "payment_intent.succeeded", "till": "t1"}).encode()
    async with runtime() as rt, client_of(app(secrets={"DOOR_SECRET": SECRET}, tokens={}), client="3.3.3.3") as http:
        outcomes = []
        for again in range(3):
            answer = await http.post("/webhooks/door-stripe", content=body, headers=stripe(body, time.time() - again))
            outcomes.append(answer.json())
        assert [one["outcome"] for one in outcomes] == ["sent", "repeated", "repeated"]
        assert all(one["received"] for one in outcomes)
        await rt.crash()
        assert (await http.post("/webhooks/door-stripe", content=body, headers=stripe(body, time.time()))).json()["outcome"] == "repeated"
        await rt.settle()
        assert await DoorTill("t1").paid == ["evt_1"]
        other = json.dumps({"id": "evt_2", "type": "charge.refunded"}).encode()
        assert (await http.post("/webhooks/door-stripe", content=other, headers=stripe(other, time.time()))).json()["outcome"] == "ignored"


async def test_a_delivery_that_is_changed_old_or_unsigned_is_refused():
    body = json.dumps({"id": "evt_9", "type": "payment_intent.succeeded", "till": "t2"}).encode()
    async with runtime() as rt, client_of(app(secrets={"DOOR_SECRET": SECRET})) as http:
        for content, headers, code in (
            (body + b" ", stripe(body, time.time()), "bad_signature"),
            (body, stripe(body, time.time() - 3600), "outside_window"),
            (body, stripe(body, time.time() + 3600), "outside_window"),
            (body, {}, "bad_signature"),
        ):
            answer = await http.post("/webhooks/door-stripe", content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (401, code)
        await rt.settle()
        assert await DoorTill("t2").paid == []
    async with runtime(), client_of(app(secrets={})) as http:
        assert (await http.post("/webhooks/door-stripe", content=body, headers=stripe(body, time.time()))).json()["code"] == "no_secret"


async def test_other_schemes_are_checked_their_own_way():
    body = json.dumps({"id": "evt_3", "till": "t3"}).encode()
    async with runtime() as rt, client_of(app(secrets={"DOOR_SECRET": SECRET})) as http:
        signed = {"x-hub-signature-256": f"sha256={hex_of(body)}", "x-github-delivery": "d-1"}
        assert [(await http.post("/webhooks/door-github", content=body, headers=signed)).json()["outcome"] for _ in "ab"] == [
            "sent",
            "repeated",
        ]
        stamp = str(int(time.time()))
        digest = base64.b64encode(hmac.new(b"0" * 24, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
        standard = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": f"v1,AAAA v1,{digest}"}
        assert (await http.post("/webhooks/door-standard", content=body, headers=standard)).json()["outcome"] == "sent"
        assert (await http.post("/webhooks/door-standard", content=body, headers={**standard, "webhook-id": "msg_2"})).status_code == 401
        await rt.settle()
        assert await DoorTill("t3").paid == ["evt_3", "evt_3"]


@pytest.mark.feature(394)
async def test_a_workflow_is_started_by_its_name_and_tells_its_progress():
    async with runtime(), client_of(app(limits=Limits(stream_poll_s=0.01))) as http:
        answer = await http.post("/workflows/door-greeting?id=g1", json={"name": "ann", "times": 2})
        assert answer.status_code == 202, answer.text
        again = await http.post("/workflows/door-greeting?id=g1", json={"name": "ann", "times": 2})
        assert again.json()["execution"] == answer.json()["execution"]
        assert (await http.get(f"{answer.json()['location']}/result")).json() == "hi ann hi ann "
        stream = (await http.get(answer.json()["events"])).text
        assert 'event: progress\ndata: {"id":' in stream
        assert (await http.post("/workflows/door-greeting?wait=true", json="bob")).json() == "hi bob "
        assert (await http.post("/workflows/door-greeting", json={"name": 7})).json()["code"] == "invalid_arguments"
        assert (await http.post("/workflows/nope", json={})).status_code == 404
        listed = {one["name"]: one for one in (await http.get("/workflows")).json()["workflows"]}
        assert listed["door-greeting"]["arguments"]["required"] == ["name"]


async def test_events_are_sent_and_answered_over_http():
    async with runtime() as rt, client_of(app()) as http:
        assert (await http.post("/events/DoorPayment.succeeded", json={"id": "e", "till": "t5"})).status_code == 202
        await rt.settle()
        assert await DoorTill("t5").paid == ["e"]
        assert (await http.post("/events/DoorPayment.imagine?wait=true", json={})).json()["code"] == "no_handler"
    assert send is not None


async def test_what_is_asked_for_twice_under_one_idempotency_key_happens_once():
    once = {"idempotency-key": "once-1"}
    async with runtime() as rt, client_of(app()) as http:
        sent = [await http.post("/events/DoorPayment.succeeded", json={"id": "e", "till": "t6"}, headers=once) for _ in range(3)]
        assert [one.status_code for one in sent] == [202] * 3
        assert len({one.json()["id"] for one in sent}) == 1
        await rt.settle()
        assert await DoorTill("t6").paid == ["e"]
        other = await http.post("/events/DoorPayment.succeeded", json={"id": "f", "till": "t6"}, headers=once)
        assert (other.status_code, other.json()["code"]) == (409, "call_id_conflict")
        for path, body in (("/approvals", {"title": "PO", "approvers": ["ann"]}), ("/tasks", {"title": "Call", "assignee": "ann"})):
            made = [await http.post(path, json=body, headers=once) for _ in range(2)]
            assert [one.status_code for one in made] == [201] * 2, made[1].text
            assert len((await http.get(path)).json()[path[1:]]) == 1
            assert (await http.post(path, json=body, headers={"idempotency-key": ""})).json()["code"] == "bad_idempotency_key"


async def test_routes_that_read_their_body_themselves_are_described_with_it():
    async with runtime(), client_of(app()) as http:
        paths = (await http.get("/openapi.json")).json()["paths"]
        for path in ("/events/{name}", "/workflows/{name}", "/executions/{execution_id}/signal", "/callbacks/{callback_id}", "/rpc"):
            assert "content" in paths[path]["post"]["requestBody"], path
        for path in ("/events/{name}", "/workflows/{name}", "/approvals", "/tasks"):
            assert "Idempotency-Key" in [one["name"] for one in paths[path]["post"]["parameters"]], path


async def test_many_streams_and_connections_are_held_while_calls_run():
    import httpx
    import websockets

    limits = httpx.Limits(max_connections=200)
    async with (
        runtime(),
        serving() as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=30) as http,
    ):
        where = (await http.post("/workflows/door-sleeper", json=[])).json()["events"]
        sockets = [await websockets.connect(f"ws://127.0.0.1:{port}/rpc") for _ in range(40)]
        streams = [http.stream("GET", where) for _ in range(30)]
        opened = [await stream.__aenter__() for stream in streams]
        assert all(one.status_code == 200 for one in opened)
        for number, socket in enumerate(sockets):
            await socket.send(f'["push",["pipeline",0,["DoorTill"],["s{number}"]]]')
            await socket.send('["push",["pipeline",1,["paid"]]]')
            await socket.send('["pull",2]')
        answers = await asyncio.gather(*(socket.recv() for socket in sockets))
        assert set(answers) == {'["resolve",2,[[]]]'}
        assert (await http.get("/DoorTill/s1/paid")).json() == []
        assert "dotdo_rpc_connections 40.0" in (await http.get("/metrics")).text
        for stream in streams:
            await stream.__aexit__(None, None, None)
        await asyncio.gather(*(socket.close() for socket in sockets))
