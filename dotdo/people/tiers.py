"""The tiers of a cascade, and when an answer of one is good enough.

    code ──> generative ──> agentic ──> human        always in this order, whatever the order they were given in

A plain value is sure (confidence 1.0). None is no answer, so a rule that finds nothing does not win. `Tiered(value, 0.7)`
says how sure it is; so does a dict of exactly `value` and `confidence`, which is what models give. A dict with other keys
beside these two is an answer like any other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from dotdo import durations
from dotdo.errors import DefinitionError

TIERS = ("code", "generative", "agentic", "human")
HUMAN = "human"
TIMEOUTS_S: Mapping[str, float | None] = {"code": 5.0, "generative": 30.0, "agentic": 120.0, HUMAN: None}
"""How long a tier may take, unless the caller says; people take the time they take."""

THRESHOLD = 0.8


@dataclasses.dataclass(frozen=True, slots=True)
class Tiered:
    """A tier's answer and how sure it is of it, from 0 to 1."""

    value: Any
    confidence: float


def answer_of(given: Any) -> Tiered | None:
    """What a tier gave, as an answer; None if it gave none. Raises ValueError for a confidence that is none."""
    if isinstance(given, Mapping) and set(given) == {"value", "confidence"}:
        given = Tiered(given["value"], given["confidence"])
    if not isinstance(given, Tiered):
        return None if given is None else Tiered(given, 1.0)
    confidence = given.confidence
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float)) or not 0 <= confidence <= 1 or math.isnan(confidence):
        raise ValueError(f"a confidence is a number from 0 to 1, not {confidence!r}")
    return None if given.value is None else Tiered(given.value, float(confidence))


def in_order(tiers: Mapping[str, Callable[..., Any]]) -> list[tuple[str, Callable[..., Any]]]:
    """The tiers there are, the cheapest first. Raises DefinitionError."""
    if not isinstance(tiers, Mapping) or not tiers:
        raise DefinitionError("tiers= is a dict of at least one of code, generative, agentic and human, each with a function")
    for name, fn in tiers.items():
        if name not in TIERS:
            raise DefinitionError(f"tiers: there is no tier {name!r}; there are {', '.join(TIERS)}")
        if not callable(fn):
            raise DefinitionError(f"tiers[{name!r}] is {fn!r}, not a function")
    return [(name, tiers[name]) for name in TIERS if name in tiers]


def threshold_of(threshold: Any) -> float:
    """A confidence to reach. Raises DefinitionError."""
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise DefinitionError(f"confidence_threshold={threshold!r}: a number from 0 to 1")
    return float(threshold)


def timeouts_of(given: Mapping[str, Any] | None) -> dict[str, float | None]:
    """How long each tier may take, in seconds; None for no limit. Raises DefinitionError, BadDuration."""
    for name in given or ():
        if name not in TIERS:
            raise DefinitionError(f"timeouts: there is no tier {name!r}; there are {', '.join(TIERS)}")
        if name == HUMAN:
            raise DefinitionError("timeouts: people take the time they take; give timeout= to the task that the human tier asks for")
    seconds = {name: None if value is None else durations.seconds(value) for name, value in (given or {}).items()}
    return {**TIMEOUTS_S, **seconds}
