"""Undoing a request that fails: first the list of the step that failed, then those of completed steps, newest first.

Each action is a durable step with an id of its own. One that fails is recorded under its name, and the rest are done all the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dotdo.workflows.course import shown
from dotdo.workflows.services import known
from dotdo.workflows.services.definition import CompensationAction, ServiceStep
from dotdo.workflows.services.standing import Standing

if TYPE_CHECKING:
    from dotdo.workflows.services.request_entity import RequestEntity


def order_of(standing: Standing, failed: list[ServiceStep]) -> list[ServiceStep]:
    """The steps whose lists are done, in this order."""
    by_id = standing.definition.all_steps()
    return [*failed, *(by_id[step_id] for step_id in reversed(standing.completed_all))]


async def compensate(entity: RequestEntity, standing: Standing, failed: list[ServiceStep]) -> None:
    """Do every action; what became of each is in `standing.compensations`."""
    for step in order_of(standing, failed):
        for number, action in enumerate(step.compensation.steps if step.compensation is not None else (), 1):
            entry: dict[str, Any] = {"step": step.id, "action": action.action, "success": True}
            fn = known.find(standing.definition.id, action.action, standing.places)
            try:
                await entity.do(
                    fn, _params(standing, action), standing.state(step.id), step_id=f"undo {step.id} {number} {action.action}"
                )  # fmt: skip
            except Exception as error:  # the rest must still be undone
                entry |= {"success": False, "error": f"{type(error).__name__}: {error}"}
            standing.compensations.append(entry)


def _params(standing: Standing, action: CompensationAction) -> Any:
    about = {} if action.step_id is None else {"step_id": action.step_id, "result": standing.results.get(action.step_id)}
    return shown({**about, **action.params})
