"""`/approvals` and `/tasks`: what people are asked, and what they answer."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo.http import answers
from dotdo.http.door import bounded
from dotdo.http.nouns import idempotency_key, within
from dotdo.http.openapi import ONCE
from dotdo.people.approvals import approvals
from dotdo.people.tasks import tasks

approvals_router = APIRouter(prefix="/approvals", tags=["approvals"])
tasks_router = APIRouter(prefix="/tasks", tags=["tasks"])


class _Body(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")


class By(_Body):
    """Who acts."""

    by: str
    comment: str = ""


class Approving(By):
    level: int | None = None


class Rejecting(_Body):
    by: str
    reason: str
    level: int | None = None


class Handing(_Body):
    """Who gives it to whom."""

    by: str
    to: str
    comment: str = ""


class Assigning(_Body):
    to: str
    by: str | None = None
    comment: str = ""


class Escalating(_Body):
    to: str
    reason: str = ""


class Commenting(_Body):
    by: str
    text: str


class Cancelling(_Body):
    by: str | None = None
    reason: str = ""


class Completing(_Body):
    by: str
    decision: Any = None
    comments: str = ""


class Claiming(_Body):
    by: str


class NewApproval(pydantic.BaseModel):
    """What is to be approved, and by whom; further fields are kept with it."""

    model_config = pydantic.ConfigDict(extra="allow")

    title: str | None = None
    type: str = "approval"
    amount: Any = None
    requested_by: str | None = None
    approvers: list[str] | None = None
    approver: str | None = None
    deadline: str | float | None = None
    priority: str = "normal"
    id: str | None = None


class NewTask(pydantic.BaseModel):
    """What there is to do; further fields are kept with it."""

    model_config = pydantic.ConfigDict(extra="allow")

    title: str
    assignee: str | None = None
    details: Any = None
    type: str = "task"
    priority: str = "normal"
    timeout: str | float | None = None
    requested_by: str | None = None
    id: str | None = None


class Filters(pydantic.BaseModel):
    """What is listed."""

    assignee: str | None = None
    status: str | None = None
    type: str | None = None
    priority: str | None = None
    requested_by: str | None = None
    limit: int = pydantic.Field(100, ge=1)
    offset: int = pydantic.Field(0, ge=0, le=1_000_000)

    def given(self, request: Request) -> dict[str, Any]:
        return {**self.model_dump(), "limit": bounded(request, self.limit)}


def _given(request: Request, new: NewApproval | NewTask) -> dict[str, Any]:
    given = new.model_dump(exclude_unset=True)
    key = idempotency_key(request)
    return given if key is None or given.get("id") is not None else {**given, "id": key}


@approvals_router.get("")
async def list_approvals(request: Request, filters: Annotated[Filters, Query()]) -> Response:
    """Approvals, the most urgent first, then the oldest."""
    return answers.response({"approvals": await within(request, approvals.list(**filters.given(request)))})


@approvals_router.post("", status_code=201, openapi_extra=ONCE)
async def request_approval(request: Request, new: NewApproval) -> Response:
    """Ask for an approval; the same `id`, or the same Idempotency-Key without one, again gives the one there is."""
    return answers.response(await within(request, approvals.request(**_given(request, new))), 201)


@approvals_router.get("/{id:path}")
async def get_approval(request: Request, id: str) -> Response:
    """An approval as it is now."""
    return answers.response(await within(request, approvals.get(id)))


@approvals_router.post("/{id:path}/approve")
async def approve(request: Request, id: str, how: Approving) -> Response:
    """Say yes for the level that is due."""
    return answers.response(await within(request, approvals.approve(id, how.by, how.comment, level=how.level)))


@approvals_router.post("/{id:path}/reject")
async def reject(request: Request, id: str, how: Rejecting) -> Response:
    """Say no, which ends it."""
    return answers.response(await within(request, approvals.reject(id, how.by, how.reason, level=how.level)))


@approvals_router.post("/{id:path}/delegate")
async def delegate(request: Request, id: str, how: Handing) -> Response:
    """Let somebody else decide the level that is due."""
    return answers.response(await within(request, approvals.delegate(id, by=how.by, to=how.to, comment=how.comment)))


@approvals_router.post("/{id:path}/comment")
async def comment_approval(request: Request, id: str, how: Commenting) -> Response:
    """Say something about it."""
    return answers.response(await within(request, approvals.comment(id, how.text, by=how.by)))


@approvals_router.post("/{id:path}/cancel")
async def cancel_approval(request: Request, id: str, how: Cancelling) -> Response:
    """Take it back."""
    return answers.response(await within(request, approvals.cancel(id, by=how.by, reason=how.reason)))


@tasks_router.get("")
async def list_tasks(request: Request, filters: Annotated[Filters, Query()]) -> Response:
    """Tasks, the most urgent first, then the oldest."""
    return answers.response({"tasks": await within(request, tasks.list(**filters.given(request)))})


@tasks_router.post("", status_code=201, openapi_extra=ONCE)
async def create_task(request: Request, new: NewTask) -> Response:
    """Ask somebody to do something; the same `id`, or the same Idempotency-Key without one, again gives the task there is."""
    given = _given(request, new)
    return answers.response(await within(request, tasks.create(given.pop("title"), **given)), 201)


@tasks_router.get("/{id:path}")
async def get_task(request: Request, id: str) -> Response:
    """A task as it is now."""
    return answers.response(await within(request, tasks.get(id)))


@tasks_router.post("/{id:path}/claim")
async def claim(request: Request, id: str, how: Claiming) -> Response:
    """Take a task, so that nobody else does it."""
    return answers.response(await within(request, tasks.claim(id, by=how.by)))


@tasks_router.post("/{id:path}/release")
async def release(request: Request, id: str, how: Claiming) -> Response:
    """Give a claimed task back."""
    return answers.response(await within(request, tasks.release(id, by=how.by)))


@tasks_router.post("/{id:path}/complete")
async def complete(request: Request, id: str, how: Completing) -> Response:
    """Complete a task; the first completion counts."""
    return answers.response(await within(request, tasks.complete(id, by=how.by, decision=how.decision, comments=how.comments)))


@tasks_router.post("/{id:path}/assign")
async def assign(request: Request, id: str, how: Assigning) -> Response:
    """Give a task to somebody else."""
    return answers.response(await within(request, tasks.assign(id, to=how.to, by=how.by, comment=how.comment)))


@tasks_router.post("/{id:path}/escalate")
async def escalate(request: Request, id: str, how: Escalating) -> Response:
    """Give a task to somebody else because it takes too long."""
    return answers.response(await within(request, tasks.escalate(id, to=how.to, reason=how.reason)))


@tasks_router.post("/{id:path}/comment")
async def comment_task(request: Request, id: str, how: Commenting) -> Response:
    """Say something about a task."""
    return answers.response(await within(request, tasks.comment(id, how.text, by=how.by)))


@tasks_router.post("/{id:path}/cancel")
async def cancel_task(request: Request, id: str, how: Cancelling) -> Response:
    """Call a task off."""
    return answers.response(await within(request, tasks.cancel(id, by=how.by, reason=how.reason)))
