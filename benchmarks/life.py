"""What entities cost while they live and while they sleep: memory, disk, and the time of a start."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import dotdo
from benchmarks import processes
from benchmarks import setting as settings
from benchmarks.nouns import Counter
from benchmarks.rows import Row, at_most
from benchmarks.setting import Setting
from dotdo.hosting.shards import shard_of
from dotdo.storage import paths

LIVE = 10_000
SLEEPERS = 100_000
SHARDS = 16
WAVE = 500


def live(setting: Setting) -> Iterator[Row]:
    """Ten thousand entities in memory at once, each with a write; then all of them asleep."""
    count = setting.many(LIVE)
    data = setting.folder / "live"
    with settings.runtime(data):
        settings.run(_make(1))
        before = processes.memory_bytes(processes.family(os.getpid()))
        settings.run(_make(count))
        active = settings.run(_active())
        assert active == count, f"{active} of {count} are awake: the figure would be of something else"
        after = processes.memory_bytes(processes.family(os.getpid()))
        target = at_most(1.2) if count == LIVE else None
        yield Row(f"memory with {count:,} live entities, of all processes and Ray's", "GB", [after / 1e9], target)
        yield Row("memory per live entity", "KB", [(after - before) / count / 1e3])
    yield Row("disk per hibernated entity, its row in the index included", "KB", [_disk_bytes(data / "shards") / count / 1024], at_most(8))


async def _make(count: int) -> None:
    for start in range(0, count, WAVE):
        await asyncio.gather(*(Counter(f"live-{number}").inc() for number in range(start, min(start + WAVE, count))))


async def _active() -> int:
    return sum(host["active"] for host in await dotdo.hosts())


def _disk_bytes(folder: Path) -> int:
    """What the files take of the disk, in its blocks."""
    return sum(os.stat(os.path.join(at, name)).st_blocks * 512 for at, _, names in os.walk(folder) for name in names)


def start(setting: Setting) -> Iterator[Row]:
    """How much longer a start takes over a hundred thousand sleepers than over one; Ray itself runs already."""
    count = setting.many(SLEEPERS)
    few, many = setting.folder / "few", setting.folder / "many"
    with settings.runtime(few):
        settings.run(_make(1))
    shutil.copytree(few, many)
    _multiply(many, count)
    short, long = [], []
    for _ in range(setting.rounds(3)):
        short.append(_seconds_to_answer(few))
        long.append(_seconds_to_answer(many))
    yield Row("start of two hosts, to the first answer", "s", short)
    pairs = [b - a for a, b in zip(short, long, strict=True)]
    yield Row(f"longer with {count:,} hibernated entities", "s", pairs, at_most(1))


def _seconds_to_answer(data: Path) -> float:
    started = time.perf_counter()
    with settings.runtime(data):
        settings.run(_make(1))
        return time.perf_counter() - started


def _multiply(data: Path, count: int) -> None:
    """Copy the one sleeper's file to many names, each with its row in its shard's index."""
    shards = data / "shards"
    content = paths.entity_path(shards / f"{shard_of('Counter/live-0', SHARDS):02d}", "Counter", "live-0").read_bytes()
    rows: dict[int, list[tuple[str, str, None, int, float]]] = defaultdict(list)
    for number in range(count):
        entity_id = f"sleeper-{number}"
        shard = shard_of(f"Counter/{entity_id}", SHARDS)
        path = paths.entity_path(shards / f"{shard:02d}", "Counter", entity_id)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        rows[shard].append((f"Counter/{entity_id}", "Counter", None, len(content), 0.0))
    for shard, entries in rows.items():
        with sqlite3.connect(shards / f"{shard:02d}" / "index.sqlite") as connection:
            connection.executemany("INSERT OR REPLACE INTO entities VALUES(?, ?, ?, ?, ?)", entries)
        connection.close()
