"""A backup becomes a data folder again: all of it is checked before there is anything.

The folder is put together beside its place, and takes it in one rename. It gets an id of its own, since it and the one it was
copied from are two runtimes; and epochs beyond those of its files, since no host of the old one may ever write here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import secrets
import shutil
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from dotdo.errors import BackupError, DotdoError, IdError, StorageError
from dotdo.hosting import data_folder
from dotdo.hosting.backups import CHUNK_BYTES, FORMAT, Progress, Report, check_copy, unheard
from dotdo.hosting.shard_index import ShardIndex
from dotdo.hosting.shards import shard_of
from dotdo.names import check_id, split_key
from dotdo.storage import paths
from dotdo.storage.paths import LongPath

_NOUN_FILE = re.compile(r"[0-9a-f]+\.(nouns|modules)\Z")
_SHARDS_MAX = 65_536


async def restore(file: Path, folder: Path, progress: Progress = unheard) -> Report:
    """Make a data folder of a backup. What was due meanwhile is done when a runtime is started on it.

    Raises:
        BackupError: the file is no backup, or is damaged, or the folder is not empty; nothing was made then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty: a backup is restored into a folder of its own, give another one")
    place = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.new"
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive, file)
            place.mkdir(parents=True)
            await _fill(archive, manifest, place, progress)
        if folder.exists():
            folder.rmdir()
        place.rename(folder)
        data_folder.sync(folder.parent)
    except FileNotFoundError as error:
        raise BackupError(f"{error.filename or file} is not there; nothing was restored") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise BackupError(f"{file} is damaged, or no backup: {error}; nothing was restored") from error
    except (StorageError, IdError) as error:
        raise BackupError(f"{file} is damaged: {error}; nothing was restored") from error
    except OSError as error:
        raise BackupError(f"{folder} cannot be written: {type(error).__name__}: {error}; nothing was restored") from error
    except DotdoError:
        raise
    except Exception as error:  # decompressing damaged bytes raises whatever it likes
        raise BackupError(f"{file} is damaged: {type(error).__name__}: {error}; nothing was restored") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    keys = [entry["key"] for entry in manifest["entities"]]
    by_noun = Counter(split_key(key)[0] for key in keys)
    return Report(str(file), str(folder), len(keys), dict(sorted(by_noun.items())), file.stat().st_size, float(manifest["made_at"]))


def _manifest(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    """The manifest, its counts those of the archive."""
    try:
        manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
        form, shards, entities, nouns = manifest["format"], manifest["shards"], manifest["entities"], manifest["nouns"]
    except (KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{file} is no backup, or was cut short: it has no readable manifest ({error}); nothing was restored") from error
    if form != FORMAT:
        raise BackupError(f"{file} is a backup of format {form}, and this dotdo reads format {FORMAT}; nothing was restored")
    if not isinstance(shards, int) or not 0 < shards <= _SHARDS_MAX:
        raise BackupError(f"{file} is damaged: {shards!r} shards; nothing was restored")
    expected = {"manifest.json", *(entry["file"] for entry in entities), *(f"nouns/{name}" for name in nouns)}
    keys = {entry["key"] for entry in entities}
    found = archive.namelist()
    if set(found) != expected or len(found) != len(expected) or len(keys) != len(entities):
        raise BackupError(f"{file} is damaged: it should hold {len(expected)} files and holds {len(found)}; nothing was restored")
    return manifest


async def _fill(archive: zipfile.ZipFile, manifest: dict[str, Any], place: Path, progress: Progress) -> None:
    shards = int(manifest["shards"])
    data_folder.create(place, shards)
    folder = data_folder.read_folder(place)
    for name, digest in manifest["nouns"].items():
        if not _NOUN_FILE.match(name):
            raise StorageError(f"{name!r} is not the name of shipped code")
        _extract(archive, f"nouns/{name}", folder.nouns / name, digest)
    indexes = []
    for number in range(shards):  # opened while there are no files, they are not made from them
        index = ShardIndex(folder.shard_folder(number) / "index.sqlite")
        await index.open()
        indexes.append(index)
    try:
        epochs = {number: int(manifest["epochs"].get(str(number), 0)) for number in range(shards)}
        for done, entry in enumerate(manifest["entities"], 1):
            key = entry["key"]
            number = shard_of(key, shards)
            epoch = await asyncio.to_thread(_place_entity, archive, entry, folder.shard_folder(number))
            epochs[number] = max(epochs[number], epoch)
            indexes[number].put(key, split_key(key)[0], entry["due"], entry["size"], 0.0, lambda: None)
            progress(done, len(manifest["entities"]))
        for key, reason in manifest["quarantined"].items():
            await indexes[shard_of(key, shards)].quarantine(key, float(manifest["made_at"]), reason)
    finally:
        for index in indexes:
            await index.close()
    for number, epoch in epochs.items():
        (folder.shard_folder(number) / "epoch").write_text(f"{epoch}\n")
    await asyncio.to_thread(_sync_all, place)


def _place_entity(archive: zipfile.ZipFile, entry: dict[str, Any], shard_folder: Path) -> int:
    """Write an entity's file, checked; the epoch it carries. Raises StorageError."""
    noun, entity_id = split_key(entry["key"])
    path = paths.entity_path(shard_folder, noun, check_id(entity_id))
    path.parent.mkdir(exist_ok=True)
    if isinstance(path, LongPath):
        path.id_path.write_text(entity_id, encoding="utf-8")
    _extract(archive, entry["file"], path, entry["sha256"])
    return check_copy(entry["key"], path)


def _extract(archive: zipfile.ZipFile, name: str, path: Path, digest: str) -> None:
    """Raises StorageError unless it is what the manifest says."""
    found = hashlib.sha256()
    with archive.open(name) as source, path.open("xb") as out:
        while piece := source.read(CHUNK_BYTES):
            found.update(piece)
            out.write(piece)
    if found.hexdigest() != digest:
        raise StorageError(f"{name} is not what the manifest says it is")


def _sync_all(place: Path) -> None:
    """One sync of everything: a file at a time would take a sync each."""
    os.sync()
    data_folder.sync(place)
