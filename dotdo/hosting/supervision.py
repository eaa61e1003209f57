"""Killing hosts that are silent: stopped, swapped out for ever, or stuck where no Python runs.

A host cannot notice that of itself (its watchdog sees only turns that hold the loop), so somebody else asks each for its
pulse, through Ray, which answers from a thread beside the loop. One that gave no answer for `host_timeout` is killed, and
started again as after any death; callers get their answers late. This is liveness only: what keeps a killed or a
continued process from writing is its locks. Everybody watches who can: a program all hosts of the runtime it started or
joined, a host the next one in the ring and its dedicated hosts. Two who kill the same one do no harm.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any

_log = logging.getLogger("dotdo.supervision")

LOOKS_PER_TIMEOUT = 4
ELSEWHERE_SECONDS_MIN = 60.0
"""Of a host on another node, or one that never answered yet, it cannot be seen whether it is silent or being started."""


def is_overdue(silent_s: float, timeout_s: float, *, is_here: bool, is_there: bool) -> bool:
    """Is a host to be killed that has not answered for so long?

    `is_here`: it is known to be on this node; `is_there`: its process exists.
    """
    if is_here:
        return is_there and silent_s > timeout_s
    return silent_s > max(timeout_s, ELSEWHERE_SECONDS_MIN)


class _Watched:
    def __init__(self, name: str, last: Sequence[Any] | None, *, is_for_ever: bool) -> None:
        self.name = name
        self.is_for_ever = is_for_ever
        self.actor: Any = None
        self.answer: Any = None
        self.since = 0.0
        self.last: Sequence[Any] | None = last


class Supervisor:
    """A thread that asks hosts for their pulse."""

    def __init__(self, namespace: str, timeout_s: float) -> None:
        self._namespace = namespace
        self._timeout_s = timeout_s
        self._watched: dict[str, _Watched] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dotdo-supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def watch(self, name: str, pulse: Sequence[Any] | None = None, *, is_for_ever: bool = False) -> None:
        """Watch a host until it is dead; `is_for_ever`: also after that, for Ray starts it again. `pulse`: the last one known."""
        self._watched.setdefault(name, _Watched(name, pulse, is_for_ever=is_for_ever))

    def _run(self) -> None:
        from dotdo.hosting.launching import own_node

        try:
            node = own_node()
        except Exception:  # the program is ending already
            return
        while not self._stop.wait(self._timeout_s / LOOKS_PER_TIMEOUT):
            for watched in list(self._watched.values()):
                try:
                    self._look(watched, node)
                except Exception as error:  # Ray is ending, or the host is: look again next time
                    _log.debug("%s could not be asked: %s", watched.name, error)
                    watched.actor = watched.answer = None
                    if not watched.is_for_ever:
                        self._watched.pop(watched.name, None)

    def _look(self, watched: _Watched, node: str) -> None:
        import ray

        if not ray.is_initialized():
            return
        if watched.answer is not None:
            ready, _ = ray.wait([watched.answer], timeout=0)
            if not ready:
                self._judge(watched, node)
                return
            answer, watched.answer = watched.answer, None
            watched.last = ray.get(answer)
        if watched.actor is None:
            watched.actor = ray.get_actor(watched.name, namespace=self._namespace)
        watched.answer = watched.actor.pulse.options(max_task_retries=0).remote()
        watched.since = time.monotonic()

    def _judge(self, watched: _Watched, node: str) -> None:
        from dotdo.hosting.launching import started_at

        last = watched.last
        is_here = last is not None and last[2] == node
        is_there = last is not None and is_here and started_at(last[0]) == last[1]
        silent_s = time.monotonic() - watched.since
        if not is_overdue(silent_s, self._timeout_s, is_here=is_here, is_there=is_there):
            return
        _log.error("host %s gave no pulse for %.1f s: it is killed", watched.name, silent_s)
        watched.answer = watched.last = None
        if is_there:
            assert last is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(last[0], signal.SIGKILL)  # Ray sees the death at once; its own way takes seconds
            return
        import ray

        ray.kill(watched.actor, no_restart=not watched.is_for_ever)
