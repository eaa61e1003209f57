"""How an entity wakes: its file is read on a worker thread, its fields are looked at, and migrated if an older class
wrote them, `setup` runs, and only then are calls let in.

Whatever fails here ends the activation, and everybody who waits gets the error; the next call tries again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dotdo.entity import migration
from dotdo.entity.turn import Branch
from dotdo.errors import StorageError

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation
    from dotdo.entity.task import EntityTask

_Read = tuple[dict[str, bytes], int]


class Opening:
    """One waking."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    def start(self) -> None:
        self._activation.host.run_in_worker(self._read, self._was_read)

    def _read(self) -> _Read | None:
        """The stored fields, and the version of the class that wrote them (worker thread)."""
        activation = self._activation
        spec, file = activation.spec, activation.file
        if not file.exists():
            migration.put_version(file, spec.options.version)
            return None
        file.open(create=False)
        stored = file.load_fields()
        activation.ledger.load()
        version = migration.take_version(stored)
        if migration.needs_migration(spec, activation.key, version):
            return stored, version
        return migration.fitted(spec, activation.key, stored), version

    def _was_read(self, read: _Read | None, error: BaseException | None) -> None:
        activation = self._activation
        if activation.has_ended:
            return
        if error is not None:
            activation.break_down(error, wakes_again=not isinstance(error, migration.DoesNotFit))
            return
        try:
            activation.instance = activation.spec.make_instance(activation)
        except Exception as problem:  # every caller waiting must hear of it
            activation.break_down(problem)
            return
        if read is None:
            self._set_up()
            return
        stored, version = read
        activation.fields.encoded = stored
        activation.host.file_opened(activation)
        if version < activation.spec.options.version:
            self._migrate(stored, version)
        else:
            self._set_up()

    # -- fields of an older class -------------------------------------------------------------------------------

    def _migrate(self, stored: dict[str, bytes], version: int) -> None:
        activation = self._activation
        spec, file = activation.spec, activation.file
        try:
            with activation.holding_the_loop():
                made = migration.migrate(spec, activation.key, activation.instance, stored, version)
        except StorageError as error:
            activation.break_down(error, wakes_again=False)
            return

        def commit() -> dict[str, bytes]:
            fields = migration.fitted(spec, activation.key, made)
            migration.put(file, stored, made, spec.options.version)
            file.commit(sync=activation.gate.durable)
            return fields

        def was_committed(fields: dict[str, bytes] | None, error: BaseException | None) -> None:
            if activation.has_ended:
                return
            if error is not None:
                activation.break_down(error, wakes_again=not isinstance(error, migration.DoesNotFit))
                return
            activation.fields.encoded = fields or {}
            activation.gate.committed_to(file.committed, safe=file.safe if activation.gate.durable else file.committed)
            self._set_up()

        activation.host.run_in_worker(commit, was_committed)

    # -- setup --------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        activation = self._activation
        setup = activation.spec.setup
        if setup is None:
            activation.was_opened()
            return
        hold = activation.hold_for_setup()
        task = activation.make_task(setup(activation.instance), Branch("setup"), run=None, hold=hold)
        task.add_done_callback(self._was_set_up)
        task.start_now()

    def _was_set_up(self, task: EntityTask) -> None:
        activation = self._activation
        if activation.has_ended:
            return
        activation.hold = None
        if task.cancelled():
            activation.break_down(StorageError(f"setup of {activation.key} was cancelled"))
            return
        error = task.exception()
        if error is not None:
            activation.break_down(error)
            return
        activation.was_opened()
