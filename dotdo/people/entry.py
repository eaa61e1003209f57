"""One line of a history: what happened to an approval or a task, when, and who did it."""

from __future__ import annotations

from datetime import datetime

import pydantic

ENTRIES_MAX = 1_000
"""So long may a history become; comments beyond are refused, decisions never are."""


class Entry(pydantic.BaseModel):
    """`by` is None for what time did. `what` is the past-tense verb of the event that said so."""

    at: datetime
    what: str
    by: str | None = None
    comment: str = ""
    to: str | None = None
    level: int | None = None
