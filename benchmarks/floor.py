"""What the disk and SQLite take without dotdo: no durable figure can be better than these."""

from __future__ import annotations

import os
import sqlite3
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from benchmarks.rows import Row
from benchmarks.setting import Setting
from dotdo.storage.template import template

APPENDING = "fdatasync of an appending write, p50"
OVERWRITING = "fdatasync of an overwriting write, p50"
BARE_SQLITE = "bare SQLite commits (WAL, synchronous=FULL)"
BARE_FILES = "a bare new file: template, insert, syncs; 4 threads"

SYNCS = 300
COMMITS = 1000
THREADS = 4
FOLDERS = 16


def disk(setting: Setting) -> Iterator[Row]:
    """Two kinds of sync, a commit, and a new file."""
    appending, overwriting, commits, files = [], [], [], []
    for number in range(setting.rounds()):
        folder = setting.folder / f"floor-{number}"
        folder.mkdir()
        append, overwrite = _syncs(folder / "plain")
        appending.append(append)
        overwriting.append(overwrite)
        commits.append(_commits(folder / "commits.sqlite"))
        files.append(_new_files(folder, setting.many(1000)))
    yield Row(APPENDING, "ms", appending)
    yield Row(OVERWRITING, "ms", overwriting)
    yield Row(BARE_SQLITE, "/s", commits)
    yield Row(BARE_FILES, "/s", files)


def sync_once_more(setting: Setting) -> float:
    """Another round of appending syncs: a shared disk changes during a run."""
    return _syncs(setting.folder / "again")[0]


def _syncs(path: Path) -> tuple[float, float]:
    """Milliseconds of a sync that makes a new length safe, and of one that only makes content safe."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        return _timed_syncs(descriptor), _timed_syncs(descriptor)  # the second time over the first one's bytes
    finally:
        os.close(descriptor)


def _timed_syncs(descriptor: int) -> float:
    found = []
    for number in range(SYNCS):
        os.pwrite(descriptor, b"x" * 1048, number * 1048)
        started = time.perf_counter()
        os.fdatasync(descriptor)
        found.append((time.perf_counter() - started) * 1e3)
    return statistics.median(found)


def _commits(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE t(x)")
    started = time.perf_counter()
    for number in range(COMMITS):
        connection.execute("INSERT INTO t VALUES(?)", (number,))
    found = COMMITS / (time.perf_counter() - started)
    connection.close()
    return found


def _new_files(folder: Path, count: int) -> float:
    """New files a second, each made and filled as an entity's is: in as many folders, by as many threads as a host has."""
    folders = [folder / f"{number:02d}" for number in range(FOLDERS)]
    for one in folders:
        one.mkdir()

    def work(part: range) -> None:
        for number in part:
            _new_file(folders[number % FOLDERS], f"{number}.sqlite")

    threads = [threading.Thread(target=work, args=(range(first, count, THREADS),)) for first in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count / (time.perf_counter() - started)


def _new_file(folder: Path, name: str) -> None:
    path = f"{folder}/{name}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, template())
    os.fdatasync(descriptor)
    os.close(descriptor)
    connection = apsw.Connection(path)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF").fetchall()
    connection.execute("INSERT INTO _do_fields VALUES('n', 1)")
    for changed, flags in ((f"{path}-wal", os.O_RDWR), (str(folder), os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(changed, flags)
        os.fdatasync(descriptor)
        os.close(descriptor)
    connection.close()
