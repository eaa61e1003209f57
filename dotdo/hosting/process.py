"""What the Ray actor of a host is: a thread with a loop, and a host on it that listens.

Ray's own threads are not in the way of the loop, and answer for the process (`pulse`) while a turn holds it. A host that
owns shards has everything it needs among its actor's arguments, so that Ray can start it again. A dedicated one starts
empty and is given its entity later; it is not started again by Ray, but by the entity's owner.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotdo.clock import SystemClock, wall_now
from dotdo.config import Settings
from dotdo.entity.activation import Activation
from dotdo.errors import DotdoError
from dotdo.hosting import catalog, data_folder, permits, sockets
from dotdo.hosting.host import Host
from dotdo.hosting.launching import RayLauncher, die, find_host, own_node, own_node_ip, process_id
from dotdo.hosting.router import ClusterRouter
from dotdo.hosting.single_entity import SingleEntity
from dotdo.hosting.slot import Slot, Watchdog, slot_name
from dotdo.names import split_key

STOP_TIMEOUT_SECONDS = 20.0
GC_THRESHOLD = 100_000
LOOP_SWITCH_SECONDS = 0.001
TEND_SECONDS = 5.0
ORPHAN_SECONDS = 60.0
"""A dedicated host that reaches no owner for so long ends as it is; whoever owns the entity next finishes what it began."""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """Everything a host needs to start, and to start again."""

    name: str
    runtime_id: str
    namespace: str
    data: str
    node: str
    shards: list[int]
    owners: list[str]
    settings: Settings
    token: str
    env: Any = field(repr=False)
    is_dedicated: bool = False

    def socket_of(self, name: str) -> str:
        """Where a host listens on its node."""
        return sockets.socket_path(self.runtime_id, name)

    def addresses(self) -> dict[str, list[Any]]:
        """The owners' addresses as far as they are known before they are asked: their sockets."""
        return {name: [self.node, self.socket_of(name), "", 0] for name in self.owners}


def new_loop() -> asyncio.AbstractEventLoop:
    """A fast loop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class HostThread:
    """A loop in a thread of its own, and the host on it."""

    def __init__(self, plan: HostPlan) -> None:
        self._plan = plan
        self._node = own_node()
        self._port = 0
        self._ip = own_node_ip()
        self._servers: list[Any] = []
        self._loop = new_loop()
        self._host: Host | None = None
        self._slot: Slot | None = None
        self._watchdog: Watchdog | None = None
        self._tending: asyncio.Task[None] | None = None
        self._is_leaving = False
        self._launcher = RayLauncher(plan)
        self._thread = threading.Thread(target=self._run, name="dotdo-host", daemon=True)
        self._thread.start()
        self._on_loop(self._open() if plan.is_dedicated else self._start())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _on_loop(self, coroutine: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    # -- starting -----------------------------------------------------------------------------------------------

    async def _open(self) -> data_folder.DataFolder:
        folder = data_folder.read_folder(Path(self._plan.data))
        catalog.use_folder(folder.nouns)
        catalog.load_shipped()
        return folder

    async def _start(self) -> None:
        """Own shards."""
        plan = self._plan
        folder = await self._open()
        slot = Slot(folder.hosts / f"{plan.name}.slot")
        dead_key, deaths = slot.last_words(wall_now())
        self._launcher.supervise(self._sibling())
        await self._serve(folder, slot, dead_key, deaths)
        Watchdog(slot, plan.settings.max_turn_s, self._turn_limit).start()

    async def _serve(
        self, folder: data_folder.DataFolder, slot: Slot, dead_key: str, deaths: int, entity: SingleEntity | None = None
    ) -> None:
        plan = self._plan
        router = ClusterRouter(plan.owners, plan.addresses(), plan.token, self._node, lambda name: find_host(name, plan.namespace))
        host = Host(
            plan.settings, folder, plan.shards, plan.name, clock=SystemClock(self._loop), loop=self._loop, router=router,
            token=plan.token, env=plan.env, slot=slot, entity=entity, launcher=None if plan.is_dedicated else self._launcher,
        )  # fmt: skip
        await host.start(dead_key, deaths)
        self._host, self._slot = host, slot
        path = plan.socket_of(plan.name)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        local = await self._loop.create_unix_server(host.session, path, backlog=512)
        os.chmod(path, 0o600)
        remote = await self._loop.create_server(host.session, self._ip, 0, backlog=512)
        self._port = remote.sockets[0].getsockname()[1]
        self._servers = [local, remote]
        slot.end()

    def _sibling(self) -> str | None:
        """The host this one watches: the next in the ring."""
        names = sorted(set(self._plan.owners))
        following = names[(names.index(self._plan.name) + 1) % len(names)]
        return None if following == self._plan.name else following

    def _turn_limit(self, key: str) -> float | None:
        """How long one turn of an entity may hold the loop; an entity alone may hold its own as long as it likes."""
        spec = catalog.find(key.partition("/")[0])
        own = spec.options.max_turn_s if spec is not None else None
        return own if own is not None or self._plan.is_dedicated else self._plan.settings.max_turn_s

    # -- asked from other threads -------------------------------------------------------------------------------

    def pulse(self) -> list[Any]:
        """Proof of life, and who it is: process, when it started, Ray node."""
        return [*process_id(), self._node]

    def address(self) -> dict[str, Any]:
        """How to reach this host, and its runtime: only who can reach the Ray cluster learns it."""
        plan = self._plan
        return {
            "runtime": plan.runtime_id, "token": plan.token, "owners": plan.owners, "addresses": plan.addresses(),
            "address": [self._node, plan.socket_of(plan.name), self._ip, self._port], "pulse": self.pulse(),
        }  # fmt: skip

    def reload(self) -> list[str]:
        """Load code that was shipped; the nouns that have changed."""
        host = self._host
        return self._on_loop(host.reload()) if host is not None else []  # type: ignore[no-any-return]

    def stop(self) -> bool:
        """Put the entities to sleep and give the shards back."""
        host = self._host
        if host is None:
            return False
        self._launcher.stop()
        self._on_loop(host.stop(), STOP_TIMEOUT_SECONDS)
        if self._slot is not None:
            self._slot.clear()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._plan.socket_of(self._plan.name))
        return True

    # -- a dedicated host ---------------------------------------------------------------------------------------

    def assign(self, owner: str, key: str, epoch: int, deaths: int) -> list[Any]:
        """Hold this entity. The address, once it can be called. Raises Overloaded, DataFolderInUse, and what `start` raises."""
        self._on_loop(self._hold(owner, key, epoch, deaths))
        return list(self.address()["address"])

    async def _hold(self, owner: str, key: str, epoch: int, deaths: int) -> None:
        plan = self._plan
        folder = await self._open()
        entity = SingleEntity(folder, plan.name, owner, key, epoch, permits.most(plan.settings))
        slot = Slot(folder.hosts / slot_name(key))
        await self._serve(folder, slot, key, deaths, entity)
        host = self._host
        assert host is not None
        host.on_ended = self._entity_ended
        host.on_leave = self._leave
        host.wake(key)
        spec = catalog.lookup(split_key(key)[0])
        if spec.options.max_turn_s is not None:
            self._watchdog = Watchdog(slot, spec.options.max_turn_s, self._turn_limit)
            self._watchdog.start()
        self._tending = self._loop.create_task(self._tend(host, owner, key))

    async def _tend(self, host: Host, owner: str, key: str) -> None:
        """Let the owner know of us, whoever it is by now; without one, end."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                await asyncio.wait_for(host.ask(owner, "tend", key), ORPHAN_SECONDS)
            except (TimeoutError, DotdoError):
                die()

    def _entity_ended(self, activation: Activation, error: BaseException | None) -> None:
        """The entity sleeps: so this host is over. One that broke wakes again by itself, or for its next call."""
        host = self._host
        assert host is not None
        if error is None:
            self._loop.call_soon(lambda: None if host.activations else self._leave())
        else:
            idle_s = self._plan.settings.idle_timeout_s
            self._loop.call_later(idle_s, lambda: None if host.activations else self._leave())

    def _leave(self) -> None:
        if not self._is_leaving:
            self._is_leaving = True
            self._tending = self._loop.create_task(self._end())

    async def _end(self) -> None:
        host = self._host
        assert host is not None
        for server in self._servers:
            server.close()
        await host.answered()
        await host.stop()
        if self._slot is not None:
            self._slot.remove()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._plan.socket_of(self._plan.name))
        await self._loop.run_in_executor(None, die)


class HostProcess:
    """The Ray actor. It has no coroutine among its methods: Ray would run all of them on one loop, one after the other."""

    def __init__(self, plan: HostPlan) -> None:
        sys.setswitchinterval(LOOP_SWITCH_SECONDS)
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._thread = HostThread(plan)

    def pulse(self) -> list[Any]:
        """Proof of life, and who it is: process, when it started, Ray node."""
        return self._thread.pulse()

    def address(self) -> dict[str, Any]:
        """How to reach this host, and its runtime: only who can reach the Ray cluster learns it."""
        return self._thread.address()

    def assign(self, owner: str, key: str, epoch: int, deaths: int) -> list[Any]:
        """Hold an entity; the address, once it can be called."""
        return self._thread.assign(owner, key, epoch, deaths)

    def reload(self) -> list[str]:
        """Load code that was shipped; the nouns that have changed."""
        return self._thread.reload()

    def stop(self) -> bool:
        """Put the entities to sleep and give the shards back."""
        return self._thread.stop()
