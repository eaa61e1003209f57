"""One thing that is wrong with a definition, of a workflow or of a machine. Readers collect them and report all at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Where, what, and whether the definition can be run all the same."""

    path: str
    message: str
    is_fatal: bool = True

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
