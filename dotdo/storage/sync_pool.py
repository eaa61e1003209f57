"""Syncs shared by everything that waits, off the loop unless the loop has nothing better to do.

A commit asks for a sync and goes on. One pass of the loop later, so that a turn which follows at once shares the sync, one
lone file is synced right here: the loop is free anyway, and a thread hop would double the time. Several files are synced on threads, where the kernel overlaps them; the
commits a file makes meanwhile share its next sync. Finished syncs wake the loop once per batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from dotdo.storage.gate import OutputGate


class Syncable(Protocol):
    """A file with commits that may not be safe yet."""

    committed: int
    safe: int

    def sync(self) -> None: ...


class SyncPool:
    """The syncs of one host."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threads: int = 4) -> None:
        self._loop = loop
        self._dirty: dict[int, tuple[Syncable, OutputGate]] = {}
        self._in_flight: dict[int, tuple[Syncable, OutputGate]] = {}
        self._again: set[int] = set()
        self._is_scheduled = False
        self._jobs: deque[Syncable | None] = deque()
        self._work = threading.Semaphore(0)
        self._done: deque[tuple[Syncable, int, BaseException | None]] = deque()
        self._is_waking = False
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._thread_count = threads
        self._on_failure: Callable[[OutputGate, BaseException], None] = lambda gate, error: gate.fail(error)
        self.inline_count = 0
        self.threaded_count = 0

    def on_failure(self, callback: Callable[[OutputGate, BaseException], None]) -> None:
        """Who is told when a sync fails (on the loop)."""
        self._on_failure = callback

    @property
    def is_idle(self) -> bool:
        return not self._dirty and not self._in_flight

    def request(self, file: Syncable, gate: OutputGate) -> None:
        """Have the file's commits made safe, and the gate told."""
        key = id(file)
        if key in self._in_flight:
            self._again.add(key)
            return
        self._dirty[key] = (file, gate)
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._loop.call_soon, self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        dirty, self._dirty = self._dirty, {}
        if len(dirty) == 1 and not self._in_flight:
            ((file, gate),) = dirty.values()
            self.inline_count += 1
            self._finish(file, gate, *_sync(file))
            return
        self._in_flight.update(dirty)
        if not self._threads:
            self._start()
        self.threaded_count += len(dirty)
        for file, _ in dirty.values():
            self._jobs.append(file)
        self._work.release(len(dirty))

    def _finish(self, file: Syncable, gate: OutputGate, number: int, error: BaseException | None) -> None:
        if error is not None:
            self._on_failure(gate, error)
        else:
            gate.safe_to(number)

    def _start(self) -> None:
        for index in range(self._thread_count):
            thread = threading.Thread(target=self._serve, name=f"dotdo-sync-{index}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self) -> None:
        while True:
            self._work.acquire()
            file = self._jobs.popleft()
            if file is None:
                return
            number, error = _sync(file)
            with self._lock:
                self._done.append((file, number, error))
                wake = not self._is_waking
                self._is_waking = True
            if wake:
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:
                    return

    def _collect(self) -> None:
        with self._lock:
            self._is_waking = False
            done, self._done = self._done, deque()
        for file, number, error in done:
            key = id(file)
            _, gate = self._in_flight.pop(key)
            if key in self._again:
                self._again.discard(key)
                if error is None:
                    self.request(file, gate)
            self._finish(file, gate, number, error)

    def close(self) -> None:
        """Stop the threads after what they have begun."""
        for _ in self._threads:
            self._jobs.append(None)
            self._work.release()
        self._threads.clear()


def _sync(file: Syncable) -> tuple[int, BaseException | None]:
    try:
        file.sync()
    except BaseException as error:  # carried to the loop
        return file.safe, error
    return file.safe, None
