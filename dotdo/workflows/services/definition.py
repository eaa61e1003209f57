"""What a service is made of, in both spellings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dotdo.durable.retry import RetryPolicy
from dotdo.workflows.expressions import Expr
from dotdo.workflows.pricing import Pricing, pricing_of
from dotdo.workflows.spelling import Seconds, Spelled

StepType = Literal["function", "parallel", "condition", "human-task"]
OnError = Literal["fail", "continue", "retry", "branch", "human-review", "notify-manager", "rollback", "log-and-continue"]
Strategy = Literal["all", "any", "first"]

STEPS_MAX = 1_000
ATTEMPTS_MAX = 1_000
RETRY_ATTEMPTS = 3
"""Of a step with onError 'retry' for which nothing else says how often."""


def _backoff(value: Any) -> Any:
    return "constant" if value == "fixed" else value


class RetrySpec(Spelled):
    """How often and how patiently a step is tried: `max_attempts` calls in all, the first retry after `base_delay`."""

    max_attempts: int = Field(default=RETRY_ATTEMPTS, ge=1, le=ATTEMPTS_MAX)
    backoff: Annotated[Literal["exponential", "linear", "constant"], BeforeValidator(_backoff)] = "exponential"
    base_delay: Seconds | None = None
    initial_delay: Seconds | None = None
    max_delay: Seconds = 30.0

    def policy(self) -> RetryPolicy:
        """The policy of the engine."""
        delay_s = self.base_delay if self.base_delay is not None else self.initial_delay
        return RetryPolicy(self.max_attempts, self.backoff, 1.0 if delay_s is None else delay_s, self.max_delay)


class CompensationAction(Spelled):
    """One thing to do to undo: a function by its name. It gets `params`, with `step_id` and that step's `result` if one is named."""

    action: str
    step_id: str | None = None
    params: dict[str, Any] = {}


class Compensation(Spelled):
    """What undoes a step: done when the step itself fails, and when it has completed and the request fails later."""

    steps: list[CompensationAction]


class EscalationPolicy(Spelled):
    """Who gets a task that nobody has completed after `timeout`."""

    timeout: Seconds
    escalate_to: str


class ServiceStep(Spelled):
    """One step.

    Args:
        type: "function" unless it says otherwise.
        required: its failure fails the request, unless `on_error` says otherwise. True makes being skipped a failure as well.
        depends_on: steps that have to have completed. Without a word on it a step begins when the one before it in the list has
            ended, whatever became of that; an empty list lets it begin with the request.
        timeout: of one attempt of a function; of a task or of parallel steps as a whole.
        retry_policy: of a function. Else the service's default; else it is tried once, three times with onError 'retry'.
        steps, strategy: of parallel steps: "all" have to succeed, "any" one has, or the "first" that ends decides.
        condition, then, else_: what is done if the condition holds, and if not. On any other step a condition says whether it
            is done at all.
        on_error: see `dotdo.workflows.services.walking`.
        assign_to: who a task is for. An expression if it reads `inputs`, `results` or `completedSteps`, else a name.
    """

    id: str = Field(min_length=1, max_length=100, pattern=r"^[^\s|#!][^|#!]*$")
    name: str | None = None
    type: StepType = "function"
    required: bool | None = None
    timeout: Seconds | None = None
    retry_policy: RetrySpec | None = None
    depends_on: list[str] = []
    steps: list[ServiceStep] = []
    strategy: Strategy = "all"
    condition: str | None = None
    then: ServiceStep | None = None
    else_: ServiceStep | None = Field(default=None, alias="else")
    on_error: OnError = "fail"
    error_branch: str | None = None
    compensation: Compensation | None = None
    assign_to: str | Expr | None = None
    escalation_policy: EscalationPolicy | None = None

    @property
    def title(self) -> str:
        """Its name, or its id."""
        return self.name or self.id

    @property
    def is_required(self) -> bool:
        """True if its failure fails the request."""
        return self.required is not False

    @property
    def children(self) -> list[ServiceStep]:
        """The steps within it."""
        return [*self.steps, *(branch for branch in (self.then, self.else_) if branch is not None)]

    def all(self) -> list[ServiceStep]:
        """It and every step within it, however deep."""
        return [self, *(inner for child in self.children for inner in child.all())]


class ErrorHandling(Spelled):
    """What holds for every step that says nothing itself.

    Args:
        compensation_strategy: "reverse-order" is the only one there is.
        notify_on_failure: tell `notify` when a request has failed.
        notify: a person or a role.
    """

    default_retry_policy: RetrySpec | None = None
    compensation_strategy: Literal["reverse-order"] = "reverse-order"
    notify_on_failure: bool = False
    notify: str = "manager"


class ServiceDefinition(Spelled):
    """A service as data. `warnings` is what `strict=False` let pass, and what is worth a look."""

    id: str = Field(min_length=1, max_length=100, pattern=r"^[^\s!/|#][^!|#/]*$")
    name: str
    description: str | None = None
    type: str = "automation"
    subtype: str = "workflow"
    steps: list[ServiceStep] = Field(default=[], max_length=STEPS_MAX)
    pricing: Annotated[Pricing | None, BeforeValidator(lambda given: None if given is None else pricing_of(given))] = None
    error_handling: ErrorHandling = ErrorHandling()
    version: int = 1
    is_strict: bool = True
    warnings: list[str] = []

    def all_steps(self) -> dict[str, ServiceStep]:
        """Every step by id, those within others too."""
        return {step.id: step for top in self.steps for step in top.all()}
