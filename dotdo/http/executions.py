"""`/executions`: what runs durably, what became of it, and the verbs on it; and `/callbacks`, which resolve what waits.

An execution's id holds slashes (`Order/o1!<call id>`): it is everything before the last part where that is a verb.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo import application
from dotdo.durable.handle import Execution, complete, fail
from dotdo.errors import CallTimeout, OutcomeUnknown
from dotdo.http import answers, body, streams
from dotdo.http.arguments import NOTHING
from dotdo.http.door import bounded
from dotdo.http.nouns import started, within
from dotdo.http.openapi import ANY_JSON
from dotdo.http.problems import Problem

router = APIRouter(tags=["executions"])

Status = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled"]


@router.get("/executions")
async def list_executions(
    request: Request,
    noun: Annotated[str | None, Query(description="only of this noun's entities")] = None,
    status: Annotated[Status | None, Query()] = None,
    limit: Annotated[int, Query(ge=1)] = 100,
) -> Response:
    """Executions as snapshots, those of each entity newest first."""
    found = application.executions(noun=noun, status=status, limit=bounded(request, limit))
    return answers.response({"executions": [answers.info(one) async for one in found]})


@router.get("/executions/{execution_id:path}/history")
async def history(request: Request, execution_id: str) -> Response:
    """What happened in an execution, oldest first."""
    return answers.response({"history": await within(request, _known(Execution(execution_id).history()))})


@router.get("/executions/{execution_id:path}/timeline")
async def timeline(request: Request, execution_id: str) -> Response:
    """What ran and when, attempts, waits and outcomes: one entry for each operation, in the order in which they began."""
    return answers.response(await within(request, _known(Execution(execution_id).timeline())))


@router.get("/executions/{execution_id:path}/result")
async def result(request: Request, execution_id: str) -> Response:
    """Its result, waited for as long as a request may take; then 202. Its error is this answer's problem."""
    execution = Execution(execution_id)
    await within(request, _known(execution.info()))
    try:
        return answers.response(await within(request, execution.result()))
    except CallTimeout:
        if (await execution.info()).ended_at is not None:
            raise
        return started(execution_id)


@router.get("/executions/{execution_id:path}/events")
async def events(request: Request, execution_id: str) -> Response:
    """Server-sent events: `state` whenever it changes, `step` for each entry of the history, `progress`, and `end`."""
    await within(request, _known(Execution(execution_id).info()))
    return streams.response(request, execution_id)


@router.get("/executions/{execution_id:path}")
async def info(request: Request, execution_id: str) -> Response:
    """A snapshot: status, steps, what it waits for and until when, its error."""
    return answers.response(answers.info(await within(request, _known(Execution(execution_id).info()))))


@router.post("/executions/{execution_id:path}/signal", openapi_extra=ANY_JSON)
async def signal(request: Request, execution_id: str, name: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
    """Hand the body, any JSON, to its `wait_for(name)`."""
    if ":" in name or "!" in name:
        raise Problem(422, "bad_signal", f"{name!r} is no name of a signal")
    data = await body.read(request)
    await within(request, _known(Execution(execution_id).signal(name, None if data is NOTHING else data)))
    return answers.response({"delivered": True})


_VERBS: dict[str, Callable[[Execution], Awaitable[Any]]] = {
    "cancel": Execution.cancel, "pause": Execution.pause, "resume": Execution.resume, "retry": Execution.retry, "replay": Execution.replay,
}  # fmt: skip


@router.post("/executions/{execution_id:path}/{verb}")
async def act(request: Request, execution_id: str, verb: Literal["cancel", "pause", "resume", "retry", "replay"]) -> Response:
    """Cancel, pause, resume or retry it: `{"done": true}` if that took effect; or replay it as a new execution (202)."""
    outcome = await within(request, _known(_VERBS[verb](Execution(execution_id))))
    return started(outcome.id) if isinstance(outcome, Execution) else answers.response({"done": outcome})


@router.post("/callbacks/{callback_id:path}", tags=["callbacks"], openapi_extra=ANY_JSON)
async def resolve(request: Request, callback_id: str, outcome: Annotated[Literal["complete", "fail"], Query()] = "complete") -> Response:
    """Resolve a callback with the body, any JSON; with `?outcome=fail` the body is the reason. False if it had its outcome already."""
    value = await body.read(request)
    value = None if value is NOTHING else value
    resolving = complete(callback_id, value) if outcome == "complete" else fail(callback_id, "failed" if value is None else str(value))
    return answers.response({"resolved": await within(request, _known(resolving))})


async def _known(asking: Awaitable[Any]) -> Any:
    """The answer. Raises Problem (404) where there is no such execution."""
    try:
        return await asking
    except OutcomeUnknown as error:
        raise Problem(404, "no_such_execution", str(error)) from None
