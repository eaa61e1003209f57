"""The runtime a verb talks to: the one that works on the data folder, else one opened in this process for the command.

Which of the two it was is said on stderr. A folder is never made: a mistyped `--data` must not look like an empty one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import dotdo
from dotdo.cli.failing import Failed
from dotdo.cli.verb import Asked
from dotdo.errors import DotdoError
from dotdo.hosting import catalog, data_folder
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.shards import Shard


def folder_of(asked: Asked) -> DataFolder:
    """The data folder that is meant, which must be there. Raises Failed, DataFolderMissing."""
    path = data_folder.resolve(asked.data)
    if not (path / data_folder.FILE_NAME).is_file():
        raise Failed(
            f"there is no data folder at {path}: give --data FOLDER or set DOTDO_DATA, or begin one with dotdo demo or dotdo up app.py",
            code=3,
        )
    return data_folder.read_folder(path)


def is_running(folder: DataFolder) -> bool:
    """True if a runtime works on the folder."""
    return not Shard(folder.shard_folder(0), 0).is_free()


def who_runs(folder: DataFolder) -> dict[str, Any]:
    """What is known of the runtime that works on the folder: its `pid`, and its `address` if it can be joined."""
    try:
        found: dict[str, Any] = json.loads((folder.hosts / "runtime.address").read_text())
    except (OSError, ValueError):
        return {"pid": Shard(folder.shard_folder(0), 0).holder(), "address": None}
    return {"pid": found.get("pid"), "address": found.get("address")}


def enter(asked: Asked) -> DataFolder:
    """Join the runtime that works on the folder, or open one here. Raises Failed, DataFolderInUse."""
    folder = folder_of(asked)
    if is_running(folder):
        dotdo.init(data=folder.path)
        asked.say(f"joined the runtime on {shown(folder.path)} (process {who_runs(folder)['pid']})")
    else:
        dotdo.init(data=folder.path, hosts=0)
        asked.say(f"opened {shown(folder.path)} for this command: nothing runs on it")
    try:
        catalog.load_shipped()
    except DotdoError as error:  # hosts have it; values of its classes will be shown as they come
        asked.say(f"not all of its code can be loaded here: {error}")
    return folder


def run(asked: Asked, verb: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run a verb in the runtime, and leave that again."""
    enter(asked)
    try:
        asyncio.run(verb())
    finally:
        leave(asked)


def leave(asked: Asked) -> None:
    """Leave the runtime; what does not come to rest in time is left as a crash would leave it, which loses nothing."""
    try:
        dotdo.shutdown()
    except TimeoutError:
        asked.say("not every entity came to rest in time; what they do goes on when the folder is opened next")


def shown(path: Path) -> str:
    """A path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) and path != here else str(path)
