"""Verbs on the runtime itself: `up`, `down`, `status`, `serve`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import Annotated, Any

import typer

from dotdo.cli.failing import Failed
from dotdo.cli.verb import Asked, verb

PANEL = "Running"
UP_SECONDS_MAX = 120.0
DOWN_SECONDS_MAX = 60.0

Hosts = Annotated[int | None, typer.Option("--hosts", min=1, help="How many host processes. Default: one for each core, at most 8.")]
Address = Annotated[
    str | None, typer.Option("--address", help="A running Ray cluster to use, `auto` for the one here. Default: one of its own.")
]
App = Annotated[str | None, typer.Argument(metavar="[APP]", help="The program whose nouns run: a file, or the name of a module.")]


def add_to(app: typer.Typer) -> None:
    """Add these verbs."""
    verb(app, "up", panel=PANEL)(up)
    verb(app, "down", panel=PANEL)(down)
    verb(app, "status", panel=PANEL)(status)
    verb(app, "serve", panel=PANEL)(serve)


def up(asked: Asked, app: App = None, hosts: Hosts = None, address: Address = None) -> None:
    """Keep a runtime running that programs join; again, to give it new code."""
    from dotdo.cli import joining
    from dotdo.hosting import data_folder

    folder = data_folder.open_folder(data_folder.resolve(asked.data), _shards())
    if joining.is_running(folder):
        _ship(asked, folder, app)
        return
    words = [sys.executable, "-m", "dotdo.cli.keeper", "--data", str(folder.path)]
    words += ["--app", app] if app else []
    words += ["--hosts", str(hosts)] if hosts else []
    words += ["--address", address] if address else []
    found = _begin(folder, words)
    from dotdo.cli import printing

    nouns = f" with {', '.join(found['nouns'])}" if found["nouns"] else ""
    printing.done(
        asked, {**found, "data": str(folder.path)},
        f"{found['hosts']} hosts run on {joining.shown(folder.path)}{nouns} (process {found['pid']}); "
        f"dotdo status shows them, dotdo down stops them",
    )  # fmt: skip


def _shards() -> int:
    from dotdo.config import Settings

    return Settings().shards


def _begin(folder: Any, words: list[str]) -> dict[str, Any]:
    """Start the keeper and wait until its hosts run. Raises Failed with what it said."""
    readable, writable = os.pipe()
    log = folder.hosts / "up.log"
    with log.open("ab") as out:
        keeper = subprocess.Popen(  # noqa: S603  # this very Python
            [*words, "--tell", str(writable)], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, pass_fds=[writable]
        )
    os.close(writable)
    with os.fdopen(readable) as told:
        line = told.readline()
    if not line:
        raise Failed(f"the runtime did not start, {log} says why (exit code {keeper.wait()})")
    found: dict[str, Any] = json.loads(line)
    if "error" in found:
        raise Failed(found["error"], code=found["code"])
    return found


def _ship(asked: Asked, folder: Any, app: str | None) -> None:
    """A runtime is there already: give it the program's code as it is now."""
    import dotdo
    from dotdo.cli import joining, loading, printing

    who = joining.who_runs(folder)
    if app is None:
        raise Failed(f"a runtime runs on {joining.shown(folder.path)} already (process {who['pid']}); dotdo up app.py gives it new code")
    nouns = loading.load(app)
    dotdo.init(data=folder.path)
    try:
        printing.done(
            asked, {"pid": who["pid"], "nouns": nouns, "joined": True, "data": str(folder.path)},
            f"the runtime on {joining.shown(folder.path)} (process {who['pid']}) has the code of {app} as it is now: {', '.join(nouns)}",
        )  # fmt: skip
    finally:
        dotdo.shutdown()


def down(asked: Asked) -> None:
    """Stop what `dotdo up` started: entities come to rest, hosts end, what is due waits on the disk."""
    from dotdo.cli import joining, keeper, printing

    folder = joining.folder_of(asked)
    pid = keeper.pid_of(folder)
    if pid is None:
        if joining.is_running(folder):
            who = joining.who_runs(folder)
            raise Failed(
                f"process {who['pid']} runs on {joining.shown(folder.path)} and was not started by dotdo up: end that program", code=4
            )
        printing.done(asked, {"stopped": False, "data": str(folder.path)}, f"nothing runs on {joining.shown(folder.path)}")
        return
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + DOWN_SECONDS_MAX
    while keeper.pid_of(folder) is not None or joining.is_running(folder):
        if time.monotonic() > until:
            raise Failed(f"process {pid} has not ended after {DOWN_SECONDS_MAX:.0f} s: {folder.hosts / 'up.log'} may say why")
        time.sleep(0.05)
    printing.done(asked, {"stopped": True, "pid": pid, "data": str(folder.path)}, f"the runtime on {joining.shown(folder.path)} is stopped")


def status(asked: Asked) -> None:
    """Show what runs on the data folder, and how many entities it holds."""
    import asyncio
    from collections import Counter

    from dotdo.cli import joining, keeper, printing
    from dotdo.storage import paths

    folder = joining.folder_of(asked)
    by_noun = Counter(noun for number in range(folder.shards) for noun, _ in paths.stored_entities(folder.shard_folder(number)))
    found: dict[str, Any] = {"data": str(folder.path), "running": joining.is_running(folder), "pid": None, "address": None, "hosts": []}
    found["entities"] = {noun: count for noun, count in sorted(by_noun.items()) if not noun.startswith("Dotdo")}
    if found["running"]:
        found |= joining.who_runs(folder)
        found["by"] = "dotdo up" if keeper.pid_of(folder) is not None else "a program"
        if found["address"] is not None:
            import dotdo

            joining.enter(asked)
            try:
                found["hosts"] = asyncio.run(dotdo.hosts())
            finally:
                dotdo.shutdown()
    if asked.json:
        printing.answer(asked, found)
        return
    where = joining.shown(folder.path)
    head = f"{where}: nothing runs; a verb that needs a runtime opens it for itself, dotdo up app.py keeps one running"
    if found["running"]:
        head = f"{where}: run by {found['by']}, process {found['pid']}"
    parts: list[Any] = [head]
    if found["hosts"]:
        parts += ["", printing.table(found["hosts"], ("host", "pid", "active", "turns", "quarantined"))]
    if found["entities"]:
        parts += [
            "",
            printing.table([{"noun": noun, "entities": count} for noun, count in found["entities"].items()], ("noun", "entities")),
        ]
    printing.show(*parts)


def serve(
    asked: Asked,
    app: App = None,
    host: Annotated[str, typer.Option("--host", help="The address to listen at. Another than loopback needs a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The port.")] = 8000,
    hosts: Annotated[
        int | None, typer.Option("--hosts", min=0, help="How many host processes, if none run yet; 0 for none but this one.")
    ] = None,
) -> None:
    """Serve entities over HTTP, with dashboard and API pages, until interrupted."""
    import asyncio
    import importlib
    import importlib.util

    import dotdo
    from dotdo.cli import joining, loading

    if importlib.util.find_spec("dotdo.http") is None:
        raise Failed("this dotdo has no web app (dotdo.http)")
    try:
        web: Any = importlib.import_module("dotdo.http")
    except ModuleNotFoundError as error:
        raise Failed(f"the web app needs {error.name}: pip install 'dotdo[http]'") from error
    if app is not None:
        loading.load(app)
    from dotdo.errors import NounNotLoadable
    from dotdo.hosting import catalog, data_folder

    server = web.Server(host, port, log_level="warning")  # refuses another address than loopback without a token
    bound = _bound(host, port)
    path = data_folder.resolve(asked.data)
    dotdo.init(data=path, hosts=hosts)
    try:
        if hosts == 0:  # there are no hosts to send the nouns to; other verbs find them in the folder afterwards all the same
            try:
                catalog.ship(data_folder.read_folder(path).nouns)
            except NounNotLoadable as error:
                asked.say(f"other verbs will not know them: {error}")
        signal.signal(signal.SIGTERM, _end)  # uvicorn lets requests end, and raises the signal once more: entities come to rest as well
        bound.listen()  # who reads the next line may come
        asked.say(f"serving {joining.shown(path)} at http://{host}:{bound.getsockname()[1]}")
        asyncio.run(server.serve([bound]))
    finally:
        dotdo.shutdown()


def _end(*_: Any) -> None:
    raise SystemExit(0)


def _bound(host: str, port: int) -> Any:
    """A socket at this address, before anything is opened. Raises Failed."""
    import socket

    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Failed(f"nothing can listen at {host}:{port}: {error.strerror or error}; --host and --port give another address") from None
    return bound
