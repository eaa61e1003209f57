"""Ray as hosts see it: starting dedicated hosts, finding hosts by name, and killing those that are silent.

Beside `cluster`, which starts and joins runtimes, this is the only module that imports Ray, and only inside functions.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dotdo.errors import DataFolderInUse, DefinitionError, DotdoError, HostLost, Overloaded
from dotdo.hosting.supervision import Supervisor

if TYPE_CHECKING:
    from dotdo.hosting.process import HostPlan

LAUNCH_SECONDS_MAX = 50.0
ASK_SECONDS_MAX = 10.0
EXIT_SECONDS = 2.0
PLACING = frozenset({"num_gpus", "resources", "scheduling_strategy", "label_selector", "accelerator_type"})
"""Options that say on which node a dedicated host may be; without them it is on its owner's."""


def own_node() -> str:
    """The Ray node this process is on."""
    import ray

    return str(ray.get_runtime_context().get_node_id())


def own_node_ip() -> str:
    """The address other nodes of the cluster know this one by."""
    import ray

    return str(ray.util.get_node_ip_address())


def process_id() -> tuple[int, int]:
    """This process: its number, and when it started, for numbers are used again."""
    return os.getpid(), started_at(os.getpid()) or 0


def started_at(pid: int) -> int | None:
    """When a process of this machine started, in ticks; None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def die() -> None:
    """End this actor for good: nothing of it is left to do."""
    import ray

    def kill() -> None:
        with contextlib.suppress(Exception):
            ray.kill(ray.get_runtime_context().current_actor, no_restart=True)

    threading.Thread(target=kill, daemon=True).start()
    time.sleep(EXIT_SECONDS)
    os._exit(0)


def find_host(name: str, namespace: str) -> list[Any] | None:
    """The address of a host, asked through Ray; None while there is none."""
    import ray

    try:
        actor = ray.get_actor(name, namespace=namespace)
        found = ray.get(actor.address.remote(), timeout=ASK_SECONDS_MAX)
    except Exception:  # dead, dying or not there: the caller tries again, or somewhere else
        return None
    return list(found["address"])


class RayLauncher:
    """Starts dedicated hosts as actors of their own, and watches over hosts."""

    def __init__(self, plan: HostPlan) -> None:
        self._plan = plan
        self._supervisor: Supervisor | None = None
        self._pulses: dict[str, Any] = {}

    # -- watching -----------------------------------------------------------------------------------------------

    def supervise(self, name: str | None) -> None:
        """Begin to watch: this host from now on, and dedicated ones as they come."""
        self._supervisor = Supervisor(self._plan.namespace, self._plan.settings.host_timeout_s)
        if name is not None:
            self._supervisor.watch(name, is_for_ever=True)
        self._supervisor.start()

    def watch(self, name: str) -> None:
        """Kill it when it falls silent."""
        if self._supervisor is not None:
            self._supervisor.watch(name, self._pulses.pop(name, None))

    def stop(self) -> None:
        """Watch no longer."""
        if self._supervisor is not None:
            self._supervisor.stop()

    # -- dedicated hosts ----------------------------------------------------------------------------------------

    def launch(self, name: str, ray_options: Mapping[str, Any]) -> None:
        """Start a host that holds nothing yet. Raises DefinitionError, Overloaded."""
        import dataclasses

        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from dotdo.hosting.process import HostProcess

        plan = dataclasses.replace(self._plan, name=name, shards=[], is_dedicated=True)
        options: dict[str, Any] = {
            "name": name, "namespace": plan.namespace, "num_cpus": 0, "max_restarts": 0, "max_concurrency": 4, "lifetime": "detached",
        }  # fmt: skip
        if not PLACING & set(ray_options):
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(own_node(), soft=False)
        _check_feasible(ray_options, [node["Resources"] for node in ray.nodes() if node["Alive"]])
        try:
            actor = ray.remote(HostProcess).options(**{**options, **ray_options}).remote(plan)
        except (ValueError, TypeError) as error:
            raise DefinitionError(f"ray_options={dict(ray_options)!r}: {error}") from error
        try:
            self._pulses[name] = ray.get(actor.pulse.remote(), timeout=LAUNCH_SECONDS_MAX)
        except ray.exceptions.GetTimeoutError:
            self.kill(name)
            raise Overloaded(
                f"no room in the Ray cluster for a dedicated host with ray_options={dict(ray_options)!r} within {LAUNCH_SECONDS_MAX:.0f} s"
            ) from None
        except Exception as error:
            raise _cause_of(error, f"dedicated host {name} did not start") from error

    def assign(self, name: str, owner: str, key: str, epoch: int, deaths: int) -> list[Any]:
        """Let it hold an entity. Raises Overloaded, HostLost."""
        import ray

        try:
            actor = ray.get_actor(name, namespace=self._plan.namespace)
            return list(ray.get(actor.assign.remote(owner, key, epoch, deaths), timeout=LAUNCH_SECONDS_MAX))
        except Exception as error:
            problem = _cause_of(error, f"dedicated host {name} did not take {key}")
            if not isinstance(problem, Overloaded):
                self.kill(name)
            if isinstance(problem, DataFolderInUse):  # somebody was faster: look who
                raise HostLost(str(problem)) from error
            raise problem from error

    def address(self, name: str) -> list[Any] | None:
        """Where a living dedicated host listens; one that a runtime before this one left behind is ended."""
        import ray

        try:
            actor = ray.get_actor(name, namespace=self._plan.namespace)
            found = ray.get(actor.address.remote(), timeout=ASK_SECONDS_MAX)
        except Exception:
            return None
        if found["runtime"] != self._plan.runtime_id:
            self.kill(name)
            return None
        self._pulses[name] = found["pulse"]
        return list(found["address"])

    def kill(self, name: str) -> None:
        """End it, if it is there."""
        import ray

        self._pulses.pop(name, None)

        with contextlib.suppress(Exception):
            ray.kill(ray.get_actor(name, namespace=self._plan.namespace), no_restart=True)


def _check_feasible(ray_options: Mapping[str, Any], nodes: list[dict[str, float]]) -> None:
    wanted: dict[str, float] = {**(ray_options.get("resources") or {})}
    for option, name in (("num_cpus", "CPU"), ("num_gpus", "GPU"), ("memory", "memory")):
        if ray_options.get(option):
            wanted[name] = ray_options[option]
    if not any(all(node.get(name, 0) >= amount for name, amount in wanted.items()) for node in nodes):
        have = "; ".join(str({name: amount for name, amount in node.items() if ":" not in name}) for node in nodes)
        raise DefinitionError(f"ray_options={dict(ray_options)!r}: no node of the Ray cluster has that; there are {have}")


def _cause_of(error: BaseException, what: str) -> DotdoError:
    cause = getattr(error, "cause", None)
    if isinstance(cause, DotdoError):
        return cause
    if isinstance(error, DotdoError):
        return error
    return HostLost(f"{what}: {type(error).__name__}: {str(error).strip().splitlines()[-1:]}")
