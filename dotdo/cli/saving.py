"""Verbs that save: `backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dotdo.cli.verb import Asked, Yes, progress_bar, verb

PANEL = "Saving"


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(app, "backup", panel=PANEL)(backup)
    verb(app, "restore", panel=PANEL)(restore)


async def backup(
    asked: Asked, file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")], yes: Yes = False
) -> None:  # fmt: skip
    """Save everything in one checked file, while the runtime goes on."""
    from dotdo import application
    from dotdo.cli import printing

    if file.exists():
        asked.confirm(f"Replace {file}?", yes=yes)
    with progress_bar(asked, "entities") as progress:
        report = await application.backup(file, progress)
    printing.done(asked, report, f"{report.entities} entities are in {file}, {printing.size(report.size_bytes)}, each checked")


def restore(
    asked: Asked,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup. Its programs' code is in it: restore only what you trust.")],
) -> None:
    """Make a data folder (--data), which must be empty, of a backup."""
    import asyncio

    from dotdo import application
    from dotdo.cli import joining, printing
    from dotdo.hosting import data_folder

    path = data_folder.resolve(asked.data)
    with progress_bar(asked, "entities") as progress:
        report = asyncio.run(application.restore(file, path, progress))
    printing.done(
        asked, report, f"{report.entities} entities are in {joining.shown(path)}, each checked; what is due begins with its first use"
    )
