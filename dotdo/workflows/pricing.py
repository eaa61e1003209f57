"""What an execution of a service costs. Pure: what happened goes in (`Usage`), an amount comes out.

There are four ways to price, each a model of its own, told apart by the key of its rate:

    PerExecution   base_rate, step_rates         a base, and a rate for each step that completed
    FlatRate       rate, failure_refund          one amount; less, if a step failed
    RateByKind     rates                         one amount without people, another if a person had to decide
    TimeBased      rate per second, step_multipliers, minimum, maximum

Money is `Decimal`. A float is taken as it is written (0.1 is a tenth), sums are exact, and the amount is rounded once, at
the end: half up, to `round_to`, a hundredth of a cent unless said otherwise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from dotdo.errors import DefinitionError
from dotdo.workflows.spelling import Spelled

ONE = Decimal(1)
ZERO = Decimal(0)
CENT = Decimal("0.01")
ROUND_TO = Decimal("0.0001")


def _exact(value: Any) -> Any:
    """A number as it is written."""
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is not an amount")
    return Decimal(repr(value)) if isinstance(value, float) else value


def _no_end(value: Any) -> Any:
    """None for infinity, in whichever way it came through JSON."""
    is_endless = value == "Infinity" or (isinstance(value, (float, Decimal)) and math.isinf(value) and value > 0)
    return None if is_endless else value


Number = Annotated[Decimal, BeforeValidator(_exact), PlainSerializer(str, return_type=str, when_used="json")]
Amount = Annotated[Number, Field(ge=0)]
End = Annotated[Amount | None, BeforeValidator(_no_end)]
Share = Annotated[Number, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Usage:
    """What happened in an execution, as far as its price is concerned.

    Args:
        completed: the steps that completed.
        failed: the steps that failed although the execution went on.
        volume: the how-manieth execution this is; discounts go by it.
        duration_s: of the whole.
        step_durations_s: of its steps.
        is_parallel: a parallel step completed.
        is_reviewed: a person had to decide something.
    """

    completed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    volume: Decimal | int | float = 0
    duration_s: Decimal | int | float = 0
    step_durations_s: Mapping[str, Decimal | int | float] = field(default_factory=dict)
    is_parallel: bool = False
    is_reviewed: bool = False


class VolumeTier(Spelled):
    """From `min` to `max` executions, both included, `discount` (0 to 1) is taken off. `max` None is without end."""

    min: Amount
    max: End = None
    discount: Share

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self

    def holds(self, volume: Decimal) -> bool:
        """True if this tier is for the volume."""
        return self.min <= volume and (self.max is None or volume <= self.max)


class Discounts(Spelled):
    """What is taken off the price. A volume in no tier, or between two, has no discount."""

    volume: list[VolumeTier] = []

    @model_validator(mode="after")
    def _do_not_overlap(self) -> Self:
        tiers = sorted(self.volume, key=lambda tier: tier.min)
        for one, following in itertools.pairwise(tiers):
            if one.max is None or following.min <= one.max:
                raise ValueError(f"the tiers from {one.min} and from {following.min} overlap: a volume has one discount")
        return self

    def at(self, volume: Decimal) -> Decimal:
        """The discount for a volume, 0 to 1."""
        return next((tier.discount for tier in self.volume if tier.holds(volume)), ZERO)


class _Price(Spelled):
    discounts: Discounts = Discounts()
    round_to: Annotated[Number, Field(gt=0)] = ROUND_TO

    def cost(self, usage: Usage) -> Decimal:
        """The amount, rounded."""
        exact = self._exact_cost(usage) * (ONE - self.discounts.at(_decimal(usage.volume)))
        return _with_cents((exact / self.round_to).quantize(ONE, ROUND_HALF_UP) * self.round_to)

    def _exact_cost(self, usage: Usage) -> Decimal:
        raise NotImplementedError


class PerExecution(_Price):
    """A base rate, and a rate for each step that completed. A step without a rate costs nothing.

    Args:
        parallel_discount: taken off the base rate, if a parallel step completed.
    """

    model: Literal["per-execution"] = "per-execution"
    base_rate: Amount
    step_rates: dict[str, Amount] = {}
    parallel_discount: Share = ZERO

    def _exact_cost(self, usage: Usage) -> Decimal:
        base = self.base_rate * (ONE - self.parallel_discount) if usage.is_parallel else self.base_rate
        return base + sum((self.step_rates.get(step, ZERO) for step in usage.completed), ZERO)


class FlatRate(_Price):
    """One amount; `failure_refund` is given back if a step failed, so `rate - failure_refund` is what a failure costs."""

    model: Literal["per-execution"] = "per-execution"
    rate: Amount
    failure_refund: Amount = ZERO

    @model_validator(mode="after")
    def _refunds_no_more_than_it_takes(self) -> Self:
        if self.failure_refund > self.rate:
            raise ValueError(f"failure_refund {self.failure_refund} is more than the rate {self.rate}")
        return self

    def _exact_cost(self, usage: Usage) -> Decimal:
        return self.rate - self.failure_refund if usage.failed else self.rate


class KindRates(Spelled):
    """What an execution costs without people, and with: the second instead of the first, not besides."""

    automated: Amount
    human_review: Amount


class RateByKind(_Price):
    """One amount for an execution that ran by itself, another for one in which a person had to decide."""

    model: Literal["per-execution"] = "per-execution"
    rates: KindRates

    def _exact_cost(self, usage: Usage) -> Decimal:
        return self.rates.human_review if usage.is_reviewed else self.rates.automated


class TimeBased(_Price):
    """A rate per second; a step's seconds count its multiplier times. Never less than `minimum`, never more than `maximum`.

    What the multipliers add or take counts for each step, so steps that ran at once are each weighed, while the seconds of the
    whole count once. Discounts are taken off afterwards.
    """

    model: Literal["time-based"] = "time-based"
    rate: Amount
    minimum: Amount = ZERO
    maximum: End = None
    step_multipliers: dict[str, Amount] = {}

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self

    def _exact_cost(self, usage: Usage) -> Decimal:
        cost = _decimal(usage.duration_s) * self.rate
        for step, seconds in usage.step_durations_s.items():
            cost += _decimal(seconds) * self.rate * (self.step_multipliers.get(step, ONE) - ONE)
        cost = max(cost, self.minimum)
        return cost if self.maximum is None else min(cost, self.maximum)


Pricing = PerExecution | FlatRate | RateByKind | TimeBased

_VARIANTS: dict[str, type[PerExecution] | type[FlatRate] | type[RateByKind]] = {
    "base_rate": PerExecution, "baseRate": PerExecution, "rate": FlatRate, "rates": RateByKind,
}  # fmt: skip


def pricing_of(given: Pricing | Mapping[str, Any]) -> Pricing:
    """The pricing a definition means. Raises DefinitionError if it means none, or more than one."""
    if isinstance(given, (PerExecution, FlatRate, RateByKind, TimeBased)):
        return given
    if not isinstance(given, Mapping):
        raise DefinitionError(f"pricing is a dict or one of PerExecution, FlatRate, RateByKind, TimeBased, not {type(given).__name__}")
    variant = _variant(given)
    try:
        return variant.model_validate(dict(given))
    except ValidationError as error:
        raise DefinitionError(f"pricing: {'; '.join(_said(problem) for problem in error.errors())}") from None


def _variant(given: Mapping[str, Any]) -> type[PerExecution] | type[FlatRate] | type[RateByKind] | type[TimeBased]:
    model = given.get("model", "per-execution")
    if model == "time-based":
        return TimeBased
    if model != "per-execution":
        raise DefinitionError(f"pricing: model {model!r} is unknown; use 'per-execution' or 'time-based'")
    named = [key for key in _VARIANTS if key in given]
    variants = {_VARIANTS[key] for key in named}
    if not variants:
        raise DefinitionError("pricing: it has none of baseRate, rate and rates, so it says no amount")
    if len(variants) > 1:
        raise DefinitionError(f"pricing: {' and '.join(named)} are two ways to price: give one of them")
    return variants.pop()


def _said(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "does not belong to this way of pricing"
    return f"{place}: {message}" if place else message


def execution_cost(
    pricing: Pricing | Mapping[str, Any], completed_steps: Iterable[str] = (), volume: Decimal | int | float = 0, **more: Any
) -> Decimal:
    """What an execution costs that completed these steps and is the `volume`-th; `more` is anything else of a `Usage`."""
    return pricing_of(pricing).cost(Usage(tuple(completed_steps), volume=volume, **more))


def _with_cents(amount: Decimal) -> Decimal:
    """The same amount, written with cents, and with more places only where it has them."""
    shortest = amount.normalize()
    return amount.quantize(CENT) if Decimal(shortest).as_tuple().exponent > -2 else shortest  # type: ignore[operator]  # it is finite


def _decimal(value: Decimal | int | float) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
