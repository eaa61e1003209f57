"""The shapes of answers that come with dotdo: what `analyze` finds out and what `recommend` recommends.

A kind of analysis that is not here is answered with an `Analysis`, whose attributes are what the model found worth saying;
`schema=` on the call asks for a shape of your own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel, to_snake


class Analysis(BaseModel):
    """What was found out; attributes answer to snake_case and to camelCase."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)

    def __getattr__(self, name: str) -> Any:
        snake = to_snake(name)
        if snake != name and snake in type(self).model_fields:
            return getattr(self, snake)
        extra = self.__pydantic_extra__ or {}
        for spelling in (name, to_camel(name), snake):
            if spelling in extra:
                return extra[spelling]
        raise AttributeError(f"this {type(self).__name__} says nothing of {name!r}; it says {', '.join(self.model_dump()) or 'nothing'}")


class TicketComplexity(Analysis):
    """`ai.analyze("ticket-complexity", ticket=...)`."""

    can_auto_resolve: bool = Field(description="true if it can be answered without a person")
    complexity: Literal["low", "medium", "high"]
    reason_for_escalation: str | None = None


class ContentSafety(Analysis):
    """`ai.analyze("content-safety", content=...)`."""

    safe: bool
    confidence: float = Field(ge=0.0, le=1.0)
    flagged: bool = Field(description="true if it is definitely not acceptable")
    concerns: list[str] = []
    potential_issues: list[str] = []
    urgency: Literal["low", "normal", "high"] = "normal"


class Recommendation(BaseModel):
    """One recommendation."""

    item: Any = Field(description="what is recommended")
    reason: str = ""
    confidence: float | None = Field(default=None, ge=0.0, le=1.0)


ANALYSES: dict[str, type[BaseModel]] = {"ticket-complexity": TicketComplexity, "content-safety": ContentSafety}
