"""The process that `dotdo up` leaves behind: it owns the runtime, and ends it in good order when told to.

It is an ordinary program that starts a runtime and then waits for SIGTERM. So hosts are watched, Ray's processes belong to
somebody, and end with it, however it ends. Its number is in `<data>/hosts/up.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

FILE_NAME = "up.json"


def pid_of(folder: Any) -> int | None:
    """The keeper of this data folder, if it lives."""
    try:
        pid = int(json.loads((folder.hosts / FILE_NAME).read_text())["pid"])
        os.kill(pid, 0)
        return None if _is_ended(pid) else pid
    except (OSError, ValueError, KeyError):
        return None


def _is_ended(pid: int) -> bool:
    """True for a number that is another process's by now, or nobody's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return Path("/proc/self").exists()
    return b"dotdo.cli.keeper" not in words


def main() -> int:
    """Start a runtime, tell how that went, and wait."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--app")
    parser.add_argument("--hosts", type=int)
    parser.add_argument("--address")
    parser.add_argument("--tell", required=True, type=int, help="the descriptor that `dotdo up` reads")
    options = parser.parse_args()
    os.set_inheritable(options.tell, False)
    over = threading.Event()
    try:
        found = _start(options)
    except Exception as error:
        from dotdo.cli import failing

        _tell(options.tell, {"error": failing.one_line(error), "code": failing.exit_code(error)})
        raise
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    file = options.data / "hosts" / FILE_NAME
    file.write_text(json.dumps(found))
    _tell(options.tell, found)
    while not over.wait(3600):
        pass
    import dotdo

    dotdo.shutdown()
    file.unlink(missing_ok=True)
    return 0


def _start(options: argparse.Namespace) -> dict[str, Any]:
    import asyncio

    import dotdo
    from dotdo.cli import loading

    nouns = loading.load(options.app) if options.app else []
    dotdo.init(data=options.data, hosts=options.hosts, address=options.address)
    return {"pid": os.getpid(), "app": options.app, "nouns": nouns, "hosts": len(asyncio.run(dotdo.hosts()))}


def _tell(descriptor: int, found: dict[str, Any]) -> None:
    os.write(descriptor, json.dumps(found).encode() + b"\n")
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
