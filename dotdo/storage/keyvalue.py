"""`self.storage`: a sorted key-value store in the entity's own file.

Plain calls, no await: a read takes microseconds. Writes belong to the running turn's transaction. The functions deal in
encoded values, because what a turn read may have to be journaled as it was; `KeyValue` is the store as a user sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, overload

import apsw

from dotdo import codec
from dotdo.errors import StorageError
from dotdo.storage.entity_file import EntityFile

KEY_BYTES_MAX = 2048
_NAME = "_do_kv"
_TABLE = "CREATE TABLE IF NOT EXISTS _do_kv(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
_GET = "SELECT value FROM _do_kv WHERE key = ?1"
_PUT = "INSERT INTO _do_kv VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value"
_DELETE = "DELETE FROM _do_kv WHERE key = ?1"
_MISSING: Any = object()


class KeyValue:
    """The store of one entity: keys are text, values anything the codec knows."""

    __slots__ = ("_file",)

    def __init__(self, file: EntityFile) -> None:
        self._file = file

    @overload
    def get(self, key: str, default: Any = None) -> Any: ...
    @overload
    def get(self, key: Iterable[str], default: Any = None) -> dict[str, Any]: ...
    def get(self, key: str | Iterable[str], default: Any = None) -> Any:
        """The value of a key, or `default`; for many keys, a dict of those that are there."""
        if isinstance(key, str):
            data = get(self._file, key)
            return default if data is None else codec.decode(data)
        found = ((one, get(self._file, one)) for one in key)
        return {one: codec.decode(data) for one, data in found if data is not None}

    @overload
    def put(self, key: str, value: Any, /) -> None: ...
    @overload
    def put(self, key: Mapping[str, Any], /) -> None: ...
    def put(self, key: str | Mapping[str, Any], value: Any = _MISSING, /) -> None:
        """Set one key, or every key of a mapping. Raises CodecError before anything is written."""
        if isinstance(key, Mapping):
            if value is not _MISSING:
                raise TypeError("put() takes a key and a value, or one mapping")
            self._put(key)
            return
        if value is _MISSING:
            raise TypeError("put() takes a key and a value, or one mapping")
        self._put({key: value})

    def _put(self, values: Mapping[str, Any]) -> None:
        put_encoded(self._file, {check_key(key): codec.encode(value) for key, value in values.items()})

    @overload
    def delete(self, key: str) -> bool: ...
    @overload
    def delete(self, key: Iterable[str]) -> int: ...
    def delete(self, key: str | Iterable[str]) -> bool | int:
        """Delete one key (was it there?) or many (how many were?)."""
        if isinstance(key, str):
            return delete(self._file, (key,)) > 0
        return delete(self._file, key)

    def delete_all(self) -> None:
        """Delete every key; fields and the user's own tables stay."""
        delete_all(self._file)

    def list(
        self,
        *,
        prefix: str | None = None,
        start: str | None = None,
        start_after: str | None = None,
        end: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> dict[str, Any]:
        """Keys and values in key order, from `start` (or after `start_after`) up to, not with, `end`."""
        rows = list_rows(self._file, prefix=prefix, start=start, start_after=start_after, end=end, reverse=reverse, limit=limit)
        return {key: codec.decode(data) for key, data in rows}


def check_key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a storage key is a string, not {type(key).__name__}")
    if not key or len(key.encode()) > KEY_BYTES_MAX:
        raise ValueError(f"a storage key has 1 to {KEY_BYTES_MAX} bytes: {key[:40]!r}")
    return key


def get(file: EntityFile, key: str) -> bytes | None:
    """The encoded value of a key, or None."""
    rows = file.query(_GET, (check_key(key),))
    return bytes(rows[0][0]) if rows else None


def put_encoded(file: EntityFile, values: Mapping[str, bytes]) -> None:
    """Set keys to encoded values, in the turn's transaction."""
    for key in values:
        check_key(key)
    if not values:
        return
    connection = _writer(file)
    for row in values.items():
        _run(file, connection, _PUT, row)


def delete(file: EntityFile, keys: Iterable[str]) -> int:
    """Delete keys; how many there were."""
    checked = [check_key(key) for key in keys]
    if file.reader() is None or not file.has_table(_NAME):
        return 0
    connection = file.begin()
    count = 0
    for key in checked:
        _run(file, connection, _DELETE, (key,))
        count += connection.changes()
    return count


def delete_all(file: EntityFile) -> None:
    """Delete every key."""
    if file.reader() is not None and file.has_table(_NAME):
        _run(file, file.begin(), "DELETE FROM _do_kv", ())


def list_rows(
    file: EntityFile,
    *,
    prefix: str | None = None,
    start: str | None = None,
    start_after: str | None = None,
    end: str | None = None,
    reverse: bool = False,
    limit: int | None = None,
) -> list[tuple[str, bytes]]:
    """Keys and encoded values in key order (UTF-8 bytes): from `start` (or after `start_after`) up to, not with, `end`."""
    if start is not None and start_after is not None:
        raise TypeError("list() takes start= or start_after=, not both")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ValueError(f"limit={limit!r}: a whole number, at least 1")
    for bound_key in (prefix, start, start_after, end):
        if bound_key is not None and not isinstance(bound_key, str):
            raise TypeError(f"list() takes strings as bounds, not {type(bound_key).__name__}")
    conditions, params = [], []
    for text, value in (("key >= ?", start), ("key > ?", start_after), ("key < ?", end)):
        if value is not None:
            conditions.append(text)
            params.append(value)
    if prefix:
        conditions.append("key >= ?")
        params.append(prefix)
        after = _after_prefix(prefix)
        if after is not None:
            conditions.append("key < ?")
            params.append(after)
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = " ORDER BY key DESC" if reverse else " ORDER BY key"
    bound = f" LIMIT {limit}" if limit is not None else ""
    return [(r[0], bytes(r[1])) for r in file.query(f"SELECT key, value FROM _do_kv{where}{order}{bound}", tuple(params))]


def _after_prefix(prefix: str) -> str | None:
    """The smallest text that is greater than everything with this prefix, None if there is none."""
    for cut in range(len(prefix), 0, -1):
        code = ord(prefix[cut - 1]) + 1
        if code == 0xD800:
            code = 0xE000
        if code <= 0x10FFFF:
            return prefix[: cut - 1] + chr(code)
    return None


def _writer(file: EntityFile) -> apsw.Connection:
    connection = file.begin()
    if not file.has_table(_NAME):
        _run(file, connection, _TABLE, ())
        file.table_made(_NAME)
    return connection


def _run(file: EntityFile, connection: apsw.Connection, sql: str, params: tuple[Any, ...]) -> None:
    try:
        connection.execute(sql, params)
    except apsw.Error as error:
        file.is_broken = True  # also when user code swallows the error: the turn's transaction may be gone
        raise StorageError(f"{file.path} could not be written: {type(error).__name__}: {error}") from error
