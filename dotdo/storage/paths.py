"""Where an entity's file lies: any id as a file name, and back.

Lower-case letters, digits and a few marks stand for themselves; everything else is escaped as `%` and two hex digits of
its UTF-8 bytes. Capitals are escaped too, so ids that differ in case differ on every file system, and neither dots nor a
slash can leave the folder.

SQLite opens no path over 511 bytes, and an id of 512 bytes can be 1,536 escaped. So a long name is a hash after `~`, and
the id lies beside it in a small file that is made, and made safe, before the entity's own.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path, PosixPath

from dotdo.errors import IdError

SUFFIX = ".sqlite"
WAL_SUFFIX = f"{SUFFIX}-wal"
LONG_SUFFIX = ".id"
NAME_LENGTH_MAX = 180

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-=@,+")
_ESCAPES = [chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in range(256)]
_ESCAPED = re.compile(r"%([0-9a-f]{2})")
_SHORT = re.compile(r"[a-z0-9_\-=@,+]{1,180}\Z")


class LongPath(PosixPath):
    """The path of an entity whose id is too long to be its file's name; whoever makes the file writes the id beside it."""

    __slots__ = ("entity_id",)
    entity_id: str

    @property
    def id_path(self) -> Path:
        return Path(str(self)[: -len(SUFFIX)] + LONG_SUFFIX)


def file_name(entity_id: str) -> str:
    """The id as a file name, without the suffix."""
    if _SHORT.match(entity_id):
        return entity_id
    data = entity_id.encode()
    escaped = "".join([_ESCAPES[byte] for byte in data])
    if len(escaped) <= NAME_LENGTH_MAX:
        return escaped
    return f"~{hashlib.sha256(data).hexdigest()[:40]}"


def id_of(name: str) -> str:
    """The id of a file name made by `file_name`. Raises IdError for any other, and for a hashed one: see `id_of_file`."""
    raw = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)
    try:
        entity_id = raw.encode("latin-1").decode()
    except UnicodeError:
        raise IdError(f"{name!r} is not the file name of an entity") from None
    if not entity_id or file_name(entity_id) != name:
        raise IdError(f"{name!r} is not the file name of an entity")
    return entity_id


def id_of_file(path: Path) -> str:
    """The id of an entity's file (or of its -wal), long ones too. Raises IdError."""
    name = path.name.partition(".")[0]
    if not name.startswith("~"):
        return id_of(name)
    try:
        entity_id = (path.parent / f"{name}{LONG_SUFFIX}").read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise IdError(f"the id of {path} cannot be read: {error}") from error
    if file_name(entity_id) != name:
        raise IdError(f"{path} is not the file of {entity_id[:40]!r}, whose id lies beside it")
    return entity_id


def entity_path(shard_folder: Path, noun: str, entity_id: str) -> Path:
    """The entity's file in its shard's folder."""
    name = file_name(entity_id)
    text = os.path.join(shard_folder, noun_folder(noun), name + SUFFIX)
    if not name.startswith("~"):
        return Path(text)
    path = LongPath(text)
    path.entity_id = entity_id
    return path


def active_entities(shard_folder: Path) -> Iterator[tuple[str, str]]:
    """Noun and id of every entity that has a -wal: active, or its host died. Raises IdError rather than leave one out."""
    return _entities(shard_folder, WAL_SUFFIX)


def stored_entities(shard_folder: Path) -> Iterator[tuple[str, str]]:
    """Noun and id of every entity that has a file."""
    return _entities(shard_folder, SUFFIX)


def _entities(shard_folder: Path, suffix: str) -> Iterator[tuple[str, str]]:
    with os.scandir(shard_folder) as folders:
        nouns = sorted(folder.name for folder in folders if folder.is_dir())
    for folder in nouns:
        with os.scandir(os.path.join(shard_folder, folder)) as files:
            names = sorted(file.name for file in files if file.name.endswith(suffix))
        for name in names:
            yield noun_of_folder(folder), id_of_file(Path(shard_folder, folder, name))


def noun_folder(noun: str) -> str:
    """The noun as a folder name. `Order` stays itself; other capitals add a mark, so that case alone tells no two apart."""
    lowered = noun.lower()
    marks = "".join("1" if a != b else "0" for a, b in zip(noun, lowered, strict=True))
    return noun if marks == "1" + "0" * (len(noun) - 1) else f"{noun}.{int(marks, 2):x}"


def noun_of_folder(folder: str) -> str:
    """The noun of a folder made by `noun_folder`."""
    return folder.partition(".")[0]
