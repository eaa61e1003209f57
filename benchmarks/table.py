"""The rows as a table for people and as JSON for programs, with what they were taken on."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import apsw
import ray
from rich.console import Console
from rich.table import Table

import dotdo
from benchmarks import floor
from benchmarks.rows import Row, Sheet


def circumstances(durability: str) -> dict[str, Any]:
    """When, on what and with what the figures were taken."""
    return {
        "date": datetime.datetime.now().isoformat(timespec="seconds"),
        "dotdo": dotdo.__version__,
        "python": platform.python_version(),
        "ray": ray.__version__,
        "sqlite": apsw.sqlite_lib_version(),
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "durability": durability,
    }


def figure(value: float) -> str:
    """As many digits as mean something."""
    if value < 1:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def show(sheet: Sheet, about: dict[str, Any], console: Console) -> None:
    """Print the table."""
    fdatasync_ms = sheet.median(floor.APPENDING)
    title = ", ".join(f"{name} {value}" for name, value in about.items() if name not in ("date", "load_average"))
    table = Table(title=f"{about['date']}: {title}", caption=_caption(fdatasync_ms))
    table.add_column("what")
    for name in ("median", "lowest", "highest"):
        table.add_column(name, justify="right")
    table.add_column("unit")
    for name in ("target", "on this disk", ""):
        table.add_column(name, justify="right")
    for row in sheet.rows:
        table.add_row(row.name, figure(row.median), figure(min(row.rounds)), figure(max(row.rounds)), row.unit, *_target(row, fdatasync_ms))
    console.print(table)


def _caption(fdatasync_ms: float | None) -> str:
    if fdatasync_ms is None:
        return "The disk was not measured: targets that hang on it are as set for an fdatasync of 0.2 ms."
    return f"One fdatasync takes {fdatasync_ms:.3f} ms here; targets that hang on the disk were set for 0.2 ms and are eased when it is slower."


def _target(row: Row, fdatasync_ms: float | None) -> tuple[str, str, str]:
    if row.target is None:
        return "", "", ""
    sign = "≤" if row.target.is_limit else "≥"
    met = "[green]met" if row.target.is_met(row.median, fdatasync_ms) else "[red]missed"
    return (
        f"{sign} {figure(row.target.figure)}",
        f"{sign} {figure(row.target.eased(fdatasync_ms))}" if row.target.hangs_on_disk else "",
        met,
    )


def write(sheet: Sheet, about: dict[str, Any], path: Path) -> None:
    """Write the rows as JSON."""
    fdatasync_ms = sheet.median(floor.APPENDING)
    rows = [_as_json(row, fdatasync_ms) for row in sheet.rows]
    path.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def _as_json(row: Row, fdatasync_ms: float | None) -> dict[str, Any]:
    found: dict[str, Any] = {"name": row.name, "unit": row.unit, "median": row.median, "rounds": row.rounds}
    if row.target is not None:
        found["target"] = {"at_most" if row.target.is_limit else "at_least": row.target.figure}
        found["target_on_this_disk"] = row.target.eased(fdatasync_ms)
        found["met"] = row.target.is_met(row.median, fdatasync_ms)
    return found
