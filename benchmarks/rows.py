"""A row of the table: one figure, taken several times, and what it should be.

A target that hangs on the disk was set for an fdatasync of 0.2 ms. On a slower disk it is eased in proportion, and both
are shown; on a faster one it stays.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

DISK_OF_THE_TARGETS_MS = 0.2


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most so much, or at least."""

    figure: float
    is_limit: bool
    hangs_on_disk: bool = False

    def eased(self, fdatasync_ms: float | None) -> float:
        """The target on a disk whose fdatasync takes this long."""
        if not self.hangs_on_disk or fdatasync_ms is None or fdatasync_ms <= DISK_OF_THE_TARGETS_MS:
            return self.figure
        slower = fdatasync_ms / DISK_OF_THE_TARGETS_MS
        return self.figure * slower if self.is_limit else self.figure / slower

    def is_met(self, figure: float, fdatasync_ms: float | None) -> bool:
        target = self.eased(fdatasync_ms)
        return figure <= target if self.is_limit else figure >= target


def at_most(figure: float, *, disk: bool = False) -> Target:
    """A figure that should be no larger."""
    return Target(figure, is_limit=True, hangs_on_disk=disk)


def at_least(figure: float, *, disk: bool = False) -> Target:
    """A figure that should be no smaller."""
    return Target(figure, is_limit=False, hangs_on_disk=disk)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: its rounds, of which the median counts."""

    name: str
    unit: str
    rounds: list[float]
    target: Target | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)


class Sheet:
    """The rows of one run, in the order they were taken."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        self.rows.append(row)

    def find(self, name: str) -> Row | None:
        """An earlier row; None if it was not taken in this run."""
        return next((row for row in self.rows if row.name == name), None)

    def median(self, name: str) -> float | None:
        """The figure of an earlier row; None if it was not taken in this run."""
        row = self.find(name)
        return row.median if row is not None else None
