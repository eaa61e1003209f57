"""`self.storage`: key-value, SQL, transactions and the alarm of one entity. Plain calls, no await."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dotdo import clock, codec, durations
from dotdo.durable import alarm
from dotdo.entity.input_gate import Transaction
from dotdo.errors import NotAllowed, ReplayDrift
from dotdo.storage import keyvalue, sql

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.entity.activation import Activation

RECORDED_BYTES_MAX = 64 * 1024
BATCH_MAX = 1_000
_MISSING: Any = object()


class Storage:
    """The storage of one entity, for its own code."""

    __slots__ = ("_activation", "_ledger")

    def __init__(self, activation: Activation, ledger: Ledger) -> None:
        self._activation = activation
        self._ledger = ledger

    def _recorded(self, operation: Any) -> Any:
        """The operation's result, from the record if the turn is replayed: then it does not touch the file."""
        ledger = self._ledger
        turn = self._activation.turn
        packed = ledger.handed(lambda: _run(operation), is_drawn=False)
        ok, blob = packed
        if ok is None and turn is not None and turn.is_replayed:
            fresh = _run(operation)
            if fresh != packed:
                raise ReplayDrift(f"a replayed turn of {self._activation.key} reads other rows than it did at first")
            return operation.live
        if turn is not None and not turn.is_replayed and operation.error is None:
            return operation.live
        if ok is False:
            raise operation.error if operation.error is not None else codec.decode(blob)
        return operation.restore(codec.decode(blob))

    # -- key-value ----------------------------------------------------------------------------------------------

    def get(self, key: str | Iterable[str], default: Any = None) -> Any:
        """The value of a key (`default` if there is none), or a dict of those there are for many keys."""
        file = self._activation.file
        if isinstance(key, str):
            blob = self._recorded(_Operation(lambda: keyvalue.get(file, key)))
            return default if blob is None else codec.decode(blob)
        keys = sorted(_batch(key), key=str.encode)
        blobs = self._recorded(_Operation(lambda: [keyvalue.get(file, one) for one in keys]))
        return {one: codec.decode(blob) for one, blob in zip(keys, blobs, strict=True) if blob is not None}

    def put(self, key: str | Mapping[str, Any], value: Any = _MISSING) -> None:
        """Set a key, or many from a mapping."""
        if isinstance(key, str) is (value is _MISSING):
            raise TypeError("put() takes a key and a value, or one mapping")
        values = {key: value} if isinstance(key, str) else dict(key)
        _batch(values)
        encoded = {name: codec.encode(one) for name, one in values.items()}
        file = self._activation.file
        self._recorded(_Operation(lambda: keyvalue.put_encoded(file, encoded)))

    def delete(self, key: str | Iterable[str]) -> Any:
        """Delete a key (was it there?), or many (how many were there)."""
        file = self._activation.file
        if isinstance(key, str):
            return bool(self._recorded(_Operation(lambda: keyvalue.delete(file, [key]))))
        keys = _batch(key)
        return self._recorded(_Operation(lambda: keyvalue.delete(file, keys)))

    def delete_all(self) -> None:
        """Delete every key of the key-value store (fields and SQL tables stay)."""
        file = self._activation.file
        self._recorded(_Operation(lambda: keyvalue.delete_all(file)))

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
        """Keys and values in key order (UTF-8 bytes); `start` is included, `end` is not, also when reversed."""
        file = self._activation.file
        rows = self._recorded(
            _Operation(
                lambda: [
                    list(row)
                    for row in keyvalue.list_rows(
                        file, prefix=prefix, start=start, start_after=start_after, end=end, reverse=reverse, limit=limit
                    )
                ]
            )
        )
        return {key: codec.decode(blob) for key, blob in rows}

    # -- SQL ----------------------------------------------------------------------------------------------------

    def sql(self, query: str, *params: Any) -> sql.Cursor:
        """Run SQL on the entity's own tables. Raises NotAllowed, SqlError, StorageError."""
        file = self._activation.file
        for param in params:
            if type(param) not in (str, int, float, bytes, bool, type(None)):
                raise NotAllowed(f"a {type(param).__name__} cannot be bound to SQL: convert it to text, a number or bytes first")
        return self._recorded(_SqlOperation(lambda: sql.run(file, query, params)))  # type: ignore[no-any-return]

    # -- together -----------------------------------------------------------------------------------------------

    def transaction(self) -> Transaction:
        """`async with`: everything in the block commits together, or not at all; nobody else runs meanwhile."""
        return Transaction(self._activation)

    async def sync(self) -> None:
        """Wait until every write so far is safe, those of this turn included."""
        from dotdo.entity.input_gate import EndOfTurn

        self._ledger.current("storage.sync()")
        await EndOfTurn()
        await self._activation.gate.wait()

    # -- the alarm ----------------------------------------------------------------------------------------------

    def set_alarm(self, when: datetime | float | timedelta | str) -> None:
        """Have `alarm(self, info)` called at a time (an aware datetime) or after a duration; one alarm per entity."""
        due = self._moment(when)
        self._recorded(_Operation(lambda: alarm.set_alarm(self._ledger, due)))

    def get_alarm(self) -> datetime | None:
        """When the alarm is due, or None; None while its handler runs."""
        due = self._recorded(_Operation(lambda: alarm.get_alarm(self._ledger)))
        return None if due is None else clock.to_datetime(due)

    def delete_alarm(self) -> None:
        """Clear the alarm."""
        self._recorded(_Operation(lambda: alarm.delete_alarm(self._ledger)))

    def _moment(self, when: datetime | float | timedelta | str) -> float:
        if isinstance(when, datetime):
            return clock.to_epoch(when)
        return float(self._ledger.handed(self._activation.host.clock.now)) + durations.seconds(when)


class _Operation:
    """One storage operation, run once; what it gave is kept beside its record."""

    __slots__ = ("_run", "error", "live")

    def __init__(self, run: Any) -> None:
        self._run = run
        self.live: Any = None
        self.error: BaseException | None = None

    def run(self) -> Any:
        self.live = self._run()
        return self.live

    def restore(self, value: Any) -> Any:
        return value


class _SqlOperation(_Operation):
    __slots__ = ()

    def run(self) -> Any:
        cursor = super().run()
        return [cursor.columns, [list(row) for row in cursor.raw()], cursor.rows_written]

    def restore(self, value: Any) -> Any:
        columns, rows, written = value
        return sql.Cursor(columns, [tuple(row) for row in rows], written)


def _run(operation: _Operation) -> list[Any]:
    """[True, result], [False, error], or [None, hash] where the result is large."""
    import hashlib

    try:
        result = operation.run()
    except Exception as error:
        operation.error = error
        return [False, codec.encode(error)]
    blob = codec.encode(result)
    if len(blob) > RECORDED_BYTES_MAX:
        return [None, hashlib.blake2b(blob, digest_size=16).digest()]
    return [True, blob]


def _batch(keys: Iterable[str]) -> list[str]:
    found = list(keys)
    if len(found) > BATCH_MAX:
        raise ValueError(f"{len(found)} keys at once are over the limit of {BATCH_MAX}")
    return found
