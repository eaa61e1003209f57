"""The data folder: where it is, and the one file that says what it is.

`dotdo.json` is written once, with the folder's id and its number of shards. A folder that is not what it was (a shard
missing, the file gone while shards are there) is refused: nothing is ever made anew in place of something missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from dotdo import config
from dotdo.errors import DataFolderMissing

FILE_NAME = "dotdo.json"
DEFAULT_NAME = ".dotdo"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class DataFolder:
    """An opened data folder."""

    path: Path
    id: str
    shards: int

    def shard_folder(self, number: int) -> Path:
        return self.path / "shards" / f"{number:02d}"

    @property
    def nouns(self) -> Path:
        return self.path / "nouns"

    @property
    def hosts(self) -> Path:
        return self.path / "hosts"


def resolve(given: str | os.PathLike[str] | None) -> Path:
    """The data folder meant: the argument, DOTDO_DATA, the nearest `.dotdo` upwards, else `.dotdo` here."""
    chosen = given if given is not None else config.data_folder_from_environment()
    if chosen is not None:
        return Path(chosen).expanduser().absolute()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DEFAULT_NAME / FILE_NAME).is_file():
            return folder / DEFAULT_NAME
    return here / DEFAULT_NAME


def open_folder(path: Path, shards: int) -> DataFolder:
    """Open the folder, made now if it never was. Raises DataFolderMissing."""
    file = path / FILE_NAME
    if not file.exists():
        if (path / "shards").exists():
            raise DataFolderMissing(f"{path} holds shards but no {FILE_NAME}: restore that file, or give another data folder")
        create(path, shards)
    return read_folder(path)


def read_folder(path: Path) -> DataFolder:
    """Open a folder that must be there. Raises DataFolderMissing."""
    file = path / FILE_NAME
    try:
        content = json.loads(file.read_text())
        folder = DataFolder(path, str(content["id"]), int(content["shards"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFolderMissing(f"{file} cannot be read: {type(error).__name__}: {error}") from error
    parts = [*(folder.shard_folder(number) for number in range(folder.shards)), folder.nouns, folder.hosts]
    missing = [str(part.relative_to(path)) for part in parts if not part.is_dir()]
    if missing:
        raise DataFolderMissing(f"{path} lacks {', '.join(missing)}: restore what is missing; it is never made anew")
    return folder


def create(path: Path, shards: int) -> None:
    """Make an empty data folder, with an id of its own; safe when this returns."""
    for number in range(shards):
        (path / "shards" / f"{number:02d}").mkdir(parents=True, exist_ok=True)
    for name in ("nouns", "hosts"):
        (path / name).mkdir(exist_ok=True)
    content = json.dumps({"format": FORMAT, "id": secrets.token_hex(8), "shards": shards}, indent=1)
    draft = path / f"{FILE_NAME}.{secrets.token_hex(4)}.new"
    with draft.open("w") as out:
        out.write(content + "\n")
        out.flush()
        os.fsync(out.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path / FILE_NAME)  # of two programs that begin at once, the first one's id stands
    draft.unlink()
    for folder in (path / "shards", path, path.parent):
        sync(folder)


def sync(folder: Path) -> None:
    """Make the names in a folder safe."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
