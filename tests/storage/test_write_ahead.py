"""Zeros ahead of a growing -wal: cheaper syncs, the same truth about what is safe."""

from __future__ import annotations

import os

import pytest

from dotdo.errors import StorageError
from dotdo.storage import wal


def wal_bytes(file) -> int:
    return os.stat(f"{file.path}-wal").st_size


def test_a_growing_wal_is_ahead_of_its_frames_and_a_short_one_is_not(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit(sync=True)
    assert wal_bytes(file) < wal.WRITE_AHEAD_FROM_BYTES
    for number in range(20):
        put(file, b"%d" % number * 100)
        file.commit(sync=True)
    assert wal_bytes(file) >= wal.WRITE_AHEAD_BYTES


def test_a_failed_sync_cuts_back_to_the_last_safe_commit_behind_the_zeros(make_file, put, disk):
    file = make_file(disk=disk)
    for number in range(40):
        put(file, b"%d" % number)
        file.commit(sync=True)
    put(file, b"lost")
    file.commit()
    disk.failing_syncs = 1
    with pytest.raises(StorageError):
        file.sync()
    file.discard()
    again = make_file()
    again.open()
    assert again.load_fields() == {"n": b"39"}


def test_a_wal_left_behind_is_read_to_its_last_frame(make_file, put):
    file = make_file()
    for number in range(40):
        put(file, b"%d" % number)
        file.commit()
    file._drop_connection()
    assert wal_bytes(file) > wal.WRITE_AHEAD_BYTES // 2
    again = make_file()
    again.open()
    assert again.load_fields() == {"n": b"39"}
    put(again, b"more")
    again.commit(sync=True)
    again.close()
    assert make_file().load_fields() == {"n": b"more"}


def test_a_full_disk_does_without(make_file, put, disk, monkeypatch):
    def refuse(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_zeros", refuse)
    file = make_file(disk=disk)
    for number in range(40):
        put(file, b"%d" % number)
        file.commit(sync=True)
    file.close()
    assert make_file().load_fields() == {"n": b"39"}
