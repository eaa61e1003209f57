"""New code on the data folder of a running runtime: idle entities are on it at once, busy ones after their turn."""

import asyncio
import json
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest

from dotdo import NounNotLoadable
from dotdo.hosting import app_modules, catalog

SHOP = """
import asyncio, os
from dotdo import DO
from pricing import price

class Counter{kind}(DO{options}):
    count: int = 0
    {field}

    async def hello(self) -> str:
        self.count += 1
        return f"{version} {{price()}} {{self.count}}"

    async def version(self) -> str:
        return "{version}"

    async def long(self, flag: str) -> str:
        await self.do(self._first)
        while not os.path.exists(flag):
            await asyncio.sleep(0.02)
        return await self.do(self._second)

    async def _first(self) -> str:
        self.count += 100
        return "{version}"

    async def _second(self) -> str:
        return f"{version} {{self.count}}"
"""

APP = """
import asyncio, os, sys
import dotdo
from dotdo import DO
from shop import CounterShared
from shop2 import CounterAlone

class Local(DO):
    async def hello(self) -> str:
        return "{version}"

async def show(name):
    print(name, *[await stub.hello() for stub in (CounterShared("a"), CounterAlone("a"), Local("a"))], flush=True)

async def main():
    data, flag, role = sys.argv[1:]
    async with dotdo.init(data=data, hosts=1, shards=2):
        if role == "owner":
            await show("owner")
            runs = [await dotdo.start(stub.long, flag) for stub in (CounterShared("busy"), CounterAlone("busy"))]
            while [await stub.count for stub in (CounterShared("busy"), CounterAlone("busy"))] != [100, 100]:
                await asyncio.sleep(0.01)
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await show("owner")
            open(flag, "w").close()
            print("busy", *[await run.result() for run in runs], flush=True)
        else:
            await show("joined")
            for stub in (CounterShared("busy"), CounterAlone("busy")):
                while await stub.version() != "{version}":
                    await asyncio.sleep(0.05)

if __name__ == "__main__":
    asyncio.run(main())
"""


def write(folder: Path, version: str, field: str) -> None:
    for name, kind, options in (("shop", "Shared", ""), ("shop2", "Alone", ", placement='dedicated'")):
        (folder / f"{name}.py").write_text(SHOP.format(version=version, kind=kind, options=options, field=field))
    (folder / "pricing.py").write_text(f"def price():\n    return 'price-{version}'\n")
    (folder / "app.py").write_text(APP.format(version=version))


@pytest.mark.ray
async def test_new_code_reaches_idle_entities_at_once_and_busy_ones_after_their_turn(tmp_path):
    write(tmp_path, "old", "")
    command = [sys.executable, str(tmp_path / "app.py"), str(tmp_path / "data"), str(tmp_path / "flag")]
    owner = await asyncio.to_thread(subprocess.Popen, [*command, "owner"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdin is not None
    assert owner.stdout is not None
    try:
        assert await asyncio.to_thread(owner.stdout.readline) == "owner old price-old 1 old price-old 1 old\n"
        assert await asyncio.to_thread(owner.stdout.readline) == "ready\n"
        write(tmp_path, "new", "added: str = 'x'")
        joined = await asyncio.to_thread(subprocess.run, [*command, "joined"], capture_output=True, text=True, timeout=60)
        assert joined.stdout.splitlines()[-1:] == ["joined new price-new 2 new price-new 2 new"], joined.stderr[-3000:]
        owner.stdin.write("go on\n")
        owner.stdin.flush()
        assert await asyncio.to_thread(owner.stdout.readline) == "owner new price-new 3 new price-new 3 new\n"
        assert await asyncio.to_thread(owner.stdout.readline) == "busy new 100 new 100\n", "its first step was not run again"
        assert await asyncio.to_thread(owner.wait, 60) == 0
    finally:
        owner.kill()
        owner.wait()
        owner.stdin.close()
        owner.stdout.close()


async def test_code_that_cannot_be_loaded_leaves_the_old_one_in_place(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lonely_helper.py").write_text("VALUE = 1\n")
    (tmp_path / "lonely_shop.py").write_text("import lonely_helper\nvalue = lonely_helper.VALUE\n")
    assert not app_modules.load(["lonely_shop"], [])
    shop = sys.modules["lonely_shop"]
    (tmp_path / "lonely_helper.py").write_text("VALUE = 2\n")
    assert app_modules.load(["lonely_shop"], [])
    assert sys.modules["lonely_shop"].value == 2
    assert shop.value == 1
    (tmp_path / "lonely_helper.py").write_text("VALUE = nonsense\n")
    with pytest.raises(NounNotLoadable, match="old one stays"):
        app_modules.load(["lonely_shop"], [])
    assert sys.modules["lonely_shop"].value == 2
    assert sys.modules["lonely_helper"].VALUE == 2
    for name in ("lonely_shop", "lonely_helper"):
        del sys.modules[name]


async def test_a_class_that_is_defined_anew_in_process_is_what_the_next_call_runs(rt):
    from dotdo import DO

    def define(version: str) -> type:
        class Redefined(DO):
            calls: int = 0

            async def hello(self) -> str:
                self.calls += 1
                return f"{version} {self.calls}"

        return Redefined

    assert await define("one")("r").hello() == "one 1"
    again = define("two")
    await asyncio.sleep(0)
    assert await again("r").hello() == "two 2"


SLOW = """
import slow_gate
slow_gate.entered.set()
assert slow_gate.go.wait(30)
from dotdo import DO
class LoadedSlowly(DO):
    pass
"""


@pytest.mark.parametrize("is_failing", [False, True])
def test_a_thread_that_asks_for_a_noun_while_another_loads_code_waits_for_it(tmp_path, monkeypatch, is_failing):
    gate = types.ModuleType("slow_gate")
    gate.entered, gate.go = threading.Event(), threading.Event()
    monkeypatch.setitem(sys.modules, "slow_gate", gate)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(catalog, "_folder", tmp_path / "nouns")
    (tmp_path / "loaded_slowly.py").write_text(SLOW + ("raise ValueError('broken')" if is_failing else ""))
    (tmp_path / "nouns").mkdir()
    (tmp_path / "nouns" / "a.modules").write_text(json.dumps({"modules": ["loaded_slowly"], "path": [str(tmp_path)]}))
    found = []

    def ask():
        try:
            found.append(catalog.lookup("LoadedSlowly").noun)
        except NounNotLoadable as error:
            found.append(error)

    try:
        loading, asking = threading.Thread(target=ask), threading.Thread(target=ask)
        loading.start()
        assert gate.entered.wait(30)
        asking.start()
        asking.join(0.2)
        assert asking.is_alive(), "it must not be told that there is no such noun"
        gate.go.set()
        loading.join(30)
        asking.join(30)
        if is_failing:
            assert [type(one) for one in found] == [NounNotLoadable] * 2
        else:
            assert found == ["LoadedSlowly"] * 2
    finally:
        gate.go.set()
        catalog.forget("LoadedSlowly")
        sys.modules.pop("loaded_slowly", None)
