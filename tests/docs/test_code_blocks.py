"""What the documentation says in code is so: every block of Python runs, and prints what the page says that it prints."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from dotdo.cli.main import app
from tests.docs import page

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "decisions" not in path.parts)
WITHOUT_CODE = {"architecture.md"}
"""Pages about dotdo's own code, not about its use."""

NOT_RUN = {
    "coming-from/dbos.md": ["DBOS", "DBOS", "DBOS"],
    "coming-from/temporal.md": ["Temporal", "Temporal", "Temporal"],
    "guide/calls.md": ["Synchronous code (a page has a loop)"],
    "recipes/testing.md": ["conftest.py (needs Ray)"],
}
"""The blocks of Python that are not run: the product whose code they are is not here, or they need what a page has not."""


@pytest.fixture(scope="session")
def running():
    """The process that runs pages."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.docs.running"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.stdin.close()


def run(process, path: Path) -> dict:
    process.stdin.write(f"{path}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_a_page_runs(running, name):
    blocks = page.read(DOCS / name)
    assert {block.language for block in blocks} <= page.LANGUAGES | ({""} if name in WITHOUT_CODE else set())
    written = sum(block.language == "python" for block in blocks)
    if written:
        answer = run(running, DOCS / name)
        assert not answer["error"], answer["error"]
        assert answer["blocks"] == written


def test_python_that_is_not_run_is_listed_here():
    shown = {name: [block.title for block in page.read(DOCS / name) if block.language == "py"] for name in PAGES}
    assert {name: titles for name, titles in shown.items() if titles} == NOT_RUN


def _parse(line: str) -> None:
    """Let the command's own parser read a line; nothing is run. Raises what the command would end with."""
    command = typer.main.get_command(app)
    name, words = "dotdo", shlex.split(line)[1:]
    context = None
    while True:
        context = command.make_context(name, words, parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "resolve_command") or not rest:
            return
        name, command, words = command.resolve_command(context, rest)


@pytest.mark.parametrize("name", [name for name in PAGES if page.commands(page.read(DOCS / name))])
def test_every_command_of_a_page_is_one(name):
    for number, line in page.commands(page.read(DOCS / name)):
        try:
            _parse(line)
        except Exception as error:
            if getattr(error, "exit_code", 1) == 0:  # --help
                continue
            pytest.fail(f"{name}:{number}: {line}: {error}")


# -- the check can fail -------------------------------------------------------------------------------------------------

BROKEN = {
    "an error": ("```python\nx = 1\n```\n\nText.\n\n```python\n\n1 / 0\n```\n", ["ZeroDivisionError", "line 9"]),
    "an error after an await": ("```python\nimport asyncio\nawait asyncio.sleep(0)\nraise ValueError('no')\n```\n", ["ValueError: no", "line 4"]),
    "a wrong output": ("```python\nprint(1)\n```\n\n```output\n2\n```\n", ["the page says\n2", "but printed was\n1"]),
    "an output of nothing": ("```output\n2\n```\n", ["but printed was"]),
    "hidden code": ("<!-- python\nunknown\n-->\n", ["NameError", "line 2"]),
    "a program's main": (
        "```python\nimport asyncio\nasync def main():\n    raise KeyError\nif __name__ == '__main__':\n    asyncio.run(main())\n```\n",
        ["KeyError"],
    ),
    "inside an entity": (
        "```python\nfrom dotdo import DO\nclass Order(DO):\n    async def fail(self):\n        raise ValueError('inside')\nawait Order('o').fail()\n```\n",
        ["ValueError: inside"],
    ),
    "no Python": ("```python\nthis is no Python\n```\n", ["SyntaxError"]),
    "the end of its process": ("```python\nimport os\nos._exit(0)\n```\n", ["ended its process"]),
    "not closed": ("```python\nx = 1\n", ["not closed"]),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_block_that_does_not_hold_is_found(running, tmp_path, kind):
    text, said = BROKEN[kind]
    path = tmp_path / "broken.md"
    path.write_text(text)
    error = run(running, path)["error"]
    for part in said:
        assert part in error


def test_two_pages_may_have_one_noun_and_later_blocks_know_earlier_ones(running, tmp_path):
    text = (
        "```python\nfrom dotdo import DO\nclass Order(DO):\n    n: int = 0\n    async def add(self) -> int:\n        self.n += 1\n"
        "        return self.n\n```\n\n```python\nawait Order('o').add()\nprint(await Order('o').add())\n```\n\n```output\n2\n```\n"
    )
    for name in ("one.md", "two.md"):
        (tmp_path / name).write_text(text)
        assert run(running, tmp_path / name) == {"blocks": 2, "error": ""}


@pytest.mark.parametrize(
    "line", ["dotdo fly", "dotdo show", "dotdo executions --colour red", "dotdo dead-letters burn 7", "dotdo approve a1"]
)
def test_a_command_that_is_none_is_found(line):
    with pytest.raises(Exception) as caught:
        _parse(line)
    assert caught.value.exit_code == 2, caught.value


def test_what_a_page_imports_it_uses(tmp_path):
    for name in PAGES:
        text = "\n".join(block.text for block in page.read(DOCS / name) if block.language == "python")
        (tmp_path / f"{name.replace('/', '_')}.py").write_text(text)
    words = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "F401,F811,F841",
        "--output-format",
        "concise",
        tmp_path,
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout
