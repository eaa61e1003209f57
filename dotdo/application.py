"""The runtime of this program: `init`, `shutdown`, and what is asked of it as a whole.

The first use starts it, as Ray does. `hosts=0` runs entities inside this process, without Ray; a second program on the
same data folder joins the runtime that is there. Outside entities each event loop has its own client; code without a loop
shares one background loop.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from dotdo import codec, durations
from dotdo.clock import SystemClock, wall_now
from dotdo.config import Settings
from dotdo.durable.handle import Execution, starting
from dotdo.errors import CallTimeout, DataFolderInUse, DotdoError
from dotdo.hosting import backups, catalog, data_folder, restoring
from dotdo.hosting.host import Host
from dotdo.hosting.local import LocalRouter
from dotdo.hosting.shards import Shard
from dotdo.names import CONTROL_NOUN, split_key
from dotdo.rpc import caller as callers
from dotdo.rpc.client import Client
from dotdo.rpc.node import Node
from dotdo.rpc.promise import Promise
from dotdo.schedules import registry as schedules

EXIT_WAIT_SECONDS = 10.0


class _Background:
    """One loop in a thread of its own, for code without a loop."""

    def __init__(self) -> None:
        from dotdo.hosting.process import new_loop

        self.loop = new_loop()
        self._thread = threading.Thread(target=self._run, name="dotdo-background", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def run(self, coroutine: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> Any:
        """Run a coroutine there and wait for it here."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(timeout_s)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(5.0)


class _BackgroundCaller:
    """The caller of code without a loop: everything happens on the background loop."""

    def __init__(self, background: _Background, client: Client) -> None:
        self._background = background
        self.client = client
        self.loop = background.loop

    def record(self, node: Node) -> None:
        node.owner = self
        self.loop.call_soon_threadsafe(self._record, node)

    def _record(self, node: Node) -> None:
        if node.seq == 0:
            self.client.record(node)

    def pull(self, node: Node) -> Any:
        """Called on the background loop, by a client of another loop."""
        self._record(node)
        return self.client.pull(node)

    def result(self, node: Node, timeout_s: float | None) -> Any:
        async def get() -> Any:
            self._record(node)
            return await self.client.pull(node)

        try:
            return self._background.run(get(), timeout_s)
        except TimeoutError as error:
            if isinstance(error, DotdoError) or timeout_s is None:
                raise
            raise CallTimeout(f"{node.text} gave no answer within {timeout_s} s; it may still run") from None


class _LocalEngine:
    """`hosts=0`: one host on a loop of its own, in this process."""

    def __init__(self, settings: Settings, folder: data_folder.DataFolder, env: Any) -> None:
        self.router = LocalRouter()
        self._background = _Background()
        loop = self._background.loop
        if not Shard(folder.shard_folder(0), 0).is_free():
            self._background.stop()
            raise DataFolderInUse(f"{folder.path} is in use by another program; an in-process runtime cannot be shared")
        self.host = Host(
            settings, folder, list(range(folder.shards)), "local", clock=SystemClock(loop), loop=loop, router=self.router,
            token=self.router.token, env=env,
        )  # fmt: skip
        catalog.use_folder(folder.nouns)

    def start(self) -> None:
        self._background.run(self.host.start())
        self.router.host = self.host

    def ship(self) -> None:
        """The host is this process: it knows the code already."""

    def stop(self) -> None:
        self.router.host = None
        self._background.run(self.host.stop(), EXIT_WAIT_SECONDS)
        self._background.stop()


class Runtime:
    """The running runtime of this program."""

    def __init__(self, settings: Settings, data: str | os.PathLike[str] | None, env: Any, *, detached: bool = False) -> None:
        self.settings = settings
        self.folder = data_folder.open_folder(data_folder.resolve(data), settings.shards)
        self._engine: Any
        if settings.hosts == 0:
            self._engine = _LocalEngine(settings, self.folder, env)
        else:
            from dotdo.hosting.cluster import Cluster

            self._engine = Cluster(settings, self.folder, env, detached=detached)
        self._engine.start()
        self.router = self._engine.router
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Client] = weakref.WeakKeyDictionary()
        self._latest: Client | None = None
        self._background: _Background | None = None
        self._background_caller: _BackgroundCaller | None = None
        self._lock = threading.Lock()

    def caller(self) -> callers.Caller:
        """The caller for the code that runs now."""
        loop = asyncio._get_running_loop()
        client = self._latest
        if client is not None and client.loop is loop:
            return client
        if loop is None:
            return self.background()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = Client(self.router, loop)
        self._latest = client
        return client

    def background(self) -> _BackgroundCaller:
        with self._lock:
            if self._background_caller is None:
                self._background = _Background()

                async def make() -> Client:
                    return Client(self.router, asyncio.get_running_loop())

                self._background_caller = _BackgroundCaller(self._background, self._background.run(make()))
            return self._background_caller

    def ship(self) -> None:
        """Put the code of this program where hosts find it."""
        self._engine.ship()

    async def flush(self) -> None:
        """Wait until everything sent from this program's loops so far is answered."""
        client = self._clients.get(asyncio.get_running_loop())
        if client is not None:
            await client.flush()
        background, caller = self._background, self._background_caller
        if background is not None and caller is not None:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(caller.client.flush(), background.loop))

    def close(self) -> None:
        """Stop, or disconnect. Says on stderr what was not acknowledged."""
        background, caller = self._background, self._background_caller
        if background is not None and caller is not None:
            try:
                background.run(caller.client.flush(), EXIT_WAIT_SECONDS)
            except TimeoutError:
                for text in caller.client.unacknowledged():
                    print(f"dotdo: not acknowledged within {EXIT_WAIT_SECONDS:.0f} s: {text}", file=sys.stderr)  # noqa: T201  # the program ends here
            background.loop.call_soon_threadsafe(caller.client.close)
            background.stop()
        for loop, client in list(self._clients.items()):
            if not loop.is_closed():
                if loop.is_running() and loop is not asyncio._get_running_loop():
                    loop.call_soon_threadsafe(client.close)
                else:
                    client.close()
        self._engine.stop()


class Running(Protocol):
    """A runtime, as the functions of this module see it; `dotdo.testing` has one of its own."""

    router: Any
    folder: data_folder.DataFolder

    def caller(self) -> callers.Caller: ...

    async def flush(self) -> None: ...

    def ship(self) -> None: ...

    def close(self) -> None: ...


_runtime: Running | None = None
_lock = threading.RLock()


def substitute(runtime: Running | None) -> Running | None:
    """Let `runtime` be this program's from now on; the one before."""
    global _runtime
    with _lock:
        before, _runtime = _runtime, runtime
    return before


def current() -> Running:
    """The runtime of this program, started now if it never was."""
    runtime = _runtime
    if runtime is None:
        init()
        runtime = _runtime
        assert runtime is not None
    return runtime


class Init:
    """What `init` returns: nothing more to do with it, or `async with` it to shut down at the end."""

    async def __aenter__(self) -> Running:
        return current()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runtime = _runtime
        if runtime is not None:
            try:
                await asyncio.wait_for(runtime.flush(), EXIT_WAIT_SECONDS)
            except TimeoutError:
                print(f"dotdo: not everything was acknowledged within {EXIT_WAIT_SECONDS:.0f} s", file=sys.stderr)  # noqa: T201
        shutdown()


def init(
    data: str | os.PathLike[str] | None = None,
    *,
    address: str | None = None,
    hosts: int | None = None,
    env: Any = None,
    **options: Any,
) -> Init:
    """Start or join a runtime, before its first use.

    Args:
        data: the data folder; DOTDO_DATA, the nearest `.dotdo` upwards, or `.dotdo` here by default.
        address: a Ray cluster to join, "auto" for the running one; None starts a local one.
        hosts: how many host processes; 0 runs entities inside this process, without Ray.
        env: bindings and secrets for `self.env`.
        options: any setting of `dotdo.config.Settings`, durations as usual (`idle_timeout="30s"`).

    Raises:
        DefinitionError: an option is unknown or wrong, or a runtime runs already.
        DataFolderInUse, DataFolderMissing: the data folder cannot be used.
    """
    global _runtime
    settings = Settings.from_options(address=address, hosts=hosts, **options)
    with _lock:
        if _runtime is not None:
            raise DotdoError("a runtime runs in this program already: call dotdo.shutdown() first")
        _runtime = Runtime(settings, data, env)
        schedules.announce()
    return Init()


def shutdown() -> None:
    """Stop the runtime this program started; one it joined only loses this client."""
    global _runtime
    with _lock:
        runtime, _runtime = _runtime, None
        if runtime is not None:
            runtime.close()


def _default_caller() -> callers.Caller:
    return current().caller()


def _ship_if_running() -> bool:
    """A schedule is declared: True if there is a runtime, which can find what it runs from now on."""
    runtime = _runtime
    if runtime is not None:
        runtime.ship()
    return runtime is not None


callers.set_default(_default_caller)
schedules.announce_late_with(_ship_if_running)
atexit.register(shutdown)


# -- asking ---------------------------------------------------------------------------------------------------------


async def get(promise: Any) -> Any:
    """The value of a field or a path of a stub; as `await promise`, but typed as the field is."""
    return await promise


def result(promise: Any, timeout: durations.Duration | None = None) -> Any:
    """The value of a promise, for code without a loop."""
    if not isinstance(promise, Promise):
        raise TypeError(f"result() takes a promise, not {promise!r}")
    return promise.result(timeout)


def tell(promise: Any) -> None:
    """Fire and forget: the call is sent at the end of the tick, and nobody awaits it."""
    if not isinstance(promise, Promise):
        raise TypeError(f"tell() takes a call on a stub, not {promise!r}")


async def start(method: Any, *args: Any, **kwargs: Any) -> Execution:
    """Start a method of an entity as an execution and keep its handle; durable when this returns."""
    if not isinstance(method, Promise):
        raise TypeError(f"start() takes a method of a stub, as in start(Orders('o1').process, order), not {method!r}")
    return Execution(await starting(method, args, kwargs))


def execution(execution_id: str) -> Execution:
    """The handle of an execution by its id."""
    return Execution(execution_id)


async def flush() -> None:
    """Wait until every call sent so far is answered or acknowledged."""
    await current().flush()


async def entities(noun: str | None = None, *, limit: int = 100) -> list[dict[str, Any]]:
    """Keys of entities with status (active, hibernated, quarantined) and size in bytes, in key order."""
    runtime = current()
    found: list[dict[str, Any]] = []
    for host in runtime.router.host_names():
        found.extend(await _ask(runtime, host, "entities", noun, limit))
    return sorted(found, key=lambda entry: str(entry["key"]))[:limit]


async def awake(noun: str | None = None, *, limit: int = 100, sizes: bool = False) -> list[dict[str, Any]]:
    """Entities that are in memory: what `entities` says of them, in no order, without what costs a look at the disk.

    `activation` and `commits` are others once an entity may have something new to say; they are missing for dedicated hosts.
    """
    runtime = current()
    pages = await asyncio.gather(*(_ask(runtime, host, "awake", noun, limit, sizes) for host in runtime.router.host_names()))
    return [entry for page in pages for entry in page][:limit]


async def executions(*, noun: str | None = None, status: str | None = None, limit: int = 100) -> AsyncIterator[Any]:
    """Executions of a noun's entities (of all nouns by default), as snapshots; not those of quarantined ones, which nobody can ask."""
    from dotdo.durable.handle import ExecutionInfo, control_call
    from dotdo.rpc.stub import make_stub

    left = limit
    for entity in await entities(noun, limit=100_000):
        if left <= 0:
            return
        if entity["status"] == "quarantined":
            continue
        for entry in await control_call(make_stub(*split_key(entity["key"])), "list", status, left):
            left -= 1
            yield ExecutionInfo(entry)


async def about(stub: Any) -> dict[str, Any]:
    """An entity's `key`, `status` (as in `entities`; `new` if it has never written) and `size`, without waking it."""
    return await _control_of(stub, "about")  # type: ignore[no-any-return]


async def hibernate(stub: Any) -> bool:
    """Put an entity to sleep now, if nothing of it runs; True if it was awake and sleeps now."""
    return await _control_of(stub, "hibernate")  # type: ignore[no-any-return]


async def delete(stub: Any) -> bool:
    """Delete an entity and its file for good; True if there was one. Raises StorageError while it is busy."""
    return await _control_of(stub, "delete")  # type: ignore[no-any-return]


async def release(stub: Any) -> bool:
    """Let a quarantined entity run again."""
    return await _control_of(stub, "release")  # type: ignore[no-any-return]


async def hosts(timeout: durations.Duration | None = None) -> list[dict[str, Any]]:
    """The hosts that own shards: name, process id, number of active entities, shards, and by key their dedicated hosts.

    One that does not answer within `timeout` is `{"host": name, "is_silent": True}`; without it, everybody is waited for.
    """
    runtime = current()
    names = runtime.router.host_names()
    limit_s = None if timeout is None else durations.seconds(timeout)
    found = await asyncio.gather(*(asyncio.wait_for(_ask(runtime, host, "status"), limit_s) for host in names), return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and (timeout is None or not isinstance(one, TimeoutError | DotdoError)):
            raise one
    return [{"host": name, "is_silent": True} if isinstance(one, BaseException) else one for name, one in zip(names, found, strict=True)]


async def backup(file: str | os.PathLike[str], progress: backups.Progress = backups.unheard) -> backups.Report:
    """Put a backup of the running runtime's data folder into a file, while everything goes on.

    It holds everything that was acknowledged before this was called, and each entity as it was between two turns. The file is
    there, complete, checked and safe on the disk, or not at all.

    Args:
        progress: told how many entities are done, of how many.

    Raises:
        StorageError: an entity's file is damaged or cannot be copied.
        BackupError: the file cannot be written.
    """
    runtime = current()
    return await backups.write(
        Path(file).expanduser().absolute(), runtime.folder, ask=partial(_ask, runtime), hosts=runtime.router.host_names(),
        owner_of=lambda key: str(runtime.router.host_of(*split_key(key))), made_at=wall_now(), progress=progress,
    )  # fmt: skip


async def restore(
    file: str | os.PathLike[str], data: str | os.PathLike[str], progress: backups.Progress = backups.unheard
) -> backups.Report:
    """Make a data folder, which must be empty or not there, of a backup. Raises BackupError; nothing was made then."""
    return await restoring.restore(Path(file).expanduser().absolute(), Path(data).expanduser().absolute(), progress)


async def _control_of(stub: Any, verb: str) -> Any:
    runtime = current()
    noun, entity_id = stub._do_target_
    return await _ask(runtime, runtime.router.host_of(noun, entity_id), verb, stub.key)


async def _ask(runtime: Running, host: str, verb: str, *args: Any) -> Any:
    """Ask one host something."""
    node = Node(CONTROL_NOUN, host, None, (verb,), codec.encode([list(args), {}]), None)
    node.is_wanted = True
    caller = runtime.caller()
    caller.record(node)
    return await caller.pull(node)
