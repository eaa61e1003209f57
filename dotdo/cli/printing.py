"""What verbs print: tables for people, JSON for programs. Both from the same rows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pydantic_core
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from dotdo.cli.verb import Asked

PIPED_WIDTH = 200
"""Columns of a table that no terminal shows: enough for keys to stay in one piece."""

_COLOURS = {
    "completed": "green", "approved": "green", "active": "green", "failed": "red", "rejected": "red", "quarantined": "red",
    "waiting": "cyan", "pending": "cyan", "paused": "yellow", "cancelled": "yellow", "expired": "yellow", "running": "blue",
}  # fmt: skip


def console() -> Console:
    """Where answers go."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False)


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """Any value as JSON: what JSON has no word for is its text."""
    return pydantic_core.to_json(value, indent=indent, fallback=_text, inf_nan_mode="strings", bytes_mode="base64").decode()


def _text(value: Any) -> str:
    key = getattr(type(value), "_do_target_", None) and getattr(value, "key", None)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return key if isinstance(key, str) else repr(value)


def answer(asked: Asked, value: Any) -> None:
    """Print one value: text as it is, the rest as JSON."""
    sys.stdout.write((value if isinstance(value, str) and not asked.json else as_json(value)) + "\n")


def done(asked: Asked, value: Any, sentence: str) -> None:
    """Print what was done: the value for programs, a sentence for people."""
    sys.stdout.write((as_json(value) if asked.json else sentence) + "\n")


def rows(asked: Asked, entries: Sequence[dict[str, Any]], columns: Sequence[str], *, none: str, title: str | None = None) -> None:
    """Print entries as a table of these columns, or all they have as JSON. `none` is said when there are none."""
    if asked.json:
        sys.stdout.write(as_json(list(entries)) + "\n")
    elif not entries:
        asked.say(none)
    else:
        show(table(entries, columns, title=title))


def table(entries: Iterable[dict[str, Any]], columns: Sequence[str], *, title: str | None = None) -> Table:
    """A table of these columns."""
    found = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for column in columns:
        found.add_column(column.replace("_", " "), overflow="fold", no_wrap=column in ("key", "id"))
    for entry in entries:
        found.add_row(*(cell(entry.get(column)) for column in columns))
    return found


def show(*what: RenderableType) -> None:
    """Print tables and texts."""
    target = console()
    for one in what:
        target.print(one)


def cell(value: Any) -> Text:
    """A value in a table."""
    if value is None or value == "":
        return Text("")
    if isinstance(value, datetime):
        return Text(moment(value))
    if isinstance(value, str):
        return Text(value, style=_COLOURS.get(value, ""))
    if isinstance(value, bool | int | float):
        return Text(str(value))
    text = json.loads(as_json(value, indent=None))
    return Text(text if isinstance(text, str) else json.dumps(text, ensure_ascii=False))


def moment(value: datetime) -> str:
    """A time in the time zone of the machine."""
    return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
