"""An entity's file beside three dicts: what the turn sees, what is committed, what is safe."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dotdo.errors import StorageError
from dotdo.storage import sql
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.keyvalue import KeyValue
from dotdo.storage.paths import entity_path

keys = st.sampled_from(["a", "b", "ba", "c"])
values = st.one_of(st.integers(-5, 5), st.binary(max_size=3000))
PUT_FIELD = "INSERT OR REPLACE INTO _do_fields VALUES(?1, ?2)"


class Storage(RuleBasedStateMachine):
    disk_class: type

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.disk = self.disk_class()
        self.live, self.committed, self.safe = {}, {}, {}
        self.fields = {}
        self.stack = []
        self.activate()

    def activate(self):
        self.file = EntityFile(entity_path(self.folder, "Order", "o1"), disk=self.disk)
        self.store = KeyValue(self.file)

    def teardown(self):
        if hasattr(self, "file"):
            self.file._drop_connection()
            shutil.rmtree(self.folder)

    @rule(key=keys, value=values)
    def put(self, key, value):
        self.store.put(key, value)
        self.live["kv", key] = value

    @rule(key=keys)
    def delete(self, key):
        assert self.store.delete(key) == (self.live.pop(("kv", key), None) is not None)

    @rule(key=keys, value=st.integers(0, 99))
    def insert(self, key, value):
        sql.run(self.file, "CREATE TABLE IF NOT EXISTS t(k PRIMARY KEY, v)")
        sql.run(self.file, "INSERT INTO t VALUES(?, ?) ON CONFLICT(k) DO UPDATE SET v = excluded.v", (key, value))
        self.live["sql", key] = value

    @rule(key=keys, value=st.binary(max_size=2000))
    def set_field(self, key, value):
        self.file.add(PUT_FIELD, (key, value))
        self.fields[key] = value

    @rule()
    def savepoint(self):
        if len(self.stack) < 3:
            self.file.savepoint()
            self.stack.append((dict(self.live), dict(self.fields)))

    @precondition(lambda self: self.stack)
    @rule()
    def release(self):
        self.file.release()
        self.stack.pop()

    @precondition(lambda self: self.stack)
    @rule()
    def rollback_to(self):
        self.file.rollback_to()
        self.live, self.fields = self.stack.pop()

    @precondition(lambda self: not self.stack)
    @rule(sync=st.booleans())
    def commit(self, sync):
        if not self.file.has_writes:
            return
        self.file.commit(sync=sync)
        for key, value in self.fields.items():
            self.live["field", key] = value
        self.fields.clear()
        self.committed = dict(self.live)
        if sync:
            self.safe = dict(self.committed)

    def forget_turn(self):
        self.live = dict(self.committed)
        self.fields.clear()
        self.stack.clear()

    @rule()
    def rollback(self):
        self.file.rollback()
        self.forget_turn()

    @rule()
    def sync(self):
        self.file.sync()
        self.safe = dict(self.committed)

    @rule(checkpoint=st.booleans(), same=st.booleans())
    def sleep_and_wake(self, checkpoint, same):
        self.rollback()
        was_open = self.file.is_open
        self.file.close(checkpoint=checkpoint)
        if was_open:
            self.safe = dict(self.committed)
        if not same:
            self.activate()

    @rule()
    def checkpoint(self):
        self.rollback()
        was_open = self.file.is_open
        self.file.checkpoint()
        if was_open:
            self.safe = dict(self.committed)

    @rule()
    def kill(self):
        self.file._drop_connection()
        self.forget_turn()
        self.activate()
        if self.file.exists():
            self.file.open(create=False)
        self.safe = dict(self.committed)

    @rule()
    def fail_a_sync(self):
        self.rollback()
        if self.file.safe == self.file.committed:
            return
        self.disk.failing_syncs = 1
        with pytest.raises(StorageError):
            self.file.sync()
        self.wake_broken()

    @rule(passed=st.integers(0, 3))
    def fail_a_commit(self, passed):
        if self.stack or not self.file.is_open:
            return
        self.file.add(PUT_FIELD, ("lost", b"x" * 3000))

        def count():
            nonlocal passed
            passed -= 1
            if passed < 0:
                self.disk.failing_writes = 1

        self.disk.before_operation = count
        self.disk.failing_writes = int(passed == 0)
        with pytest.raises(StorageError):
            self.file.commit()
        self.disk.before_operation = lambda: None
        self.disk.failing_writes = 0
        self.wake_broken()

    def wake_broken(self):
        self.file.discard()
        self.committed = dict(self.safe)
        self.forget_turn()
        self.activate()

    @invariant()
    def agrees(self):
        if not hasattr(self, "file"):
            return
        assert self.store.list() == {key: value for (kind, key), value in sorted(self.live.items()) if kind == "kv"}
        assert self.file.load_fields() == {key: value for (kind, key), value in self.committed.items() if kind == "field"}
        assert not self.file.is_broken


@pytest.mark.timeout(120)
def test_the_file_agrees_with_the_dicts_whatever_happens(simulated_disk):
    Storage.disk_class = simulated_disk
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(Storage, settings=settings(max_examples=120, stateful_step_count=40, deadline=None))
