import gc
import os
import subprocess
import sys

import pytest


def in_child(job) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(job())
        except BaseException:  # noqa: BLE001  # the child must end here
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_holds_no_descriptor_and_harms_nothing(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit(sync=True)
    wal = f"{file.path}-wal"

    def job() -> int:
        targets = [os.readlink(f"/dev/fd/{name}") for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}")]
        if any(str(file.path) in target for target in targets):
            return 1
        if file.is_open or not file.is_broken:
            return 2
        file._drop_connection()
        file.__dict__.clear()
        gc.collect()
        return 0

    assert in_child(job) == 0
    assert os.path.getsize(wal) > 0
    put(file, b"2")
    file.commit(sync=True)
    file.close()
    assert make_file().load_fields() == {"n": b"2"}


PROGRAM = """
import multiprocessing, os, sys
from pathlib import Path
from dotdo.storage.entity_file import EntityFile
file = EntityFile(Path(sys.argv[1]))
put = "INSERT OR REPLACE INTO _do_fields VALUES('n', ?)"
file.add(put, (b"1",)); file.commit(sync=True)
child = os.fork()
if child == 0:
    sys.exit(0)  # a whole interpreter shutdown, with everything collected
os.waitpid(child, 0)
assert os.path.getsize(sys.argv[1] + "-wal") > 0
file.add(put, (b"2",)); file.commit(sync=True)
print(file.load_fields()["n"].decode())
"""


def test_a_forked_child_that_ends_in_full_leaves_its_parents_wal_alone(tmp_path):
    path = tmp_path / "o1.sqlite"
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2\n", "")
