"""What became of a request."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pydantic

from dotdo import codec
from dotdo.workflows.course import State, shown

STATE_CODE = 65
"""Of results that are passed on as they were handed out: dicts whose keys are attributes, too."""


class ServiceOutcome(pydantic.BaseModel):
    """What became of a request.

    Args:
        success: no step failed. A request that went on without a step that failed was delivered, and is no success.
        results: by step; items and attributes alike.
        path: which branch each condition took, as "verify:then".
        cost: what it costs; 0 if the request failed, None if the service has no price.
        error, failed_step: by which step the request failed, and why; None if it was delivered.
        compensations: what was done to undo it, in order: `step`, `action`, `success`, `error`.
        cached: it was there when this request was made: somebody had asked under the same id before.
    """

    request_id: str
    service_id: str
    customer_id: str | None = None
    success: bool
    results: Any = {}
    completed_steps: list[str] = []
    failed_steps: list[str] = []
    skipped_steps: list[str] = []
    path: list[str] = []
    cost: Decimal | None = None
    error: str | None = None
    failed_step: str | None = None
    compensations: list[dict[str, Any]] = []
    started_at: datetime
    completed_at: datetime
    cached: bool = False


codec.register_extension(STATE_CODE, State, dict, shown)
