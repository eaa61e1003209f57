import asyncio
import threading

import pytest

from dotdo.errors import StorageError
from dotdo.storage.gate import OutputGate
from dotdo.storage.sync_pool import SyncPool


class FakeFile:
    """Commits by counting; its syncs can be held, and fail."""

    def __init__(self) -> None:
        self.committed = self.safe = 0
        self.threads: list[threading.Thread] = []
        self.held: threading.Event | None = None
        self.error: BaseException | None = None

    def sync(self) -> None:
        number = self.committed
        self.threads.append(threading.current_thread())
        if self.held is not None:
            self.held.wait(10)
        if self.error is not None:
            raise self.error
        self.safe = number


def commit(file, gate, pool) -> None:
    file.committed += 1
    gate.committed_to(file.committed, safe=file.safe)
    pool.request(file, gate)


@pytest.fixture
async def pool():
    pool = SyncPool(asyncio.get_running_loop(), threads=2)
    yield pool
    pool.close()


async def test_a_lone_file_is_synced_on_the_loop_once_for_all_commits_of_the_pass(pool):
    file, gate = FakeFile(), OutputGate()
    for _ in range(3):
        commit(file, gate, pool)
    await gate.wait()
    assert file.safe == 3
    assert file.threads == [threading.main_thread()]
    assert pool.is_idle


async def test_many_files_are_synced_on_threads(pool):
    files = [(FakeFile(), OutputGate()) for _ in range(20)]
    for file, gate in files:
        commit(file, gate, pool)
    await asyncio.gather(*[gate.wait() for _, gate in files])
    assert all(file.safe == 1 and threading.main_thread() not in file.threads for file, _ in files)
    assert pool.is_idle


async def test_commits_made_during_a_sync_share_the_next_one(pool):
    file, gate = FakeFile(), OutputGate()
    other, other_gate = FakeFile(), OutputGate()
    file.held = threading.Event()
    commit(file, gate, pool)
    commit(other, other_gate, pool)
    first = asyncio.ensure_future(gate.wait())
    await other_gate.wait()
    for _ in range(5):
        commit(file, gate, pool)
    file.held.set()
    await first
    await gate.wait()
    assert (file.safe, len(file.threads)) == (6, 2)


async def test_a_failed_sync_fails_its_own_gate_only(pool):
    failed = []
    pool.on_failure(lambda gate, error: (failed.append(error), gate.fail(error)))
    file, gate = FakeFile(), OutputGate()
    other, other_gate = FakeFile(), OutputGate()
    file.error = StorageError("disk")
    commit(file, gate, pool)
    commit(other, other_gate, pool)
    with pytest.raises(StorageError):
        await gate.wait()
    await other_gate.wait()
    assert failed == [file.error]
    assert pool.is_idle


async def test_real_files_become_safe(pool, make_file, put):
    files = [(make_file(f"o{i}"), OutputGate()) for i in range(10)]
    for _ in range(5):
        for file, gate in files:
            put(file, b"1")
            file.commit()
            gate.committed_to(file.committed, safe=file.safe)
            pool.request(file, gate)
        await asyncio.gather(*[gate.wait() for _, gate in files])
    assert all(file.safe == 5 for file, _ in files)
