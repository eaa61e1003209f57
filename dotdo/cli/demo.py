"""Verbs to see it at work: `demo` and `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed, Usage
from dotdo.cli.verb import Asked, verb

PANEL = "Trying"


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(app, "demo", panel=PANEL)(demo)
    verb(app, "bench", panel=PANEL)(bench)


def demo(
    asked: Asked,
    orders: Annotated[Path | None, typer.Option("--orders", help="A CSV file in the columns of the Online Retail data set.")] = None,
    kill: Annotated[bool, typer.Option("--kill/--no-kill", help="Kill a host halfway.")] = True,
) -> None:
    """Process orders on a local cluster, kill a host halfway, lose nothing."""
    import asyncio

    from rich.console import Console

    from dotdo.cli import printing

    program = _program()
    if orders is not None and not orders.is_file():
        raise Usage(f"there is no file {orders}")
    data = asked.data or program.data_folder(orders)
    fits = asyncio.run(program.run(program.text_of(orders), data, kill=kill, console=Console(stderr=asked.json)))
    if asked.json:
        printing.answer(asked, {"data": str(data.absolute()), "reconciles": fits})
    if not fits:
        raise Failed("it does not reconcile")


def _program() -> Any:
    """The demo's module: in the wheel it is among `dotdo.actors`, in a checkout among `actors`. Raises Failed."""
    import importlib

    for name in ("dotdo.actors.demo", "actors.demo"):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise Failed(f"the demo needs {error.name}: pip install 'dotdo[actors]'") from error
    raise Failed("the demo is not installed here")


def bench(
    asked: Asked,
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, help="How long each measurement takes.")] = 1.0,
    hosts: Annotated[int, typer.Option("--hosts", min=0, help="How many host processes; 0 measures without Ray.")] = 1,
) -> None:
    """Measure this machine: calls, durable writes, steps, in a folder of its own."""
    from dotdo.cli import measuring, printing

    with _bar(asked) as progress:
        found = measuring.measure(seconds, hosts, progress)
    printing.rows(asked, found, ("what", "p50_us", "p99_us", "per_second"), none="nothing was measured")


def _bar(asked: Asked) -> Any:
    from dotdo.cli.verb import progress_bar

    return progress_bar(asked, "measurements")
