"""`POST /{Noun}/{id}/{method}` and `GET /{Noun}/{id}/{field}`: entities over HTTP.

These are no routes of the app but what answers where no route does: nouns come and go while it runs, and a user's own
routes go first. The id may hold slashes: the noun is the first part of the path, the member the last. A call that is not
over when the time limit is goes on; the answer then is 202 with the id of its execution.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dotdo.durable.handle import Execution, starting
from dotdo.entity.noun import NounSpec
from dotdo.errors import CallTimeout, OutcomeUnknown
from dotdo.http import answers, body, reach
from dotdo.http.arguments import signature_of
from dotdo.http.door import Door, door_of
from dotdo.http.problems import Problem
from dotdo.names import execution_id_of
from dotdo.rpc.stub import make_stub

IDEMPOTENCY_KEY_LENGTH_MAX = 200


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """The app's fallback: a request for a noun, or for nothing there is."""
    if scope["type"] != "http":
        if scope["type"] == "websocket":
            raise Problem(404, "not_found", "there is no WebSocket here: Cap'n Web is at /rpc")
        return
    request = Request(scope, receive)
    noun, entity_id, member = _split(scope["path"])
    spec = reach.noun_of(noun)
    made = make_stub(spec.noun, entity_id)
    if request.method == "POST" and member is not None:
        response = await _call(request, spec, made, member)
    elif request.method in ("GET", "HEAD"):
        response = await _read(request, spec, made, member)
    else:
        raise Problem(
            405, "method_not_allowed", "methods are called with POST, fields are read with GET", headers={"allow": "GET, HEAD, POST"}
        )
    await response(scope, receive, send)


def _split(path: str) -> tuple[str, str, str | None]:
    """Noun, id and member of a path. Raises Problem (404)."""
    noun, _, rest = path[1:].partition("/")
    if not noun[:1].isupper() or not rest:
        raise Problem(404, "not_found", f"there is nothing at {path[:200]!r}")
    entity_id, slash, member = rest.rpartition("/")
    return (noun, entity_id, member) if slash else (noun, rest, None)


async def _call(request: Request, spec: NounSpec, made: Any, name: str) -> Response:
    member = reach.member_of(spec, name)
    if member.kind != "method" or member.function is None:
        raise Problem(405, "not_a_method", f"{spec.noun}.{name} is a {member.kind}: read it with GET", headers={"allow": "GET, HEAD"})
    request.scope.setdefault("state", {})["route"] = f"{spec.noun}.{name}"
    args, kwargs = signature_of(member.function).read(await body.read(request), f"{spec.noun}.{name}")
    key = idempotency_key(request)
    method = made[name]
    if key is not None:
        method = method.with_options(call_id=key)
    if "respond-async" in request.headers.get("prefer", ""):
        return started(await starting(method, args, kwargs))
    return await _answered(door_of(request), made, method(*args, **kwargs), key)


async def _answered(door: Door, made: Any, promise: Any, key: str | None) -> Response:
    """The answer of a call, or 202 once it took too long."""
    node = promise._do_get_node()
    waiting = asyncio.ensure_future(_value_of(promise))
    done, _ = await asyncio.wait([waiting], timeout=door.limits.request_timeout_s)
    if done:
        return answers.response(waiting.result())
    waiting.add_done_callback(_forget)
    execution_id = execution_id_of(made.key, key or f"{node.owner.client_id}.{node.seq}")
    try:
        await Execution(execution_id).info()
    except OutcomeUnknown:
        if waiting.done():
            return answers.response(waiting.result())
        raise CallTimeout(
            f"{node.text} gave no answer within {door.limits.request_timeout_s:g} s; it still runs, and as it is no execution there is "
            f"nothing to ask it by: send Prefer: respond-async"
        ) from None
    return started(execution_id)


async def _value_of(promise: Any) -> Any:
    return await promise


def _forget(waiting: asyncio.Future[Any]) -> None:
    if not waiting.cancelled():
        waiting.exception()


def started(execution_id: str) -> Response:
    """202: it runs, and this is where to look."""
    location = f"/executions/{quote(execution_id, safe='/')}"
    return answers.response(
        {"execution": execution_id, "status": "running", "location": location, "events": f"{location}/events"},
        202, {"location": location},
    )  # fmt: skip


async def _read(request: Request, spec: NounSpec, made: Any, name: str | None) -> Response:
    if name is None:
        request.scope.setdefault("state", {})["route"] = spec.noun
        return answers.response({"id": made.id, "noun": made.noun, "key": made.key, "fields": await fields_of(spec, made)})
    member = reach.member_of(spec, name)
    if member.kind == "method":
        raise Problem(405, "not_a_field", f"{spec.noun}.{name} is a method: call it with POST", headers={"allow": "POST"})
    request.scope.setdefault("state", {})["route"] = f"{spec.noun}.{name}"
    return answers.response(await within(request, _value_of(made[name])))


async def fields_of(spec: NounSpec, made: Any) -> dict[str, Any]:
    """The durable fields of an entity that are set, read in one frame."""
    names = list(spec.fields)
    values = await asyncio.gather(*(_value_of(made[name]) for name in names), return_exceptions=True)
    return {name: value for name, value in zip(names, values, strict=True) if not isinstance(value, BaseException)}


async def within(request: Request, waiting: Any) -> Any:
    """The value, within the request's time limit. Raises CallTimeout."""
    limit_s = door_of(request).limits.request_timeout_s
    try:
        return await asyncio.wait_for(waiting, limit_s)
    except CallTimeout:
        raise
    except TimeoutError as error:
        if getattr(error, "code", None):
            raise
        raise CallTimeout(f"no answer within {limit_s:g} s") from None


def idempotency_key(request: Request) -> str | None:
    """The `Idempotency-Key` of a request: the call's id, so that a repeat is answered from the record. Raises Problem (400)."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    key = key.strip().strip('"')
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_LENGTH_MAX or not key.isprintable() or not key.isascii():
        raise Problem(400, "bad_idempotency_key", f"an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} visible characters")
    return key
