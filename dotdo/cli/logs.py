"""What hosts log: Ray keeps it in a file for each process, whose number is in its name."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from dotdo.cli.failing import Failed
from dotdo.cli.verb import Asked

FOLLOW_SECONDS = 0.3


async def tail(asked: Asked, last: int, *, follow: bool) -> None:
    """Print the latest lines of every host, and go on with what comes. Raises Failed where there are none."""
    import dotdo

    pids = {host["pid"]: host["host"] for host in await dotdo.hosts()}
    folder = _folder()
    files = {file: host for pid, host in pids.items() for ending in ("err", "out") for file in folder.glob(f"worker-*-{pid}.{ending}")}
    if not files:
        raise Failed(f"the hosts have no log files in {folder}", code=3)
    offsets: dict[Path, int] = {}
    for file, host in files.items():
        content = file.read_bytes()
        offsets[file] = len(content)
        for line in content.decode(errors="replace").splitlines()[-last:] if last else []:
            _print(asked, host, line)
    while follow:
        await asyncio.sleep(FOLLOW_SECONDS)
        for file, host in files.items():
            with file.open("rb") as log:
                log.seek(offsets[file])
                content = log.read()
            whole = content.rpartition(b"\n")[0]
            offsets[file] += len(whole) + bool(whole)
            for line in whole.decode(errors="replace").splitlines():
                _print(asked, host, line)


def _folder() -> Path:
    """Where Ray keeps the logs of this node. Raises Failed."""
    import ray

    if not ray.is_initialized():
        raise Failed("no hosts run here: what entities log goes to this command's stderr; dotdo up app.py starts hosts", code=3)
    return Path(ray._private.worker._global_node.get_logs_dir_path())


def _print(asked: Asked, host: str, line: str) -> None:
    from dotdo.cli import printing

    sys.stdout.write((printing.as_json({"host": host, "line": line}, indent=None) if asked.json else f"{host}  {line}") + "\n")
    sys.stdout.flush()
