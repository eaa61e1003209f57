"""The worker threads of a host: a job that blocks runs on one of them, and what came of it is told on the host's loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_log = logging.getLogger("dotdo.host")


class Workers:
    """Some threads, and how many jobs they have."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="dotdo-worker")
        self._loop = loop
        self._jobs = 0

    @property
    def are_idle(self) -> bool:
        """True when no job runs or waits."""
        return self._jobs == 0

    def run(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        """Run a job; `done` is called on the loop with its result, or its error."""
        self._jobs += 1

        def finish(result: Any, error: BaseException | None) -> None:
            self._jobs -= 1
            done(result, error)

        def work() -> None:
            try:
                result = job()
            except BaseException as error:  # carried to the loop
                self.tell(finish, None, error)
            else:
                self.tell(finish, result, None)

        try:
            self.pool.submit(work)
        except RuntimeError:  # the interpreter is ending and takes no jobs any more: what must be written is written here
            work()

    def tell(self, callback: Callable[..., None], *args: Any) -> None:
        """Call on the loop, from any thread."""
        try:
            self._loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            _log.debug("the loop was closed while a worker ran")

    def close(self, *, wait: bool) -> None:
        """Take no more jobs."""
        self.pool.shutdown(wait=wait)
