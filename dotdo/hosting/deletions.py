"""Deleting entities: put to rest, and then the file is gone.

What comes for an entity while it is being deleted waits, and finds a new one; nothing wakes it meanwhile. An entity of a
noun with `index=` first tells the noun's collection that it goes (`durable/projection`): its file is marked in that commit
and deleted only if nothing was committed after it. A deletion that a crash interrupts is finished when the entity wakes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dotdo import codec
from dotdo.durable import projection
from dotdo.errors import DotdoError, StorageError
from dotdo.hosting import catalog, control
from dotdo.names import key_of, split_key
from dotdo.storage import paths
from dotdo.storage.entity_file import EntityFile

if TYPE_CHECKING:
    from dotdo.hosting.host import Host
    from dotdo.rpc.server import IncomingCall

_log = logging.getLogger("dotdo.host")


class _Deletion:
    """One that goes on, and the calls that wait for its end."""

    def __init__(self) -> None:
        self.calls: list[IncomingCall] = []
        self.over = asyncio.Event()


class Deletions:
    """Those of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._going_on: dict[str, _Deletion] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._going_on

    def holds_back(self, call: IncomingCall) -> bool:
        """True if a call for a sleeping entity waits for the end of its deletion; it is delivered then."""
        deletion = self._going_on.get(key_of(call.noun, call.entity_id)) if self._going_on else None
        if deletion is None or list(call.path) == ["!", "leave"]:
            return False
        deletion.calls.append(call)
        return True

    async def delete(self, key: str, *, resumes: bool = False) -> bool:
        """Delete an entity; False if there was none. Raises StorageError while it is busy.

        With `resumes`, only one that was marked to be deleted and still is.
        """
        while key in self._going_on:
            await self._going_on[key].over.wait()
        deletion = self._going_on[key] = _Deletion()
        try:
            return await self._delete(key, resumes=resumes)
        finally:
            del self._going_on[key]
            deletion.over.set()
            for call in deletion.calls:
                self._host.deliver(call)

    async def resume(self, key: str) -> None:
        """Finish what the host before this one began."""
        try:
            await self.delete(key, resumes=True)
        except DotdoError as error:  # it is marked still, and tried again when it wakes
            _log.warning("%s was to be deleted: %s", key, error)

    async def _delete(self, key: str, *, resumes: bool) -> bool:
        host = self._host
        noun, entity_id = split_key(key)
        shards = host.shards
        assert shards is not None, "the owner of a shard deletes its entities"
        await self._put_to_rest(key)
        folder, epoch = shards.place(key)
        file = EntityFile(paths.entity_path(folder, noun, entity_id), epoch=epoch, disk=host.disk)
        was_there = file.exists()
        spec = catalog.find(noun)
        if was_there and spec is not None and spec.options.index and not await self._take_leave(key, file, resumes=resumes):
            return False
        await host.loop.run_in_executor(host.workers, file.delete)
        await shards.index_of(key).remove(key)
        return was_there

    async def _take_leave(self, key: str, file: EntityFile, *, resumes: bool) -> bool:
        """Have an entity tell its noun's collection that it goes; False if it was to go and lives on."""
        host = self._host
        noun, entity_id = split_key(key)
        if not codec.decode(await host.call_out(noun, entity_id, ["!", "leave"], codec.encode([[resumes], {}]), None)):
            return False
        try:
            await self._put_to_rest(key)
            is_left = await host.loop.run_in_executor(host.workers, projection.is_left, file)
        except StorageError as error:
            assert host.shards is not None
            host.shards.wakes.at(key, host.clock.now() + projection.LEAVE_AGAIN_SECONDS)
            raise StorageError(f"{key} cannot be deleted just now, and will be as soon as nothing of it runs: {error}") from error
        if not is_left:
            raise StorageError(f"{key} was changed while it was to be deleted, and lives on")
        return True

    async def _put_to_rest(self, key: str) -> None:
        """Raises StorageError if the entity is busy."""
        host = self._host
        await control.hibernate(host, key)
        if split_key(key) in host.activations or (host.dedicated is not None and host.dedicated.is_awake(key)):
            raise StorageError(f"{key} is busy: it can be deleted when nothing of it runs")
        if host.shards is not None:
            host.shards.wakes.forget(key)
