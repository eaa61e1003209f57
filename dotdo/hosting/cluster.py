"""Hosts as Ray actors. The only module that imports Ray, and only when a cluster is started or joined.

Ray is the control plane: it starts, names, places and restarts hosts, and tells who may where they listen and with which
token. Calls never go through it. Each host runs its own thread with its own loop, so that Ray's threads are not in the
way; everything a restarted host needs is among its actor's arguments.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import secrets
import socket
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotdo.clock import SystemClock, wall_now
from dotdo.config import Settings
from dotdo.errors import DataFolderInUse, DotdoError, HostLost
from dotdo.hosting import catalog, data_folder, sockets
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.host import CONTROL_NOUN, Host
from dotdo.hosting.shards import Shard, shard_of
from dotdo.hosting.slot import Slot, Watchdog
from dotdo.names import key_of

_log = logging.getLogger("dotdo.cluster")

OBJECT_STORE_BYTES = 80 * 1024 * 1024
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
GC_THRESHOLD = 100_000


@dataclass(frozen=True, slots=True)
class HostPlan:
    """Everything a host needs to start, and to start again."""

    name: str
    data: str
    shards: list[int]
    settings: Settings
    token: str
    sockets: dict[str, str]
    owners: list[str]
    env: Any


class ClusterRouter:
    """Which host owns a key, and how to reach it on this machine."""

    def __init__(self, owners: list[str], paths: dict[str, str], token: str) -> None:
        self.token = token
        self._owners = owners
        self._paths = paths
        self.on_noun: Callable[[str], None] | None = None

    def host_of(self, noun: str, entity_id: str) -> str:
        if noun == CONTROL_NOUN:
            return entity_id
        if self.on_noun is not None:
            self.on_noun(noun)
        return self._owners[shard_of(key_of(noun, entity_id), len(self._owners))]

    def host_names(self) -> list[str]:
        return sorted(self._paths)

    async def connect(self, host: str, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseTransport:
        path = self._paths.get(host)
        if path is None:
            raise HostLost(f"this runtime has no host {host!r}; it has {', '.join(self.host_names())}")
        transport, _ = await asyncio.get_running_loop().create_unix_connection(protocol, path)
        return transport


def new_loop() -> asyncio.AbstractEventLoop:
    """A fast loop where there is one."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


class HostProcess:
    """What the Ray actor is: a thread with a loop and a host on it."""

    def __init__(self, plan: HostPlan) -> None:
        import gc
        import sys

        sys.setswitchinterval(0.001)
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self._plan = plan
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._loop = new_loop()
        self._host: Host | None = None
        self._slot: Slot | None = None
        self._thread = threading.Thread(target=self._run, name="dotdo-host", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._start())
        except BaseException as problem:  # the actor's constructor raises it
            self._problem = problem
            self._ready.set()
            return
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        plan = self._plan
        folder = data_folder.read_folder(Path(plan.data))
        catalog.use_folder(folder.nouns)
        catalog.load_shipped()
        slot = self._slot = Slot(folder.hosts / f"{plan.name}.slot")
        dead_key, deaths = slot.last_words(wall_now())
        router = ClusterRouter(plan.owners, plan.sockets, plan.token)
        host = self._host = Host(
            plan.settings, folder, plan.shards, plan.name, clock=SystemClock(self._loop), loop=self._loop, router=router,
            token=plan.token, env=plan.env, slot=slot,
        )  # fmt: skip
        await host.start(dead_key, deaths)
        path = plan.sockets[plan.name]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        await self._loop.create_unix_server(host.session, path, backlog=512)
        os.chmod(path, 0o600)
        slot.end()
        Watchdog(slot, plan.settings.max_turn_s, self._turn_limit).start()

    def _turn_limit(self, key: str) -> float | None:
        """How long one turn of an entity may hold the loop."""
        spec = catalog.find(key.partition("/")[0])
        own = spec.options.max_turn_s if spec is not None else None
        return self._plan.settings.max_turn_s if own is None else own

    def address(self) -> dict[str, Any]:
        """How to reach this runtime: only who can reach the Ray cluster learns it."""
        plan = self._plan
        return {"token": plan.token, "sockets": plan.sockets, "owners": plan.owners, "pid": os.getpid()}

    def stop(self) -> bool:
        """Put the entities to sleep and give the shards back."""
        host = self._host
        if host is None:
            return False
        asyncio.run_coroutine_threadsafe(host.stop(), self._loop).result(STOP_TIMEOUT_SECONDS)
        if self._slot is not None:
            self._slot.clear()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._plan.sockets[self._plan.name])
        return True


class Cluster:
    """A runtime on a Ray cluster, as the program that started or joined it holds it."""

    def __init__(self, settings: Settings, folder: DataFolder, env: Any, *, detached: bool = False) -> None:
        self.settings = settings
        self.folder = folder
        self.is_owner = False
        self._env = env
        self._detached = detached
        self._started_ray = False
        self._actors: list[Any] = []
        self._shipped_version = 0
        self.router: ClusterRouter

    @property
    def namespace(self) -> str:
        return f"dotdo-{self.folder.id}"

    def start(self) -> None:
        """Start hosts, or join those that run on this data folder. Blocks. Raises DataFolderInUse, DotdoError."""
        catalog.use_folder(self.folder.nouns)
        self._shipped_version = catalog.version()
        catalog.ship(self.folder.nouns)
        if self._is_running():
            self._join()
        else:
            self._start_hosts()
        self.router.on_noun = self._ship_late

    def _is_running(self) -> bool:
        """Is a shard of the folder owned by a living process?"""
        probe = Shard(self.folder.shard_folder(0), 0)
        return not probe.is_free()

    def _address_file(self) -> Path:
        return self.folder.path / "hosts" / "runtime.address"

    def _ray(self, address: str | None) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray is configured through its environment
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray

            if ray.is_initialized():
                return ray
            options: dict[str, Any] = {"namespace": self.namespace, "log_to_driver": False, "logging_level": logging.ERROR}
            if address is None:
                options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
            else:
                options["address"] = address
            options |= self.settings.ray_options
            ray.init(**options)
            self._started_ray = True
        return ray

    def _start_hosts(self) -> None:
        ray = self._ray(self.settings.address)
        count = self.settings.hosts if self.settings.hosts is not None else max(1, min(os.cpu_count() or 1, 8))
        count = min(count, self.folder.shards)
        names = [f"h{number}" for number in range(count)]
        owners = [names[shard % count] for shard in range(self.folder.shards)]
        runtime_id = secrets.token_hex(6)
        paths = {name: sockets.socket_path(runtime_id, name) for name in names}
        token = secrets.token_urlsafe(32)
        actor_class = ray.remote(HostProcess)
        for name in names:
            plan = HostPlan(
                name,
                str(self.folder.path),
                [s for s, owner in enumerate(owners) if owner == name],
                self.settings,
                token,
                paths,
                owners,
                self._env,
            )
            options: dict[str, Any] = {
                "name": name, "namespace": self.namespace, "num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 4,
            }  # fmt: skip
            if self._detached:
                options["lifetime"] = "detached"
            self._actors.append(actor_class.options(**options).remote(plan))
        try:
            ray.get([actor.address.remote() for actor in self._actors], timeout=START_TIMEOUT_SECONDS)
        except Exception as error:
            cause = getattr(error, "cause", None)
            self._abandon(ray)
            text = str(error)
            if "DataFolderInUse" in text:
                raise DataFolderInUse(f"{self.folder.path} is in use: {text.strip().splitlines()[-1]}") from error
            raise DotdoError(f"the hosts did not start: {text.strip().splitlines()[-1]}") from (cause or error)
        self.is_owner = True
        self.router = ClusterRouter(owners, paths, token)
        self._address_file().write_text(f"{ray.get_runtime_context().gcs_address}\n{os.getpid()}\n{socket.gethostname()}\n")

    def _abandon(self, ray: Any) -> None:
        for actor in self._actors:
            with contextlib.suppress(Exception):
                ray.kill(actor, no_restart=True)
        self._actors.clear()
        if self._started_ray:
            ray.shutdown()
            self._started_ray = False

    def _join(self) -> None:
        try:
            address, pid, _machine = self._address_file().read_text().split()
        except (OSError, ValueError):
            raise DataFolderInUse(f"{self.folder.path} is used by a program whose runtime cannot be joined (in-process?)") from None
        try:
            ray = self._ray(address)
            actor = ray.get_actor("h0", namespace=self.namespace)
            found = ray.get(actor.address.remote(), timeout=START_TIMEOUT_SECONDS)
        except Exception as error:
            self._abandon_join()
            raise DataFolderInUse(
                f"{self.folder.path} is used by process {pid}, whose runtime at {address} could not be joined: {type(error).__name__}: {error}"
            ) from error
        self.router = ClusterRouter(found["owners"], found["sockets"], found["token"])

    def _abandon_join(self) -> None:
        if self._started_ray:
            import ray

            ray.shutdown()
            self._started_ray = False

    def _ship_late(self, _noun: str) -> None:
        """What was defined after the start: put its code where the hosts find it, before the next call leaves."""
        version = catalog.version()
        if version != self._shipped_version:
            self._shipped_version = version
            catalog.ship(self.folder.nouns)

    def stop(self) -> None:
        """Stop what this program started; one that joined only disconnects. Blocks."""
        import ray

        if not ray.is_initialized():
            return
        if self.is_owner and not self._detached:
            with contextlib.suppress(Exception):
                ray.get([actor.stop.remote() for actor in self._actors], timeout=STOP_TIMEOUT_SECONDS)
            for actor in self._actors:
                with contextlib.suppress(Exception):
                    ray.kill(actor, no_restart=True)
            with contextlib.suppress(FileNotFoundError):
                self._address_file().unlink()
        if self._started_ray:
            ray.shutdown()
