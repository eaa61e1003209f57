"""Backups of a runtime that goes on: what a host gives, and the file it is put together in.

Each entity is copied by the host that owns it, between two turns: one that is awake on its own connection, with its gate
shut; one that sleeps by its files, and whoever calls it meanwhile waits. So every entity is consistent in itself, and holds
all that was acknowledged before the backup began; between entities no moment is held still (docs/decisions/0044).

    FILE (a zip)     entities/<number>   one SQLite file each, the -wal folded in, its integrity checked
                     nouns/<name>        the shipped code
                     manifest.json       keys, shards, sizes and hashes of all of these, written last
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from dotdo.entity.activation import Activation, State
from dotdo.errors import BackupError, StorageError
from dotdo.hosting import catalog
from dotdo.hosting.data_folder import DataFolder
from dotdo.names import key_of, split_key
from dotdo.storage import paths
from dotdo.storage.disk import REAL
from dotdo.storage.template import APPLICATION_ID

if TYPE_CHECKING:
    from dotdo.hosting.host import Host
    from dotdo.rpc.server import IncomingCall

FORMAT = 1
COPIES_AT_ONCE = 8
CHUNK_BYTES = 4 * 1024 * 1024
BUSY_SECONDS_MAX = 40.0
"""Longer than a gate may be held: a transaction that goes on longer ends its activation."""

Ask = Callable[..., Awaitable[Any]]
"""Asks a host: its name, a verb, arguments."""
Progress = Callable[[int, int], None]
"""Is told how many entities are done, of how many."""


def unheard(done: int, total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a backup holds, or what was restored of it."""

    file: str
    data: str
    entities: int
    by_noun: dict[str, int]
    size_bytes: int
    made_at: float


class Backups:
    """The host's side: entities are copied, and handed over in pieces."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._held: dict[str, list[IncomingCall]] = {}
        self._woken: set[str] = set()
        self._left_overs_gone = False

    def holds_back(self, call: IncomingCall) -> bool:
        """True if a call for a sleeping entity waits until its file is copied; it is delivered then."""
        waiting = self._held.get(key_of(call.noun, call.entity_id)) if self._held else None
        if waiting is None:
            return False
        waiting.append(call)
        return True

    def holds_asleep(self, key: str) -> bool:
        """True if the entity may not be woken while its file is copied; it is woken then."""
        if key not in self._held:
            return False
        self._woken.add(key)
        return True

    async def begin(self) -> dict[str, Any]:
        """What concerns the host's shards as a whole: their epochs, who is quarantined, and the shipped code."""
        host = self._host
        assert host.shards is not None
        if not self._left_overs_gone:
            self._left_overs_gone = True
            for left in host.folder.hosts.glob(f"copy-{host.host_id}-*"):
                left.unlink(missing_ok=True)
        nouns = {file.name: file.read_bytes() for file in host.folder.nouns.glob("*") if file.suffix in catalog.SUFFIXES}
        return {"epochs": host.shards.epochs(), "quarantined": dict(host.quarantine), "nouns": nouns}

    async def keys(self, shard: int) -> list[str]:
        """Keys of all entities of a shard that have a file."""
        host = self._host
        folder = host.folder.shard_folder(shard)
        stored = await host.loop.run_in_executor(host.workers, lambda: list(paths.stored_entities(folder)))
        return sorted(key_of(noun, entity_id) for noun, entity_id in stored)

    async def copy(self, key: str) -> dict[str, Any] | None:
        """Copy an entity's file beside the others and check the copy; None if the entity is no more.

        Raises StorageError: the file is damaged, the disk is full, or the entity held its gate all the time.
        """
        host = self._host
        name = f"copy-{host.host_id}-{secrets.token_hex(6)}"
        out = host.folder.hosts / name
        until = time.monotonic() + BUSY_SECONDS_MAX
        try:
            while time.monotonic() < until:
                activation = host.activations.get(split_key(key))
                if host.dedicated is not None and host.dedicated.is_awake(key):
                    found = await host.dedicated.ask(key, "backup_copy", key)
                    if found is not None:
                        return found  # type: ignore[no-any-return]
                elif activation is None and key not in host.deletions and key not in self._held:
                    return await self._copy_sleeper(key, name, out)
                elif activation is not None and activation.state is State.ACTIVE:
                    copied = await self._copy_awake(activation, name, out)
                    if copied is not None:
                        return copied if copied["size"] else None
                await asyncio.sleep(0.001)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        raise StorageError(f"{key} could not be copied: it was busy for {BUSY_SECONDS_MAX:.0f} s without a moment between two turns")

    async def _copy_awake(self, activation: Activation, name: str, out: Path) -> dict[str, Any] | None:
        """On the entity's own connection; None if it is in the middle of something."""
        done: asyncio.Future[dict[str, Any]] = self._host.loop.create_future()
        file = activation.file

        def job() -> None:
            was_open = file.is_open
            try:
                connection = file.reader()
                if connection is None:
                    copied = {"size": 0}
                else:
                    _copy_live(connection, out)
                    copied = _checked(activation.key, name, out)
                outcome: Callable[[], None] = lambda: done.set_result(copied)  # noqa: E731
            except Exception as error:  # a copy that fails is no harm to the entity
                problem = error if isinstance(error, StorageError) else _not_copied(activation.key, error)
                outcome = lambda: done.set_exception(problem)  # noqa: E731
            if not was_open and file.is_open:
                file.close(checkpoint=False)
            self._host.call_threadsafe(outcome)

        if not activation.run_held(job):
            return None
        return await done

    async def _copy_sleeper(self, key: str, name: str, out: Path) -> dict[str, Any] | None:
        """By its files, which nobody opens meanwhile."""
        host = self._host
        self._held[key] = []
        try:
            path = paths.entity_path(host.territory.place(key)[0], *split_key(key))
            due = await host.shards.index_of(key).due_of(key) if host.shards is not None else 0.0

            def job() -> dict[str, Any] | None:
                try:
                    has_wal = os.path.exists(f"{path}-wal")
                    if not path.exists():
                        return None
                    shutil.copyfile(path, out)
                    if has_wal:
                        shutil.copyfile(f"{path}-wal", f"{out}-wal")
                    return {**_checked(key, name, out), "due": 0.0 if has_wal else due}
                except OSError as error:
                    raise _not_copied(key, error) from error

            return await host.loop.run_in_executor(host.workers, job)
        finally:
            calls = self._held.pop(key)
            if key in self._woken:
                self._woken.discard(key)
                host.wake(key)
            for call in calls:
                host.deliver(call)

    async def read(self, name: str, offset: int) -> bytes:
        """A piece of a copy."""
        return await self._host.loop.run_in_executor(self._host.workers, _read_piece, self._path(name), offset)

    async def drop(self, name: str) -> None:
        """A copy has been handed over."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not name.startswith("copy-") or os.sep in name:
            raise StorageError(f"{name!r} is not the name of a copy")
        return self._host.folder.hosts / name


def _not_copied(key: str, error: Exception) -> StorageError:
    return StorageError(f"{key} could not be copied: {type(error).__name__}: {error}")


def _copy_live(source: apsw.Connection, out: Path) -> None:
    target = apsw.Connection(str(out))
    try:
        with target.backup("main", source, "main") as pages:
            pages.step()
    finally:
        target.close()


def _checked(key: str, name: str, out: Path) -> dict[str, Any]:
    """Fold the copy's -wal in, check it, and describe it. Raises StorageError."""
    epoch = check_copy(key, out)
    digest = hashlib.sha256()
    with out.open("rb") as content:
        while piece := content.read(CHUNK_BYTES):
            digest.update(piece)
    size = out.stat().st_size
    found: dict[str, Any] = {"key": key, "size": size, "sha256": digest.hexdigest(), "epoch": epoch, "due": 0.0, "copy": name}
    if size <= CHUNK_BYTES:
        found["data"] = out.read_bytes()
        out.unlink()
    return found


def check_copy(key: str, file: Path) -> int:
    """Make sure that a copy is a whole entity's file, in one piece; the epoch it was last written in. Raises StorageError."""
    try:
        connection = apsw.Connection(str(file))
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            verdict = connection.execute("PRAGMA integrity_check").get
            if verdict != "ok":
                raise StorageError(f"the file of {key} is damaged: {verdict}")
            if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
                raise StorageError(f"the file of {key} was not made by dotdo")
            return int(connection.execute("PRAGMA user_version").get)
        finally:
            connection.close()
    except apsw.Error as error:
        raise StorageError(f"the file of {key} is damaged: {type(error).__name__}: {error}") from error
    finally:
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{file}{suffix}")


def _read_piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as content:
        content.seek(offset)
        return content.read(CHUNK_BYTES)


# -- whoever wants the backup ---------------------------------------------------------------------------------------


async def write(
    file: Path, folder: DataFolder, *, ask: Ask, hosts: list[str], owner_of: Callable[[str], str], made_at: float,
    progress: Progress = unheard,
) -> Report:  # fmt: skip
    """Put a backup of a running runtime into `file`, which is there, complete and safe, or not at all.

    Args:
        ask: asks a host of the runtime.
        hosts: the hosts that own shards.
        owner_of: the host that owns a key.
        made_at: now, in epoch seconds.

    Raises:
        StorageError: an entity's file is damaged or cannot be copied.
        BackupError: the file cannot be written.
    """
    begun = {host: await ask(host, "backup_begin") for host in hosts}
    epochs = {int(shard): int(epoch) for each in begun.values() for shard, epoch in each["epochs"].items()}
    lists = [await ask(host, "backup_keys", int(shard)) for host in hosts for shard in begun[host]["epochs"]]
    keys = [key for each in lists for key in each]
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            nouns = {}
            for name, content in {name: content for each in begun.values() for name, content in each["nouns"].items()}.items():
                archive.writestr(f"nouns/{name}", content)
                nouns[name] = hashlib.sha256(content).hexdigest()
            entities = await _collect(archive, keys, ask, owner_of, progress)
            manifest = {
                "format": FORMAT, "folder": folder.id, "shards": folder.shards, "made_at": made_at, "nouns": nouns, "entities": entities,
                "epochs": {str(shard): epoch for shard, epoch in epochs.items()},
                "quarantined": {key: reason for each in begun.values() for key, reason in each["quarantined"].items()},
            }  # fmt: skip
            archive.writestr("manifest.json", json.dumps(manifest, indent=1))
        await asyncio.to_thread(_settle, draft, file)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {type(error).__name__}: {error}; there is no backup") from error
    finally:
        draft.unlink(missing_ok=True)
    by_noun = Counter(split_key(entry["key"])[0] for entry in entities)
    return Report(str(file), str(folder.path), len(entities), dict(sorted(by_noun.items())), file.stat().st_size, made_at)


async def _collect(
    archive: zipfile.ZipFile, keys: list[str], ask: Ask, owner_of: Callable[[str], str], progress: Progress
) -> list[dict[str, Any]]:
    """Have every entity copied, some at once, and put the copies into the archive one after another."""
    entities: list[dict[str, Any]] = []
    writing = asyncio.Lock()
    todo = iter(keys)
    done = 0

    async def work() -> None:
        nonlocal done
        for key in todo:
            host = owner_of(key)
            copied = await ask(host, "backup_copy", key)
            if copied is not None:
                async with writing:
                    entities.append(await _add(archive, f"entities/{len(entities)}", copied, lambda *args, host=host: ask(host, *args)))
            done += 1
            progress(done, len(keys))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(COPIES_AT_ONCE):
                group.create_task(work())
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from None
    return entities


async def _add(archive: zipfile.ZipFile, name: str, copied: dict[str, Any], ask: Ask) -> dict[str, Any]:
    entry = {"key": copied["key"], "file": name, **{field: copied[field] for field in ("size", "sha256", "epoch", "due")}}
    if "data" in copied:
        await asyncio.to_thread(archive.writestr, name, copied["data"])
        return entry
    with archive.open(name, "w", force_zip64=True) as out:
        offset = 0
        while offset < copied["size"]:
            piece = await ask("backup_read", copied["copy"], offset)
            if not piece:
                raise StorageError(f"the copy of {copied['key']} was cut short")
            await asyncio.to_thread(out.write, piece)
            offset += len(piece)
    await ask("backup_drop", copied["copy"])
    return entry


def _settle(draft: Path, file: Path) -> None:
    with draft.open("rb") as written:
        os.fsync(written.fileno())
    draft.replace(file)
    REAL.sync_folder(file.parent)
