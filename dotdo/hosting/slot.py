"""Who held the loop when the host died, and the thread that kills a host whose loop is held too long.

Before each turn the host writes the entity's key into a memory-mapped slot, which survives `kill -9`. The successor reads
it. An entity found there at three deaths of its host in a row, within ten minutes, is quarantined: a host that is killed
from outside finds different entities there, or none.

The watchdog is about liveness only. It kills its own process, because a blocked loop cannot be helped from within; the
entities are safe, as after any death, and the lock is what fences.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SLOT_BYTES = 1024
DEATHS_WITHIN_SECONDS = 600.0
DEATHS_KEPT = 20


def slot_name(key: str) -> str:
    """The file name of the slot of an entity's dedicated host."""
    return f"{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}.slot"


class Slot:
    """The slot of one host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._deaths_path = path.with_suffix(".deaths")
        with path.open("a+b") as file:
            file.truncate(SLOT_BYTES)
            self._map = mmap.mmap(file.fileno(), SLOT_BYTES)
        self.turns = 0

    def last_words(self, now: float) -> tuple[str, int]:
        """The key in whose turn the host before this one died ("" if in none), and how often in a row."""
        key = self.key()
        had_life = self._map[0] != 0
        self._map[0] = 0
        if not had_life:
            return "", 0
        deaths = self._read_deaths()
        deaths = [*deaths, [now, key]][-DEATHS_KEPT:]
        self._deaths_path.write_text(json.dumps(deaths))
        in_a_row = 0
        for at, dead in reversed(deaths):
            if dead != key or at < now - DEATHS_WITHIN_SECONDS:
                break
            in_a_row += 1
        return (key, in_a_row) if key else ("", 0)

    def key(self) -> str:
        """The entity whose turn runs; "" if none does."""
        if self._map[0] != 1:
            return ""
        length = int.from_bytes(self._map[1:3], "big")
        return self._map[3 : 3 + length].decode(errors="replace")

    def _read_deaths(self) -> list[list[Any]]:
        try:
            return list(json.loads(self._deaths_path.read_text()))
        except (OSError, ValueError):
            return []

    def mark_of(self, key: str) -> bytes:
        """What the slot holds while a turn of this entity runs."""
        data = key.encode()[: SLOT_BYTES - 3]
        return b"\x01" + len(data).to_bytes(2, "big") + data

    def begin(self, mark: bytes) -> None:
        """A turn begins; `mark` is `mark_of` its entity."""
        self.turns += 1
        self._map[: len(mark)] = mark

    def end(self) -> None:
        """The turn ends."""
        self._map[0] = 2

    @property
    def is_active(self) -> bool:
        """True while a turn runs."""
        return self._map[0] == 1

    def clear(self) -> None:
        """The host ends in good order."""
        self._map[0] = 0

    def remove(self) -> None:
        """The host ends in good order, and none of its name will follow."""
        self.clear()
        self._path.unlink(missing_ok=True)
        self._deaths_path.unlink(missing_ok=True)


class Watchdog:
    """Kills this process when one turn holds the loop too long.

    `limit_of(key)` says how long the turns of an entity may be, None for as long as they like; `max_turn_s` is how long
    most of them may, and sets how often the watchdog looks.
    """

    def __init__(
        self,
        slot: Slot,
        max_turn_s: float,
        limit_of: Callable[[str], float | None],
        kill: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        self._slot = slot
        self._max_turn_s = max_turn_s
        self._limit_of = limit_of
        self._kill = kill
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="dotdo-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        seen, since = -1, time.monotonic()
        while not self._stop.wait(self._max_turn_s / 10):
            turns = self._slot.turns
            if not self._slot.is_active or turns != seen:
                seen, since = turns, time.monotonic()
                continue
            limit_s = self._limit_of(self._slot.key())
            if limit_s is not None and time.monotonic() - since > limit_s:
                self._kill()
