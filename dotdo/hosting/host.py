"""A host: many activations on one event loop, in the territory it owns.

It gives each call to its entity, waking it if it sleeps, and puts idle entities to sleep. What it owns it owns from `start`
to `stop`: shards, or, if it is a dedicated host, one entity. What its predecessor left behind it wakes and finishes without
being asked. The same host runs under Ray and inside a program (`hosts=0`), on any loop it is given.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dotdo import codec
from dotdo.clock import Clock
from dotdo.config import Settings
from dotdo.durable.ledger import Ledger
from dotdo.entity import loop_timers
from dotdo.entity import task as tasks
from dotdo.entity.activation import Activation, State
from dotdo.entity.ports import TurnSlot
from dotdo.errors import DotdoError, Quarantined, StorageError
from dotdo.hosting import catalog, control
from dotdo.hosting.backups import Backups
from dotdo.hosting.bedtime import Bedtime
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.dedicated import DedicatedHosts, Launcher
from dotdo.hosting.deletions import Deletions
from dotdo.hosting.local_call import LocalCall
from dotdo.hosting.memory import Memory
from dotdo.hosting.owned_shards import OwnedShards
from dotdo.hosting.renewal import Renewal
from dotdo.hosting.room import Room
from dotdo.hosting.single_entity import SingleEntity
from dotdo.hosting.territory import Territory
from dotdo.hosting.workers import Workers
from dotdo.names import CONTROL_NOUN, check_id, key_of, split_key
from dotdo.rpc import frames
from dotdo.rpc.client import Answer
from dotdo.rpc.link import Receiver, Router
from dotdo.rpc.links import Links
from dotdo.rpc.node import IMPLICIT
from dotdo.rpc.server import IncomingCall, ServerSession
from dotdo.storage import paths
from dotdo.storage.disk import REAL, Disk
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.gate import OutputGate
from dotdo.storage.sync_pool import SyncPool

_log = logging.getLogger("dotdo.host")

DEATHS_BEFORE_QUARANTINE = 3
SUSPECT_WAITS_SECONDS = 2.0
NESTED_CALLS_MAX = 8
"""A call between entities of one host runs within its caller's; a longer chain goes through the loop, not down the stack."""


class Host:
    """One host. Everything here runs on its loop."""

    def __init__(
        self,
        settings: Settings,
        folder: DataFolder,
        shards: list[int],
        host_id: str,
        *,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        router: Router,
        token: str = "",
        env: Any = None,
        disk: Disk = REAL,
        slot: TurnSlot | None = None,
        entity: SingleEntity | None = None,
        launcher: Launcher | None = None,
    ) -> None:
        importlib.import_module("dotdo.public")  # what upper layers provide on `self`, and the runtime's own nouns, are registered by that
        self.settings = settings
        self.folder = folder
        self.host_id = host_id
        self.clock = clock
        self.loop = loop
        self.token = token
        self.env = env
        self.client_id = f"host:{host_id}"
        self.low_water = 0
        self.sync_pool = SyncPool(loop, settings.sync_threads)
        self.sync_pool.on_failure(self._sync_failed)
        self.activations: dict[tuple[str, str], Activation] = {}
        self.mocks: dict[str, Callable[..., Any]] = {}
        self.on_step: Callable[[str, str, str], None] | None = None
        self.on_event: Callable[[Any, str | None], None] | None = None
        self.on_quiet: Callable[[], None] | None = None
        self.deletions = Deletions(self)
        self.backups = Backups(self)
        self.quarantine: dict[str, str] = {}
        self.suspects: dict[str, float] = {}
        self._deaths: dict[str, int] = {}
        self.sessions: set[Any] = set()
        self.turns_run = 0
        self.calls_taken = 0
        self.steps_recorded = 0
        self._nested = 0
        self.started_at = clock.now()
        self._born = int(self.started_at * 1000)
        self._calls_out = 0
        self._disk = disk
        self.router = router
        self._workers = Workers(loop, settings.worker_threads)
        self._links = Links(router, self.client_id, "host", loop)
        self._listeners: dict[str, dict[str, list[IncomingCall]]] = {}
        self.shards: OwnedShards | None = None
        self.territory: Territory
        if entity is None:
            self.territory = self.shards = OwnedShards(
                folder, shards, clock=clock, workers=self._workers.pool, wake=self.wake, spawn=self.spawn
            )  # fmt: skip
        else:
            self.territory = entity
            entity.joins(self)
        self.dedicated = DedicatedHosts(self, self.shards, launcher) if self.shards is not None and launcher is not None else None
        self.on_leave: Callable[[], None] | None = None
        self.on_ended: Callable[[Activation, BaseException | None], None] | None = None
        self._woken_too_early: set[str] = set()
        self._is_stopping = False
        self.slot: TurnSlot | None = slot
        self._bedtime = Bedtime(self)
        self._room = Room(self, self._bedtime)
        self._renewal = Renewal(self)
        catalog.on_replaced(self._renewal)
        self._memory = Memory(loop, self._workers.pool)
        self._background: set[asyncio.Task[Any]] = set()
        self._stopped: asyncio.Future[None] | None = None
        self._by_gate: dict[int, Activation] = {}
        self._factory_before: Any = None
        self._left_open: list[Callable[[], None]] = []

    # -- life ---------------------------------------------------------------------------------------------------

    async def start(self, dead_key: str = "", deaths: int = 0) -> None:
        """Own the shards and wake what must not sleep. Raises DataFolderInUse.

        `dead_key` is the entity whose turn ran when the host before this one died, `deaths` how often in a row.
        """
        self._factory_before = self.loop.get_task_factory()
        self.loop.set_task_factory(tasks.factory)  # type: ignore[arg-type]
        self._stop_watching_timers = loop_timers.watch(self.loop)
        try:
            await self.territory.take()
        except BaseException:
            self.loop.set_task_factory(self._factory_before)
            self._stop_watching_timers()
            raise
        shards = self.shards
        if shards is None:
            self._deaths[dead_key] = deaths
            return
        self.quarantine.update(await shards.quarantined())
        if dead_key and shards.has(dead_key):
            await self.suspect(dead_key, deaths)
        if self.dedicated is not None:
            self.dedicated.start()
        await shards.wake_all()

    async def suspect(self, key: str, deaths: int) -> None:
        """This entity held the loop when the last host died: it waits, so that its neighbours are served first."""
        if deaths >= DEATHS_BEFORE_QUARANTINE:
            await self.keep_asleep(
                key, f"its host died {deaths} times in a row while it ran; look at it, then let it go with dotdo.release()"
            )
        else:
            self.suspects[key] = self.clock.now() + SUSPECT_WAITS_SECONDS * deaths
            self._deaths[key] = deaths

    async def keep_asleep(self, key: str, reason: str) -> None:
        """Quarantine an entity until it is released."""
        await self.territory.keep_asleep(key, reason)
        self.quarantine[key] = reason
        _log.error("%s is quarantined: %s", key, reason)

    def wake(self, key: str) -> None:
        """Activate an entity although nobody calls it."""
        if self._is_stopping:
            return
        noun, entity_id = split_key(key)
        until = self.suspects.get(key)
        if until is not None and until > self.clock.now() and self.shards is not None:
            self.shards.wakes.at(key, until)
            return
        activation = self.activations.get((noun, entity_id))
        if activation is not None and activation.state is State.CLOSING:
            self._woken_too_early.add(key)
        if activation is not None or key in self.quarantine or key in self.deletions:
            return
        if self.backups.holds_asleep(key):
            return
        try:
            if self.dedicated is not None and self.dedicated.serves(noun):
                self.dedicated.wake(key)
            else:
                self._activate(noun, entity_id)
        except DotdoError as error:
            _log.warning("%s could not be woken: %s", key, error)

    def spawn(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    @property
    def workers(self) -> ThreadPoolExecutor:
        """Threads for jobs that block."""
        return self._workers.pool

    @property
    def disk(self) -> Disk:
        """What files are made on."""
        return self._disk

    async def stop(self) -> None:
        """Put every entity to sleep, as far as it lets itself be, and give the shards back."""
        if self.dedicated is not None:
            await self.dedicated.stop()
        self._is_stopping = True
        self.territory.stop()
        for activation in list(self.activations.values()):
            if not activation.is_idle and activation.state not in (State.CLOSING, State.ENDED):
                activation.leave()
        # leaving one makes others idle, or busy, so who goes to bed is asked only now, and each again when it is its turn
        self._bedtime.put([activation for activation in self.activations.values() if activation.state not in (State.CLOSING, State.ENDED)])
        if self.activations:
            self._stopped = self.loop.create_future()
            await self._stopped
        self._links.close()
        for session in list(self.sessions):
            session.close()
        await self.territory.give_back()
        self.sync_pool.close()
        self._workers.close(wait=False)
        if self.loop.get_task_factory() is tasks.factory:
            self.loop.set_task_factory(self._factory_before)
        self._stop_watching_timers()

    def die(self) -> None:
        """From now on nothing of this host runs or writes, as after a SIGKILL; `kill` cleans up behind it. For tests."""
        self._is_stopping = True
        self.territory.stop()
        for session in list(self.sessions):
            session.cut()
        self._bedtime.clear()
        for activation in list(self.activations.values()):
            self._left_open.append(activation.vanish())
        self.activations.clear()

    def kill(self) -> None:
        """Leave everything as a SIGKILL would: nothing is written any more, the locks go. For tests of crashes."""
        self.die()
        self._links.close()
        for session in list(self.sessions):
            session.close()
        self.territory.drop()
        self.sync_pool.close()
        self._workers.close(wait=True)
        for close in self._left_open:  # SQLite's locks must go, as they do with a process
            close()
        self._left_open.clear()
        self.loop.set_task_factory(self._factory_before)
        self._stop_watching_timers()

    async def close_indexes(self) -> None:
        """After `kill`: end the index connections of this process."""
        assert self.shards is not None
        await self.shards.close_indexes()

    def session(self) -> ServerSession:
        """The protocol for one incoming connection."""
        return ServerSession(self, self.token, self.loop, self.sessions)

    # -- calls --------------------------------------------------------------------------------------------------

    def reply(self, message: list[Any]) -> None:
        """Local calls answer by callback; nothing comes here."""
        raise AssertionError(message)

    def deliver(self, call: IncomingCall) -> None:
        """Give a call to its entity, waking it if it sleeps."""
        activation = self.activations.get((call.noun, call.entity_id))
        if activation is not None:
            activation.deliver(call)
        elif call.noun == CONTROL_NOUN:
            self.spawn(control.answer(self, call))
        else:
            self._deliver_to_sleeper(call)

    def _deliver_to_sleeper(self, call: IncomingCall) -> None:
        try:
            key = key_of(call.noun, check_id(call.entity_id))
            if key in self.quarantine:
                raise Quarantined(f"{key} is quarantined: {self.quarantine[key]}")
            if self.deletions.holds_back(call) or self.backups.holds_back(call):
                return
            until = self.suspects.get(key)
            if until is not None and until > self.clock.now():
                self.clock.call_at(until, lambda: self.deliver(call))
                return
            if self.dedicated is not None and self.dedicated.serves(call.noun):
                if self._is_stopping or not self.territory.has(key):
                    raise StorageError(f"{key} does not belong to host {self.host_id}: its shard is not owned here (any more)")
                self.dedicated.deliver(call, key)
                return
            activation = self._activate(call.noun, call.entity_id)
        except DotdoError as error:
            call.reject_error(error)
            return
        activation.deliver(call)

    def _activate(self, noun: str, entity_id: str) -> Activation:
        spec = catalog.lookup(noun)
        key = key_of(noun, entity_id)
        folder, epoch = self.territory.place(key)
        if self._is_stopping:
            raise StorageError(f"{key} cannot be woken: host {self.host_id} is stopping")
        if self.shards is not None:
            self.shards.wakes.forget(key)
        durability = spec.options.durability or self.settings.durability
        file = EntityFile(paths.entity_path(folder, noun, entity_id), epoch=epoch, durability=durability, disk=self._disk)
        activation = Activation(self, spec, entity_id, file, lambda a: Ledger(a, self))
        self.activations[(noun, entity_id)] = activation
        self._by_gate[id(activation.gate)] = activation
        activation.open()
        self._room.entered()
        return activation

    def send_call(
        self,
        noun: str,
        entity_id: str,
        path: Sequence[Any],
        payload: bytes | None,
        flags: int,
        call_id: str,
        options: dict[str, Any],
        receiver: Receiver,
    ) -> None:
        """A call of an entity or an outbox: given to its entity here, or sent to the host that has it."""
        activation = self.activations.get((noun, entity_id))
        if activation is not None or self._is_here(noun, entity_id):
            call = LocalCall(self, noun, entity_id, path, payload, flags, call_id, options, receiver)
            if activation is None or self._nested >= NESTED_CALLS_MAX:
                self.loop.call_soon(self.deliver, call)
                return
            self._nested += 1
            try:
                activation.deliver(call)
            finally:
                self._nested -= 1
        else:
            link = self._links.to(noun, entity_id)
            link.send([frames.CALL, link.next_seq(), noun, entity_id, path, payload, flags, call_id, options], receiver)

    def _is_here(self, noun: str, entity_id: str) -> bool:
        if noun == CONTROL_NOUN:
            return entity_id == self.host_id
        return self.territory.has(key_of(noun, entity_id))

    def barrier(self, session: ServerSession, noun: str, entity_id: str) -> None:
        """Tell the client when all it sent to this entity through this host has arrived there."""
        if self.dedicated is not None:
            self.dedicated.barrier(session, noun, entity_id)
        else:
            session.reply([frames.PASSED, noun, entity_id])

    async def ask(self, host: str, verb: str, *args: Any) -> Any:
        """Ask a host something."""
        return codec.decode(await self.call_out(CONTROL_NOUN, host, [verb], codec.encode([list(args), {}]), None))

    async def call_out(self, noun: str, entity_id: str, path: list[Any], payload: bytes | None, call_id: str | None) -> bytes:
        """Call any entity, here or on another host; its encoded value."""
        answer = Answer(self.loop)
        flags = frames.WANTED
        options: dict[str, Any] = {}
        if call_id is None or call_id.startswith(IMPLICIT):
            options["from"] = [CONTROL_NOUN, self.host_id]
        if call_id is None:
            self._calls_out += 1
            call_id = f"{self.client_id}/{self._born:x}.{self._calls_out}"
        else:
            flags |= frames.REPEAT
        self.send_call(noun, entity_id, path, payload, flags, call_id.removeprefix(IMPLICIT), options, answer)
        return await answer.future

    def deaths_of(self, key: str) -> int:
        return self._deaths.get(key, 0)

    def listeners_of(self, key: str) -> dict[str, list[IncomingCall]]:
        return self._listeners.setdefault(key, {})

    def mocked(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        if not self.mocks:
            return fn
        return self.mocks.get(name) or self.mocks.get(getattr(fn, "__name__", "")) or fn

    def step_recorded(self, key: str, run_id: str, name: str) -> None:
        if self.on_step is not None:
            self.on_step(key, run_id, name)

    def event_published(self, event: Any, to: str | None) -> None:
        if self.on_event is not None:
            self.on_event(event, to)

    def execution_ended(self, execution_id: str, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        """Nothing here waits for executions by id."""

    # -- what activations ask -----------------------------------------------------------------------------------

    def run_in_worker(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self._workers.run(job, done)

    def touched(self, activation: Activation) -> None:
        if activation.idle_timer is None and activation.state is State.ACTIVE:
            self._arm_idle(activation, self.clock.now())

    def _arm_idle(self, activation: Activation, since: float) -> None:
        timeout = activation.spec.options.idle_timeout_s
        due = since + (self.settings.idle_timeout_s if timeout is None else timeout)
        activation.idle_timer = self.clock.call_at(due, lambda: self._idle_due(activation))

    def _idle_due(self, activation: Activation) -> None:
        activation.idle_timer = None
        if activation.state is not State.ACTIVE or self._is_stopping:
            return
        timeout = activation.spec.options.idle_timeout_s
        timeout = self.settings.idle_timeout_s if timeout is None else timeout
        now = self.clock.now()
        if not activation.is_idle:
            activation.ledger.shelve_parked(now - timeout)
            self._arm_idle(activation, now)
        elif now - activation.used_at >= timeout:
            self._bedtime.put([activation])
        else:
            self._arm_idle(activation, activation.used_at)

    def rests(self, activation: Activation) -> None:
        self._bedtime.rests(activation)

    def hibernate(self, activation: Activation) -> None:
        self._bedtime.begins(activation)
        if activation.idle_timer is not None:
            activation.idle_timer.cancel()
            activation.idle_timer = None

        def put(due: float | None, done: Callable[[], None]) -> None:
            self.territory.put(activation.key, activation.spec.noun, due, activation.file.size_bytes(), done)

        activation.hibernate(put)

    def file_opened(self, activation: Activation) -> None:
        self._room.opened(activation)

    def activation_ended(self, activation: Activation, error: BaseException | None) -> None:
        place = (activation.spec.noun, activation.id)
        if self.activations.get(place) is activation:
            del self.activations[place]
        self._by_gate.pop(id(activation.gate), None)
        self._room.left(activation)
        if activation.idle_timer is not None:
            activation.idle_timer.cancel()
            activation.idle_timer = None
        calls, activation.queue = activation.queue, deque()
        for call in calls:
            self.deliver(call)
        if error is not None and not calls and not self._is_stopping and activation.file.exists():
            key = activation.key
            self.clock.call_at(self.clock.now() + 1.0, lambda: self.wake(key))
        if not any(self._listeners.get(activation.key, {}).values()):
            self._listeners.pop(activation.key, None)
        if activation.key in self._woken_too_early:
            self._woken_too_early.discard(activation.key)
            self.wake(activation.key)
        if self.on_ended is not None:
            self.on_ended(activation, error)
        activation.let_go()
        self._bedtime.ended(activation)
        self._memory.give_back_soon()
        if not self.activations and self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    def _sync_failed(self, gate: OutputGate, error: BaseException) -> None:
        activation = self._by_gate.get(id(gate))
        if activation is None:
            gate.fail(error)
        else:
            activation.abort(error)

    async def answered(self) -> None:
        """Wait until every control call is answered."""
        while self._background:
            await asyncio.wait(self._background)
        await asyncio.sleep(0)

    async def reload(self) -> list[str]:
        """Load code that was shipped; the nouns that are new or have changed."""
        nouns = catalog.load_shipped()
        if self.dedicated is not None:
            await self.dedicated.reload()
        await self._renewal.settled()
        return nouns

    def call_threadsafe(self, callback: Callable[..., None], *args: Any) -> None:
        """Call on this host's loop, from any thread."""
        if not self._is_stopping:
            self._workers.tell(callback, *args)

    @property
    def is_stopping(self) -> bool:
        """True once it has been told to stop, or has been killed."""
        return self._is_stopping

    @property
    def is_quiet(self) -> bool:
        """True when nothing can run before a timer fires."""
        return (
            self._workers.are_idle
            and self.sync_pool.is_idle
            and not self._background
            and all(a.is_at_rest for a in self.activations.values())
        )

    @property
    def waits_outside(self) -> bool:
        """True when the code of some entity waits for something the runtime knows nothing of."""
        return any(a.waits_outside for a in self.activations.values())

    def delete_left(self, key: str) -> None:
        """Finish the deletion of an entity that was interrupted: its shard's owner does that."""
        if self._is_stopping:
            return
        if self.shards is not None:
            self.spawn(self.deletions.resume(key))
        else:
            self.territory.delete_left(key)
