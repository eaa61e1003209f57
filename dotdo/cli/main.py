"""The command as a whole: its verbs, and how it ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dotdo.cli import demo, entities, events, executions, failing, people, running, saving, verb

app = typer.Typer(
    name="dotdo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"--data FOLDER, --json and --debug may stand before the verb or behind it. {failing.EXIT_CODES}",
)


def _print_version(*, wanted: bool) -> None:
    """Print the version and end, before it is asked which verb is meant."""
    if wanted:
        from importlib.metadata import version

        typer.echo(version("dotdo"))
        raise typer.Exit


@app.callback()
def options(
    data: Annotated[Path | None, typer.Option("--data", metavar="FOLDER", help="The data folder. Default: DOTDO_DATA, or the nearest .dotdo upwards.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)] = False,
) -> None:  # fmt: skip
    """Durable Objects for Python: look into a data folder, call its entities, keep it running.

    Begin with `dotdo demo`. Every verb says more with --help. A verb joins the runtime that works on the data folder; where
    none does, it opens the folder for itself, and what is due there goes on meanwhile.
    """
    verb.remember(data=data, json=json, debug=debug)


for part in (demo, running, entities, executions, people, events, saving):
    part.add_to(app)


def main() -> None:
    """Run the command and exit."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run the command; what to exit with. Errors are one line on stderr."""
    verb.forget()
    try:
        found = app(words, prog_name="dotdo", standalone_mode=False)
    except typer.Exit as ending:
        return ending.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _end("interrupted", 130)
    except BrokenPipeError:
        return _end_quietly()
    except Exception as error:
        if hasattr(error, "format_message"):  # of click, of which typer has one of its own
            return _end_of_usage(error)
        if verb.wants_debug() or "--debug" in words:
            import traceback

            traceback.print_exc()
        return _end(failing.one_line(error), failing.exit_code(error))
    return found if isinstance(found, int) else 0


def _end_of_usage(error: Any) -> int:
    """The command line makes no sense to click, or is empty."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return 0
    return _end(error.format_message(), 2, f" ({context.command_path} --help says how)" if context is not None else "")


def _end(text: str, code: int, hint: str = "") -> int:
    print(f"dotdo: {' '.join(text.split())}{hint}", file=sys.stderr)
    return code


def _end_quietly() -> int:
    """Whoever read the answer has gone."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    main()
