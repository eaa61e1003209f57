"""What a host can be asked as a whole: the verbs of its control noun, which only programs of the runtime call.

They travel as calls do, so they survive a lost connection; each may be answered twice.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.entity.activation import State
from dotdo.errors import NoSuchMember
from dotdo.names import split_key
from dotdo.rpc.server import IncomingCall
from dotdo.storage import paths
from dotdo.storage.entity_file import EntityFile

if TYPE_CHECKING:
    from dotdo.hosting.host import Host


async def answer(host: Host, call: IncomingCall) -> None:
    """Do what the call asks, and answer it."""
    verb = call.path[0] if call.path else None
    handler = _VERBS.get(verb) if isinstance(verb, str) else None
    try:
        if handler is None:
            raise NoSuchMember(f"a host has no control verb {verb!r}")
        args, kwargs = codec.decode(call.payload) if call.payload is not None else ([], {})
        call.resolve(codec.encode(await handler(host, *args, **kwargs)))
    except Exception as error:  # whoever asked gets it
        call.reject_error(error)


# -- of every host --------------------------------------------------------------------------------------------------


async def status(host: Host) -> dict[str, Any]:
    """The host in figures; `dedicated` are the hosts it has started for single entities."""
    found: dict[str, Any] = {
        "host": host.host_id, "pid": os.getpid(), "thread": threading.get_ident(), "active": len(host.activations),
        "shards": host.shards.numbers if host.shards is not None else [], "turns": host.turns_run,
        "calls": host.calls_taken, "steps": host.steps_recorded, "quarantined": sorted(host.quarantine),
    }  # fmt: skip
    if host.dedicated is not None:
        found["dedicated"] = host.dedicated.names()
    return found


async def entities(host: Host, noun: str | None, limit: int) -> list[dict[str, Any]]:
    """Entities of the host's shards, in key order."""
    found: dict[str, dict[str, Any]] = {}
    if host.shards is not None:
        for key, size in await host.shards.sleepers(noun, limit):
            found[key] = {"key": key, "status": "hibernated", "size": size}
    for (its_noun, _), activation in host.activations.items():
        if noun is None or its_noun == noun:
            found[activation.key] = {"key": activation.key, "status": "active", "size": activation.file.size_bytes()}
    if host.dedicated is not None:
        for key in host.dedicated.names():
            if noun is None or split_key(key)[0] == noun:
                found[key] = {"key": key, "status": "active", "size": _file(host, key).size_bytes()}
    for key in host.quarantine:
        if noun is None or split_key(key)[0] == noun:
            found.setdefault(key, {"key": key, "size": 0})["status"] = "quarantined"
    return [found[key] for key in sorted(found)[:limit]]


async def awake(host: Host, noun: str | None, limit: int, sizes: bool) -> list[dict[str, Any]]:  # sent by position
    """Entities in memory, without looking at the disk: which activation it is and how often that has committed tell of changes."""
    found = [
        {"key": activation.key, "status": "active", "size": activation.file.size_bytes() if sizes else None,
         "commits": activation.file.committed, "activation": id(activation)}
        for (its_noun, _), activation in host.activations.items() if noun is None or its_noun == noun
    ]  # fmt: skip
    for key in host.dedicated.names() if host.dedicated is not None else ():
        if noun is None or split_key(key)[0] == noun:
            found.append({"key": key, "status": "active", "size": _file(host, key).size_bytes() if sizes else None})
    return found[:limit]


def _file(host: Host, key: str) -> EntityFile:
    folder, _ = host.territory.place(key)
    return EntityFile(paths.entity_path(folder, *split_key(key)), disk=host.disk)


async def about(host: Host, key: str) -> dict[str, Any]:
    """One entity as it is, which is not woken for it: `new` if it has never written."""
    found: dict[str, Any] = {"key": key, "status": "hibernated", "size": _file(host, key).size_bytes()}
    if key in host.quarantine:
        found |= {"status": "quarantined", "reason": host.quarantine[key]}
    elif split_key(key) in host.activations or (host.dedicated is not None and host.dedicated.is_awake(key)):
        found["status"] = "active"
        activation = host.activations.get(split_key(key))
        if activation is not None:
            found |= {"commits": activation.file.committed, "activation": id(activation)}
    elif not found["size"]:
        found["status"] = "new"
    return found


async def hibernate(host: Host, key: str) -> bool:
    """Put an entity to sleep now; False if it was not awake, is busy, or was called again just then."""
    if host.dedicated is not None and host.dedicated.is_awake(key):
        return await host.dedicated.put_to_sleep(key)
    activation = host.activations.get(split_key(key))
    if activation is None:
        return False
    for _ in range(1000):
        if activation.is_idle:
            break
        if activation.state is State.ENDED:
            return False
        await asyncio.sleep(0.001)
    if not activation.is_idle:
        return False
    host.hibernate(activation)
    while activation.state is not State.ENDED:
        await asyncio.sleep(0.001)  # the threads that close files need the interpreter meanwhile
    return split_key(key) not in host.activations  # awake again, a dedicated host stays: nobody may wait for its end


async def delete(host: Host, key: str) -> bool:
    """Delete an entity's file; True if there was one. Raises StorageError while the entity is busy."""
    return await host.deletions.delete(key)


async def release(host: Host, key: str) -> bool:
    """Let a quarantined entity run again."""
    assert host.shards is not None
    was = host.quarantine.pop(key, None) is not None
    host.suspects.pop(key, None)
    await host.shards.index_of(key).release(key)
    if was:
        host.wake(key)
    return was


async def reload(host: Host) -> list[str]:
    """Load code that was shipped; the nouns that are new or have changed."""
    return await host.reload()


async def backup_begin(host: Host) -> dict[str, Any]:
    """What a backup needs to know of the host's shards."""
    return await host.backups.begin()


async def backup_keys(host: Host, shard: int) -> list[str]:
    """Keys of all entities of a shard that have a file."""
    return await host.backups.keys(shard)


async def backup_copy(host: Host, key: str) -> dict[str, Any] | None:
    """A checked copy of an entity's file; a large one stays here and is read in pieces."""
    return await host.backups.copy(key)


async def backup_read(host: Host, name: str, offset: int) -> bytes:
    """A piece of a copy."""
    return await host.backups.read(name, offset)


async def backup_drop(host: Host, name: str) -> None:
    """A copy has been handed over."""
    await host.backups.drop(name)


# -- between the owner of an entity and its dedicated host -----------------------------------------------------------


async def sleeper(host: Host, key: str, noun: str, due: float | None, size: int, waiting: list[str]) -> None:
    """A dedicated host's entity goes to sleep: its row is safe when this is answered."""
    assert host.shards is not None
    written: asyncio.Future[None] = host.loop.create_future()
    if host.dedicated is not None:
        host.dedicated.falls_asleep(key, waiting)
    host.shards.put(key, noun, due, size, lambda: None if written.done() else written.set_result(None))
    await written


async def delete_left(host: Host, key: str) -> None:
    """A dedicated host's entity was about to be deleted when its owner died."""
    host.delete_left(key)


async def tend(host: Host, key: str) -> bool:
    """A dedicated host asks whether it has an owner; from now on it has."""
    if host.dedicated is None:
        return False
    host.dedicated.wake(key)
    return True


async def idle_since(host: Host) -> float | None:
    """When the entity of this dedicated host was last used; None while it is busy."""
    used = [activation.used_at if activation.is_idle else None for activation in host.activations.values()]
    return used[0] if used else 0.0


async def make_room(host: Host) -> bool:
    """Another host has no room for a dedicated host: put an idle one of ours to sleep."""
    return host.dedicated is not None and await host.dedicated.make_room()


async def leave(host: Host) -> None:
    """This dedicated host is to end: its entity goes to sleep, or rests as it is."""
    if host.on_leave is not None:
        host.on_leave()


_VERBS: dict[str, Callable[..., Any]] = {
    "status": status, "entities": entities, "awake": awake, "about": about, "hibernate": hibernate, "delete": delete, "release": release, "reload": reload,
    "sleeper": sleeper, "tend": tend, "idle_since": idle_since, "make_room": make_room, "leave": leave, "delete_left": delete_left,
    "backup_begin": backup_begin, "backup_keys": backup_keys, "backup_copy": backup_copy, "backup_read": backup_read,
    "backup_drop": backup_drop,
}  # fmt: skip
