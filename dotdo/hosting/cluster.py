"""A runtime on a Ray cluster: started by this program, or joined.

Ray is the control plane: it starts, names, places and restarts hosts, and tells who may where they listen and with which
token. Calls never go through it. The actors are named, in a namespace of the data folder's own, and pinned to the node
of the program that started them, for that is where the folder is.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dotdo.config import Settings
from dotdo.entity.noun import NounSpec
from dotdo.errors import DataFolderInUse, DotdoError
from dotdo.hosting import catalog
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.launching import find_host, own_node
from dotdo.hosting.process import HostPlan, HostProcess
from dotdo.hosting.router import ClusterRouter
from dotdo.hosting.shards import Shard
from dotdo.hosting.supervision import Supervisor

_log = logging.getLogger("dotdo.cluster")

RAY_AUTH_MODE = "RAY_AUTH_MODE"
OBJECT_STORE_BYTES = 80 * 1024 * 1024
START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0


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
        self._shipped: dict[str, NounSpec] = {}
        self._supervisor: Supervisor | None = None
        self._pulses: dict[str, Any] = {}
        self._shipped_functions: dict[str, Callable[..., Any]] = {}
        self.router: ClusterRouter

    @property
    def namespace(self) -> str:
        return f"dotdo-{self.folder.id}"

    def start(self) -> None:
        """Start hosts, or join those that run on this data folder. Blocks. Raises DataFolderInUse, DotdoError."""
        catalog.use_folder(self.folder.nouns)
        is_new = self._ship_all()
        if self._is_running():
            self._join()
            if is_new:
                self._reload_hosts()
        else:
            self._start_hosts()
        catalog.on_known(self)
        if (catalog.known(), catalog.known_functions()) != (self._shipped, self._shipped_functions):  # on another thread, meanwhile
            self.has_more()
        supervisor = self._supervisor = Supervisor(self.namespace, self.settings.host_timeout_s)
        for name in self.router.host_names():
            supervisor.watch(name, self._pulses.get(name), is_for_ever=True)
        supervisor.start()

    def _is_running(self) -> bool:
        """Is a shard of the folder owned by a living process?"""
        probe = Shard(self.folder.shard_folder(0), 0)
        return not probe.is_free()

    def _address_file(self) -> Path:
        return self.folder.path / "hosts" / "runtime.address"

    def _ray(self, address: str | None, auth_mode: str | None = None) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray is configured through its environment
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_DEDUP_LOGS", "0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if auth_mode is not None:  # a cluster that a program starts for itself asks for a token; who joins must know of it
                os.environ.setdefault(RAY_AUTH_MODE, auth_mode)
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
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        count = self.settings.hosts if self.settings.hosts is not None else max(1, min(os.cpu_count() or 1, 8))
        count = min(count, self.folder.shards)
        names = [f"h{number}" for number in range(count)]
        owners = [names[shard % count] for shard in range(self.folder.shards)]
        runtime_id, token, node = secrets.token_hex(6), secrets.token_urlsafe(32), own_node()
        actor_class = ray.remote(HostProcess)
        for name in names:
            shards = [shard for shard, owner in enumerate(owners) if owner == name]
            plan = HostPlan(
                name, runtime_id, self.namespace, str(self.folder.path), node, shards, owners, self.settings, token, self._env
            )  # fmt: skip
            options: dict[str, Any] = {
                "name": name, "namespace": self.namespace, "num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": 4,
                "scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False),
            }  # fmt: skip
            if self._detached:
                options["lifetime"] = "detached"
            self._actors.append(actor_class.options(**options).remote(plan))
        try:
            found = ray.get([actor.address.remote() for actor in self._actors], timeout=START_TIMEOUT_SECONDS)
        except Exception as error:
            cause = getattr(error, "cause", None)
            self._abandon(ray)
            text = str(error)
            if "DataFolderInUse" in text:
                raise DataFolderInUse(f"{self.folder.path} is in use: {text.strip().splitlines()[-1]}") from error
            raise DotdoError(f"the hosts did not start: {text.strip().splitlines()[-1]}") from (cause or error)
        self.is_owner = True
        self.router = self._route(found[0])
        self._pulses = {name: each["pulse"] for name, each in zip(names, found, strict=True)}
        address = {
            "address": ray.get_runtime_context().gcs_address, "pid": os.getpid(), "machine": socket.gethostname(),
            "ray_auth_mode": os.environ.get(RAY_AUTH_MODE),
        }  # fmt: skip
        self._address_file().write_text(json.dumps(address))

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
            found = json.loads(self._address_file().read_text())
            address, pid, auth_mode = found["address"], found["pid"], found["ray_auth_mode"]
        except (OSError, ValueError, KeyError):
            raise DataFolderInUse(f"{self.folder.path} is used by a program whose runtime cannot be joined (in-process?)") from None
        try:
            ray = self._ray(address, auth_mode)
            actor = ray.get_actor("h0", namespace=self.namespace)
            found = ray.get(actor.address.remote(), timeout=START_TIMEOUT_SECONDS)
        except Exception as error:
            self._abandon_join()
            raise DataFolderInUse(
                f"{self.folder.path} is used by process {pid}, whose runtime at {address} could not be joined: {type(error).__name__}: {error}"
            ) from error
        self.router = self._route(found)

    def _route(self, found: dict[str, Any]) -> ClusterRouter:
        return ClusterRouter(
            found["owners"], found["addresses"], found["token"], own_node(), lambda name: find_host(name, self.namespace)
        )  # fmt: skip

    def _abandon_join(self) -> None:
        if self._started_ray:
            import ray

            ray.shutdown()
            self._started_ray = False

    def _ship_all(self) -> bool:
        """Ship what this program knows; True if hosts may have loaded other code."""
        self._shipped, self._shipped_functions = catalog.known(), catalog.known_functions()
        return catalog.ship(self.folder.nouns)

    def has_more(self) -> None:
        """Something was defined, or defined anew, after the start: its code is where hosts find it before the next call leaves."""
        self.router.before_next = self._ship_late

    def _ship_late(self) -> None:
        self.router.before_next = None
        nouns, functions = self._shipped, self._shipped_functions
        is_new = self._ship_all()
        is_redefined = any(self._shipped.get(name) is not spec for name, spec in nouns.items()) or any(
            self._shipped_functions.get(name) is not fn for name, fn in functions.items()
        )
        if is_new and is_redefined:
            self._reload_hosts()

    def _reload_hosts(self) -> None:
        """Let every host load what was shipped: idle entities are on the new code when this returns. Raises NounNotLoadable."""
        import ray

        try:
            actors = [ray.get_actor(name, namespace=self.namespace) for name in self.router.host_names()]
            ray.get([actor.reload.remote() for actor in actors], timeout=START_TIMEOUT_SECONDS)
        except Exception as error:
            cause = getattr(error, "cause", None)
            raise (cause if isinstance(cause, DotdoError) else DotdoError(f"the hosts did not load the new code: {error}")) from error

    def ship(self) -> None:
        """Put what this program has defined since it started where the hosts find it."""
        catalog.ship(self.folder.nouns)

    def stop(self) -> None:
        """Stop what this program started; one that joined only disconnects. Blocks."""
        import ray

        if self._supervisor is not None:
            self._supervisor.stop()
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
