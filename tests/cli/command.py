"""The command, run in this process or as what it is."""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

DOTDO = str(Path(sys.executable).with_name("dotdo"))


def run(data, *words, code=0):
    """Run the command in this process; its stdout and stderr."""
    from dotdo.cli import main

    out, err = io.StringIO(), io.StringIO()
    environment = {"DOTDO_DATA": str(data)}
    with (
        mock.patch.dict(os.environ, environment), mock.patch.object(sys, "stdin", io.StringIO()),
        contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
    ):  # fmt: skip
        ended = main.run([str(word) for word in words])
    assert ended == code, (words, ended, out.getvalue(), err.getvalue())
    assert "Traceback" not in err.getvalue() or "--debug" in words
    return out.getvalue(), err.getvalue()


def execute(data, *words, code=0, cwd=None, environment=None):
    """Run the executable; its stdout and stderr."""
    environment = environment or {**os.environ, **({"DOTDO_DATA": str(data)} if data is not None else {})}
    done = subprocess.run([DOTDO, *words], capture_output=True, text=True, timeout=100, env=environment, cwd=cwd, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr
