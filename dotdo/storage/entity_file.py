"""An entity's SQLite file: a turn's writes as one transaction, and the truth about what is safe.

The runtime's own writes are buffered (`add`) and applied at the commit, so a turn that only changes fields costs one
short transaction and no file needs to be open, or to exist, before that. User key-value and SQL run at once on the live
connection, in a transaction begun at the first use; the buffered writes join it.

Commits are made with synchronous=OFF: they are in the page cache and survive a killed process. `sync` makes them survive
a power cut: the -wal's content, and with a new -wal the folder's names. (NORMAL differs in two things only: it syncs a
new -wal's header by itself, which costs a new entity two syncs more and protects nothing that `sync` does not, since a
-wal always begins at length zero here; and it syncs around a checkpoint, so `_checkpoint` switches it on.) After a failed
commit or sync `discard` cuts the -wal back to the last safe commit; how long it was then, `dotdo.storage.wal` knows.

SQLite's exclusive lock and the shard's epoch (in `user_version`) keep a second owner out. One connection of one SQLite
library opens the file; nothing else in the process may open or close it, because closing any descriptor of a file drops
the process's locks on it.

A close without `close()` (a lost reference, the end of the process) leaves file and -wal as a kill would.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

from dotdo.errors import StorageError
from dotdo.storage import disk as disks
from dotdo.storage import forks
from dotdo.storage.authorizer import Authorizer
from dotdo.storage.paths import LongPath
from dotdo.storage.template import APPLICATION_ID, template
from dotdo.storage.wal import Wal

CACHE_PAGES = 64
STATEMENTS_CACHED_MAX = 32
WAL_BYTES_MAX = 4 * 1024 * 1024
"""A -wal longer than this wants a checkpoint at the next quiet moment."""

_TABLE_NAME = re.compile(r"(?:CREATE TABLE|INDEX)(?: IF NOT EXISTS)? (_do_\w+)")
# The mark in the comment keeps user SQL from sharing these statements in the cache: see `authorizer`.
_BEGIN, _COMMIT, _ROLLBACK = "BEGIN --_do_", "COMMIT --_do_", "ROLLBACK --_do_"
_SETTINGS = (
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0; "
    f"PRAGMA cache_size={CACHE_PAGES}; PRAGMA cache_spill=OFF; PRAGMA temp_store=MEMORY"
)


class EntityFile:
    """The file of one entity. Called from the host's loop, except where a method says it blocks."""

    def __init__(
        self,
        path: Path,
        *,
        epoch: int = 1,
        durability: str = "full",
        disk: disks.Disk = disks.REAL,
    ) -> None:
        self.path = path
        self.epoch = epoch
        self.durability = durability
        self.committed = 0
        self.safe = 0
        self.is_broken = False
        self._disk = disk
        self._wal = Wal(path, disk)
        self._connection: apsw.Connection | None = None
        self._execute: Callable[..., apsw.Cursor] | None = None
        self._authorizer = Authorizer()
        self._batch: list[tuple[str, tuple[Any, ...]]] = []
        self._first: list[tuple[str, tuple[Any, ...]]] = []
        self._tables: set[str] = set()
        self._fresh_tables: set[str] = set()
        self._savepoints: list[tuple[int, set[str]]] = []
        self._is_begun = False
        self._epoch_written = False
        self._exists: bool | None = None

    def __repr__(self) -> str:
        return f"<entity file {self.path}>"

    # -- opening and closing (blocking: worker threads) ---------------------------------------------------------

    def exists(self) -> bool:
        """True if the entity has ever written."""
        if self._exists is None:
            self._exists = self.path.exists()
        return self._exists

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def open(self, *, create: bool = True) -> None:
        """Open the file, made from the template if need be; a -wal left by a crash is synced. Blocks. Raises StorageError."""
        if self._connection is not None:
            return
        if self.is_broken:
            raise StorageError(f"{self.path} failed before; it opens again with the entity's next activation")
        try:
            if not self.exists():
                if not create:
                    raise StorageError(f"{self.path} does not exist")
                self._create()
                self._connect(is_new=True)
            else:
                self._connect(is_new=False)
            if self.is_broken:
                raise StorageError(f"{self.path} was given up while it was being opened")
        except (apsw.Error, OSError, StorageError) as error:
            self._drop_connection()
            raise self._trouble("cannot be opened", error) from error

    def _create(self) -> None:
        """Make the file; its name is made safe with its -wal's, by the first sync."""
        folder = self.path.parent
        self._disk.make_folder(folder)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._wal.path)  # of a deleted namesake: SQLite would replay it into the new file
            self._disk.sync_folder(folder)
        if isinstance(self.path, LongPath):
            self._disk.create(self.path.id_path, self.path.entity_id.encode())
        self._disk.create(self.path, template())
        self._exists = True

    def _connect(self, *, is_new: bool) -> None:
        connection = apsw.Connection(
            str(self.path),
            flags=apsw.SQLITE_OPEN_READWRITE,
            vfs=self._disk.vfs,
            statementcachesize=STATEMENTS_CACHED_MAX,
        )
        self._connection = connection
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        execute = connection.execute
        execute(_SETTINGS).fetchall()  # without reading the rows, apsw stops at the first PRAGMA that gives one
        if is_new:  # from the template, a moment ago
            self._tables = {"_do_fields"}
        else:
            self._examine(connection)
        connection.set_wal_hook(self._wal.frames_now)
        self._authorizer.limit(connection)
        connection.authorizer = self._authorizer
        self._execute = connection.cursor().execute
        if not is_new:
            frames, _ = connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)
            self._wal.adopt(self.committed, frames)
            self.safe = self.committed
        forks.watch(self)

    def _examine(self, connection: apsw.Connection) -> None:
        """Is this file what it should be, and ours? Raises StorageError."""
        execute = connection.execute
        if execute("PRAGMA application_id").get != APPLICATION_ID:
            raise StorageError(f"{self.path} was not made by dotdo, or is empty; nothing was changed")
        if execute("PRAGMA journal_mode").get != "wal":
            raise StorageError(f"{self.path} is not in WAL mode: something else has changed it")
        stored = execute("PRAGMA user_version").get
        if stored > self.epoch:
            raise StorageError(f"{self.path} belongs to epoch {stored} of its shard, this host holds {self.epoch}: it has a newer owner")
        self._epoch_written = stored == self.epoch
        names = execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '_do_*'").fetchall()
        self._tables = {str(name) for (name,) in names}

    def close(self, *, checkpoint: bool = True) -> None:
        """Make everything safe and close. Blocks. Raises StorageError, the file cut back to its last safe commit then.

        With `checkpoint` everything goes into the main file and no -wal stays: the entity is asleep. Without, the -wal
        stays and goes on saying that the entity is active: that is how a connection is closed only to save descriptors.
        """
        connection = self._connection
        if connection is None:
            return
        try:
            if self._is_begun:
                self._end_live(connection)
            if checkpoint:
                self._checkpoint(connection)
                connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)  # lets SQLite remove the empty -wal
            else:
                if self.durability == "full":
                    self.sync()
                self._wal.left()
        except (apsw.Error, OSError, StorageError) as error:
            self.discard()
            raise self._trouble("cannot be checkpointed", error) from error
        self._drop_connection()

    @property
    def wants_checkpoint(self) -> bool:
        return self._wal.length > WAL_BYTES_MAX

    def checkpoint(self) -> None:
        """Empty a long -wal; everything is safe after it. Blocks; the entity is held. Raises StorageError."""
        connection = self._connection
        if connection is None:
            return
        try:
            if self._is_begun:
                self._end_live(connection)
            self._checkpoint(connection)
        except (apsw.Error, OSError) as error:
            self.is_broken = True
            raise self._trouble("cannot be checkpointed", error) from error

    def _checkpoint(self, connection: apsw.Connection) -> None:
        if self.is_broken:
            raise StorageError(f"{self.path} failed before")
        with self._wal.lock:
            connection.execute("PRAGMA synchronous=NORMAL --_do_")
            connection.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)
            connection.execute("PRAGMA synchronous=OFF --_do_")
            self._wal.make_named()
            self._wal.emptied(self.committed)
            self.safe = self.committed

    def _end_live(self, connection: apsw.Connection) -> None:
        """End a transaction that has only read; whoever closes has committed what was written."""
        assert not self.has_writes, self
        connection.execute(_COMMIT)
        self._is_begun = False

    def discard(self) -> None:
        """After a failed commit or sync: close, and cut the -wal back to the last safe commit. Blocks. Raises StorageError.

        With durability "normal" that is the last commit that SQLite reported as made.
        """
        self.is_broken = True
        was_open = self._connection is not None
        self._batch.clear()
        self._drop_connection()
        if not was_open:
            return
        keep = self._wal.safe_bytes if self.durability == "full" else self._wal.length
        try:
            self._wal.cut(keep)
        except OSError as error:
            raise self._trouble("could not be brought back to its last safe state", error) from error

    def _drop_connection(self) -> None:
        with self._wal.lock:
            connection, self._connection = self._connection, None
            self._execute = None
            self._is_begun = False
            self._savepoints.clear()
            self._fresh_tables.clear()
            if connection is not None:
                with contextlib.suppress(apsw.Error):  # what was safe stays so, what was not is cut or reported by the caller
                    connection.close()
                forks.unwatch(self)
            self._wal.close()

    def vanish(self) -> Callable[[], None]:
        """As if the process had been killed: nothing is written any more. What is returned lets go of the locks, once no thread is in here."""
        connection = self._connection
        self.is_broken = True

        def let_go() -> None:
            for one in (connection, self._connection):
                if one is not None:
                    with contextlib.suppress(apsw.Error):
                        one.close(True)
            self.abandon()

        return let_go

    def abandon(self) -> tuple[object | None, list[str]]:
        """For `forks`: this is a forked child, the file is not ours."""
        connection, self._connection = self._connection, None
        kept = (connection, self._execute)
        self._execute = None
        self._wal.abandon()
        self.is_broken = True
        return kept, [str(self.path), self._wal.path]

    def _trouble(self, what: str, error: BaseException) -> StorageError:
        if isinstance(error, StorageError):
            return error
        if isinstance(error, apsw.BusyError):
            return StorageError(f"{self.path} {what}: another process, or another activation, has it open")
        return StorageError(f"{self.path} {what}: {type(error).__name__}: {error}")

    # -- a turn -------------------------------------------------------------------------------------------------

    def add(self, sql: str, params: tuple[Any, ...] = ()) -> None:
        """Let the turn's transaction run this statement of the runtime."""
        self._batch.append((sql, params))

    def with_first_commit(self, sql: str, params: tuple[Any, ...]) -> None:
        """Let the next commit run this statement too, whenever it comes; alone it is no reason to commit."""
        self._first.append((sql, params))

    def ensure_table(self, ddl: str) -> None:
        """Let the turn's transaction make this table if the file does not have it."""
        match = _TABLE_NAME.search(ddl)
        assert match is not None, ddl
        name = match[1]
        if name in self._tables or name in self._fresh_tables:
            return
        if self._connection is None and self.exists():
            self.open(create=False)
            if name in self._tables:
                return
        self._fresh_tables.add(name)
        self._batch.append((ddl, ()))

    def has_table(self, name: str) -> bool:
        """True if the file, or the transaction that is being put together, has this table of the runtime."""
        return name in self._tables or name in self._fresh_tables

    def table_made(self, name: str) -> None:
        """A table of the runtime was made live, in the turn's transaction."""
        self._fresh_tables.add(name)

    @property
    def has_writes(self) -> bool:
        """True if there is something to commit (or the file is broken, and the commit must say so)."""
        if self._batch or self.is_broken:
            return True
        if not self._is_begun or self._connection is None:
            return False
        return self._connection.txn_state("main") == apsw.SQLITE_TXN_WRITE

    @property
    def commit_needs_worker(self) -> bool:
        """True if the commit has to open the file, or make it."""
        return self._connection is None

    def commit(self, *, sync: bool = False) -> int:
        """Commit the turn; `sync=True` also makes it safe (blocks). Returns its number.

        Raises StorageError; the file is broken then and takes nothing more: `discard` it and begin a new activation.
        """
        if self.is_broken:
            raise StorageError(f"{self.path} failed before: its activation is over")
        assert not self._savepoints, "an inner transaction is open"
        try:
            if self._execute is None:
                self.open(create=True)
            execute = self._execute
            assert execute is not None
            batch = self._batch
            if not self._is_begun and (len(batch) > 1 or not self._epoch_written):
                execute(_BEGIN)
                self._is_begun = True
            if not self._epoch_written:
                execute(f"PRAGMA user_version={self.epoch} --_do_")
                for sql, params in self._first:
                    execute(sql, params)
            for sql, params in batch:
                execute(sql, params)
            if self._is_begun:
                execute(_COMMIT)
                self._is_begun = False
            number = self.committed + 1
            self._wal.committed(number, ahead=self.durability == "full")
        except (apsw.Error, OSError, StorageError) as error:
            self.is_broken = True
            raise self._trouble("could not commit", error) from error
        self.committed = number
        self._epoch_written = True
        batch.clear()
        if self._fresh_tables:
            self._tables |= self._fresh_tables
            self._fresh_tables.clear()
        if sync:
            self.sync()
        return number

    def rollback(self) -> None:
        """Drop the turn's writes. Raises StorageError."""
        self._batch.clear()
        self._fresh_tables.clear()
        self._savepoints.clear()
        if not self._is_begun:
            return
        self._is_begun = False
        connection = self._connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute(_ROLLBACK)
        except apsw.Error as error:
            self.is_broken = True
            raise self._trouble("could not roll back", error) from error

    def sync(self) -> None:
        """Make every commit so far safe (fdatasync of the -wal). Blocks; may run on a thread beside commits. Raises StorageError."""
        wal = self._wal
        with wal.lock:
            if self.safe >= wal.mark[0]:
                return
            if self.is_broken:
                raise StorageError(f"{self.path} failed before: a later sync proves nothing")
            try:
                self.safe = wal.sync()
            except OSError as error:
                self.is_broken = True
                raise self._trouble("could not be synced", error) from error

    # -- live use within a turn ---------------------------------------------------------------------------------

    def begin(self) -> apsw.Connection:
        """The live connection, in the turn's transaction; opens or makes the file if it must (blocks then)."""
        if self._connection is None or self.is_broken:
            self.open(create=True)
            if self.is_broken:
                raise StorageError(f"{self.path} failed before: its activation is over")
        connection = self._connection
        assert connection is not None
        if not self._is_begun:
            try:
                connection.execute(_BEGIN)
            except apsw.Error as error:
                raise self._trouble("could not begin a transaction", error) from error
            self._is_begun = True
        return connection

    def reader(self) -> apsw.Connection | None:
        """The live connection for reading; None if the file does not exist."""
        if self._connection is None:
            if not self.exists():
                return None
            self.open(create=False)
        return self._connection

    @property
    def authorizer(self) -> Authorizer:
        return self._authorizer

    def savepoint(self) -> None:
        """Begin an inner transaction."""
        self.begin().execute(f"SAVEPOINT _do_{len(self._savepoints)}")
        self._savepoints.append((len(self._batch), set(self._fresh_tables)))

    def release(self) -> None:
        """End the innermost inner transaction, keeping its writes."""
        self._savepoints.pop()
        self.begin().execute(f"RELEASE _do_{len(self._savepoints)}")

    def rollback_to(self) -> None:
        """Undo and end the innermost inner transaction, its buffered writes too."""
        length, tables = self._savepoints.pop()
        del self._batch[length:]
        self._fresh_tables = tables
        name = f"_do_{len(self._savepoints)}"
        self.begin().execute(f"ROLLBACK TO {name}; RELEASE {name}")

    # -- reading ------------------------------------------------------------------------------------------------

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a statement of the runtime; none if the file or its table is not there. Raises StorageError."""
        connection = self._connection or self.reader()
        if connection is None:
            return []
        try:
            return connection.execute(sql, params).fetchall()
        except apsw.SQLError as error:
            if "no such table: _do_" in str(error):
                return []
            raise self._trouble("could not be read", error) from error
        except apsw.Error as error:
            raise self._trouble("could not be read", error) from error

    def load_fields(self) -> dict[str, bytes]:
        """The durable fields, encoded, by name."""
        return {name: value for name, value in self.query("SELECT name, value FROM _do_fields")}

    def size_bytes(self) -> int:
        """Bytes on disk, the -wal included; 0 if there is no file."""
        total = 0
        for path in (self.path, self._wal.path):
            with contextlib.suppress(FileNotFoundError):
                total += os.stat(path).st_size
        return total

    def delete(self) -> None:
        """Remove the entity's file for good; its absence is safe on return. Blocks. Raises StorageError."""
        self._drop_connection()
        self._batch.clear()
        self._epoch_written = False
        self._tables.clear()
        self._wal.removed(self.committed)
        self.safe = self.committed
        paths = [str(self.path), self._wal.path]  # the file first: with it gone, the -wal is nobody's (see `_create`)
        if isinstance(self.path, LongPath):
            paths.append(str(self.path.id_path))
        try:
            for path in paths:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            if self.path.parent.is_dir():
                self._disk.sync_folder(self.path.parent)
        except OSError as error:
            raise self._trouble("could not be deleted", error) from error
        self._exists = False
