"""`self.log`: a logger that names the entity, and is silent while a replay runs what has been logged already.

A line is written at least once: where the last turn before a crash stood is not known for sure, so what it said may be said
again. What earlier turns said is not.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation


class EntityLog(logging.LoggerAdapter[logging.Logger]):
    """The log of one entity; its name is `dotdo.entity.<noun>`, its records have the key as `extra`."""

    def __init__(self, activation: Activation) -> None:
        super().__init__(logging.getLogger(f"dotdo.entity.{activation.spec.noun}"), {"key": activation.key})
        self._activation = activation

    def isEnabledFor(self, level: int) -> bool:
        return not self._is_replayed() and super().isEnabledFor(level)

    def _is_replayed(self) -> bool:
        turn = self._activation.turn
        if turn is None or turn.task is None:
            return False
        run = turn.task.run
        return turn.is_replayed or (run is not None and run.is_replaying)
