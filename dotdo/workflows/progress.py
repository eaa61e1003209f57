"""`progress`: how far an execution has come, for whoever looks.

It is a step: recorded once, so that a replay says it no second time, and the event `Workflow.progress` goes out with the
commit of the record. `info().progress` is what was said last.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from dotdo.durable.current import ledger_of
from dotdo.durable.ledger import Ledger
from dotdo.durable.run import Run
from dotdo.durable.step import PROGRESS
from dotdo.events.sending import send
from dotdo.names import execution_id_of


def progress(step: int, total: int) -> Coroutine[Any, Any, dict[str, Any]]:
    """Say that `step` of `total` steps are done; what was said, as data.

    Durable once awaited, and sent as the event `Workflow.progress`: `id` of the execution, `workflow`, `step`, `total`, `progress`
    (0 to 1) and `time_remaining` in seconds, estimated from the time it took so far (None before the first step is done).

    Raises:
        ValueError: not 0 <= step <= total, or a total below 1.
        OutsideTurn: no execution is running.
    """
    if total < 1 or not 0 <= step <= total:
        raise ValueError(f"progress({step}, {total}): the steps done are between 0 and the total, which is at least 1")
    ledger = ledger_of("progress")
    run, _task = ledger.current_run("progress")

    def say() -> dict[str, Any]:
        said = _state_of(ledger, run, step, total)
        send(PROGRESS, said)
        return said

    return ledger.do(say, (), step_id=PROGRESS)  # type: ignore[no-any-return]


def _state_of(ledger: Ledger, run: Run, step: int, total: int) -> dict[str, Any]:
    activation = ledger.activation
    elapsed_s = max(activation.host.clock.now() - run.started_at, 0.0)
    return {
        "id": execution_id_of(activation.key, run.id),
        "workflow": activation.spec.code_of(activation.id, run.method, run.payload).name,
        "step": step,
        "total": total,
        "progress": step / total,
        "time_remaining": elapsed_s / step * (total - step) if step else None,
    }
