"""`dotdo.testing.replay`: do the runs that are stored still fit the code of today? A check for CI, before a deployment.

    report = await replay("production-copy/.dotdo")      # a data folder, which is only read
    report = await replay(rt)                            # or a runtime
    assert not report.mismatches, report

Import the workflows first, as the program does. No step runs and nothing is sent; see `dotdo.durable.checking`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import apsw

from dotdo import application
from dotdo.durable import checking
from dotdo.durable.handle import control_call
from dotdo.errors import DotdoError
from dotdo.names import RUN_NOUN, execution_id_of, key_of, split_key
from dotdo.rpc.stub import make_stub
from dotdo.storage import paths
from dotdo.testing.runtime import Runtime, runtime

ENTITIES_MAX = 1_000_000


@dataclass(frozen=True)
class Mismatch:
    """A stored run that the code of today does not fit."""

    id: str
    problem: str


@dataclass
class ReplayReport:
    """What came of it."""

    checked: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    """By id of the run: what fits, but should be looked at, as a recorded step that is not asked for any more."""

    def __str__(self) -> str:
        lines = [f"{self.checked} runs replayed, {len(self.mismatches)} do not fit the code"]
        lines += [f"  {one.id}: {one.problem}" for one in self.mismatches]
        lines += [f"  {id}: {note}" for id, notes in self.notes.items() for note in notes]
        return "\n".join(lines)


async def replay(source: Runtime | str | PathLike[str], *, noun: str = RUN_NOUN) -> ReplayReport:
    """Replay every stored run of a data folder or a runtime against the code that is imported here.

    Args:
        source: a data folder (read as it is, nothing in it changes), or a runtime of `dotdo.testing`.
        noun: whose executions; workflow runs by default.

    Raises:
        DotdoError: there is no such folder.
    """
    records = _of_runtime(noun) if isinstance(source, Runtime) else _of_folder(Path(source), noun)
    found = [entry async for entry in records]
    report = ReplayReport()
    async with runtime(clock="virtual"):
        for key, runs in found:
            for record in runs:
                execution_id = execution_id_of(key, record[0][0])
                problem, notes = await control_call(make_stub(*split_key(key)), "check", record)
                report.checked += 1
                if problem is not None:
                    report.mismatches.append(Mismatch(execution_id, problem))
                if notes:
                    report.notes[execution_id] = notes
    return report


async def _of_runtime(noun: str) -> AsyncIterator[tuple[str, list[Any]]]:
    for entity in await application.entities(noun, limit=ENTITIES_MAX):
        yield entity["key"], await control_call(make_stub(*split_key(entity["key"])), "records")


async def _of_folder(folder: Path, noun: str) -> AsyncIterator[tuple[str, list[Any]]]:
    shards = folder / "shards"
    if not shards.is_dir():
        raise DotdoError(f"{folder} is not a data folder: it has no shards")
    for shard in sorted(shards.iterdir()):
        for found_noun, entity_id in paths.stored_entities(shard):
            if found_noun == noun:
                yield key_of(noun, entity_id), _read(paths.entity_path(shard, noun, entity_id))


def _read(path: Path) -> list[Any]:
    """The executions in an entity's file, read from a copy: opening the file itself could disturb who has it open."""
    with tempfile.TemporaryDirectory(prefix="dotdo-replay-") as folder:
        for suffix in ("", "-wal"):
            original = path.with_name(path.name + suffix)
            if original.exists():
                shutil.copyfile(original, Path(folder) / f"copy{suffix}")
        connection = apsw.Connection(str(Path(folder) / "copy"))
        try:
            return checking.records_of(_Reading(connection))
        finally:
            connection.close()


class _Reading:
    """A file as the journal reads it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def query(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return list(self._connection.execute(sql, params))
        except apsw.SQLError:  # an entity without executions has no such table
            return []

    def add(self, sql: str, params: tuple[Any, ...]) -> None:
        raise AssertionError("a copy is only read")

    def ensure_table(self, ddl: str) -> None:
        raise AssertionError("a copy is only read")
