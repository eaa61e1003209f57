"""`async with runtime(clock="virtual") as rt:`: a whole runtime on the test's own loop.

The virtual clock stands still while anything can run. When nothing can and somebody waits for an answer, it jumps to the
next timer, so a workflow that sleeps for days passes at once. Code that waits for the outside world, a socket or a thread,
is given a moment of real time first. `crash()` drops the host as SIGKILL would, without a byte
more written, and starts another one on the same folder.
"""

from __future__ import annotations

import asyncio
import contextvars
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from dotdo import application, durations
from dotdo.clock import Clock, SystemClock, VirtualClock, to_datetime
from dotdo.config import Settings
from dotdo.documents.database import db
from dotdo.durable import handle
from dotdo.errors import DotdoError
from dotdo.events import registry
from dotdo.events.event import Event
from dotdo.hosting import data_folder
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.host import Host
from dotdo.hosting.local import LocalRouter
from dotdo.rpc import caller as callers
from dotdo.rpc.client import Client
from dotdo.schedules import registry as schedules
from dotdo.storage.disk import REAL, Disk
from dotdo.testing import seeding
from dotdo.testing.mailbox import Mail, Mailbox, watching
from dotdo.workflows.functions import WorkflowFunction

QUIET_PASSES = 5
OUTSIDE_SECONDS = 0.1
"""So long nothing must have run before the clock passes over code that waits for something outside the runtime."""


class Runtime:
    """A runtime for one test."""

    def __init__(
        self,
        *,
        clock: Literal["system", "virtual"],
        data: Path | None,
        disk: Disk,
        env: Any,
        modules: Iterable[str] | None,
        options: dict[str, Any],
    ) -> None:
        self._virtual = clock == "virtual"
        self._given = data
        self._disk = disk
        self._env = env
        self._modules = modules
        self._handlers: registry.Application
        self._options = {"shards": 4, **options}
        self._mocks: dict[str, Callable[..., Any]] = {}
        self.mailbox = Mailbox()
        self._watching = watching(self.mailbox)
        self._crash_step: str | None = None
        self._is_watching = False
        self._quiet = 0
        self._moved_at = 0.0
        self._before: Any = None
        self._restarting: asyncio.Task[None] | None = None
        self.router = LocalRouter()
        self.folder: DataFolder
        self.host: Host
        self.client: Client
        self.clock: Clock

    async def __aenter__(self) -> Runtime:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.host_thread = threading.get_ident()
        self.path = self._given or Path(tempfile.mkdtemp(prefix="dotdo-test-"))
        self.settings = Settings.from_options(**self._options)
        if self._env is None or type(self._env) is dict:
            self._env = {"SMTP_URL": "memory:", **(self._env or {})}
        self.folder = data_folder.open_folder(self.path, self.settings.shards)
        self.clock = VirtualClock() if self._virtual else SystemClock(loop)
        self._handlers = registry.enter(self._modules)
        self._watching.__enter__()
        try:
            await self._start()
        except BaseException:
            self._watching.__exit__(None, None, None)
            registry.leave(self._handlers)
            raise
        self.client = Client(self.router, loop)
        self.client.on_waiting = self._watch
        self.client.call_later = lambda seconds, expire: self.clock.call_at(self.clock.now() + seconds, expire)
        self._before = callers._default
        self._operator = Client(self.router, loop)
        self._replaced = application.substitute(self)
        callers.set_default(lambda: self._operator)  # time stands still until the schedules are known
        if schedules.declared():
            await schedules.announce()
        callers.set_default(lambda: self.client)
        return self

    def caller(self) -> callers.Caller:
        """The caller of `dotdo.entities`, `hibernate` and their like; time does not jump while one of them waits."""
        return self._operator

    async def flush(self) -> None:
        """Wait until every call of the test so far is answered."""
        await self.client.flush()

    def ship(self) -> None:
        """Entities run in this process, which knows its own code."""

    def close(self) -> None:
        """`dotdo.shutdown()` in a test: the runtime goes on until its block ends."""

    async def _start(self) -> None:
        self.host = Host(
            self.settings, self.folder, list(range(self.folder.shards)), "local", clock=self.clock, loop=self._loop,
            router=self.router, token=self.router.token, env=self._env, disk=self._disk,
        )  # fmt: skip
        self.host.mocks = self._mocks
        self.host.on_step = self._step_recorded
        self.host.on_event = self.mailbox.published
        await self.host.start()
        if not self.host.is_stopping:  # what it woke may have crashed it already
            self.router.host = self.host

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        callers.set_default(self._before)
        application.substitute(self._replaced)
        if self._restarting is not None:
            await self._restarting
        self.client.close()
        self._operator.close()
        self.router.host = None
        await self.host.stop()
        self._watching.__exit__(None, None, None)
        registry.leave(self._handlers)
        if self._given is None:
            shutil.rmtree(self.path, ignore_errors=True)

    # -- time ---------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._virtual and not self._is_watching:
            self._is_watching = True
            self._quiet = 0
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Runs in every loop pass while somebody waits: has everything come to rest?"""
        if self.client.waiting <= 0:
            self._is_watching = False
            return
        if self._restarting is not None or not self._is_quiet:
            self._quiet = 0
            self._loop.call_later(0.0005, self._look)
            return
        turns = self.host.turns_run
        if turns != getattr(self, "_turns_seen", -1):
            self._turns_seen = turns
            self._quiet = 0
            self._moved_at = self._loop.time()
        self._quiet += 1
        if self._quiet >= QUIET_PASSES and self._may_be_moved_from_outside(self._moved_at):
            self._loop.call_later(0.0005, self._look)
            return
        self._loop.call_soon(self._look)  # before the jump, which a crash within it ends
        if self._quiet >= QUIET_PASSES:
            self._quiet = 0
            self._jump()

    @property
    def _is_quiet(self) -> bool:
        """True when nothing can run before the clock moves: in the host, and on the way to it."""
        return self.host.is_quiet and not self.client.is_cut_off and not self._operator.is_cut_off

    def _may_be_moved_from_outside(self, moved_at: float) -> bool:
        return self._loop.time() < moved_at + OUTSIDE_SECONDS and self.host.waits_outside

    def _jump(self) -> None:
        assert isinstance(self.clock, VirtualClock)
        due = self.clock.next_due()
        if due is not None:
            self.clock.advance_to(due)

    def now(self) -> datetime:
        """The time by the runtime's clock."""
        return to_datetime(self.clock.now())

    async def advance(self, duration: durations.Duration) -> None:
        """Move the virtual clock on, firing everything due in order and letting it run to rest."""
        if not isinstance(self.clock, VirtualClock):
            raise DotdoError("advance() needs runtime(clock='virtual')")
        until = self.clock.now() + durations.seconds(duration)
        while True:
            await self.settle()
            due = self.clock.next_due()
            if due is None or due > until:
                break
            self.clock.advance_to(due)
        self.clock.advance_to(until)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing can run before the clock moves."""
        quiet = 0
        turns, moved_at = -1, self._loop.time()
        while quiet < QUIET_PASSES or self._may_be_moved_from_outside(moved_at):
            if self._restarting is not None:
                await self._restarting
            await asyncio.sleep(0 if self._is_quiet and quiet < QUIET_PASSES else 0.0005)
            if self._is_quiet and turns == self.host.turns_run:
                quiet += 1
            else:
                quiet = 0
                turns, moved_at = self.host.turns_run, self._loop.time()

    # -- crashes ------------------------------------------------------------------------------------------------

    async def crash(self) -> None:
        """Drop the host as SIGKILL would, and start another one on the same folder."""
        self.router.host = None
        old = self.host
        old.kill()
        await old.close_indexes()
        await self._start()

    async def restart(self) -> None:
        """Stop the host in good order and start another one."""
        self.router.host = None
        await self.host.stop()
        await self._start()

    def crash_after(self, step: str) -> None:
        """Crash once, right after the record of this step (its id or its function's name) is committed."""
        self._crash_step = step

    def _step_recorded(self, _key: str, _run_id: str, name: str) -> None:
        if name == self._crash_step and self._restarting is None:
            self._crash_step = None
            self.crash_now()

    def crash_now(self) -> None:
        """Crash from within: nothing of the old host runs any more when this returns."""
        self.router.host = None
        old = self.host
        old.die()
        earlier = self._restarting

        async def again() -> None:
            try:
                if earlier is not None:
                    await earlier
                old.kill()
                await old.close_indexes()
                await self._start()
            finally:
                if self._restarting is asyncio.current_task():
                    self._restarting = None

        # a task of its own, also when an entity's code has called this
        self._restarting = asyncio.Task(again(), loop=self._loop, context=contextvars.Context())

    # -- documents ----------------------------------------------------------------------------------------------

    async def seed(self, collection: str, documents: list[Any]) -> list[Any]:
        """Create documents, as `await rt.seed("products", [{"name": "lamp"}])`; the records, in order."""
        return await seeding.seed(db, collection, documents)

    async def reset(self) -> None:
        """Forget everything: every entity and document, every mock; what runs is dropped as by a crash."""
        self.router.host = None
        self.host.kill()
        await self.host.close_indexes()
        for file in (self.path / "shards").rglob("*sqlite*"):
            file.unlink()  # folders stay, because the disk knows which are made, and locks, because they count epochs
        self._mocks.clear()
        self.mailbox.clear()
        self._crash_step = None
        await self._start()

    # -- what was published -------------------------------------------------------------------------------------

    @property
    def events(self) -> list[Event]:
        """The events and commands published so far, in the order they were sent; `.name .data .source .at` of each.

        One that code outside entities has sent without awaiting it is on its way first: `await rt.settle()`.
        """
        return self.mailbox.events

    @property
    def emails(self) -> list[Mail]:
        """The mails sent so far with `send.Email(to=..., template=...)`, as dicts with attributes; none leaves the machine."""
        return self.mailbox.emails

    # -- running ------------------------------------------------------------------------------------------------

    def mock(self, name: str, fn: Callable[..., Any]) -> None:
        """Run `fn` instead of the step of this name (step id or function name)."""
        self._mocks[name] = fn

    async def execute(self, method: Any, *args: Any, mocks: dict[str, Callable[..., Any]] | None = None, **kwargs: Any) -> handle.Execution:
        """Run a workflow or a bound method until it has ended or waits for somebody; its Execution.

        With the virtual clock its sleeps and retries pass at once; what waits for an event, a signal or a callback is left
        waiting. With the system clock it is let run until it rests.

        Args:
            mocks: functions to run instead of steps, by the step's name or its function's.
        """
        self._mocks.update(mocks or {})
        if isinstance(method, WorkflowFunction):
            execution: handle.Execution = await method.start(*args, **kwargs)
        else:
            execution = handle.Execution(await handle.starting(method, args, kwargs))
        await self._run_to_rest(execution)
        return execution

    async def _run_to_rest(self, execution: handle.Execution) -> None:
        """Move the clock until the execution has ended, or somebody is waited for."""
        node = execution.asking("result")
        self._operator.record(node)
        ended = asyncio.ensure_future(self._operator.pull(node))
        ended.add_done_callback(lambda done: done.cancelled() or done.exception())
        await self.settle()
        while isinstance(self.clock, VirtualClock) and not ended.done() and not self._somebody_is_waited_for:
            if self.clock.next_due() is None:
                break
            self._jump()
            await self.settle()
        ended.cancel()

    @property
    def _somebody_is_waited_for(self) -> bool:
        """True if an execution that is awake waits for an event, a signal or a callback."""
        runs = [run for activation in self.host.activations.values() for run in activation.ledger.runs.values()]  # type: ignore[attr-defined]
        return any(operation.waits_for_somebody for run in runs for operation in run.operations.values())


class RuntimeClock:
    """The clock of a runtime, for tests: `clock.now()`, `await clock.advance("3d")`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def now(self) -> datetime:
        """The time, as entities see it."""
        return self._runtime.now()

    async def advance(self, duration: durations.Duration) -> None:
        """Move the time on, firing everything due in order and letting it run to rest."""
        await self._runtime.advance(duration)

    async def settle(self) -> None:
        """Wait until nothing can run before the clock moves."""
        await self._runtime.settle()


def runtime(
    *,
    clock: Literal["system", "virtual"] = "system",
    data: Path | None = None,
    disk: Disk = REAL,
    env: Any = None,
    modules: Iterable[str] | None = None,
    **options: Any,
) -> Runtime:
    """An in-process runtime for a test.

    Args:
        clock: "virtual" for one that passes over every wait.
        data: the data folder; a temporary one by default.
        disk: what it writes to, for tests of power cuts.
        env: `self.env` of the entities; without an SMTP_URL of its own, mails stay here (`rt.emails`).
        modules: only event handlers and nouns of these modules (`__name__` of each) get events and commands; all by default. What a test
            declares inside its own function is forgotten in any case when the runtime ends.
        options: those of `dotdo.init`.
    """
    return Runtime(clock=clock, data=data, disk=disk, env=env, modules=modules, options=options)
