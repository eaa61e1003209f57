"""An execution as a timeline: what ran and when, what it waited for, what came of it.

Made of its history alone, so it can be read while the execution runs, rests, or years after it ended. The rows of one
operation (its failed attempts, its wait, its outcome) become one entry.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dotdo import clock
from dotdo.durable.step import PROGRESS

VALUE_LENGTH_MAX = 200
"""Arguments and results are shown by so many characters of their text."""

_OPERATIONS = ("step", "attempt", "wait")
_HAPPENINGS = ("note", "signal", "cancel", "failed", "patch", "pause", "resume", "retry")


@dataclass(slots=True)
class TimelineEntry:
    """One operation of an execution, or something that happened to it.

    `kind` is step, call, child, result, sleep, wait, undo or progress for operations, else one of `_HAPPENINGS`.
    """

    kind: str
    name: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    status: str = "running"
    """completed, failed, waiting (until `until`), retrying (at `until`), or running."""
    attempts: int = 1
    result: str | None = None
    """The text of what came of it, at most 200 characters."""
    errors: list[str] = field(default_factory=list)
    """Of failed attempts, oldest first."""
    until: datetime | None = None
    child: str | None = None
    """The id of the child's run."""
    progress: dict[str, Any] | None = None

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while it is not over."""
        return None if self.ended_at is None or self.started_at is None else self.ended_at - self.started_at


@dataclass(slots=True)
class Timeline:
    """An execution, as a list of entries in the order in which they began."""

    id: str
    name: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    arguments: str
    error: str | None
    waiting_for: str | None
    until: datetime | None
    progress: dict[str, Any] | None
    entries: list[TimelineEntry]

    @property
    def children(self) -> list[str]:
        """The ids of the runs it started."""
        return [entry.child for entry in self.entries if entry.child is not None]


def build(info: Any, history: Sequence[dict[str, Any]]) -> Timeline:
    """The timeline of an execution, from its snapshot and its history."""
    entries: list[TimelineEntry] = []
    found: dict[str, TimelineEntry] = {}
    arguments = ""
    for row in history:
        kind = row["type"]
        if kind == "start":
            arguments = _arguments_of(row)
        elif kind in _OPERATIONS:
            entry = found.get(row["key"])
            if entry is None:
                entry = found[row["key"]] = TimelineEntry(_kind_of(row), _name_of(row), _moment(row.get("started_at") or row["at"]))
                entries.append(entry)
            _add(entry, row)
        elif kind in _HAPPENINGS and "key" in row and not row["key"].startswith("event:"):
            at = _moment(row["at"])
            name = str(row["value"]) if kind == "note" else "compensation begins" if kind == "failed" else row["key"] or kind
            entries.append(TimelineEntry(kind, name, at, at, "completed"))
    if info.ended_at is not None:
        for entry in entries:
            if entry.ended_at is None:  # withdrawn: a wait that lost its race, a step that was cancelled
                entry.status = "cancelled"
    error = None if info.error is None else f"{type(info.error).__name__}: {info.error}"
    return Timeline(
        info.id, info.method, info.status, info.started_at, info.ended_at, arguments, error, info.waiting_for, info.until,
        info.progress, entries,
    )  # fmt: skip


def _add(entry: TimelineEntry, row: dict[str, Any]) -> None:
    """What one more row says of an operation."""
    if row["type"] == "wait":
        entry.status, entry.until = "waiting", _moment(row.get("until"))
        return
    entry.attempts = max(entry.attempts, row["attempt"])
    if row["type"] == "attempt":
        entry.status, entry.until = "retrying", _moment(row.get("until"))
        entry.errors.append(text_of(row["error"], plain=True))
        return
    entry.ended_at, entry.until = _moment(row["at"]), None
    entry.status = "completed" if row["ok"] else "failed"
    if not row["ok"]:
        entry.errors.append(text_of(row["error"], plain=True))
        return
    entry.result = text_of(row["result"])
    if entry.kind == "child":
        entry.child = row["result"]
    elif entry.kind == "progress":
        entry.progress = row["result"]
        entry.result = f"{row['result']['step']} of {row['result']['total']}"


def _kind_of(row: dict[str, Any]) -> str:
    name = row["name"] or ""
    if row["key"].startswith("undo|"):
        return "undo"
    if name == PROGRESS:
        return "progress"
    for words, kind in (("start of ", "child"), ("result of ", "result")):
        if name.startswith(words) and row.get("started_at") is None:
            return kind
    if name == "sleep":
        return "sleep"
    if row["type"] == "wait" and not row.get("body"):
        return "wait"
    return "call" if row.get("body") and row.get("started_at") is None else "step"


def _name_of(row: dict[str, Any]) -> str:
    name = str(row["name"] or row["id"])
    if name == PROGRESS:
        return "progress"
    for words in ("start of ", "result of "):
        if name.startswith(words):
            return name.removeprefix(words)
    if row.get("body") and row.get("started_at") is None:
        return f"{name} of {row['body']}"
    return str(row["id"]).rpartition("|")[2].removeprefix("wait:") or name


def _arguments_of(row: dict[str, Any]) -> str:
    """The arguments as they were written: `'lamp', quantity=2`."""
    args, kwargs = row["arguments"] or ([], {})
    if args and args[0] == row["method"]:  # the run of a workflow is told the workflow's name first
        args = args[1:]
    return ", ".join([*(text_of(value) for value in args), *(f"{name}={text_of(value)}" for name, value in kwargs.items())])


def text_of(value: Any, *, plain: bool = False) -> str:
    """A value as a text of bounded length."""
    if plain:
        text = str(value)
    else:
        shortened = reprlib.Repr()
        shortened.maxstring = shortened.maxother = VALUE_LENGTH_MAX
        shortened.maxdict = shortened.maxlist = shortened.maxtuple = 8
        text = shortened.repr(value)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[: VALUE_LENGTH_MAX - 1]}…"


def _moment(epoch: float | None) -> datetime | None:
    return None if epoch is None else clock.to_datetime(epoch)
