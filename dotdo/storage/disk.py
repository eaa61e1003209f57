"""The disk as a port: what an entity's file asks of the operating system beside SQLite.

Every sync that decides whether an answer may leave goes through `sync_data`. `vfs` names the SQLite VFS that the same
disk stands behind, so that a test's disk sees SQLite's own reads, writes and syncs too, and can fail, cut and tear them.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol


class Disk(Protocol):
    """What storage asks of the operating system."""

    @property
    def vfs(self) -> str | None:
        """The SQLite VFS of this disk; None for SQLite's own."""

    def sync_data(self, descriptor: int) -> None:
        """Make a file's content safe (fdatasync). Raises OSError."""

    def write_zeros(self, descriptor: int, start: int, end: int) -> None:
        """Lengthen a file by zeros, unsynced. Raises OSError."""

    def create(self, path: Path, content: bytes) -> None:
        """Make a file with this content, whole or not at all, its content safe. Its name is safe with its folder."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder and what is missing above it, their names safe."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder safe."""


class RealDisk:
    """The machine's disk."""

    vfs: str | None = None

    def __init__(self) -> None:
        self._safe_folders: set[Path] = set()
        self._lock = threading.Lock()

    def sync_data(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def write_zeros(self, descriptor: int, start: int, end: int) -> None:
        os.pwrite(descriptor, bytes(end - start), start)

    def sync_folder(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def create(self, path: Path, content: bytes) -> None:
        draft = f"{path}.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            written = os.write(descriptor, content)
            if written != len(content):
                raise OSError(f"only {written} of {len(content)} bytes could be written to {draft}")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(draft, path)

    def make_folder(self, folder: Path) -> None:
        if folder in self._safe_folders:
            return
        with self._lock:  # a second thread may not go on before the first has made the name safe
            self._make_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        if not folder.parent.is_dir():
            self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)
        self._safe_folders.add(folder)


REAL = RealDisk()
