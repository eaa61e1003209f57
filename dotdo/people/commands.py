"""Approvals and tasks by command, for code that knows names only: `handle = await send(N.Approval.request, approver=..., item=po)`.

The answer is the record, which is a handle too: `await handle.wait()`. A program that handles one of these commands itself
takes it over: these handlers are defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dotdo.errors import DefinitionError
from dotdo.events import registry
from dotdo.people.approval import Approval
from dotdo.people.approvals import approvals
from dotdo.people.task import HumanTask
from dotdo.people.tasks import tasks


async def request_approval(asked: Any) -> Approval:
    """`Approval.request`."""
    return await approvals.request(**_keywords(asked, "Approval.request"))


async def approve(asked: Any) -> Approval:
    """`Approval.approve`: id, by, comment."""
    return await approvals.approve(**_keywords(asked, "Approval.approve"))


async def reject(asked: Any) -> Approval:
    """`Approval.reject`: id, by, reason."""
    return await approvals.reject(**_keywords(asked, "Approval.reject"))


async def create_task(asked: Any) -> HumanTask:
    """`HumanTask.create`."""
    return await tasks.create(**_keywords(asked, "HumanTask.create"))


async def complete_task(asked: Any) -> HumanTask:
    """`HumanTask.complete`: id, by, decision, comments."""
    return await tasks.complete(**_keywords(asked, "HumanTask.complete"))


async def escalate_task(asked: Any) -> HumanTask:
    """`HumanTask.escalate`: id (or task_id), to (or escalate_to), reason."""
    given = _keywords(asked, "HumanTask.escalate")
    renamed = {{"task_id": "id", "escalate_to": "to"}.get(name, name): value for name, value in given.items()}
    return await tasks.escalate(**renamed)


def _keywords(asked: Any, command: str) -> dict[str, Any]:
    if not isinstance(asked, Mapping) or not all(isinstance(name, str) for name in asked):
        raise DefinitionError(f"{command} takes keywords or a dict of them, not {asked!r}")
    return dict(asked)


for _command, _handler in {
    "Approval.request": request_approval, "Approval.approve": approve, "Approval.reject": reject,
    "HumanTask.create": create_task, "HumanTask.complete": complete_task, "HumanTask.escalate": escalate_task,
}.items():  # fmt: skip
    registry.add_function(_command, _handler, is_default=True)
