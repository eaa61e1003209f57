"""Dedicated hosts, as the owner of the shard sees them: a Ray actor alone for each entity of a dedicated noun.

The owner keeps the shard's lock and index and does not open the entity's file. It starts a host for the key (or takes one
of the warm ones that wait), passes calls on to it, and tells callers where it is, so that they send there themselves. One
that dies is started again; one whose entity goes to sleep ends. After the owner's own death the next one finds the living
through the note in the entity's lock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from dotdo import codec
from dotdo.config import Settings
from dotdo.entity.noun import NounSpec
from dotdo.errors import DotdoError, HostLost, Overloaded, Quarantined
from dotdo.hosting import catalog, permits
from dotdo.hosting.owned_shards import OwnedShards
from dotdo.hosting.single_entity import holder_of, lock_of
from dotdo.hosting.slot import Slot, slot_name
from dotdo.names import CONTROL_NOUN, split_key
from dotdo.rpc import frames
from dotdo.rpc.client import Answer
from dotdo.rpc.link import Link, Receiver
from dotdo.rpc.server import IncomingCall, ServerSession
from dotdo.storage import paths

if TYPE_CHECKING:
    from dotdo.hosting.host import Host

_log = logging.getLogger("dotdo.dedicated")

WARM_HOSTS = 1
START_SECONDS_MAX = 60.0
AGAIN_SECONDS = 0.05
DEATHS_BEFORE_QUARANTINE = 3
STARTING_THREADS = 8
STOP_SECONDS_MAX = 10.0

Address = list[Any]
"""Ray node, socket path, IP address and port of a host, as it travels in frames."""


class Launcher(Protocol):
    """Starts and ends processes. Everything here blocks."""

    def launch(self, name: str, ray_options: Mapping[str, Any]) -> None:
        """Start a host that holds nothing yet. Raises DefinitionError, HostLost."""

    def assign(self, name: str, owner: str, key: str, epoch: int, deaths: int) -> Address:
        """Let it hold an entity. Raises Overloaded, DataFolderInUse, HostLost."""

    def address(self, name: str) -> Address | None:
        """Where a living host listens; None if there is none of this name."""

    def kill(self, name: str) -> None:
        """End it, if it is there."""

    def watch(self, name: str) -> None:
        """Kill it when it falls silent."""


def is_dedicated(spec: NounSpec, settings: Settings) -> bool:
    """The placement of a noun. The runtime's own nouns are shared unless they say otherwise, whatever the default is."""
    placement = spec.options.placement
    if placement is None:
        package, _, rest = spec.cls.__module__.partition(".")
        placement = "shared" if package == "dotdo" and not rest.startswith("actors") else settings.placement
    return placement == "dedicated"


class _Dwelling:
    """One entity and its host."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.name = ""
        self.address: Address = []
        self.link: Link | None = None
        self.calls: deque[IncomingCall] = deque()
        self.told: weakref.WeakSet[ServerSession] = weakref.WeakSet()
        self.waiting: frozenset[str] = frozenset()
        """Calls that wait for an execution at rest, as the host said when its entity fell asleep."""
        self.ended: list[asyncio.Future[None]] = []


class _Passed:
    """Receives the answer to a call that was passed on."""

    __slots__ = ("call",)

    def __init__(self, call: IncomingCall) -> None:
        self.call = call

    def replied(self, kind: int, value: Any) -> None:
        if kind == frames.RESOLVE:
            self.call.resolve(value)
        elif kind == frames.REJECT:
            self.call.refuse(value)
        elif kind == frames.ACK:
            self.call.ack()
        else:
            self.call.parked(value)


class DedicatedHosts:
    """The dedicated hosts of one owner."""

    def __init__(self, host: Host, shards: OwnedShards, launcher: Launcher) -> None:
        self._host = host
        self._shards = shards
        self._launcher = launcher
        self._dwellings: dict[str, _Dwelling] = {}
        self._asleep: dict[str, tuple[frozenset[str], list[IncomingCall]]] = {}
        """By key: who waits for an execution of a sleeper; it need not be woken for them."""
        self._threads = ThreadPoolExecutor(STARTING_THREADS, thread_name_prefix="dotdo-dedicated")
        self._warm: list[str] = []
        self._warming = 0
        self._is_stopping = False

    def start(self) -> None:
        """Have a warm host ready if there is any noun that will want it."""
        if any(is_dedicated(spec, self._host.settings) for spec in catalog.known().values()):
            self._keep_warm()

    # -- calls --------------------------------------------------------------------------------------------------

    def serves(self, noun: str) -> bool:
        """True if entities of this noun have hosts of their own. Raises NounNotLoadable."""
        return is_dedicated(catalog.find(noun) or catalog.lookup(noun), self._host.settings)

    def deliver(self, call: IncomingCall, key: str) -> None:
        """Pass a call on to the entity's host, started now if need be."""
        dwelling = self._dwellings.get(key)
        if dwelling is None:
            asleep = self._asleep.get(key)
            if asleep is not None and call.is_repeat and call.call_id in asleep[0]:
                asleep[1].append(call)
                return
            dwelling = self._begin(key)
        if dwelling.link is not None:
            self._pass_on(dwelling, call)
            return
        limit = self._spec(key).options.max_queue or self._host.settings.max_queue
        if len(dwelling.calls) >= limit:
            call.reject_error(Overloaded(f"{key} has {limit} calls waiting for its host to start; try again later, or raise max_queue"))
        else:
            dwelling.calls.append(call)

    def _pass_on(self, dwelling: _Dwelling, call: IncomingCall) -> None:
        link, session = dwelling.link, call.session
        assert link is not None
        if isinstance(session, ServerSession) and (call.is_repeat or session not in dwelling.told):
            dwelling.told.add(session)
            session.reply([frames.MOVED, call.noun, call.entity_id, dwelling.name, dwelling.address])
        flags = frames.WANTED | (frames.REPEAT if call.is_repeat else 0) | (frames.ONEWAY if call.is_oneway else 0)
        options = call.options
        if not call.is_explicit and (options is None or "from" not in options):
            options = {**(options or {}), "from": None}  # kept under the client's number, as if the client had sent it there
        link.send(
            [frames.CALL, link.next_seq(), call.noun, call.entity_id, list(call.path), call.payload, flags, call.call_id, options],
            _Passed(call),
        )  # fmt: skip

    def barrier(self, session: ServerSession, noun: str, entity_id: str) -> None:
        """Answer when everything that was passed on so far has arrived."""
        passed = [frames.PASSED, noun, entity_id]
        dwelling = self._dwellings.get(f"{noun}/{entity_id}")
        if dwelling is None or dwelling.link is None:
            session.reply(passed)
        else:
            dwelling.link.barrier(lambda: session.reply(passed))

    def wake(self, key: str) -> None:
        """The entity has something to do."""
        if key not in self._dwellings and key not in self._host.quarantine:
            self._begin(key)

    def is_awake(self, key: str) -> bool:
        """True if the entity has a host now."""
        return key in self._dwellings

    def names(self) -> dict[str, str]:
        """The dedicated hosts by the key of their entity."""
        return {key: dwelling.name for key, dwelling in self._dwellings.items() if dwelling.link is not None}

    def _spec(self, key: str) -> NounSpec:
        return catalog.lookup(split_key(key)[0])

    # -- starting -----------------------------------------------------------------------------------------------

    def _begin(self, key: str) -> _Dwelling:
        self._shards.place(key)
        dwelling = self._dwellings[key] = _Dwelling(key)
        self._shards.wakes.forget(key)
        _, kept = self._asleep.pop(key, (None, []))
        dwelling.calls.extend(kept)
        self._host.spawn(self._bring_up(dwelling))
        return dwelling

    async def _bring_up(self, dwelling: _Dwelling) -> None:
        key = dwelling.key
        try:
            dwelling.name, dwelling.address = await asyncio.wait_for(self._find_or_start(key), START_SECONDS_MAX)
        except Exception as problem:  # every caller waiting must hear of it
            error = problem
            if isinstance(problem, TimeoutError) and not isinstance(problem, DotdoError):
                error = Overloaded(f"no host could be started for {key} within {START_SECONDS_MAX:.0f} s; try again later")
            _log.warning("%s has no host: %s", key, error)
            self._ended(dwelling)
            for call in dwelling.calls:
                call.reject_error(error)
            if not isinstance(error, Quarantined) and self._was_active(key):
                clock = self._host.clock
                self._shards.wakes.at(key, clock.now() + 1.0)
            return
        self._host.router.learn(dwelling.name, dwelling.address)
        dwelling.link = Link(
            self._host.router, dwelling.name, self._host.client_id, "host", self._host.loop, links=self, entity=split_key(key)
        )  # fmt: skip
        self._launcher.watch(dwelling.name)
        while dwelling.calls:
            self._pass_on(dwelling, dwelling.calls.popleft())
        dwelling.link.barrier(lambda: None)  # connects, so that its death is noticed although nobody calls

    async def _find_or_start(self, key: str) -> tuple[str, Address]:
        folder, epoch = self._shards.place(key)
        lock = lock_of(folder, key)
        while True:
            holder = await self._blocking(holder_of, lock)
            if holder is not None:
                address = await self._blocking(self._launcher.address, holder)
                if address is not None:
                    return holder, address
                await asyncio.sleep(AGAIN_SECONDS)  # it is ending
                continue
            deaths = await self._deaths(key)
            options = self._spec(key).options.ray_options
            name = self._warm.pop() if self._warm and not options else await self._launch(options)
            try:
                address = await self._blocking(self._launcher.assign, name, self._host.host_id, key, epoch, deaths)
            except Overloaded:
                await self._blocking(self._launcher.kill, name)
                if not await self._room_is_made():
                    most = permits.most(self._host.settings)
                    raise Overloaded(
                        f"{key} needs a host of its own, and all {most} there may be are busy: try again later, or raise max_dedicated"
                    ) from None
                continue
            except HostLost:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if not options:
                self._keep_warm()
            return name, address

    async def _deaths(self, key: str) -> int:
        """How often in a row its host died while the entity ran. Raises Quarantined at the third time."""
        path = self._host.folder.hosts / slot_name(key)
        if not path.exists():
            return 0
        dead_key, deaths = await self._blocking(lambda: Slot(path).last_words(self._host.clock.now()))
        if dead_key == key and deaths >= DEATHS_BEFORE_QUARANTINE:
            await self._host.suspect(key, deaths)
            raise Quarantined(f"{key} is quarantined: {self._host.quarantine[key]}")
        return int(deaths)

    async def _launch(self, ray_options: Mapping[str, Any]) -> str:
        name = f"d{secrets.token_hex(5)}"
        await self._blocking(self._launcher.launch, name, ray_options)
        return name

    def _keep_warm(self) -> None:
        """Start what is missing of the warm hosts."""
        while not self._is_stopping and len(self._warm) + self._warming < min(WARM_HOSTS, permits.most(self._host.settings)):
            self._warming += 1
            self._host.spawn(self._warm_up())

    async def _warm_up(self) -> None:
        try:
            name = await self._launch({})
        except Exception as error:  # the first call will say it better
            _log.warning("no warm host could be started: %s", error)
            return
        finally:
            self._warming -= 1
        self._warm.append(name)

    async def _blocking(self, job: Callable[..., Any], *args: Any) -> Any:
        return await self._host.loop.run_in_executor(self._threads, lambda: job(*args))

    # -- ending -------------------------------------------------------------------------------------------------

    def falls_asleep(self, key: str, waiting: list[str]) -> None:
        """The entity's row is about to be written; these calls wait for executions at rest."""
        dwelling = self._dwellings.get(key)
        if dwelling is not None:
            dwelling.waiting = frozenset(waiting)

    def gone(self, link: Link) -> None:
        """The connection to a dedicated host broke: its entity sleeps, or it died. What it did not answer is called again."""
        assert link.entity is not None
        key = "/".join(link.entity)
        dwelling = self._dwellings.get(key)
        if dwelling is None or dwelling.link is not link:
            return
        receivers = [receiver for _, receiver in link.hand_over()]
        calls = [receiver.call for receiver in receivers if isinstance(receiver, _Passed)]
        others = [receiver for receiver in receivers if not isinstance(receiver, _Passed)]
        link.close()
        self._ended(dwelling)
        _fail(others, HostLost(f"the dedicated host of {key} has ended"))
        if self._is_stopping:
            return
        if self._was_active(key):
            self._begin(key)
        else:
            self._asleep[key] = (dwelling.waiting, [])
        for call in calls:
            call.is_repeat = True
            self._host.deliver(call)
        if key in self._asleep and not self._asleep[key][0]:
            del self._asleep[key]

    def _was_active(self, key: str) -> bool:
        folder, _ = self._shards.place(key)
        return os.path.exists(f"{paths.entity_path(folder, *split_key(key))}-wal")

    def _ended(self, dwelling: _Dwelling) -> None:
        if self._dwellings.get(dwelling.key) is dwelling:
            del self._dwellings[dwelling.key]
        for future in dwelling.ended:
            if not future.done():
                future.set_result(None)

    def moved(self, owner: Link, noun: str, entity_id: str, host: str, address: Address) -> None:
        """A dedicated host has no dedicated hosts."""

    def passed(self, noun: str, entity_id: str) -> None:
        """As above."""

    def owner_lost(self, owner: Link) -> None:
        """As above."""

    async def _ask(self, dwelling: _Dwelling, verb: str, *args: Any) -> Any:
        link = dwelling.link
        assert link is not None
        answer = Answer(self._host.loop)
        number = link.next_seq()
        call_id = f"{self._host.client_id}/{dwelling.name}.{verb}.{number}"
        payload = codec.encode([list(args), {}])
        link.send([frames.CALL, number, CONTROL_NOUN, dwelling.name, [verb], payload, frames.WANTED, call_id, {}], answer)
        return codec.decode(await answer.future)

    async def ask(self, key: str, verb: str, *args: Any) -> Any:
        """Ask an entity's host something; None if it has none just now."""
        dwelling = self._dwellings.get(key)
        if dwelling is None or dwelling.link is None:
            return None
        try:
            return await self._ask(dwelling, verb, *args)
        except HostLost:
            return None

    async def put_to_sleep(self, key: str) -> bool:
        """Put an idle entity to sleep and wait until its host has ended; False if it is busy."""
        dwelling = self._dwellings.get(key)
        if dwelling is None or dwelling.link is None:
            return False
        ended = self._host.loop.create_future()
        dwelling.ended.append(ended)
        if not await self._ask(dwelling, "hibernate", key):
            return False
        await ended
        return True

    async def make_room(self) -> bool:
        """Put the least recently used idle entity to sleep; False if all are busy."""
        used: list[tuple[float, str]] = []
        for dwelling in [d for d in self._dwellings.values() if d.link is not None]:
            try:
                since = await self._ask(dwelling, "idle_since")
            except DotdoError:
                return True  # it has just ended: there is room
            if since is not None:
                used.append((since, dwelling.key))
        for _, key in sorted(used):
            try:
                if await self.put_to_sleep(key):
                    return True
            except DotdoError:
                return True
        return False

    async def _room_is_made(self) -> bool:
        if await self.make_room():
            return True
        others = [name for name in self._host.router.host_names() if name != self._host.host_id]
        for name in others:
            if await self._host.ask(name, "make_room"):
                return True
        return False

    async def reload(self) -> None:
        """New code was shipped: every dedicated host loads it, and warm ones are made anew."""
        self._drop_warm()
        for dwelling in [d for d in self._dwellings.values() if d.link is not None]:
            try:
                await self._ask(dwelling, "reload")
            except HostLost:
                continue
        self._keep_warm()

    def _drop_warm(self) -> None:
        while self._warm:
            self._threads.submit(self._launcher.kill, self._warm.pop())

    async def stop(self) -> None:
        """Every dedicated host puts its entity to sleep and ends."""
        self._is_stopping = True
        self._drop_warm()
        leaving = []
        for dwelling in [d for d in self._dwellings.values() if d.link is not None]:
            ended = self._host.loop.create_future()
            dwelling.ended.append(ended)
            leaving.append(ended)
            self._host.spawn(self._let_leave(dwelling))
        if leaving:
            await asyncio.wait(leaving, timeout=STOP_SECONDS_MAX)
        for dwelling in list(self._dwellings.values()):
            if dwelling.name:
                self._threads.submit(self._launcher.kill, dwelling.name)
        self._threads.shutdown(wait=False)

    async def _let_leave(self, dwelling: _Dwelling) -> None:
        try:
            await self._ask(dwelling, "leave")
        except DotdoError:
            _log.debug("%s left before it was asked to", dwelling.name)


def _fail(receivers: list[Receiver], error: DotdoError) -> None:
    blob = codec.encode(error)
    for receiver in receivers:
        receiver.replied(frames.REJECT, blob)
