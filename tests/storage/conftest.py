"""A disk that can fail and lose power, with SQLite's own writes and syncs in its sight."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import apsw
import pytest

from dotdo.storage.disk import RealDisk
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.paths import entity_path

_names = itertools.count()


@dataclass
class Content:
    """One file: what a power cut leaves for certain, and the writes since, of which it leaves any part."""

    safe: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def after_a_cut(self, random: Random) -> bytes:
        data = bytearray(self.safe)
        for offset, piece in self.pending:
            fate = random.random()
            if piece is None:
                if fate < 0.5:
                    data = data[:offset]
                continue
            if fate < 0.4:
                continue
            kept = piece if fate < 0.8 else piece[: random.randrange(len(piece) + 1)]
            if len(data) < offset:
                data.extend(b"\0" * (offset - len(data)))
            data[offset : offset + len(kept)] = kept
        return bytes(data)


class SimulatedDisk(RealDisk):
    """Runs on the real disk and knows what of it would outlive a power cut.

    `broken_sync` and `broken_sqlite_sync` are the teeth: syncs that report success and do nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vfs = f"simulated-{next(_names)}"
        self.files: dict[str, Content] = {}
        self.safe_names: dict[str, Content] = {}
        self.failing_syncs = 0
        self.failing_writes = 0
        self.broken_sync = False
        self.broken_sqlite_sync = False
        self.sync_count = 0
        self.before_operation: Callable[[], None] = lambda: None
        self._vfs = _Vfs(self, self.vfs)

    def sync_data(self, descriptor: int) -> None:
        self.before_operation()
        self.sync_count += 1
        if self.failing_syncs:
            self.failing_syncs -= 1
            raise OSError(errno.EIO, "injected: Input/output error")
        if not self.broken_sync:
            self.is_safe(os.readlink(f"/proc/self/fd/{descriptor}"))

    def write_zeros(self, descriptor: int, start: int, end: int) -> None:
        self.wrote(os.readlink(f"/proc/self/fd/{descriptor}"), start, bytes(end - start))
        super().write_zeros(descriptor, start, end)

    def sync_folder(self, folder: Path) -> None:
        self.before_operation()
        prefix = f"{folder}/"
        for path in [p for p in self.safe_names if p.startswith(prefix) and not os.path.exists(p)]:
            del self.safe_names[path]
        for path, content in self.files.items():
            if path.startswith(prefix) and os.path.exists(path):
                self.safe_names[path] = content

    def create(self, path: Path, content: bytes) -> None:
        self.before_operation()
        super().create(path, content)
        self.files[str(path)] = Content(content)

    def is_safe(self, path: str) -> None:
        content = self.files.setdefault(path, Content())
        content.safe, content.pending = Path(path).read_bytes(), []

    def wrote(self, path: str, offset: int, data: bytes | None) -> None:
        self.before_operation()
        self.files.setdefault(path, Content()).pending.append((offset, data))

    def cut_power(self, random: Random, source: Path, target: Path) -> None:
        """What another machine start would find of `source`, written to `target`."""
        for path in {*self.files, *self.safe_names}:
            if not path.startswith(f"{source}/"):
                continue
            now, before = self.files.get(path), self.safe_names.get(path)
            if now is not None and not os.path.exists(path):
                now = None
            content = before if now is None or (before is not now and random.random() < 0.5) else now
            if content is None or (now is None and random.random() < 0.5):
                continue
            copy = target / os.path.relpath(path, source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content.after_a_cut(random))


class _Vfs(apsw.VFS):
    def __init__(self, disk: SimulatedDisk, name: str) -> None:
        self.disk = disk
        super().__init__(name, "")

    def xOpen(self, name, flags):  # noqa: N802  # SQLite's name
        return _File(self.disk, name, flags)

    def xDelete(self, filename, syncdir):  # noqa: N802
        self.disk.before_operation()
        super().xDelete(filename, syncdir)
        self.disk.files.pop(filename, None)


class _File(apsw.VFSFile):
    def __init__(self, disk: SimulatedDisk, name, flags) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if self.path and not os.path.exists(self.path):
            disk.files[self.path] = Content()
        super().__init__("", name, flags)

    def xWrite(self, data, offset):  # noqa: N802
        if self.disk.failing_writes:
            self.disk.failing_writes -= 1
            raise apsw.FullError("injected: disk full")
        self.disk.wrote(self.path, offset, bytes(data))
        super().xWrite(data, offset)

    def xTruncate(self, newsize):  # noqa: N802
        self.disk.wrote(self.path, newsize, None)
        super().xTruncate(newsize)

    def xSync(self, flags):  # noqa: N802
        self.disk.before_operation()
        if self.disk.failing_syncs:
            self.disk.failing_syncs -= 1
            raise apsw.IOError("injected: sync failed")
        if not self.disk.broken_sqlite_sync:
            self.disk.is_safe(self.path)


@pytest.fixture
def simulated_disk() -> type[SimulatedDisk]:
    """The class of disk that fails and loses power on command."""
    return SimulatedDisk


@pytest.fixture
def disk() -> SimulatedDisk:
    """A disk that fails and loses power on command."""
    return SimulatedDisk()


@pytest.fixture
def make_file(tmp_path: Path) -> Iterator[Callable[..., EntityFile]]:
    """Makes the file object of an entity, as an activation does; every one is closed at the end."""
    made: list[EntityFile] = []

    def make(entity_id: str = "o1", **options) -> EntityFile:
        file = EntityFile(entity_path(tmp_path / "00", "Order", entity_id), **options)
        made.append(file)
        return file

    yield make
    for file in made:
        file._drop_connection()


PUT_FIELD = "INSERT INTO _do_fields(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value"


@pytest.fixture
def put() -> Callable[..., None]:
    """Adds a durable field's bytes to the turn."""

    def put(file: EntityFile, value: bytes, name: str = "n") -> None:
        file.add(PUT_FIELD, (name, value))

    return put
