"""A shard has one owner: the kernel says so, also while the owner is stopped, and the moment it is dead."""

import os
import signal
import subprocess
import sys

import pytest

from dotdo import DataFolderInUse, DataFolderMissing
from dotdo.hosting import data_folder
from dotdo.hosting.shards import Shard, shard_of

OWNER = """
import sys
from pathlib import Path
from dotdo.hosting.shards import Shard
shard = Shard(Path(sys.argv[1]), 0)
shard.acquire()
print("owned", flush=True)
sys.stdin.readline()
print(shard.epoch, flush=True)
sys.stdin.readline()
"""


@pytest.mark.feature(11)
def test_a_stopped_owner_keeps_its_shard_and_a_dead_one_loses_it(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdin is not None
    assert owner.stdout is not None
    try:
        assert owner.stdout.readline() == "owned\n"
        os.kill(owner.pid, signal.SIGSTOP)
        with pytest.raises(DataFolderInUse, match=str(owner.pid)):
            Shard(tmp_path, 0).acquire()
        assert not Shard(tmp_path, 0).is_free()
        os.kill(owner.pid, signal.SIGCONT)
        owner.stdin.write("\n")
        owner.stdin.flush()
        assert owner.stdout.readline() == "1\n"
        with pytest.raises(DataFolderInUse):
            Shard(tmp_path, 0).acquire()
    finally:
        owner.kill()
        owner.wait()
        owner.stdin.close()
        owner.stdout.close()
    successor = Shard(tmp_path, 0)
    successor.acquire()
    assert successor.epoch == 2
    successor.release()


def test_a_key_belongs_to_the_same_shard_for_ever():
    assert [shard_of(f"Order/{n}", 16) for n in range(6)] == [shard_of(f"Order/{n}", 16) for n in range(6)]
    assert len({shard_of(f"Order/{n}", 16) for n in range(500)}) == 16


def test_a_data_folder_that_lacks_a_part_is_refused_and_nothing_is_made_anew(tmp_path):
    folder = data_folder.open_folder(tmp_path / "d", 4)
    assert data_folder.open_folder(tmp_path / "d", 9) == folder
    (folder.shard_folder(2)).rmdir()
    with pytest.raises(DataFolderMissing, match="02"):
        data_folder.open_folder(tmp_path / "d", 4)
    folder.shard_folder(2).mkdir()
    (folder.path / "dotdo.json").unlink()
    with pytest.raises(DataFolderMissing, match=r"dotdo\.json"):
        data_folder.open_folder(tmp_path / "d", 4)
