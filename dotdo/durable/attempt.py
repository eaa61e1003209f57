"""`self.try_`: one attempt, not recorded.

The body runs as a task of its own, like a step's, so that its timeout cancels it for real; a replay runs it again. The
calls it makes carry derived ids all the same, so an entity it calls twice does its work once. Nothing of it being on
record, its timeout is in memory only and keeps the entity awake.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo.durable import step
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Branch
from dotdo.errors import StepTimeout

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run


async def attempt(
    ledger: Ledger,
    run: Run,
    task: EntityTask,
    key: str,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    timeout_s: float | None,
) -> Any:
    """The value of `fn(*args)`, or its error. Raises StepTimeout when it takes longer than `timeout_s`."""
    activation = ledger.activation
    if run.check is not None:  # what it would bring is not on record: from here on nothing can be compared
        run.check.passed()
        return await activation.host.loop.create_future()
    await activation.gate.wait()
    branch = Branch(f"{key}@1", call_path=key, in_step=True)
    branch.attempt = task.branch.attempt
    body = activation.make_task(step.run_body(ledger.body_of(key, key, fn), args), branch, run=run, hold=task.hold)
    run.trying += 1
    run.timed_tries += timeout_s is not None
    timer = None
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        body.cancel()

    if timeout_s is not None:
        timer = activation.host.clock.call_at(activation.host.clock.now() + timeout_s, expire)
    body.start_soon()
    try:
        return await body
    except BaseException as error:
        if expired and not isinstance(error, GeneratorExit):
            raise StepTimeout(f"{step.name_of(fn)} of {activation.key} took longer than its timeout of {timeout_s} s") from None
        if not body.done():
            body.cancel()
        raise
    finally:
        run.trying -= 1
        run.timed_tries -= timeout_s is not None
        if timer is not None:
            timer.cancel()
