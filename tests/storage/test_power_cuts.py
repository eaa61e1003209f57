"""Power cuts at any operation of the disk: the files found afterwards hold every commit that was called safe."""

from pathlib import Path
from random import Random

import pytest

from dotdo.storage.entity_file import EntityFile
from dotdo.storage.paths import entity_path

CUTS = 12


def state(number: int) -> dict[str, bytes]:
    return {"n": b"%d" % number, "pad": bytes([number % 251]) * (number * 397 % 5000)}


def violations(folder: Path, disk, seed: int, put) -> list[str]:
    """Run one entity's life with cuts at random operations; what the cuts left that breaks a promise."""
    random = Random(seed)
    shard = folder / "shard"
    path = entity_path(shard, "Order", "o1")
    promised = committed = 0
    cuts: list[tuple[Path, int, int]] = []
    operations = 0
    moments = set(random.sample(range(1, 330), CUTS))

    def maybe_cut() -> None:
        nonlocal operations
        operations += 1
        if operations in moments:
            target = folder / f"cut{len(cuts)}"
            disk.cut_power(Random(seed + operations), shard, target)
            cuts.append((target, promised, committed))

    disk.before_operation = maybe_cut
    file = EntityFile(path, disk=disk)
    for number in range(1, 41):
        for name, value in state(number).items():
            put(file, value, name)
        committed = number
        file.commit()
        what = random.random()
        if what < 0.5:
            file.sync()
            promised = number
        elif what < 0.6:
            file.checkpoint()
            promised = number
        elif what < 0.75:
            file.close(checkpoint=what < 0.68)
            promised = number
            file = EntityFile(path, disk=disk)
    file._drop_connection()
    found: list[str] = []
    for target, safe, last in cuts:
        again = EntityFile(entity_path(target, "Order", "o1"))
        where = f"seed {seed}, {target.name}, safe {safe}, committed {last}"
        try:
            fields = again.load_fields()
            number = int(fields.get("n", b"0"))
            if not safe <= number <= last:
                found.append(f"{where}: found {number}")
            elif number and fields != state(number):
                found.append(f"{where}: {number} is torn")
            elif number and again.query("PRAGMA integrity_check --_do_") != [("ok",)]:
                found.append(f"{where}: corrupt")
        except Exception as error:  # noqa: BLE001  # any failure to open is a broken promise
            found.append(f"{where}: {error}")
        again._drop_connection()
    assert len(cuts) > CUTS // 3
    return found


@pytest.mark.parametrize("seed", range(25))
def test_no_power_cut_takes_a_safe_commit_or_leaves_half_of_one(tmp_path, simulated_disk, put, seed):
    assert violations(tmp_path, simulated_disk(), seed, put) == []


@pytest.mark.parametrize("tooth", ["broken_sync", "broken_sqlite_sync"])
def test_the_check_catches_syncs_that_do_nothing(tmp_path, simulated_disk, put, tooth):
    found = []
    for seed in range(25):
        disk = simulated_disk()
        setattr(disk, tooth, True)
        found += violations(tmp_path / str(seed), disk, seed, put)
    assert found


def test_the_check_catches_a_folder_that_is_never_synced(tmp_path, simulated_disk, put):
    class Forgetful(simulated_disk):
        def sync_folder(self, folder):
            pass

    found = []
    for seed in range(10):
        found += violations(tmp_path / str(seed), Forgetful(), seed, put)
    assert found
