"""The doors before hosts of their own: HTTP, a client's object called from another process, and a kill in between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import httpx
import pytest

import dotdo
from dotdo import DO, ClientObject
from dotdo.http import Limits, app, webhook
from dotdo.http.capnweb.session import Session
from dotdo.http.webhooks import forget

pytestmark = pytest.mark.ray


class DoorFar(DO):
    """Lives in a host."""

    n: int = 0

    async def add(self, much: int) -> int:
        self.n += much
        return self.n

    async def where(self) -> int:
        return os.getpid()

    async def steps(self) -> int:
        for number in range(5):
            await self.do(asyncio.sleep, 0.05, step_id=f"s{number}")
        self.n += 1
        return self.n

    async def call_back(self, callback: ClientObject, number: int) -> Any:
        return await callback(number, os.getpid())


class Client:
    """As much of a Cap'n Web client as a test of the door needs: it answers every call of its object with the arguments."""

    def __init__(self) -> None:
        self.session = Session(self.told, Limits())
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.pushed = 0

    def told(self, message: bytes) -> None:
        kind, *parts = json.loads(message)
        if kind == "push":
            self.pushed += 1
            answer = ["resolve", self.pushed, [[*parts[0][3], "heard"]]]
            asyncio.get_running_loop().call_soon(self.session.receive, json.dumps(answer))
        elif kind in ("resolve", "reject"):
            self.answers[parts[0]].set_result((kind, parts[1]))

    async def ask(self, number: int, *messages: Any) -> Any:
        self.answers[number] = asyncio.get_running_loop().create_future()
        for message in [*messages, ["pull", number]]:
            self.session.receive(json.dumps(message))
        return await asyncio.wait_for(self.answers[number], 30)


async def test_a_host_calls_an_object_of_a_client_at_the_door(ray_data):
    client = Client()
    kind, value = await client.ask(
        2, ["push", ["pipeline", 0, ["DoorFar"], ["cb"]]], ["push", ["pipeline", 1, ["call_back"], [["export", -1], 42]]]
    )
    assert kind == "resolve", value
    number, pid, word = value[0]
    assert (number, word) == (42, "heard")
    assert pid != os.getpid()
    client.session.close()


async def test_a_request_whose_host_is_killed_is_answered_late(ray_data):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://127.0.0.1") as http:
        assert (await http.post("/DoorFar/k/add", json=1)).json() == 1
        running = asyncio.create_task(http.post("/DoorFar/k/steps", timeout=60))
        await asyncio.sleep(0.1)
        os.kill((await http.post("/DoorFar/k/where")).json(), signal.SIGKILL)
        answer = await running
        assert (answer.status_code, answer.json()) == (200, 2)
        assert (await http.get("/DoorFar/k/n")).json() == 2
        assert len((await http.get("/hosts")).json()["hosts"]) == 2


async def test_a_webhook_reaches_the_runtime_in_its_hosts(ray_data):
    import hashlib
    import hmac
    import time

    webhook("/webhooks/door-far", secret="FAR", event="DoorFarPayment.came")
    try:
        body, at = b'{"id":"far-1"}', int(time.time())
        digest = hmac.new(b"s" * 20, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
        asgi = app(secrets={"FAR": "s" * 20})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(asgi), base_url="http://127.0.0.1") as http:
            headers = {"stripe-signature": f"t={at},v1={digest}"}
            outcomes = [(await http.post("/webhooks/door-far", content=body, headers=headers)).json() for _ in range(2)]
            assert [one["outcome"] for one in outcomes] == ["sent", "repeated"]
    finally:
        forget("/webhooks/door-far")
    assert dotdo.stats().calls > 0
