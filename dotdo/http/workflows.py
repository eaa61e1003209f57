"""`/workflows`: the workflows that are code (`@workflow`), started by their names.

A run is an execution, so everything else is asked at `/executions/{id}`. Workflows that are definitions are methods of their
noun: `POST /OrderWorkflow/main/start`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.http import answers, body, reach
from dotdo.http.arguments import Signature
from dotdo.http.nouns import idempotency_key, started, within
from dotdo.http.openapi import ANY_JSON, ONCE
from dotdo.http.problems import Problem
from dotdo.workflows import functions
from dotdo.workflows.declared import Workflow

router = APIRouter(prefix="/workflows", tags=["workflows"])


@router.get("")
async def list_workflows() -> Response:
    """The workflows known here: functions by name with the schema of their arguments, and the nouns that run definitions."""
    found = [
        {"name": name, "kind": "function", "doc": (one.fn.__doc__ or "").strip(), "arguments": Signature(one.fn, is_method=False).schema()}
        for name, one in sorted(functions.known().items())
    ]
    nouns = [{"name": noun, "kind": "definitions"} for noun, spec in reach.nouns().items() if issubclass(spec.cls, Workflow)]
    return answers.response({"workflows": [*found, *nouns]})


@router.post("/{name:path}", openapi_extra={**ANY_JSON, **ONCE})
async def start(
    request: Request,
    name: str,
    id: Annotated[str | None, Query(description="of the run; the same id is the same run", max_length=200)] = None,
    wait: Annotated[bool, Query(description="wait for the result")] = False,  # noqa: FBT002  # a query parameter
) -> Response:
    """Start a run with the body as its arguments: 202 with its execution's id, or with `?wait=true` its result."""
    found = functions.find(name)
    args, kwargs = Signature(found.fn, is_method=False).read(await body.read(request), name)
    if "id" in kwargs:
        raise Problem(422, "wrong_arguments", f"the parameter `id` of {name} is given by its position: send an array")
    run: Any = await within(request, found.with_options(id=id or idempotency_key(request)).start(*args, **kwargs))
    if not wait:
        return started(run.id)
    try:
        return answers.response(await within(request, run.result()))
    except TimeoutError:
        if (await run.info()).ended_at is not None:
            raise
        return started(run.id)
