"""What was asked of models, counted: one entity, told in the commit that records an answer, so each answer counts once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from dotdo.durable_object.do import DO


@dataclass(frozen=True, slots=True)
class Usage:
    """What one model was asked: answers it gave, requests they took, and tokens."""

    answers: int = 0
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            self.answers + other.answers,
            self.requests + other.requests,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


class UsageBook(DO, noun="DotdoUsage", max_queue=100_000):
    """The sums, by model."""

    by_model: dict[str, Usage] = {}

    async def add(self, model: str, used: Usage) -> None:
        """One answer."""
        self.by_model[model] = self.by_model.get(model, Usage()).plus(used)

    async def sums(self) -> dict[str, Usage]:
        """All of it."""
        return self.by_model


def book() -> Any:
    """Where it is written down."""
    return UsageBook("ai")


async def usage() -> dict[str, Usage]:
    """What was asked of each model since the data folder was made, by the model's name."""
    return cast(dict[str, Usage], await book().sums())
