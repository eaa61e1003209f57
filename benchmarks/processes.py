"""A program and all the processes it started, as the kernel knows them."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import defaultdict
from pathlib import Path


def family(pid: int) -> list[int]:
    """The process and everything below it: Ray's servers are children of the program that started them."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # the command's name may hold spaces and parentheses; the parent is the second field after the last one
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children[parent].append(int(entry.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found


def memory_bytes(pids: list[int]) -> int:
    """The memory of these processes, pages they share counted once (the sum of their Pss)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def kill(pids: list[int]) -> None:
    """SIGKILL, to each."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
