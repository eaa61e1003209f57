"""What tests of the doors share: an npm folder with the official Cap'n Web client, and a shop that is closed after each test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.shop import close_shop

SCRIPTS = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def node_scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts beside an installed client; skipped where there is no Node or no npm registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node and npm are not installed (apt-get install nodejs npm)")
    folder = tmp_path_factory.mktemp("node")
    for file in SCRIPTS.iterdir():
        shutil.copy(file, folder)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=folder, env={**os.environ, "npm_config_cache": str(folder / ".npm")},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"npm cannot install capnweb here: {done.stderr.strip()[:200]}")
    return folder


@pytest.fixture
def shop() -> Iterator[None]:
    """What `open_shop` declares is gone after the test."""
    yield
    close_shop()
