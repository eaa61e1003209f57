import os
import subprocess
import sys
import threading

import apsw
import pytest

from dotdo.errors import StorageError
from dotdo.storage import keyvalue, sql
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.keyvalue import KeyValue
from dotdo.storage.wal import Wal

TABLE = "CREATE TABLE IF NOT EXISTS _do_things(name TEXT PRIMARY KEY) WITHOUT ROWID"


@pytest.mark.feature(3, 4)
def test_there_is_no_file_before_the_first_write(make_file):
    file = make_file()
    assert file.load_fields() == {}
    assert file.query("SELECT * FROM _do_things") == []
    assert KeyValue(file).get("a") is None
    assert KeyValue(file).list() == {}
    assert KeyValue(file).delete("a") is False
    KeyValue(file).delete_all()
    assert sql.run(file, "SELECT 1 AS one").one() == {"one": 1}
    assert not file.has_writes
    assert not file.exists()
    assert file.size_bytes() == 0


def test_a_turn_commits_whole(make_file, put):
    file = make_file()
    put(file, b"1")
    file.ensure_table(TABLE)
    file.add("INSERT INTO _do_things VALUES('x')")
    KeyValue(file).put("k", 1)
    assert file.has_writes
    assert file.commit(sync=True) == 1
    assert not file.has_writes
    file.close()
    again = make_file()
    assert again.load_fields() == {"n": b"1"}
    assert again.query("SELECT * FROM _do_things") == [("x",)]
    assert KeyValue(again).get("k") == 1


def test_a_turn_rolls_back_whole(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit()
    put(file, b"2")
    file.ensure_table(TABLE)
    KeyValue(file).put("k", 1)
    sql.run(file, "CREATE TABLE mine(a)")
    file.rollback()
    assert not file.has_writes
    assert file.load_fields() == {"n": b"1"}
    assert KeyValue(file).get("k") is None
    KeyValue(file).put("k", 2)
    assert file.commit() == 2
    assert KeyValue(file).get("k") == 2


def test_a_turn_that_only_reads_has_nothing_to_commit(make_file, put):
    file = make_file()
    put(file, b"1")
    sql.run(file, "CREATE TABLE mine(a)")
    file.commit()
    sql.run(file, "SELECT * FROM mine")
    sql.run(file, "CREATE TABLE IF NOT EXISTS mine(a)")
    KeyValue(file).get("k")
    assert not file.has_writes
    file.checkpoint()
    file.close()
    assert not file.is_open


def test_inner_transactions_undo_their_own_writes_only(make_file, put):
    file = make_file()
    store = KeyValue(file)
    put(file, b"outer")
    file.savepoint()
    store.put("inner", 1)
    put(file, b"inner")
    file.savepoint()
    store.put("innermost", 1)
    file.release()
    file.rollback_to()
    file.savepoint()
    store.put("kept", 1)
    file.release()
    file.commit()
    assert store.list() == {"kept": 1}
    assert file.load_fields() == {"n": b"outer"}


def test_commits_are_numbered_and_safe_when_synced(make_file, put):
    file = make_file()
    for number in (1, 2, 3):
        put(file, b"%d" % number)
        assert file.commit() == number
    assert (file.committed, file.safe) == (3, 0)
    file.sync()
    assert file.safe == 3
    file.close()


@pytest.mark.feature(15)
def test_a_hibernated_counter_is_one_small_file(make_file, put):
    file = make_file()
    for number in range(1000):
        put(file, b"%d" % number)
        file.commit()
    file.close()
    assert file.size_bytes() <= 8192
    assert [path.name for path in file.path.parent.iterdir()] == [file.path.name]


def test_a_long_wal_wants_a_checkpoint_and_is_empty_after_it(make_file, put):
    file = make_file()
    while not file.wants_checkpoint:
        put(file, os.urandom(100_000))
        file.commit()
    file.checkpoint()
    assert file.safe == file.committed
    assert os.path.getsize(f"{file.path}-wal") == 0
    put(file, b"after")
    file.commit(sync=True)
    file.close()
    assert make_file().load_fields() == {"n": b"after"}


def test_a_killed_activation_leaves_its_commits_and_the_next_one_makes_them_safe_first(make_file, put, disk):
    file = make_file(disk=disk)
    put(file, b"1")
    file.commit()
    file._drop_connection()
    syncs = disk.sync_count
    again = make_file(disk=disk)
    again.open(create=False)
    assert disk.sync_count == syncs + 1
    assert again.load_fields() == {"n": b"1"}


def test_a_torn_end_of_a_wal_is_cut_at_the_next_opening(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit()
    file._drop_connection()
    wal = f"{file.path}-wal"
    whole = os.path.getsize(wal)
    with open(wal, "ab") as out:
        out.write(os.urandom(5000))
    again = make_file()
    assert again.load_fields() == {"n": b"1"}
    assert os.path.getsize(wal) == whole


def test_closing_without_checkpoint_keeps_the_wal_as_the_sign_of_activity(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit()
    file.close(checkpoint=False)
    assert file.safe == 1
    assert os.path.getsize(f"{file.path}-wal") > 0
    put(file, b"2")
    assert file.commit_needs_worker
    assert file.commit() == 2
    assert file.load_fields() == {"n": b"2"}
    file.close()
    assert not os.path.exists(f"{file.path}-wal")


# -- failures ---------------------------------------------------------------------------------------------------


class CutsNothing(Wal):
    """The fsyncgate trap: a failed commit is left in the -wal."""

    def cut(self, keep):
        pass


def after_a_failed_sync(make, disk, put):
    file = make(disk=disk)
    put(file, b"1")
    file.commit(sync=True)
    put(file, b"2")
    file.commit()
    disk.failing_syncs = 1
    with pytest.raises(StorageError, match=r"o1\.sqlite"):
        file.sync()
    assert file.is_broken
    with pytest.raises(StorageError):
        file.sync()
    put(file, b"3")
    with pytest.raises(StorageError):
        file.commit()
    file.discard()
    again = make(disk=disk)
    value = again.load_fields()["n"]
    assert again.query("PRAGMA integrity_check --_do_") == [("ok",)]
    return value


def test_a_failed_sync_brings_the_entity_back_to_its_last_safe_commit(make_file, put, disk):
    assert after_a_failed_sync(make_file, disk, put) == b"1"


def test_the_check_of_failed_syncs_has_teeth(tmp_path, put, disk):
    def make(disk):
        file = EntityFile(tmp_path / "o1.sqlite", disk=disk)
        file._wal = CutsNothing(file.path, disk)
        return file

    assert after_a_failed_sync(make, disk, put) == b"2"


@pytest.mark.parametrize("writes_before_it_fails", [0, 1, 2, 3])
def test_a_failed_commit_brings_the_entity_back_to_its_last_safe_commit(make_file, put, simulated_disk, writes_before_it_fails):
    disk = simulated_disk()
    file = make_file(disk=disk)
    put(file, b"1")
    file.commit(sync=True)
    passed = 0

    def count() -> None:
        nonlocal passed
        if passed == writes_before_it_fails:
            disk.failing_writes = 1
        passed += 1

    put(file, b"2" * 5000)
    disk.before_operation = count
    disk.failing_writes = 1 if writes_before_it_fails == 0 else 0
    with pytest.raises(StorageError, match="full"):
        file.commit()
    disk.before_operation = lambda: None
    disk.failing_writes = 0
    assert file.has_writes
    file.discard()
    assert make_file(disk=disk).load_fields() == {"n": b"1"}


def test_an_error_that_user_code_swallows_still_fails_the_commit(make_file, put, disk):
    file = make_file(disk=disk)
    sql.run(file, "CREATE TABLE mine(a UNIQUE)")
    KeyValue(file).put("k", 1)
    file.commit(sync=True)
    sql.run(file, "INSERT INTO mine VALUES(1)")
    file._connection.execute("ROLLBACK")  # what SQLite does by itself on some errors
    with pytest.raises(ValueError, match="no such table"):
        sql.run(file, "INSERT INTO missing VALUES(1)")
    assert file.has_writes
    with pytest.raises(StorageError):
        file.commit()


def test_a_failed_checkpoint_keeps_what_was_safe(make_file, put, disk):
    file = make_file(disk=disk)
    put(file, b"1")
    file.commit(sync=True)
    disk.failing_syncs = 1
    with pytest.raises(StorageError):
        file.close()
    assert not file.is_open
    assert make_file(disk=disk).load_fields() == {"n": b"1"}


@pytest.mark.parametrize("damage", ["empty", "foreign", "noise", "short", "folder"])
def test_a_damaged_file_is_named_and_never_reset(make_file, put, damage):
    file = make_file()
    put(file, b"1")
    file.commit()
    file.close()
    path = file.path
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.unlink()
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA journal_mode=WAL; CREATE TABLE t(a)").fetchall()
        connection.close()
    elif damage == "noise":
        path.write_bytes(os.urandom(4096))
    elif damage == "short":
        path.write_bytes(path.read_bytes()[:50])
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    before = None if damage == "folder" else path.read_bytes()
    again = make_file()
    put(again, b"2")
    with pytest.raises(StorageError, match=r"o1\.sqlite"):
        again.commit()
    again.discard()
    assert (None if damage == "folder" else path.read_bytes()) == before


def test_a_file_of_a_newer_epoch_is_refused(make_file, put):
    file = make_file(epoch=7)
    put(file, b"1")
    file.commit()
    file.close()
    with pytest.raises(StorageError, match="newer owner"):
        make_file(epoch=6).open(create=False)
    newer = make_file(epoch=8)
    assert newer.load_fields() == {"n": b"1"}
    newer.close()
    same = make_file(epoch=7)  # a higher epoch that wrote nothing has left no trace
    assert same.load_fields() == {"n": b"1"}


def test_a_deleted_entity_is_gone_and_its_old_wal_cannot_come_back(make_file, put):
    file = make_file()
    put(file, b"old")
    file.commit()
    with open(f"{file.path}-wal", "rb") as source:
        wal = source.read()
    file.delete()
    assert not file.exists()
    with open(f"{file.path}-wal", "wb") as out:
        out.write(wal)
    again = make_file()
    assert again.load_fields() == {}
    put(again, b"new", "other")
    again.commit()
    assert again.load_fields() == {"other": b"new"}


# -- locks ------------------------------------------------------------------------------------------------------

INTRUDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
try:
    connection.execute(sys.argv[2]).fetchall()
    connection.commit()
except sqlite3.OperationalError as error:
    sys.exit(3 if "locked" in str(error) else 4)
"""


def intrude(path, statement: str) -> int:
    return subprocess.run([sys.executable, "-c", INTRUDER, str(path), statement], check=False).returncode


@pytest.mark.feature(11)
def test_another_process_can_neither_read_nor_write_an_open_file(make_file, put):
    """Also after all that this module does beside the connection: stat, sizes, its descriptor of the -wal."""
    file = make_file()
    put(file, b"1")
    file.commit(sync=True)
    file.exists()
    file.size_bytes()
    make_file().exists()
    assert intrude(file.path, "SELECT * FROM _do_fields") == 3
    assert intrude(file.path, "DELETE FROM _do_fields") == 3
    file.checkpoint()
    assert intrude(file.path, "DELETE FROM _do_fields") == 3
    file.close()
    assert intrude(file.path, "SELECT * FROM _do_fields") == 0


@pytest.mark.feature(11)
def test_a_second_activation_of_one_file_is_refused_and_harms_nothing(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit()
    second = make_file()
    with pytest.raises(StorageError, match="has it open"):
        second.open(create=False)
    second.discard()
    put(file, b"2")
    file.commit(sync=True)
    assert intrude(file.path, "DELETE FROM _do_fields") == 3
    file.close()
    assert make_file().load_fields() == {"n": b"2"}


def test_a_file_may_move_between_threads(make_file, put):
    file = make_file()
    put(file, b"1")
    worker = threading.Thread(target=lambda: file.commit(sync=True))
    worker.start()
    worker.join()
    put(file, b"2")
    file.commit()
    worker = threading.Thread(target=file.close)
    worker.start()
    worker.join()
    assert make_file().load_fields() == {"n": b"2"}


def test_a_sync_on_a_thread_covers_only_commits_that_were_whole_when_it_began(make_file, put, disk):
    file = make_file(disk=disk)
    put(file, b"1")
    file.commit(sync=True)
    put(file, b"2")
    file.commit()

    def commit_meanwhile() -> None:
        disk.before_operation = lambda: None
        put(file, b"3")
        file.commit()

    disk.before_operation = commit_meanwhile
    file.sync()
    assert (file.committed, file.safe) == (3, 2)
    file.is_broken = True
    file.discard()
    assert make_file(disk=disk).load_fields() == {"n": b"2"}


def test_normal_durability_keeps_the_last_commit_that_was_made(make_file, put, disk):
    file = make_file(disk=disk, durability="normal")
    put(file, b"1")
    file.commit()
    put(file, b"2")
    file.commit()
    put(file, b"3" * 3000)
    disk.failing_writes = 1
    with pytest.raises(StorageError):
        file.commit()
    file.discard()
    assert make_file(disk=disk).load_fields() == {"n": b"2"}
    assert keyvalue.list_rows(make_file("o2")) == []
