"""A verb of the command: a function of its own arguments, with the options that every verb has.

`@verb(app)` adds `--data`, `--json` and `--debug`, hands them over as one `Asked`, and runs the function: in a running
runtime if it is a coroutine function, which is joined, or opened for this command.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed, Usage

_OPTIONS = {
    "data": (Path | None, None, typer.Option("--data", metavar="FOLDER", help="The data folder. Default: DOTDO_DATA, or the nearest .dotdo upwards.")),
    "json": (bool, False, typer.Option("--json", help="Print JSON, for programs.")),
    "debug": (bool, False, typer.Option("--debug", help="Show where an error came from.")),
}  # fmt: skip
_defaults: dict[str, Any] = {}
"""What was given before the verb: `dotdo --data FOLDER status`."""

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What every verb is told."""

    data: Path | None
    json: bool
    debug: bool

    def say(self, text: str) -> None:
        """Tell the person something beside the answer: on stderr, so that programs need not know."""
        print(f"dotdo: {text}", file=sys.stderr)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Go on if the person agrees. Raises Failed otherwise, and Usage where nobody can be asked."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise Usage(f"{question} Nobody can be asked here: give --yes")
        if not typer.confirm(question, err=True):
            raise Failed("nothing was done", code=5)


def remember(**given: Any) -> None:
    """Options that stood before the verb."""
    _defaults.update({name: value for name, value in given.items() if value})


def forget() -> None:
    """Another command line begins."""
    _defaults.clear()


def wants_debug() -> bool:
    """True if errors are to be shown with their tracebacks."""
    return bool(_defaults.get("debug"))


def verb(
    app: typer.Typer, name: str | None = None, *, panel: str | None = None, takes_words: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a verb of `app`; `name=""` makes it what the app does when no further verb is given.

    With `takes_words` what looks like an option and is none is a word, as `-1` is.
    """
    settings = {"ignore_unknown_options": True} if takes_words else None

    def make(fn: Callable[..., Any]) -> Callable[..., Any]:
        run = _with_options(fn)
        if name == "":
            app.callback(invoke_without_command=True)(run)
        else:
            app.command(name, rich_help_panel=panel, context_settings=settings)(run)
        return fn

    return make


def _with_options(fn: Callable[..., Any]) -> Callable[..., Any]:
    own = list(inspect.signature(fn, eval_str=True).parameters.values())[1:]

    @functools.wraps(fn)
    def run(**given: Any) -> None:
        options: dict[str, Any] = {name: given.pop(name) or _defaults.get(name) or _OPTIONS[name][1] for name in _OPTIONS}
        remember(**options)
        if getattr(given.get("context"), "invoked_subcommand", None) is not None:
            return
        asked = Asked(**options)
        if inspect.iscoroutinefunction(fn):
            from dotdo.cli import joining

            joining.run(asked, lambda: fn(asked, **given))
        else:
            fn(asked, **given)

    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option])
        for name, (kind, default, option) in _OPTIONS.items()
    ]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


@contextmanager
def progress_bar(asked: Asked, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr for long work, and what is to be told of it: how many are done, of how many."""
    if asked.json or not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
