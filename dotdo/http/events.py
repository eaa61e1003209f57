"""`POST /events/{Noun.verb}`: say that something happened, or ask for something to be done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.events import names, registry
from dotdo.events.sending import Send, send
from dotdo.hosting import catalog
from dotdo.http import answers, body, reach, roles
from dotdo.http.arguments import NOTHING, signature_of, with_stubs
from dotdo.http.nouns import idempotency_key, within
from dotdo.http.openapi import ANY_JSON, ONCE
from dotdo.http.problems import Problem

router = APIRouter(tags=["events"])

RUNTIME_EVENTS = frozenset({"Approval", "HumanTask", "Task", "Workflow", "Schedule", "DeadLetter", "Role"})
"""Nouns whose events the runtime itself sends; who may only call may not speak for it."""


@router.post("/events/{name}", openapi_extra={**ANY_JSON, **ONCE})
async def publish(
    request: Request,
    name: str,
    wait: Annotated[bool, Query(description="wait for what the handlers answer")] = False,  # noqa: FBT002  # a query parameter
    to: Annotated[str | None, Query(description="the id of the entity a command is for")] = None,
) -> Response:
    """Send the body, any JSON, as the event's data. 202 once it is safe; with `?wait=true` what the handlers answer.

    With an Idempotency-Key the event is sent once, however often it is asked for.
    """
    check_may_send(request, name)
    key = idempotency_key(request)
    data = await body.read(request)
    sent = _sent(name, data, to, send if key is None else send.with_options(call_id=key))
    if wait:
        return answers.response({"id": sent.id, "result": await within(request, _answer_of(sent))})
    await within(request, sent.queued())
    return answers.response({"id": sent.id}, 202)


def _sent(name: str, data: Any, to: str | None, send: Send) -> Any:
    """What is sent; for a noun's method its arguments are checked first, as those of a call are."""
    spec = registry.command_noun(str(names.unscoped(str(names.parse_event(name)))))
    if spec is None:
        return send(name, *(() if data is NOTHING else (with_stubs(data),)), to=to)
    verb = names.split(str(names.parse_event(name)))[1]
    member = reach.member_of(spec, verb)
    assert member.function is not None
    signature = signature_of(member.function)
    if isinstance(data, dict):
        keys = [key for key in ("$id", "id") if isinstance(data.get(key), str) and key not in signature.parameters]
        to = to or next((data[key] for key in keys), None)
        data = {key: value for key, value in data.items() if key not in keys} or NOTHING
    args, kwargs = signature.read(data, f"{spec.noun}.{verb}")
    if len(args) > 1 and not kwargs:
        kwargs, args = dict(zip(signature.parameters, args, strict=False)), ()
    if len(args) > 1 or (args and kwargs) or "to" in kwargs:
        raise Problem(422, "wrong_arguments", f"{name} is sent with one value or with keywords: call the method itself")
    return send(name, *args, to=to, **kwargs)


async def _answer_of(sent: Any) -> Any:
    return await sent


def check_may_send(request: Request, name: str) -> None:
    """Raise Problem unless the event's noun may be spoken for from outside."""
    noun = names.split(str(names.parse_event(name)))[0]
    if noun.startswith(reach.OWN_PREFIX) or (catalog.find(noun) is not None and not reach.is_public(noun)):
        raise Problem(404, "no_such_noun", f"there is no noun {noun[:100]!r}")
    if noun in RUNTIME_EVENTS:
        roles.need(request, "operator", f"an event of {noun}")
