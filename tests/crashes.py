"""Crashing a runtime at its n-th commit, as a SIGKILL right after the commit would."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from dotdo.storage.entity_file import EntityFile


class Killed(BaseException):
    """Unwinds whatever ran when the process was killed; nothing may act on it."""


@contextmanager
def killed_at_commit(rt, number):
    """Kill the host right after commit `number` (from 1) of the block; yields a list whose length counts commits."""
    commits: list[str] = []
    original = EntityFile.commit

    def commit(self, *, sync=False):
        result = original(self, sync=sync)
        commits.append(self.path.name)
        if len(commits) == number:
            rt._loop.call_soon_threadsafe(lambda: None)
            if rt._restarting is None:
                _kill(rt)
            raise Killed
        return result

    EntityFile.commit = commit
    before = rt._loop.get_exception_handler()
    rt._loop.set_exception_handler(
        lambda loop, context: None if isinstance(context.get("exception"), Killed) else loop.default_exception_handler(context)
    )
    try:
        yield commits
    finally:
        EntityFile.commit = original
        rt._loop.set_exception_handler(before)


def _kill(rt):
    import threading

    if threading.get_ident() == rt.host_thread:
        rt.crash_now()
    else:
        rt._loop.call_soon_threadsafe(rt.crash_now)


def tree_of(pid: int) -> list[int]:
    """A process and everything it started, directly or not."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += parents.get(found[-1], [])
    return found


def said(done) -> list[str]:
    """The lines a finished program printed itself: Ray prints into it too, of hosts that died and of many workers."""
    return [line for line in done.stdout.splitlines() if not line.startswith("\x1b") and not line.startswith("(raylet)")]
