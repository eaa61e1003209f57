"""What runs when: the schedules of all programs and of single entities, as seen from outside.

await dotdo.schedules.list()                       await dotdo.schedules.list(Report("r1"))
(await dotdo.schedules.get("daily-report")).next_times
await dotdo.schedules.cancel("daily-report")       .pause(...)       .resume(...)
"""

from __future__ import annotations

import asyncio
import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dotdo.durable.handle import control_call
from dotdo.errors import DefinitionError, NoSuchSchedule
from dotdo.names import key_of, split_key
from dotdo.rpc.stub import Stub, make_stub
from dotdo.schedules import outside  # noqa: F401  # registers the control verb
from dotdo.schedules.policies import CatchUp, Overlap
from dotdo.schedules.registry import BOOK
from dotdo.schedules.scheduled import NAME
from dotdo.schedules.times import Schedule

KEEPER = "DotdoSchedule"
"""The noun of the entities that keep one announced schedule each."""


@dataclass(frozen=True)
class ScheduleInfo:
    """One schedule, as it stands.

    Args:
        rule: when, as a value; None for a single time.
        text: when, as a sentence.
        next_times: the next five; none while it is paused.
        runs: how many were started; `skipped` how many times came while one still went on.
        last: the time of the last run; `status` is running, retrying, completed or failed, None before the first.
        error: why that failed.
    """

    name: str
    entity: str
    handler: str
    rule: Schedule | None
    text: str
    overlap: Overlap
    catch_up: CatchUp
    next_times: builtins.list[datetime]
    is_paused: bool
    runs: int
    skipped: int
    last: datetime | None
    status: str | None
    error: str | None

    @property
    def next_time(self) -> datetime | None:
        return self.next_times[0] if self.next_times else None


async def list(of: Any = None) -> builtins.list[ScheduleInfo]:
    """The schedules of programs, or those of one entity, with what is due first at the front."""
    keys = [_key_of(of)] if of is not None else [key_of(KEEPER, schedule_id) for schedule_id in await make_stub(*BOOK).ids()]
    pages = await asyncio.gather(*(control_call(make_stub(*split_key(key)), NAME, "list") for key in keys))
    found = [ScheduleInfo(**data) for page in pages for data in page]
    return sorted(found, key=lambda one: (one.next_time is None, one.next_time.timestamp() if one.next_time else 0.0, one.name))


async def get(name: str, of: Any = None) -> ScheduleInfo:
    """One schedule. Raises NoSuchSchedule."""
    key, own_name = await _find(name, of)
    for data in await control_call(make_stub(*split_key(key)), NAME, "list"):
        if data["name"] == own_name:
            return ScheduleInfo(**data)
    raise _missing(name, of)


async def cancel(name: str, of: Any = None) -> bool:
    """End a schedule: what runs goes on, what waits does not start; False if there is none.

    What a program still declares is there again when that starts anew: to keep it from running meanwhile, pause it.
    """
    try:
        key, own_name = await _find(name, of)
    except NoSuchSchedule:
        return False
    if of is None:
        await make_stub(*BOOK).drop(split_key(key)[1])
    return bool(await control_call(make_stub(*split_key(key)), NAME, "cancel", own_name)) or of is None


async def pause(name: str, of: Any = None) -> bool:
    """Let a schedule rest until `resume`; False if it does already. What runs goes on. Raises NoSuchSchedule."""
    return await _change("pause", name, of)


async def resume(name: str, of: Any = None) -> bool:
    """Let it go on with its next time; those that passed meanwhile are not caught up. Raises NoSuchSchedule."""
    return await _change("resume", name, of)


async def _change(action: str, name: str, of: Any) -> bool:
    key, own_name = await _find(name, of)
    did = bool(await control_call(make_stub(*split_key(key)), NAME, action, own_name))
    if not did:
        await get(name, of)
    return did


async def _find(name: str, of: Any) -> tuple[str, str]:
    """Key of the entity that keeps it, and its name there: by name, or by `module:name` if several modules have that name."""
    if of is not None:
        return _key_of(of), name
    ids: builtins.list[tuple[str, str]] = await make_stub(*BOOK).named(name)
    if not ids:
        raise _missing(name, of)
    if len(ids) > 1 and name not in [schedule_id for schedule_id, _ in ids]:
        raise DefinitionError(f"several schedules are called {name!r}: say which one, of {', '.join(repr(i) for i, _ in ids)}")
    schedule_id, own_name = next((one for one in ids if one[0] == name), ids[0])
    return key_of(KEEPER, schedule_id), own_name


def _key_of(of: Any) -> str:
    if not isinstance(of, Stub):
        raise TypeError(f"the schedules of one entity are asked for by a stub, as of=Report('r1'), not {of!r}")
    return str(of.key)


def _missing(name: str, of: Any) -> NoSuchSchedule:
    owner = "" if of is None else f" of {_key_of(of)}"
    return NoSuchSchedule(f"there is no schedule {name!r}{owner}; await dotdo.schedules.list(...) says which there are")
