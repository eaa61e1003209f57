"""The wheel, as somebody gets it who has no checkout: what is in it, and that it works in an environment of its own.

The environment has the wheel and nothing else of this checkout; its dependencies are lent by the environment that the tests
run in, because installing Ray takes longer than all the rest.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIZE_BYTES_MAX = 2 * 1024 * 1024


def _run(*words, **options):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=110, **options)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, ROOT)
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The `bin` folder of an environment that has the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    # a folder on the path, whose own .pth files, that of this checkout among them, are not read
    packages.joinpath("lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    found = _run(python, "-c", "import dotdo; print(dotdo.__file__)", cwd=folder).strip()
    assert Path(found).is_relative_to(packages)
    return folder / "bin"


def _environment(data: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DOTDO_", "RAY_"))}
    return {**kept, "DOTDO_DATA": str(data)}


def test_the_wheel_is_small_and_has_what_users_need_and_no_more(wheel):
    assert wheel.stat().st_size < SIZE_BYTES_MAX
    names = zipfile.ZipFile(wheel).namelist()
    assert {"dotdo/py.typed", "dotdo/public.py", "dotdo/actors/order.py", "dotdo/testing/plugin.py", "dotdo/cli/main.py"} <= set(names)
    assets = {file.relative_to(ROOT).as_posix() for file in (ROOT / "dotdo" / "http" / "assets").rglob("*") if file.is_file()}
    assert "dotdo/http/assets/index.html" in assets <= set(names)
    modules = {file.relative_to(ROOT).as_posix() for file in (ROOT / "dotdo").rglob("*.py")}
    assert modules <= set(names)
    tops = {name.partition("/")[0] for name in names}
    assert len(tops) == 2
    assert {top.rpartition(".")[2] for top in tops} == {"dotdo", "dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".sqlite")) or "/test_" in name]


def test_its_command_answers(installed, wheel):
    assert _run(installed / "dotdo", "--version").strip() == wheel.name.split("-")[1]
    assert "dead-letters" in _run(installed / "dotdo", "--help")


def test_its_pytest_plugin_works_in_a_project_of_its_own(installed, tmp_path):
    (tmp_path / "test_shelf.py").write_text(
        "import pytest\nfrom dotdo import DO\n\n\nclass Shelf(DO):\n    n: int = 0\n\n    async def add(self) -> int:\n        self.n += 1\n"
        "        return self.n\n\n\n@pytest.mark.asyncio\nasync def test_it(dotdo_runtime):\n    assert await Shelf('s').add() == 1\n"
    )
    out = _run(installed / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path, env=_environment(tmp_path / "data"))
    assert "1 passed" in out


def test_a_project_without_pytest_asyncio_runs_its_tests_and_is_told_what_the_fixtures_need(installed, tmp_path):
    (tmp_path / "test_two.py").write_text("def test_plain():\n    pass\n\n\ndef test_it(dotdo_runtime):\n    pass\n")
    (packages,) = installed.parent.glob("lib/python*/site-packages")
    lent = tmp_path / "lent"
    lent.mkdir()
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(("pytest_asyncio", "dotdo")):
            (lent / entry.name).symlink_to(entry)
    environment = {**_environment(tmp_path / "data"), "PYTHONPATH": f"{packages}{os.pathsep}{lent}"}
    words = [
        str(installed / "python"),
        "-S",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "test_two.py",
    ]  # -S: no other folders than these
    done = subprocess.run(words, capture_output=True, text=True, timeout=110, cwd=tmp_path, env=environment)
    assert "1 passed, 1 error" in done.stdout, (done.stdout, done.stderr)
    assert "pip install 'dotdo[testing]'" in done.stdout


@pytest.mark.ray
def test_the_readmes_program_runs_from_it(installed, tmp_path):
    shown = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    (tmp_path / "shop.py").write_text(shown[1])
    assert _run(installed / "python", "shop.py", cwd=tmp_path, env=_environment(tmp_path / "data")) == "6\no1 shipped, 5 left\n"


def _ask(url: str, data: object = None) -> tuple[int, object]:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_an_example_is_served_from_it(installed, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(installed / "dotdo"), "serve", str(ROOT / "examples" / "refunds_over_http.py"), "--port", str(port), "--hosts", "0"]
    at = f"http://127.0.0.1:{port}"
    log = (tmp_path / "log").open("w+")
    with subprocess.Popen(words, cwd=tmp_path, env=_environment(tmp_path / "data"), stdout=log, stderr=log) as server:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    assert _ask(f"{at}/ready") == (200, {"status": "ready"})
                    break
                except (urllib.error.URLError, ConnectionError):
                    assert server.poll() is None and time.monotonic() < until, (tmp_path / "log").read_text()
                    time.sleep(0.05)
            assert _ask(f"{at}/api/refunds", {"order_id": "o1"})[0] == 404
            assert _ask(f"{at}/RefundableOrder/o1/refund", {}) == (200, 0)
            with urllib.request.urlopen(at, timeout=30) as page:
                assert "dotdo" in page.read().decode()
        finally:
            server.send_signal(signal.SIGTERM)
            ended = server.wait(60)
    log.close()
    assert ended in (0, -signal.SIGTERM), (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_another_address_than_loopback_is_refused_without_a_token(installed, tmp_path):
    words = [installed / "dotdo", "serve", ROOT / "examples" / "refunds_over_http.py", "--host", "0.0.0.0", "--port", "0", "--hosts", "0"]
    done = subprocess.run(
        [str(w) for w in words], capture_output=True, text=True, timeout=110, cwd=tmp_path, env=_environment(tmp_path / "d")
    )
    assert done.returncode == 1
    assert "DOTDO_TOKENS" in done.stderr.splitlines()[-1]
