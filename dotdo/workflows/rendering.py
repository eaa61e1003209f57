"""A timeline for the terminal."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dotdo.durable.timeline import Timeline, TimelineEntry

_STYLES = {
    "completed": "green", "failed": "red", "cancelled": "yellow", "paused": "yellow", "waiting": "cyan", "retrying": "yellow",
    "running": "blue", "pending": "dim",
}  # fmt: skip
_MARKS = {"completed": "✓", "failed": "✗", "cancelled": "-", "waiting": "…", "retrying": "↻", "running": "▸"}


def render(timeline: Timeline) -> RenderableType:
    """The timeline as something rich can print: a head and a table, one row for each entry."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "after", "what", "took", "outcome"):
        table.add_column(title, overflow="fold")
    for entry in timeline.entries:
        style = _STYLES.get(entry.status, "")
        table.add_row(
            Text(_MARKS.get(entry.status, "·"), style=style),
            _span(_since(timeline.started_at, entry.started_at)),
            Text(entry.name if entry.kind in ("step", "sleep", "progress") else f"{entry.kind} {entry.name}"),
            _span(entry.duration),
            Text(_outcome(entry), style="" if entry.status == "completed" else style),
        )
    return Group(_head(timeline), table)


def text(timeline: Timeline, width: int = 120) -> str:
    """The same as plain text."""
    console = Console(width=width, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(render(timeline))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


def _head(timeline: Timeline) -> Text:
    head = Text.assemble((timeline.name, "bold"), f" {timeline.id}: ", (timeline.status, _STYLES.get(timeline.status, "")))
    if timeline.waiting_for is not None:
        head.append(f" for {timeline.waiting_for}{_until(timeline.until)}")
    if timeline.error is not None:
        head.append(f" with {timeline.error}", style="red")
    if timeline.progress is not None:
        left = timeline.progress.get("time_remaining")
        head.append(f", {timeline.progress['step']} of {timeline.progress['total']}")
        if left and timeline.ended_at is None:
            head.append(f", about {_span(timedelta(seconds=left))} left")
    took = _since(timeline.started_at, timeline.ended_at)
    if took is not None:
        head.append(f", took {_span(took)}")
    if timeline.arguments:
        head.append(f"\n  {timeline.arguments}", style="dim")
    return head


def _outcome(entry: TimelineEntry) -> str:
    parts = []
    if entry.attempts > 1:
        parts.append(f"attempt {entry.attempts}")
    parts += entry.errors[-1:] if entry.status in ("failed", "retrying") else []
    if entry.status in ("waiting", "retrying"):
        parts.append(f"{entry.status}{_until(entry.until)}")
    elif entry.result not in (None, "None"):
        parts.append(str(entry.result))
    return ", ".join(parts)


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f" until {moment:%Y-%m-%d %H:%M:%S}"


def _since(start: datetime | None, moment: datetime | None) -> timedelta | None:
    return None if start is None or moment is None else moment - start


def _span(span: timedelta | None) -> str:
    """`2d 3h`, `4m 10s`, `0.25s`: the two largest units."""
    if span is None:
        return ""
    seconds = span.total_seconds()
    if seconds < 60:
        return f"{seconds:.3g}s"
    left = round(seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
