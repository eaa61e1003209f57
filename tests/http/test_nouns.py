"""Entities over HTTP: methods, fields, arguments, errors, what outlives a request."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pydantic
import pytest

import dotdo
from dotdo import DO
from dotdo.http import Limits, app
from dotdo.testing import runtime
from tests.doors import client_of, serving

CALLBACKS: list[str] = []


class DoorOutOfStock(Exception):
    pass


class DoorLine(pydantic.BaseModel):
    sku: str
    quantity: int = 1
    at: datetime | None = None


class DoorShelf(DO):
    """What lies on one shelf."""

    on_hand: int = 0
    lines: list[DoorLine] = []
    neighbour: DoorShelf | None = None
    unset: int

    async def receive(self, quantity: int, *, note: str = "") -> int:
        """Put something on the shelf."""
        self.on_hand += quantity
        return self.on_hand

    async def take(self, line: DoorLine) -> DoorLine:
        if line.quantity > self.on_hand:
            raise DoorOutOfStock(f"only {self.on_hand} of {line.sku}")
        self.on_hand -= line.quantity
        self.lines.append(line)
        return line

    async def tag(self, words: list[str]) -> str:
        return "+".join(words)

    async def move_to(self, shelf: DoorShelf) -> DoorShelf:
        self.neighbour = shelf
        return shelf

    async def anything(self, *parts: int, **named: int) -> list[Any]:
        return [list(parts), named]

    async def bug(self) -> None:
        raise TypeError("unsupported operand")

    async def slow(self) -> str:
        await self.sleep("2h")
        return "woke"

    async def approve(self) -> Any:
        callback = self.callback("ok")
        CALLBACKS.append(callback.id)
        return await callback

    async def ask(self) -> Any:
        return [await self.wait_for("go")]

    async def many(self) -> int:
        for number in range(3):
            await self.do(self._one, number, step_id=f"one-{number}")
        return 3

    def _one(self, number: int) -> int:
        return number

    @property
    def double(self) -> int:
        return self.on_hand * 2


@pytest.mark.feature(394)
async def test_a_method_takes_its_arguments_as_an_object_an_array_or_one_value():
    async with runtime(), client_of(app()) as http:
        for body, wanted in [({"quantity": 5}, 5), ([3], 8), (2, 10), ({"quantity": 1, "note": "n"}, 11)]:
            answer = await http.post("/DoorShelf/a/receive", json=body)
            assert (answer.status_code, answer.json()) == (200, wanted)
        assert (await http.get("/DoorShelf/a/on_hand")).json() == 11
        assert (await http.get("/DoorShelf/a/double")).json() == 22
        assert (await http.get("/DoorShelf/a")).json()["fields"] == {"on_hand": 11, "lines": [], "neighbour": None}


async def test_models_lists_and_entities_are_arguments_and_results():
    async with runtime(), client_of(app()) as http:
        await http.post("/DoorShelf/a/receive", json=6)
        line = {"sku": "x", "quantity": 2, "at": "2026-01-02T03:04:05Z"}
        for body in ({"line": line}, [line], line):
            assert (await http.post("/DoorShelf/a/take", json=body)).json()["sku"] == "x"
        lines = await dotdo.get(DoorShelf("a").lines)
        assert lines[0].at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert (await http.post("/DoorShelf/a/tag", json=["p", "q"])).json() == "p+q"
        assert (await http.post("/DoorShelf/a/tag", json={"words": ["p"]})).json() == "p"
        assert (await http.post("/DoorShelf/a/anything", json=[1, 2])).json() == [[1, 2], {}]
        assert (await http.post("/DoorShelf/a/anything", json={"k": 3})).json() == [[], {"k": 3}]
        stub = {"$noun": "DoorShelf", "$id": "b"}
        assert (await http.post("/DoorShelf/a/move_to", json={"shelf": "b"})).json() == stub
        assert (await http.post("/DoorShelf/a/move_to", json={"shelf": stub})).json() == stub
        assert await dotdo.get(DoorShelf("a").neighbour) == DoorShelf("b")


async def test_ids_of_any_letters_reach_their_entity():
    async with runtime(), client_of(app()) as http:
        for entity_id in ("a/b", "ö ä", "x?y", "50%", "a!b", "#1"):
            path = "/DoorShelf/" + "".join(f"%{b:02X}" for b in entity_id.encode()) + "/receive"
            assert (await http.post(path, json=1)).json() == 1
            assert await dotdo.get(DoorShelf(entity_id).on_hand) == 1


async def test_what_does_not_fit_is_named_and_nothing_runs():
    async with runtime(), client_of(app()) as http:
        answer = await http.post("/DoorShelf/a/take", json={"line": {"quantity": "many"}})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "invalid_arguments"
        assert {".".join(one["loc"]) for one in problem["errors"]} == {"line.sku", "line.quantity"}
        assert (await http.post("/DoorShelf/a/receive", json={"quantity": 1, "colour": 2})).json()["code"] == "wrong_arguments"
        assert (await http.post("/DoorShelf/a/receive")).status_code == 422
        assert await dotdo.get(DoorShelf("a").on_hand) == 0


async def test_errors_have_a_status_a_code_and_no_stack():
    async with runtime(), client_of(app()) as http:
        refused = await http.post("/DoorShelf/a/take", json={"sku": "x"})
        assert (refused.status_code, refused.json()["code"], refused.json()["detail"]) == (422, "door_out_of_stock", "only 0 of x")
        assert (await http.post("/DoorShelf/a/bug")).status_code == 500
        assert (await http.get("/DoorShelf/a/unset")).json()["code"] == "field_not_set"
        assert (await http.get("/DoorShelf/a/unset")).status_code == 404
        for answer in (refused, await http.post("/DoorShelf/a/bug")):
            assert "Traceback" not in answer.text
            assert ".py" not in answer.text


@pytest.mark.feature(394)
async def test_what_outlives_the_time_limit_is_answered_with_its_execution_and_can_be_asked_for_later():
    async with runtime() as rt, client_of(app(limits=Limits(request_timeout_s=0.05))) as http:
        answer = await http.post("/DoorShelf/a/slow")
        assert answer.status_code == 202
        where = answer.json()["location"]
        assert answer.headers["location"] == where
        info = (await http.get(where)).json()
        assert (info["status"], info["method"]) == ("waiting", "slow")
        assert (await http.get(f"{where}/result")).status_code == 202
        assert (await http.post(f"{where}/cancel")).json() == {"done": True}
        assert (await http.get(f"{where}/result")).status_code == 409
        assert (await http.get(where)).json()["status"] == "cancelled"
        assert rt.host is not None


async def test_a_call_can_be_started_at_once_and_its_result_waited_for():
    async with runtime(), client_of(app()) as http:
        answer = await http.post("/DoorShelf/a/many", headers={"prefer": "respond-async"})
        assert answer.status_code == 202
        where = answer.json()["location"]
        assert (await http.get(f"{where}/result")).json() == 3
        assert [one["id"] for one in (await http.get(where)).json()["steps"]] == ["one-0", "one-1", "one-2"]
        assert (await http.get(f"{where}/history")).json()["history"][-1]["type"] == "completed"
        listed = (await http.get("/executions?noun=DoorShelf&status=completed")).json()["executions"]
        assert [one["id"] for one in listed] == [answer.json()["execution"]]
        again = await http.post(f"{where}/replay")
        assert again.status_code == 202
        assert again.json()["execution"] != answer.json()["execution"]
        assert (await http.get(f"{again.json()['location']}/result")).json() == 3


async def test_an_idempotency_key_makes_a_repeat_answer_from_the_record():
    async with runtime(), client_of(app()) as http:
        for _ in range(3):
            answer = await http.post("/DoorShelf/a/receive", json=4, headers={"idempotency-key": "k-1"})
            assert answer.json() == 4
        assert (await http.get("/DoorShelf/a/on_hand")).json() == 4
        conflict = await http.post("/DoorShelf/a/receive", json=5, headers={"idempotency-key": "k-1"})
        assert (conflict.status_code, conflict.json()["code"]) == (409, "call_id_conflict")


async def test_signals_and_callbacks_come_in_once():
    async with runtime(), client_of(app()) as http:
        run = await dotdo.start(DoorShelf("a").ask)
        where = f"/executions/{run.id}"
        assert (await http.post(f"{where}/signal?name=go", json={"n": 1})).json() == {"delivered": True}
        assert (await http.get(f"{where}/result")).json() == [{"n": 1}]
        waiting = await dotdo.start(DoorShelf("b").approve)
        while (await waiting.info()).status != "waiting":
            await asyncio.sleep(0)
        callback = f"/callbacks/{quote(CALLBACKS[-1])}"
        first = await http.post(callback, json="yes")
        assert first.json() == {"resolved": True}, first.text
        assert (await http.post(callback, json="no")).json() == {"resolved": False}
        assert await waiting.result() == "yes"


async def test_every_noun_is_described_with_its_models():
    async with runtime(), client_of(app()) as http:
        found = (await http.get("/openapi.json")).json()
        take = found["paths"]["/DoorShelf/{id}/take"]["post"]
        assert "DoorLine" in found["components"]["schemas"] or "sku" in str(take)
        receive = found["paths"]["/DoorShelf/{id}/receive"]["post"]
        schema = receive["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"] == ["quantity"]
        assert schema["properties"]["quantity"]["type"] == "integer"
        assert receive["responses"]["200"]["content"]["application/json"]["schema"]["type"] == "integer"
        assert receive["summary"] == "Put something on the shelf."
        assert "/DoorShelf/{id}/on_hand" in found["paths"]
        assert not [path for path in found["paths"] if "Dotdo" in path or "/_" in path]
        references = {part.split('"')[0] for part in str(found).replace("'", '"').split("#/components/schemas/")[1:]}
        assert references <= set(found["components"]["schemas"])
        assert (await http.get("/docs")).status_code == 200


async def test_a_stream_tells_steps_state_and_the_end_and_goes_on_where_it_was():
    async with runtime(), client_of(app(limits=Limits(stream_poll_s=0.01))) as http:
        run = await dotdo.start(DoorShelf("a").many)
        answer = await http.get(f"/executions/{run.id}/events")
        kinds = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
        assert kinds[-2:] == ["state", "end"]
        assert kinds.count("step") >= 4
        last = [line.removeprefix("id: ") for line in answer.text.splitlines() if line.startswith("id: ")][-1]
        rest = await http.get(f"/executions/{run.id}/events", headers={"last-event-id": last})
        assert "event: step" not in rest.text
        assert "event: end" in rest.text


async def test_own_routes_go_before_all_others():
    import dotdo.http

    @dotdo.http.post("/api/door-refund")
    async def refund(line: DoorLine) -> dict[str, Any]:
        return {"refunded": line.sku, "left": await DoorShelf("a").receive(line.quantity)}

    try:
        async with runtime(), client_of(app()) as http:
            assert (await http.post("/api/door-refund", json={"sku": "x", "quantity": 2})).json() == {"refunded": "x", "left": 2}
            assert (await http.post("/api/door-refund", json={})).json()["code"] == "invalid_arguments"
    finally:
        del dotdo.http.application.own_routes.routes[-1]


async def test_people_letters_entities_and_schedules_are_there():
    async with runtime(modules=[__name__]), client_of(app()) as http:
        made = await http.post("/approvals", json={"title": "PO", "approvers": ["ann"], "amount": 5, "colour": "red"})
        assert made.status_code == 201, made.text
        approval = made.json()["id"]
        assert [one["id"] for one in (await http.get("/approvals?assignee=ann")).json()["approvals"]] == [approval]
        refused = await http.post(f"/approvals/{approval}/approve", json={"by": "bob"})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert (await http.post(f"/approvals/{approval}/approve", json={"by": "ann"})).json()["status"] == "approved"
        task = (await http.post("/tasks", json={"title": "look", "assignee": "ann"})).json()["id"]
        assert (await http.post(f"/tasks/{task}/claim", json={"by": "ann"})).json()["status"] == "claimed"
        assert (await http.post(f"/tasks/{task}/complete", json={"by": "ann", "decision": {"ok": 1}})).json()["status"] == "completed"
        assert (await http.get("/tasks/nope")).status_code == 404
        assert (await http.get("/dead-letters")).json() == {"dead_letters": []}
        assert (await http.get("/dead-letters/7")).status_code == 404
        assert "schedules" in (await http.get("/schedules")).json()
        await http.post("/DoorShelf/a/receive", json=1)
        assert (await http.get("/entities?noun=DoorShelf")).json()["entities"][0]["key"] == "DoorShelf/a"
        assert not [one for one in (await http.get("/entities")).json()["entities"] if one["key"].startswith("Dotdo")]
        assert (await http.post("/entities/DoorShelf/a/hibernate")).json() == {"done": True}
        assert (await http.delete("/entities/DoorShelf/a")).json() == {"deleted": True}
        assert (await http.get("/DoorShelf/a/on_hand")).json() == 0
        assert b"dotdo_http_requests_total" in (await http.get("/metrics")).content
        assert (await http.get("/ready")).status_code == 200


async def test_a_real_server_answers_and_closes_its_streams_when_it_stops():
    import httpx

    async with runtime():
        run = await dotdo.start(DoorShelf("a").slow)
        lines: list[str] = []

        async def listen(port: int) -> None:
            async with httpx.AsyncClient() as http, http.stream("GET", f"http://127.0.0.1:{port}/executions/{run.id}/events") as answer:
                async for line in answer.aiter_lines():
                    lines.append(line)

        async with serving() as port, httpx.AsyncClient() as http:
            assert (await http.post(f"http://127.0.0.1:{port}/DoorShelf/z/receive", json=1)).json() == 1
            listening = asyncio.create_task(listen(port))
            while not any(line.startswith("event: state") for line in lines):
                await asyncio.sleep(0.01)
        await listening
        assert "event: closing" in lines
