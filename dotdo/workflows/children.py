"""`start_child`: a run started by another execution.

The child's id is made of the parent's and of the place in its code, so an attempt that is made again, after a crash too,
starts no second child but finds the first. The start is a step of the parent. Waiting for the child's result parks the
parent, which may rest as long as its child does.

When the parent ends, however it does, a child with `on_parent_close="cancel"` is cancelled in the same commit; the
others go on.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from dotdo import durations
from dotdo.durable.current import ledger_of
from dotdo.durable.run import Run as RunningCall
from dotdo.names import RUN_CALL, RUN_NOUN
from dotdo.workflows import functions
from dotdo.workflows.functions import WorkflowFunction
from dotdo.workflows.runs import Close, Run, execution_of, id_within, starting

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Child(Run[R_co], Generic[R_co]):
    """The handle of a child: an Execution, and `data`."""

    __slots__ = ("data",)

    def __init__(self, execution_id: str) -> None:
        super().__init__(execution_id)
        self.data: Any = None
        """Its result, once `result()` brought it; None before."""

    async def result(self, timeout: durations.Duration | None = None) -> R_co:
        """What the child returned, waited for: the parent rests meanwhile. Its error is raised."""
        value = await super().result(timeout)
        self.data = value
        return value


@overload
def start_child(workflow: WorkflowFunction[P, R], *args: P.args, **kwargs: P.kwargs) -> Awaitable[Child[R]]: ...
@overload
def start_child(
    workflow: str, *args: Any, id: str | None = None, on_parent_close: Close | None = None, **kwargs: Any
) -> Awaitable[Child[Any]]: ...
@overload
def start_child(
    workflow: WorkflowFunction[..., R], *args: Any, id: str, on_parent_close: Close | None = None, **kwargs: Any
) -> Awaitable[Child[R]]: ...
@overload
def start_child(workflow: WorkflowFunction[..., R], *args: Any, on_parent_close: Close, **kwargs: Any) -> Awaitable[Child[R]]: ...
def start_child(workflow: Any, *args: Any, **kwargs: Any) -> Any:
    """Start another workflow from the execution that runs; the child's handle, once the child is durable.

    Args:
        workflow: its name, or the workflow itself.
        args: its arguments, checked against its function.
        id: of the child's run; made of the parent's id and the place in its code by default.
        on_parent_close: "abandon" (default) lets the child go on when its parent ends, "cancel" cancels it.

    Raises:
        WorkflowNotFound: no workflow of this name is known.
        TypeError: the arguments do not fit.
        CallIdConflict: the id given belongs to another run.
        OutsideTurn: no execution is running.
    """
    ledger = ledger_of("start_child")
    run, task = ledger.current_run("start_child")
    child = functions.find(workflow) if isinstance(workflow, str) else workflow
    options = child.options.updated(kwargs.pop("id", None), None, kwargs.pop("on_parent_close", None))
    child.check_arguments(args, kwargs)
    key = task.branch.key(f"child:{child.name}")
    child_id = options.id or id_within(execution_of(ledger.caller, run), key.replace("child:", "", 1))
    promise = starting(child_id, child.name, args, kwargs, key=key)
    if options.on_parent_close == "cancel":
        _close_with(run, child_id)
    return _started(promise)


async def _started(promise: Any) -> Child[Any]:
    return Child(await promise)


def _close_with(run: RunningCall, child_id: str) -> None:
    """Cancel the child when this execution ends. Said anew on every replay, so it is kept nowhere."""
    run.must_be_journaled()
    run.closing.append((RUN_NOUN, child_id, RUN_CALL))
