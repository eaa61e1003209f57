"""What a declared workflow is made of: the models a user writes, and those that tell what became of a run.

Every field goes by its Python name and by its name in JSON, `depends_on` and `dependsOn`. Durations are kept as text
("3d", "1500ms"), whatever they were given as: a plain number counts seconds in Python and milliseconds in a definition
that is written in camelCase, so a number would change its meaning on the way through JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from pydantic.alias_generators import to_camel

from dotdo import durations
from dotdo.workflows import spelling
from dotdo.workflows.expressions import Expr

STEPS_MAX = 10_000
RETRIES_MAX = 999

_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


def duration_text(seconds: float) -> str:
    """A duration as text, in the largest unit that says it exactly: "3d", "90s", "1500ms"."""
    milliseconds = round(seconds * 1000, 6)
    for unit, size in _UNITS:
        if milliseconds and milliseconds % size == 0:
            return f"{int(milliseconds // size)}{unit}"
    return f"{milliseconds:.6f}".rstrip("0").rstrip(".") + "ms"


def _duration(value: Any, info: ValidationInfo) -> Any:
    seconds = spelling.seconds_of(value, info)
    return value.strip() if isinstance(value, str) else None if seconds is None else duration_text(seconds)


def _values(value: Any) -> Any:
    """Values as they stand in JSON, where an `Expr` is {"$expr": "..."}."""
    if isinstance(value, Expr):
        return {"$expr": value.text}
    if isinstance(value, dict):
        return {key: _values(part) for key, part in value.items()}
    return [_values(part) for part in value] if isinstance(value, list) else value


Values = Annotated[dict[str, Any], BeforeValidator(_values)]
DurationText = Annotated[str, BeforeValidator(_duration)]


class Model(BaseModel):
    """A model whose fields have a name in Python and one in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """As the JSON of the sources: camelCase, without what was not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


# -- what a user writes -------------------------------------------------------------------------------------------


class WorkflowStep(Model):
    """One step of a definition.

    Args:
        action: a method of the class, in its own spelling or in camelCase; "Service.method" of a binding in `env`; "noop".
        params: what the action gets, with `Expr` where a value is computed; the run's input by default.
        depends_on: steps that must have ended before this one begins. Without, it begins with the run.
        condition: read when everything it depends on has ended; the step is skipped if it does not hold.
        wait: how long to wait before the action.
        on_error: "fail" (the default), "continue", "retry", or "branch" to the step `error_branch`; the last two and
            "continue" when retries are used up.
        max_retries: attempts after the first; given, the step is retried whatever `on_error` says. 3 for "retry".
        retry_delay: between attempts. Without, 1 s, doubling, 30 s at most.
        timeout: of one attempt.
    """

    id: str = Field(min_length=1, max_length=100, pattern=r"^[^\s|#!][^|#!]*$")
    action: str
    name: str | None = None
    params: Values | None = None
    depends_on: list[str] = []
    condition: str | None = None
    wait: DurationText | None = None
    on_error: Literal["fail", "continue", "retry", "branch"] = "fail"
    max_retries: int | None = Field(default=None, ge=0, le=RETRIES_MAX)
    retry_delay: DurationText | None = None
    error_branch: str | None = None
    timeout: DurationText | None = None

    @property
    def attempts_max(self) -> int:
        """How often the action is called at most."""
        default = 3 if self.on_error == "retry" else 0
        return 1 + (default if self.max_retries is None else self.max_retries)


class Trigger(Model):
    """An event that starts the workflow: its name or a pattern, and what must hold of its data."""

    event: str = Field(min_length=1)
    condition: str | None = None


class WorkflowDefinition(Model):
    """A workflow as data.

    Args:
        timeout: of a whole run.
        context: values of the state that are there from the start, under those of the input.
        version: given by `register`; whoever writes a definition leaves it out.
        warnings: what `register(..., strict=False)` found wrong and let pass.
    """

    id: str = Field(min_length=1, max_length=100, pattern=r"^[^\s!/|#][^!|#]*$")
    steps: list[WorkflowStep] = Field(min_length=1, max_length=STEPS_MAX)
    name: str | None = None
    description: str | None = None
    triggers: list[Trigger] = []
    timeout: DurationText | None = None
    context: Values = {}
    version: int = 0
    warnings: list[str] = []

    def step(self, step_id: str) -> WorkflowStep:
        """The step of this id. Raises KeyError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    def mermaid(self, execution: WorkflowExecution | None = None) -> str:
        """The definition as a Mermaid flowchart; with an execution, coloured by what became of its steps."""
        from dotdo.workflows.picture import mermaid

        return mermaid(self, execution)


# -- what became of a run -------------------------------------------------------------------------------------------

Status = Literal["pending", "running", "waiting", "paused", "completed", "failed", "cancelled"]
StepStatus = Literal["pending", "running", "waiting", "completed", "failed", "skipped"]


class StepResult(Model):
    """What became of one step."""

    status: StepStatus = "pending"
    output: Any = None
    error: str | None = None
    """Of a failed step, its last attempt's; of a skipped one, why."""
    retries: int = 0
    """Attempts after the first."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    until: datetime | None = None
    """While it waits: until when."""


class HistoryEntry(Model):
    """One thing that happened in a run."""

    type: Literal[
        "start", "step_start", "step_complete", "step_fail", "step_retry", "step_skip", "wait", "pause", "resume", "retry",
        "complete", "fail", "cancel",
    ]  # fmt: skip
    at: datetime
    step_id: str | None = None
    attempt: int | None = None
    output: Any = None
    error: str | None = None
    until: datetime | None = None


class WorkflowExecution(Model):
    """A run as it stood when it was asked for.

    `id` names it everywhere: `await wf.status(execution.id)`, `dotdo.execution(execution.id)`.
    """

    id: str
    workflow_id: str
    version: int
    status: Status
    input: Any = None
    state: dict[str, Any] = {}
    """The input and, by step id, what the steps returned so far."""
    output: Any = None
    """Of a completed run: its state."""
    error: str | None = None
    current_step_index: int = 0
    """In the definition's order, the first step that has not ended; there may be others after it that have."""
    completed_steps: list[str] = []
    """In the order they completed."""
    step_results: dict[str, StepResult] = {}
    """Of the steps that have begun, ended or been skipped."""
    started_at: datetime | None = None
    completed_at: datetime | None = None
    history: list[HistoryEntry] = []

    async def result(self, timeout: durations.Duration | None = None) -> Any:
        """Wait for the run to end: its final state. Its error is raised. Raises CallTimeout after `timeout`."""
        from dotdo.durable.handle import Execution

        return await Execution(self.id).result(timeout)
