"""`self.cascade`, and `cascade` for code outside a class: ask the cheapest that may know, and go up only when it is not sure.

Each tier is a step of the execution: what a model was paid for is recorded, and a replay, or the execution that wakes
after a person has answered days later, does not ask it again. A tier that fails, takes too long or gives None passes the
question on. If nobody reaches the threshold, the best answer there is counts, and says so (`is_confident`).
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dotdo.durable.current import do, now
from dotdo.durable.retry import RetryPolicy
from dotdo.durable_object import capabilities
from dotdo.errors import CascadeError, DefinitionError
from dotdo.people import tiers as rules
from dotdo.people.tiers import Tiered

_ONCE = RetryPolicy(max_attempts=1)


@dataclasses.dataclass(frozen=True)
class CascadeResult:
    """The answer, and how it came about."""

    value: Any
    tier: str
    """Who gave it: code, generative, agentic or human."""
    confidence: float
    is_confident: bool
    """False if nobody reached the threshold and this is only the best answer there is."""
    path: list[str]
    """The tiers that were asked, in order."""
    timing: dict[str, float]
    """How long each of them took, in seconds."""
    scores: dict[str, float]
    """How sure each was that answered."""
    errors: dict[str, str]
    """Why each that gave no answer did not."""

    @property
    def attempts(self) -> int:
        """How many tiers were asked."""
        return len(self.path)


async def cascade(
    *, task: str, tiers: Mapping[str, Callable[..., Any]], confidence_threshold: float = rules.THRESHOLD,
    timeouts: Mapping[str, Any] | None = None,
) -> CascadeResult:  # fmt: skip
    """Ask tier after tier until one is sure enough.

    Args:
        task: what is asked, as "categorize"; the steps are called `categorize:code` and so on.
        tiers: any of code, generative, agentic and human, each a function, async or not, without arguments (a function with one
            gets `task`). It gives a value, `Tiered(value, confidence)`, or None if it does not know.
        confidence_threshold: an answer at least this sure ends it.
        timeouts: per tier; 5 s for code, 30 s for generative, 2 min for agentic, unless said otherwise; people have none.

    Returns:
        The first answer that is sure enough, else the surest one, of the cheaper tier if two are equal.

    Raises:
        CascadeError: no tier gave any answer; `.errors` says why, tier by tier.
        DefinitionError: an argument makes no sense.
        OutsideTurn: no execution is running here.
    """
    if not isinstance(task, str) or not task:
        raise DefinitionError(f"task={task!r}: what is asked, as a text")
    ordered, threshold, limits = rules.in_order(tiers), rules.threshold_of(confidence_threshold), rules.timeouts_of(timeouts)
    answers: dict[str, Tiered] = {}
    timing: dict[str, float] = {}
    errors: dict[str, str] = {}
    for name, fn in ordered:
        begun = now()
        try:
            given = await do(_ask, fn, task, step_id=f"{task}:{name}", retry=_ONCE, timeout=limits[name])
            answer = rules.answer_of(given)
        except Exception as error:  # whatever it is: the next tier is asked
            errors[name] = f"{type(error).__name__}: {error}"
        else:
            if answer is None:
                errors[name] = "it gave no answer"
            else:
                answers[name] = answer
        timing[name] = (now() - begun).total_seconds()
        if name in answers and answers[name].confidence >= threshold:
            break
    if not answers:
        failed = CascadeError(f"cascade {task!r}: no tier gave an answer ({'; '.join(f'{name}: {why}' for name, why in errors.items())})")
        failed.errors = errors
        raise failed
    best = max(answers, key=lambda name: answers[name].confidence)  # of two equal ones the first, which is the cheaper
    return CascadeResult(
        answers[best].value, best, answers[best].confidence, answers[best].confidence >= threshold, list(timing), timing,
        {name: answer.confidence for name, answer in answers.items()}, errors,
    )  # fmt: skip


async def _ask(fn: Callable[..., Any], task: str) -> Any:
    result = fn(task) if _wants_task(fn) else fn()
    return await result if inspect.isawaitable(result) else result


def _wants_task(fn: Callable[..., Any]) -> bool:
    """True for a function with exactly one parameter it cannot do without."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False
    return sum(one.kind in kinds and one.default is one.empty for one in parameters) == 1


capabilities.provide("cascade", lambda _entity: cascade)
