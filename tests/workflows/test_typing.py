"""A wrong step or workflow argument is a type error: snippets that are right and wrong, given to mypy and to pyright."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEADER = """
import asyncio
import dotdo
from dotdo import debounce, do, start_child, step, try_, workflow

def price(sku: str, quantity: int) -> float:
    return 1.0 * quantity

async def charge(amount: float) -> dict[str, str]:
    return {"id": "ch_1"}

@workflow("ty-order")
async def order(sku: str, quantity: int = 1) -> dict[str, str]:
    total = await step("price", price, sku, quantity)
    paid = await step("charge", charge, total, retry=5, timeout="30s")
    again = await do(charge, total, step_id="again")
    tried = await try_(price, sku, 2)
    later = await debounce(sku, "5s", price, sku, 1)
    a, b = await asyncio.gather(step("a", price, sku, 1), step("b", charge, 2.0))
    child = await start_child(order, sku, 2)
    print(dotdo.step(retry=3))
    print(total + tried + a, paid["id"], again["id"], b["id"], (await child.result())["id"], later)
    return paid
"""

RIGHT = [
    'async def f() -> str: return (await order.execute("lamp", 2))["id"]',
    'async def f() -> str: return (await (await order.start("lamp", quantity=2)).result())["id"]',
    'async def f() -> str: return (await order.with_options(id="o1").execute("lamp"))["id"]',
    'async def f() -> str: return (await order.start("lamp", 2, id="o1")).id',
    """def make(entity: str) -> dotdo.workflows.functions.WorkflowFunction[[int], int]:
    async def approve(id: int) -> int: return id
    return workflow(f"{entity}-approval", approve)""",
]

WRONG = [
    'async def f() -> None: await order.execute(7, 2)',
    'async def f() -> None: await order.execute("lamp", "two")',
    'async def f() -> None: await order.start()',
    'async def f() -> None: await order.with_options(id="o1").start("lamp", sku="again")',
    'async def f() -> int: return await order.execute("lamp", 2)',
    'async def f() -> None: await step("price", price, "lamp", "two")',
    'async def f() -> None: await step("price", price, "lamp")',
    'async def f() -> int: return await step("charge", charge, 2.0)',
    'async def f() -> None: await step("charge", charge, 2.0, retries=3)',
    'async def f() -> None: await do(charge, "much")',
    'async def f() -> None: await try_(price, 1, 1)',
    'async def f() -> None: await start_child(order, 7)',
    'async def f() -> None: await debounce("k", "5s", price, "lamp", "two")',
]  # fmt: skip


def _write(folder: Path) -> dict[str, int]:
    """One file for what is right and one for each that is wrong, with the line from which on it must fail."""
    right = "\n\n".join(text.replace("def f()", f"def f{n}()") for n, text in enumerate(RIGHT))
    (folder / "right.py").write_text(
        f"{HEADER}\n{right}\n".replace("import dotdo\n", "import dotdo\nimport dotdo.workflows.functions\n", 1)
    )
    lines = HEADER.count("\n")
    for number, text in enumerate(WRONG):
        (folder / f"wrong{number}.py").write_text(f"{HEADER}\n{text}\n")
    return {f"wrong{number}.py": lines for number in range(len(WRONG))}


def _check(found: list[tuple[str, int, str]], wrong: dict[str, int]) -> None:
    assert [one for one in found if one[0] == "right.py"] == []
    for name, after in wrong.items():
        lines = [line for file, line, _ in found if file == name]
        assert lines, f"{WRONG[int(name[5:-3])]} was not found wrong"
        assert min(lines) > after, [one for one in found if one[0] == name]


@pytest.mark.feature(407)
def test_mypy_finds_wrong_arguments_of_steps_and_workflows(tmp_path):
    wrong = _write(tmp_path)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    found = []
    for line in done.stdout.splitlines():
        file, number, kind = line.split(":", 3)[:3]
        if kind.strip() == "error":
            found.append((Path(file).name, int(number), line))
    _check(found, wrong)


@pytest.mark.feature(407)
@pytest.mark.skipif(shutil.which("pyright", path=str(Path(sys.executable).parent)) is None, reason="pyright is not installed")
def test_pyright_finds_wrong_arguments_of_steps_and_workflows(tmp_path):
    wrong = _write(tmp_path)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)], "typeCheckingMode": "strict"}))
    pyright = str(Path(sys.executable).parent / "pyright")
    command = [pyright, "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110)
    report = json.loads(done.stdout)
    errors = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    _check([(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"]) for one in errors], wrong)
