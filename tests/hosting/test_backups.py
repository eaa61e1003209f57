"""Backups of a runtime that goes on, and what becomes of them."""

import asyncio
import json
import os
import shutil
import zipfile

import pytest

import dotdo
from dotdo import DO, StorageError, application
from dotdo.errors import BackupError
from dotdo.testing import runtime


class Ledgered(DO):
    """Two fields that are always changed together."""

    total: int = 0
    entries: list[int] = []

    async def add(self, amount: int) -> int:
        self.total += amount
        self.entries.append(amount)
        return self.total

    async def add_in_halves(self, amount: int) -> int:
        async with self.storage.transaction():
            self.total += amount
            await asyncio.sleep(0)
            self.entries.append(amount)
        return self.total

    async def fill(self, megabytes: int) -> None:
        for number in range(megabytes):
            self.storage.put(f"piece-{number}", os.urandom(1_000_000))

    async def journey(self) -> str:
        await self.do(self.add, 1, step_id="one")
        await self.sleep("2d")
        await self.do(self.add, 1, step_id="two")
        return f"arrived with {self.total}"


class LedgeredAlone(DO, placement="dedicated"):
    total: int = 0

    async def add(self, amount: int) -> int:
        self.total += amount
        return self.total


async def read(name: str) -> tuple[int, list[int]]:
    return tuple(await asyncio.gather(Ledgered(name).total, Ledgered(name).entries))


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_a_backup_made_while_writes_go_on_holds_all_that_was_acknowledged_before_it_began(tmp_path, durability):
    names = [f"n{number}" for number in range(30)] + ["Ünïcode/with spaces", "x" * 400]
    acknowledged = dict.fromkeys(names, 0)
    over = False

    async def write(name: str) -> None:
        while not over:
            acknowledged[name] = await (Ledgered(name).add(1) if acknowledged[name] % 2 else Ledgered(name).add_in_halves(1))

    async with runtime(data=tmp_path / "first", durability=durability):
        writers = [asyncio.create_task(write(name)) for name in names]
        await Ledgered("sleeper").add(7)
        await dotdo.hibernate(Ledgered("sleeper"))
        while min(acknowledged.values()) < 3:
            await asyncio.sleep(0.001)
        before, seen = dict(acknowledged), []
        report = await application.backup(tmp_path / "b.zip", lambda done, total: seen.append((done, total)))
        over = True
        await asyncio.gather(*writers)
    assert report.by_noun["Ledgered"] == len(names) + 1
    assert seen[-1][0] == seen[-1][1] == report.entities

    await application.restore(tmp_path / "b.zip", tmp_path / "second")
    async with runtime(data=tmp_path / "second"):
        for name in names:
            total, entries = await read(name)
            assert before[name] <= total == sum(entries) <= acknowledged[name]
        assert await read("sleeper") == (7, [7])
        assert await Ledgered("n0").add(1) > before["n0"]
        assert {entry["key"] for entry in await dotdo.entities("Ledgered")} >= {"Ledgered/sleeper", "Ledgered/" + "x" * 400}


async def test_executions_of_a_backup_go_on_where_they_were(tmp_path):
    async with runtime(clock="virtual", data=tmp_path / "first"):
        awake, asleep = await dotdo.start(Ledgered("awake").journey), await dotdo.start(Ledgered("asleep").journey)
        for run in (awake, asleep):
            while await run.status() != "waiting":
                await asyncio.sleep(0)
        await dotdo.hibernate(Ledgered("asleep"))
        await application.backup(tmp_path / "b.zip")
    await application.restore(tmp_path / "b.zip", tmp_path / "second")
    async with runtime(clock="virtual", data=tmp_path / "second"):
        for run in (awake, asleep):
            assert await dotdo.execution(run.id).result() == "arrived with 2"
        assert await read("awake") == await read("asleep") == (2, [1, 1])


async def test_a_large_entity_is_handed_over_in_pieces_and_leaves_nothing_behind(tmp_path):
    async with runtime(data=tmp_path / "first"):
        await Ledgered("large").fill(9)
        await Ledgered("large").add(5)
        report = await application.backup(tmp_path / "b.zip")
        assert report.size_bytes > 9_000_000
        assert not list((tmp_path / "first" / "hosts").glob("copy-*"))
    await application.restore(tmp_path / "b.zip", tmp_path / "second")
    async with runtime(data=tmp_path / "second"):
        assert await read("large") == (5, [5])


async def test_a_quarantined_entity_is_in_the_backup_and_stays_quarantined(tmp_path):
    async with runtime(data=tmp_path / "first") as rt:
        await Ledgered("q").add(1)
        await dotdo.hibernate(Ledgered("q"))
        await rt.host.keep_asleep("Ledgered/q", "for the test")
        await application.backup(tmp_path / "b.zip")
    await application.restore(tmp_path / "b.zip", tmp_path / "second")
    async with runtime(data=tmp_path / "second"):
        with pytest.raises(dotdo.Quarantined, match="for the test"):
            await Ledgered("q").add(1)
        await dotdo.release(Ledgered("q"))
        assert await Ledgered("q").add(1) == 2


async def test_a_damaged_entity_fails_the_backup_and_leaves_no_file(tmp_path):
    async with runtime(data=tmp_path / "first") as rt:
        await Ledgered("bad").fill(1)
        await Ledgered("good").add(1)
        await dotdo.hibernate(Ledgered("bad"))
        (file,) = rt.path.glob("shards/*/Ledgered/bad.sqlite")
        content = bytearray(file.read_bytes())
        content[8192:12288] = b"\xff" * 4096
        file.write_bytes(content)
        with pytest.raises(StorageError, match="Ledgered/bad is damaged"):
            await application.backup(tmp_path / "b.zip")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["first"]
        assert await Ledgered("good").add(1) == 2


def _cut(file):
    file.write_bytes(file.read_bytes()[:-200])


def _flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 0x40
    file.write_bytes(content)


def _rewrite(change):
    """Repack the archive, its checksums right, with something changed."""

    def spoil(file):
        with zipfile.ZipFile(file) as archive:
            content = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(content["manifest.json"])
        change(content, manifest)
        content["manifest.json"] = json.dumps(manifest).encode()
        with zipfile.ZipFile(file, "w") as archive:
            for name, body in content.items():
                archive.writestr(name, body)

    return spoil


def _swap(content, manifest):
    content["entities/0"], content["entities/1"] = content["entities/1"], content["entities/0"]


SPOILT = {
    "cut short": _cut,
    "a bit flipped": _flip,
    "not a zip": lambda file: file.write_bytes(b"hello"),
    "empty": lambda file: file.write_bytes(b""),
    "two entities swapped": _rewrite(_swap),
    "an entity missing": _rewrite(lambda content, manifest: content.pop("entities/1")),
    "an entity too many": _rewrite(lambda content, manifest: content.update({"entities/99": b""})),
    "a key twice": _rewrite(lambda content, manifest: manifest["entities"][0].update(key=manifest["entities"][1]["key"])),
    "no key": _rewrite(lambda content, manifest: manifest["entities"][0].update(key="nothing")),
    "another format": _rewrite(lambda content, manifest: manifest.update(format=99)),
    "no shards": _rewrite(lambda content, manifest: manifest.update(shards=0)),
    "no list of entities": _rewrite(lambda content, manifest: manifest.pop("entities")),
}


async def test_a_spoilt_backup_is_refused_and_nothing_is_made(tmp_path):
    async with runtime(data=tmp_path / "first"):
        for number in range(5):
            await Ledgered(f"n{number}").add(number)
        await application.backup(tmp_path / "whole.zip")
    for name, spoil in SPOILT.items():
        file = tmp_path / "spoilt.zip"
        shutil.copyfile(tmp_path / "whole.zip", file)
        spoil(file)
        with pytest.raises(BackupError) as caught:
            await application.restore(file, tmp_path / "second")
        assert "nothing was restored" in str(caught.value), name
        assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "spoilt.zip", "whole.zip"], name


async def test_a_backup_is_restored_into_an_empty_folder_only(tmp_path):
    async with runtime(data=tmp_path / "first"):
        await Ledgered("a").add(1)
        await application.backup(tmp_path / "b.zip")
    with pytest.raises(BackupError, match="not empty"):
        await application.restore(tmp_path / "b.zip", tmp_path / "first")
    (tmp_path / "empty").mkdir()
    await application.restore(tmp_path / "b.zip", tmp_path / "empty")
    assert (
        json.loads((tmp_path / "empty" / "dotdo.json").read_text())["id"]
        != json.loads((tmp_path / "first" / "dotdo.json").read_text())["id"]
    )
    with pytest.raises(BackupError, match=r"missing\.zip"):
        await application.restore(tmp_path / "missing.zip", tmp_path / "other")


@pytest.mark.ray
async def test_entities_with_hosts_of_their_own_are_copied_where_they_are_on_a_cluster_that_goes_on(ray_data, tmp_path):
    over = asyncio.Event()

    async def write(name: str) -> int:
        total = 0
        while not over.is_set():
            total = await LedgeredAlone(name).add(1)
        return total

    writers = [asyncio.create_task(write(name)) for name in ("first", "second")]
    await LedgeredAlone("asleep").add(7)
    await dotdo.hibernate(LedgeredAlone("asleep"))
    before = {name: await LedgeredAlone(name).add(1) for name in ("first", "second")}
    await application.backup(tmp_path / "b.zip")
    over.set()
    await asyncio.gather(*writers)
    await application.restore(tmp_path / "b.zip", tmp_path / "copy")
    async with runtime(data=tmp_path / "copy"):
        assert await LedgeredAlone("asleep").total == 7
        for name, total in before.items():
            assert await LedgeredAlone(name).total >= total
