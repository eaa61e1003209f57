"""A host: many activations on one event loop, and the shards they come from.

It gives each call to its entity, waking it if it sleeps, and puts idle entities to sleep. It owns its shards through their
locks from `start` to `stop`; what its predecessor left behind (files with a -wal, sleepers that are due) it wakes and
finishes without being asked. The same host runs under Ray and inside a program (`hosts=0`), on any loop it is given.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dotdo import codec
from dotdo.clock import Clock
from dotdo.config import Settings
from dotdo.durable.ledger import Ledger
from dotdo.entity import task as tasks
from dotdo.entity.activation import Activation, State
from dotdo.entity.ports import TurnSlot
from dotdo.errors import DotdoError, NoSuchMember, Quarantined, StorageError
from dotdo.hosting import catalog
from dotdo.hosting.data_folder import DataFolder
from dotdo.hosting.deletions import Deletions
from dotdo.hosting.memory import Memory
from dotdo.hosting.shard_index import ShardIndex
from dotdo.hosting.shards import Shard, shard_of
from dotdo.names import check_id, key_of, split_key
from dotdo.rpc import frames
from dotdo.rpc.client import Answer
from dotdo.rpc.link import Link, Receiver, Router
from dotdo.rpc.node import IMPLICIT
from dotdo.rpc.server import IncomingCall, ServerSession
from dotdo.storage import paths
from dotdo.storage.disk import REAL, Disk
from dotdo.storage.entity_file import EntityFile
from dotdo.storage.gate import OutputGate
from dotdo.storage.sync_pool import SyncPool

_log = logging.getLogger("dotdo.host")

CONTROL_NOUN = "_host"
WAKE_HORIZON_SECONDS = 3600.0
WAKE_BATCH = 1000
DEATHS_BEFORE_QUARANTINE = 3
SUSPECT_WAITS_SECONDS = 2.0
NESTED_CALLS_MAX = 8
"""A call between entities of one host runs within its caller's; a longer chain goes through the loop, not down the stack."""


class LocalCall(IncomingCall):
    """A call between two entities of one host: no frame, the same meaning."""

    __slots__ = ("_receiver",)

    def __init__(
        self,
        host: Host,
        noun: str,
        entity_id: str,
        path: Sequence[Any],
        payload: bytes | None,
        flags: int,
        call_id: str,
        options: dict[str, Any],
        receiver: Receiver,
    ) -> None:
        super().__init__(host, 0, noun, entity_id, path, payload, flags, call_id, options)
        self._receiver = receiver

    def resolve(self, blob: bytes) -> None:
        self._receiver.replied(frames.ACK if self.is_oneway else frames.RESOLVE, blob)

    def reject(self, blob: bytes) -> None:
        self._receiver.replied(frames.ACK if self.is_oneway else frames.REJECT, blob)

    def refuse(self, blob: bytes) -> None:
        self._receiver.replied(frames.REJECT, blob)

    def ack(self) -> None:
        self._receiver.replied(frames.ACK, None)

    def parked(self, execution_id: str) -> None:
        self._receiver.replied(frames.PARKED, execution_id)


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
    ) -> None:
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
        self.on_quiet: Callable[[], None] | None = None
        self.deletions = Deletions(self)
        self.quarantine: dict[str, str] = {}
        self.suspects: dict[str, float] = {}
        self._deaths: dict[str, int] = {}
        self.sessions: set[Any] = set()
        self.turns_run = 0
        self._nested = 0
        self._born = int(clock.now() * 1000)
        self._calls_out = 0
        self._disk = disk
        self._router = router
        self._numbers = shards
        self._shards: dict[int, Shard] = {}
        self._indexes: dict[int, ShardIndex] = {}
        self._workers = ThreadPoolExecutor(settings.worker_threads, thread_name_prefix="dotdo-worker")
        self._worker_jobs = 0
        self._links: dict[str, Link] = {}
        self._listeners: dict[str, dict[str, list[IncomingCall]]] = {}
        self._wakes: dict[str, Any] = {}
        self._wake_timer: Any = None
        self._is_stopping = False
        self.slot: TurnSlot | None = slot
        self._evicting = False
        self._memory = Memory(loop, self._workers)
        self._open_files: set[Activation] = set()
        self._closing = False
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
        taken: list[Shard] = []
        try:
            for number in self._numbers:
                shard = Shard(self.folder.shard_folder(number), number)
                await self.loop.run_in_executor(self._workers, shard.acquire)
                taken.append(shard)
                self._shards[number] = shard
        except BaseException:
            for shard in taken:
                shard.release()
            self._shards.clear()
            self.loop.set_task_factory(self._factory_before)
            raise
        for number, shard in self._shards.items():
            index = ShardIndex(shard.folder / "index.sqlite")
            await index.open()
            self._indexes[number] = index
            self.quarantine.update(await index.quarantined())
        if dead_key:
            await self._suspect(dead_key, deaths)
        for shard in self._shards.values():
            for noun, entity_id in await self.loop.run_in_executor(self._workers, shard.active_files):
                self._wake(key_of(noun, entity_id))
        await self._load_wakes()

    async def _suspect(self, key: str, deaths: int) -> None:
        """This entity held the loop when the last host died: it waits, so that its neighbours are served first."""
        index = self._indexes.get(shard_of(key, self.folder.shards))
        if index is None:
            return
        now = self.clock.now()
        if deaths >= DEATHS_BEFORE_QUARANTINE:
            reason = f"its host died {deaths} times in a row while it ran; look at it, then let it go with dotdo.release()"
            await index.quarantine(key, now, reason)
            self.quarantine[key] = reason
            _log.error("%s is quarantined: %s", key, reason)
        else:
            self.suspects[key] = now + SUSPECT_WAITS_SECONDS * deaths
            self._deaths[key] = deaths

    async def _load_wakes(self) -> None:
        """Set timers for sleepers that are due soon; look again when the next batch is."""
        now = self.clock.now()
        horizon = now + WAKE_HORIZON_SECONDS
        nexts = []
        for index in self._indexes.values():
            page = [("", -1.0)]
            while page:
                page = await index.due(horizon, WAKE_BATCH, (page[-1][1], page[-1][0]))
                for key, due in page:
                    self._wake_at(key, due)
            following = await index.next_due_after(horizon)
            if following is not None:
                nexts.append(following)
        if nexts and not self._is_stopping:
            self._wake_timer = self.clock.call_at(min(nexts), lambda: self._spawn(self._load_wakes()))

    def _wake_at(self, key: str, due: float) -> None:
        timer = self._wakes.pop(key, None)
        if timer is not None:
            timer.cancel()

        def wake() -> None:
            self._wakes.pop(key, None)
            self._wake(key)

        self._wakes[key] = self.clock.call_at(due, wake)

    def _wake(self, key: str) -> None:
        """Activate an entity although nobody calls it."""
        if self._is_stopping:
            return
        noun, entity_id = split_key(key)
        until = self.suspects.get(key)
        if until is not None and until > self.clock.now():
            self._wake_at(key, until)
            return
        if (noun, entity_id) in self.activations or key in self.quarantine or key in self.deletions:
            return
        try:
            self._activate(noun, entity_id)
        except DotdoError as error:
            _log.warning("%s could not be woken: %s", key, error)

    def _spawn(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Put every entity to sleep, as far as it lets itself be, and give the shards back."""
        self._is_stopping = True
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        for timer in self._wakes.values():
            timer.cancel()
        self._wakes.clear()
        for activation in list(self.activations.values()):
            if activation.is_idle:
                self._hibernate(activation)
            elif activation.state not in (State.CLOSING, State.ENDED):
                activation.leave()
        if self.activations:
            self._stopped = self.loop.create_future()
            await self._stopped
        for link in self._links.values():
            link.close()
        for session in list(self.sessions):
            session.close()
        for index in self._indexes.values():
            await index.close()
        for shard in self._shards.values():
            shard.release()
        self.sync_pool.close()
        self._workers.shutdown(wait=False)
        if self.loop.get_task_factory() is tasks.factory:
            self.loop.set_task_factory(self._factory_before)

    def die(self) -> None:
        """From now on nothing of this host runs or writes, as after a SIGKILL; `kill` cleans up behind it. For tests."""
        self._is_stopping = True
        for timer in self._wakes.values():
            timer.cancel()
        if self._wake_timer is not None:
            self._wake_timer.cancel()
        for session in list(self.sessions):
            session.cut()
        for activation in list(self.activations.values()):
            self._left_open.append(activation.vanish())
        self.activations.clear()

    def kill(self) -> None:
        """Leave everything as a SIGKILL would: nothing is written any more, the locks go. For tests of crashes."""
        self.die()
        for link in self._links.values():
            link.close()
        for session in list(self.sessions):
            session.close()
        for shard in self._shards.values():
            shard.release()
        self.sync_pool.close()
        self._workers.shutdown(wait=True)
        for close in self._left_open:  # SQLite's locks must go, as they do with a process
            close()
        self._left_open.clear()
        self.loop.set_task_factory(self._factory_before)

    async def close_indexes(self) -> None:
        """After `kill`: end the index connections of this process."""
        for index in self._indexes.values():
            await index.close()

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
            self._spawn(self._control(call))
        else:
            self._deliver_to_sleeper(call)

    def _deliver_to_sleeper(self, call: IncomingCall) -> None:
        try:
            key = key_of(call.noun, check_id(call.entity_id))
            if key in self.quarantine:
                raise Quarantined(f"{key} is quarantined: {self.quarantine[key]}")
            if self.deletions.holds_back(call):
                return
            until = self.suspects.get(key)
            if until is not None and until > self.clock.now():
                self.clock.call_at(until, lambda: self.deliver(call))
                return
            activation = self._activate(call.noun, call.entity_id)
        except DotdoError as error:
            call.reject_error(error)
            return
        activation.deliver(call)

    def _activate(self, noun: str, entity_id: str) -> Activation:
        spec = catalog.lookup(noun)
        key = key_of(noun, entity_id)
        shard = self._shards.get(shard_of(key, self.folder.shards))
        if shard is None or self._is_stopping:
            raise StorageError(f"{key} does not belong to host {self.host_id}: its shard is not owned here (any more)")
        timer = self._wakes.pop(key, None)
        if timer is not None:
            timer.cancel()
        durability = spec.options.durability or self.settings.durability
        file = EntityFile(paths.entity_path(shard.folder, noun, entity_id), epoch=shard.epoch, durability=durability, disk=self._disk)
        activation = Activation(self, spec, entity_id, file, lambda a: Ledger(a, self))
        self.activations[(noun, entity_id)] = activation
        self._by_gate[id(activation.gate)] = activation
        activation.open()
        if len(self.activations) > self.settings.max_active:
            self._evict()
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
        if activation is not None or shard_of(key_of(noun, entity_id), self.folder.shards) in self._shards:
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
            name = self._router.host_of(noun, entity_id)
            link = self._links.get(name)
            if link is None:
                link = self._links[name] = Link(self._router, name, self.client_id, "host", self.loop)
            link.send([frames.CALL, link.next_seq(), noun, entity_id, path, payload, flags, call_id, options], receiver)

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

    def execution_ended(self, execution_id: str, blob: bytes, ok: bool) -> None:  # (blob, ok) is one outcome
        """Nothing here waits for executions by id."""

    # -- what activations ask -----------------------------------------------------------------------------------

    def run_in_worker(self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None]) -> None:
        self._worker_jobs += 1

        def finish(result: Any, error: BaseException | None) -> None:
            self._worker_jobs -= 1
            done(result, error)

        def work() -> None:
            try:
                result = job()
            except BaseException as error:  # carried to the loop
                self._threadsafe(finish, None, error)
            else:
                self._threadsafe(finish, result, None)

        try:
            self._workers.submit(work)
        except RuntimeError:  # the interpreter is ending and takes no jobs any more: what must be written is written here
            work()

    def _threadsafe(self, callback: Callable[..., None], *args: Any) -> None:
        try:
            self.loop.call_soon_threadsafe(callback, *args)
        except RuntimeError:
            _log.debug("the loop was closed while a worker ran")

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
            self._hibernate(activation)
        else:
            self._arm_idle(activation, activation.used_at)

    def _hibernate(self, activation: Activation) -> None:
        if activation.idle_timer is not None:
            activation.idle_timer.cancel()
            activation.idle_timer = None
        number = shard_of(activation.key, self.folder.shards)
        index = self._indexes[number]

        def put(due: float | None, done: Callable[[], None]) -> None:
            index.put(activation.key, activation.spec.noun, due, activation.file.size_bytes(), self.clock.now(), done)
            if due is not None and not self._is_stopping:
                self._wake_at(activation.key, due)

        activation.hibernate(put)

    def _evict(self) -> None:
        """Too many are active: the least recently used idle ones go to sleep."""
        if self._evicting:
            return
        self._evicting = True

        def evict() -> None:
            self._evicting = False
            room = self.settings.max_active
            over = len(self.activations) - room
            if over <= 0:
                return
            idle = sorted((a for a in self.activations.values() if a.is_idle), key=lambda a: a.used_at)
            for activation in idle[: over + room // 20]:
                self._hibernate(activation)

        self.loop.call_soon(evict)

    def file_opened(self, activation: Activation) -> None:
        self._open_files.add(activation)
        if len(self._open_files) > self.settings.max_open and not self._closing:
            self._closing = True
            self.loop.call_soon(self._close_files)

    def _close_files(self) -> None:
        """Too many files are open: the least recently used are closed, their entities stay."""
        self._closing = False
        over = len(self._open_files) - self.settings.max_open
        if over <= 0:
            return
        wanted = over + self.settings.max_open // 20
        for activation in sorted(self._open_files, key=lambda a: a.used_at):
            if not activation.file.is_open or activation.close_file():
                self._open_files.discard(activation)
                wanted -= 1
            if wanted <= 0:
                return

    def activation_ended(self, activation: Activation, error: BaseException | None) -> None:
        place = (activation.spec.noun, activation.id)
        if self.activations.get(place) is activation:
            del self.activations[place]
        self._by_gate.pop(id(activation.gate), None)
        self._open_files.discard(activation)
        if activation.idle_timer is not None:
            activation.idle_timer.cancel()
            activation.idle_timer = None
        calls, activation.queue = activation.queue, deque()
        for call in calls:
            self.deliver(call)
        if error is not None and not calls and not self._is_stopping and activation.file.exists():
            key = activation.key
            self.clock.call_at(self.clock.now() + 1.0, lambda: self._wake(key))
        activation.let_go()
        self._memory.give_back_soon()
        if not self.activations and self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)

    def _sync_failed(self, gate: OutputGate, error: BaseException) -> None:
        activation = self._by_gate.get(id(gate))
        if activation is None:
            gate.fail(error)
        else:
            activation.abort_now(error)

    # -- control ------------------------------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """True once it has been told to stop, or has been killed."""
        return self._is_stopping

    @property
    def is_quiet(self) -> bool:
        """True when nothing can run before a timer fires."""
        return (
            self._worker_jobs == 0
            and self.sync_pool.is_idle
            and not self._background
            and all(a.is_at_rest for a in self.activations.values())
        )

    @property
    def waits_outside(self) -> bool:
        """True when the code of some entity waits for something the runtime knows nothing of."""
        return any(a.waits_outside for a in self.activations.values())

    async def _control(self, call: IncomingCall) -> None:
        verb = call.path[0] if call.path else None
        handler = _CONTROLS.get(verb) if isinstance(verb, str) else None
        try:
            if handler is None:
                raise NoSuchMember(f"a host has no control verb {verb!r}")
            args, kwargs = codec.decode(call.payload) if call.payload is not None else ([], {})
            call.resolve(codec.encode(await handler(self, *args, **kwargs)))
        except Exception as error:  # whoever asked gets it
            call.reject_error(error)

    async def _status(self) -> dict[str, Any]:
        import os

        return {
            "host": self.host_id, "pid": os.getpid(), "thread": threading.get_ident(), "active": len(self.activations),
            "shards": sorted(self._shards), "turns": self.turns_run, "quarantined": sorted(self.quarantine),
        }  # fmt: skip

    async def _entities(self, noun: str | None, limit: int) -> list[dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for index in self._indexes.values():
            for key, size in await index.entities(noun, limit):
                found[key] = {"key": key, "status": "hibernated", "size": size}
        for (its_noun, _), activation in self.activations.items():
            if noun is None or its_noun == noun:
                found[activation.key] = {"key": activation.key, "status": "active", "size": activation.file.size_bytes()}
        for key in self.quarantine:
            if noun is None or split_key(key)[0] == noun:
                found.setdefault(key, {"key": key, "size": 0})["status"] = "quarantined"
        return [found[key] for key in sorted(found)[:limit]]

    async def _hibernate_now(self, key: str) -> bool:
        activation = self.activations.get(split_key(key))
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
        self._hibernate(activation)
        while activation.state is not State.ENDED:
            await asyncio.sleep(0)
        return True

    def delete_left(self, key: str) -> None:
        if not self._is_stopping:
            self._spawn(self.deletions.resume(key))

    async def _delete(self, key: str) -> bool:
        return await self.deletions.delete(key)

    async def _release(self, key: str) -> bool:
        was = self.quarantine.pop(key, None) is not None
        self.suspects.pop(key, None)
        await self._indexes[shard_of(key, self.folder.shards)].release(key)
        if was:
            self._wake(key)
        return was

    async def _reload(self) -> None:
        catalog.load_shipped()


_CONTROLS: dict[str, Callable[..., Any]] = {
    "status": Host._status, "entities": Host._entities, "hibernate": Host._hibernate_now, "delete": Host._delete,
    "release": Host._release, "reload": Host._reload,
}  # fmt: skip
