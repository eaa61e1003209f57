"""The four kinds of steps, each done once: what it gives, or the error by which it failed.

A function is a durable step of the request's execution. Steps that run at once are tasks of it. A task for a person parks it.
Those that lose (`any`, `first`) or whose time is up are cancelled, a task for a person is called off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dotdo.durable.callbacks import Timeout
from dotdo.durable.retry import RetryPolicy
from dotdo.errors import AlreadyDecided, ConditionError, DefinitionError, NoSuchTask, StepFailed, StepRejected
from dotdo.people.tasks import tasks
from dotdo.workflows import expressions
from dotdo.workflows.course import shown
from dotdo.workflows.services import known
from dotdo.workflows.services.definition import RETRY_ATTEMPTS, ServiceDefinition, ServiceStep
from dotdo.workflows.services.reading import CONTINUES, NAMES
from dotdo.workflows.services.standing import Standing, branch_result

if TYPE_CHECKING:
    from dotdo.workflows.services.request_entity import RequestEntity

Perform = Callable[[ServiceStep], Awaitable[Any]]
"""Does a step within another, whatever it takes."""

_MISTAKES = (DefinitionError, ConditionError)
"""Errors of the definition: no attempt can help."""


async def do_step(entity: RequestEntity, standing: Standing, step: ServiceStep, perform: Perform) -> Any:
    """Do a step; what it gives. Raises what it failed by."""
    if step.type == "function":
        return await _function(entity, standing, step)
    if step.type == "condition":
        return await _condition(standing, step, perform)
    if step.type == "human-task":
        return await ask(entity, standing, step, step.title, f"{step.id}", timeout_s=step.timeout)
    if step.timeout is None:
        return await _parallel(step, perform)
    async with Timeout(entity._ledger, step.timeout):
        return await _parallel(step, perform)


async def _function(entity: RequestEntity, standing: Standing, step: ServiceStep) -> Any:
    fn = known.find(standing.definition.id, step.id, standing.places)
    return await entity.do(
        fn, shown(standing.inputs), standing.state(step.id), step_id=step.id, retry=policy_of(standing.definition, step),
        timeout=step.timeout,
    )  # fmt: skip


def policy_of(definition: ServiceDefinition, step: ServiceStep) -> RetryPolicy:
    """How often a function is tried: as the step says, else as the service does, else once."""
    spec = step.retry_policy or definition.error_handling.default_retry_policy
    policy = RetryPolicy(RETRY_ATTEMPTS if step.on_error == "retry" else 1) if spec is None else spec.policy()
    return RetryPolicy(policy.max_attempts, policy.backoff, policy.initial_delay, policy.max_delay, non_retryable=_MISTAKES)


async def _condition(standing: Standing, step: ServiceStep, perform: Perform) -> Any:
    if step.condition is None:
        return branch_result("", None)  # let pass by strict=False: it does nothing
    branch = "then" if expressions.parse(step.condition).holds(standing.scope) else "else"
    standing.path.append(f"{step.id}:{branch}")
    chosen = step.then if branch == "then" else step.else_
    return branch_result(branch, None if chosen is None else await perform(chosen))


# -- steps that run at once -----------------------------------------------------------------------------------------


async def _parallel(step: ServiceStep, perform: Perform) -> dict[str, Any]:
    ended: list[dict[str, Any]] = []

    async def branch(one: ServiceStep) -> None:
        try:
            value = {"id": one.id, "success": True, "result": await perform(one)}
        except Exception as error:  # what that means is for the strategy to say
            value = {"id": one.id, "success": False, "error": str(error) or type(error).__name__}
        ended.append(value)

    running = [asyncio.create_task(branch(one), name=one.id) for one in step.steps]
    try:
        while len(ended) < len(running) and not _is_decided(step, ended):
            await asyncio.wait([task for task in running if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if step.strategy == "all":
        return _all(step, ended)
    decisive = next((one for one in ended if one["success"] or step.strategy == "first"), None)
    if decisive is None:
        if not step.steps:
            return {"strategy": step.strategy, "result": None}
        raise StepFailed(f"Parallel steps failed: {', '.join(one['id'] for one in ended)}")
    if not decisive["success"] and step.is_required:
        raise StepFailed(f"Parallel steps failed: {decisive['id']}: {decisive['error']}")
    return {"strategy": step.strategy, "result": decisive}


def _is_decided(step: ServiceStep, ended: list[dict[str, Any]]) -> bool:
    if step.strategy == "all":
        return False
    return any(one["success"] or step.strategy == "first" for one in ended)


def _all(step: ServiceStep, ended: list[dict[str, Any]]) -> dict[str, Any]:
    by_id = {one["id"]: one for one in ended}
    results = [by_id[one.id] for one in step.steps]
    tolerated = {one.id for one in step.steps if not one.is_required or one.on_error in CONTINUES}
    failures = [one for one in results if not one["success"]]
    fatal = [one["id"] for one in failures if one["id"] not in tolerated]
    if fatal and step.is_required:
        error = StepFailed(f"Parallel steps failed: {', '.join(fatal)}")
        for one in failures:
            error.add_note(f"{one['id']}: {one['error']}")
        raise error
    return {"strategy": "all", "results": results, "successes": len(results) - len(failures), "failures": len(failures)}


# -- tasks for people -------------------------------------------------------------------------------------------------


async def ask(
    entity: RequestEntity, standing: Standing, step: ServiceStep, title: str, place: str, *, timeout_s: float | None = None,
    why: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Have a person decide; the answer. Raises StepRejected for a no, WaitTimeout when nobody answered in time."""
    task_id = f"{entity.id}/{place}"
    escalation = step.escalation_policy
    try:
        task = await tasks.ask(
            title, assignee=_assignee(standing, step), timeout=timeout_s, id=task_id, type="service-step",
            details={"inputs": standing.inputs, "results": standing.results, **({} if why is None else {"error": why})},
            escalation=None if escalation is None else [(escalation.timeout, escalation.escalate_to)],
            workflow_id=standing.definition.id, request_id=standing.request_id, step_id=step.id,
        )  # fmt: skip
    except asyncio.CancelledError:
        with contextlib.suppress(AlreadyDecided, NoSuchTask):
            await tasks.cancel(task_id, reason="it is not needed any more")
        raise
    standing.is_reviewed = True
    answer = {
        "approved": task.approved, "decision": task.decision, "comments": task.comments, "reviewed_by": task.completed_by,
        "reviewed_at": task.completed_at,
    }  # fmt: skip
    if not task.approved:
        said = f": {task.comments}" if task.comments else ""
        error = StepRejected(f"step {step.id!r} was answered {task.decision!r} by {task.completed_by}{said}")
        error.answer = answer
        raise error
    return answer


def _assignee(standing: Standing, step: ServiceStep) -> Any:
    """Who a task is for: a name, or what an expression over the results so far gives."""
    given = step.assign_to
    if isinstance(given, expressions.Expr):
        return given.evaluate(standing.scope)
    if given is None:
        return None
    try:
        expression = expressions.parse(given)
    except ConditionError:
        return given
    return expression.evaluate(standing.scope) if expression.names and expression.names <= NAMES else given
