"""Two programs on one data folder: the first is killed with all its hosts, the second asks what became of its work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys

from tests.crashes import tree_of


def killed_and_asked(folder, starts: str, asks: str, *arguments: str, timeout: float):
    """Run `starts` until it says "started", kill it and everything it started, then run `asks`: how that ended."""
    (folder / "starts.py").write_text(starts)
    (folder / "asks.py").write_text(asks)
    first = subprocess.Popen([sys.executable, str(folder / "starts.py"), *arguments], stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline().strip() == b"started"
    finally:
        for pid in tree_of(first.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        first.wait()
    return subprocess.run([sys.executable, str(folder / "asks.py"), *arguments], capture_output=True, text=True, timeout=timeout)
