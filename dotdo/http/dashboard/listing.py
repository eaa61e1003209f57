"""Which entities there are, for those who ask all the time: `entities`, `survey` and `feed`.

Who is awake is asked each time, which costs no look at a disk. Who sleeps is read from the shards' indexes every few
seconds: that changes slowly, and there may be very many.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dotdo import application

AWAKE_MAX = 20_000
SLEEPERS_MAX = 20_000
SLEEPERS_KEPT_S = 3.0
NOUNS_KEPT_MAX = 16

Entry = dict[str, Any]


@dataclass(slots=True)
class _Known:
    """What is known of one noun's entities, by key."""

    read_at: float
    sleepers: dict[str, Entry]
    awake: dict[str, Entry] = field(default_factory=dict)


class Listing:
    """The entities of a noun, or of all; one for each door."""

    def __init__(self) -> None:
        self._known: dict[str | None, _Known] = {}

    async def entities(self, noun: str | None, *, sizes: bool = False) -> list[Entry]:
        """Entries by key: those that are awake as they are now, the others as they were a moment ago."""
        known = self._known.get(noun)
        awake = {one["key"]: one for one in await application.awake(noun, limit=AWAKE_MAX, sizes=sizes)}
        now = asyncio.get_running_loop().time()
        if known is None or now - known.read_at > SLEEPERS_KEPT_S:
            everybody = await application.entities(noun, limit=SLEEPERS_MAX)
            sleepers = {one["key"]: one for one in everybody if one["status"] != "active"}
            while len(self._known) >= NOUNS_KEPT_MAX:
                self._known.pop(next(iter(self._known)))
            known = self._known[noun] = _Known(now, sleepers)
        else:  # who was awake a moment ago sleeps now, or is gone: the next reading tells
            known.sleepers.update((key, {**one, "status": "hibernated"}) for key, one in known.awake.items() if key not in awake)
        known.awake = awake
        found = {**known.sleepers, **awake}
        return [found[key] for key in sorted(found)]

    def forget(self) -> None:
        """Somebody may have been put to sleep or deleted: read all of it anew."""
        self._known.clear()
