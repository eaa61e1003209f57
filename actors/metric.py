"""A number that is observed again and again: how often, how much, and by label.

send.Metric.record(id="checkout", value=1.7, labels={"status": "success"})
"""

from __future__ import annotations

import pydantic

from dotdo import DO

LABELS_MAX = 200


class Sum(pydantic.BaseModel):
    """Of a series of values."""

    count: int = 0
    total: float = 0.0
    minimum: float | None = None
    maximum: float | None = None

    def plus(self, value: float) -> Sum:
        """With one value more."""
        return Sum(
            count=self.count + 1,
            total=self.total + value,
            minimum=value if self.minimum is None else min(self.minimum, value),
            maximum=value if self.maximum is None else max(self.maximum, value),
        )

    @property
    def mean(self) -> float | None:
        """None before the first value."""
        return self.total / self.count if self.count else None


class Metric(DO):
    """One metric; the id is its name."""

    sum: Sum = Sum()
    by_label: dict[str, Sum] = {}

    async def record(self, value: float = 1.0, *, labels: dict[str, str] | None = None) -> Sum:
        """Observe a value; the sum so far. Of labels, so many pairs are kept apart; values of further ones count in the sum only."""
        self.sum = self.sum.plus(value)
        for name, text in (labels or {}).items():
            label = f"{name}={text}"
            if label in self.by_label or len(self.by_label) < LABELS_MAX:
                self.by_label[label] = self.by_label.get(label, Sum()).plus(value)
        return self.sum
