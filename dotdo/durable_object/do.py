"""`DO`: what a user subclasses.

`Order("o1")` is a stub everywhere; only `self` is the entity. The class itself holds no machinery: each property hands out
a capability of the layers below, and class creation checks what can be checked then.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, TypeVarTuple, overload
from uuid import UUID

from pydantic_core import core_schema

from dotdo import clock, durations
from dotdo.durable import attempt, callbacks, step
from dotdo.durable.retry import RetryPolicy
from dotdo.durable.saga import Saga
from dotdo.durable.waits import NO_DEFAULT
from dotdo.durable_object import capabilities
from dotdo.durable_object.entity_log import EntityLog
from dotdo.entity import input_gate
from dotdo.entity.noun import HOOKS, NounOptions, NounSpec
from dotdo.errors import Aborted, DefinitionError, Hibernated
from dotdo.events import registry, subscriptions, waiting
from dotdo.events.names import EventName
from dotdo.events.on import OnEntity
from dotdo.events.sending import Send, send
from dotdo.hosting import catalog
from dotdo.names import check_id
from dotdo.rpc import stub as stubs
from dotdo.rpc.stub import Stub
from dotdo.schedules import agenda
from dotdo.schedules.every import Every
from dotdo.schedules.scheduled import Scheduled

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable_object.storage import Storage
    from dotdo.entity.activation import Activation

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

RESERVED = frozenset({
    "id", "noun", "key", "env", "log", "now", "random", "uuid4", "storage", "do", "try_", "send", "step", "sleep", "wait_for",
    "callback", "poll", "timeout", "first", "saga", "on", "every", "schedule_at", "cascade", "approval_flow",
    "block_concurrency_while", "wait_until", "abort", "with_options",
})  # fmt: skip


class DO:
    """One noun; every `MyNoun("id")` is an entity with its own file, found anywhere in the cluster.

    Class options: `noun`, `placement`, `idle_timeout`, `durability`, `max_queue`, `max_turn`, `ray_options`, `version`,
    `index`. All but `noun` are inherited.
    """

    _do_spec_: ClassVar[NounSpec]
    _do_stub_class_: ClassVar[type[Stub]]
    _do_given_: ClassVar[dict[str, Any]]
    _do_: Activation

    def __init_subclass__(cls, *, noun: str | None = None, **options: Any) -> None:
        super().__init_subclass__()
        if issubclass(cls, Stub):
            return
        cls._do_given_ = {"noun": noun, **options}
        if cls.__module__ == "__main__" and _is_being_loaded(cls):
            return
        _define(cls)

    @classmethod
    def _do_after_load_(cls, origin: str) -> None:
        """The class arrived by value and is complete only now: define the noun."""
        _define(cls, origin)

    def __new__(cls, entity_id: str) -> Any:
        if cls is DO:
            raise TypeError("DO itself has no entities: subclass it")
        return stubs._new(cls._do_stub_class_, cls._do_spec_.noun, check_id(entity_id), None)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or name in self._do_spec_.fields or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        if name in RESERVED:
            raise AttributeError(f"{name!r} is a name of the runtime on {self._do_spec_.noun} and cannot be assigned")
        if name in self._do_spec_.members or name in HOOKS:
            raise AttributeError(f"{self._do_spec_.noun}.{name} is a method and cannot be assigned")
        if hasattr(type(self), name):  # a ClassVar or an unannotated attribute: this activation's own, in memory only
            object.__setattr__(self, name, value)
            return
        raise AttributeError(
            f"{self._do_spec_.noun}.{name} is not a durable field: declare it in the class, as {name}: int = 0, "
            f"or call it _{name} to keep it in memory only"
        )

    def __getattr__(self, name: str) -> Any:
        if name[:1].isupper():
            return _NounReference(name)
        if name in type(self)._do_spec_.fields:
            return self._do_.fields.get(name)  # raises what the descriptor raised, which Python takes for a missing attribute
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<entity {self._do_.key}>"

    # -- who it is ----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The entity's id."""
        return self._do_.id

    @property
    def noun(self) -> str:
        """The entity's noun."""
        return self._do_.spec.noun

    @property
    def key(self) -> str:
        """`noun/id`."""
        return self._do_.key

    @property
    def env(self) -> Any:
        """Bindings and secrets given to `init(env=...)`; never journaled."""
        env = self._do_.host.env
        return Bindings(env or {}) if env is None or type(env) is dict else env

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger that names the entity (`dotdo.entity.<noun>`); a replay does not write again what is written already."""
        return EntityLog(self._do_)

    @property
    def _ledger(self) -> Ledger:
        return self._do_.ledger  # type: ignore[return-value]

    # -- values a replay sees again -------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The time, an aware UTC datetime; recorded, so that a replay sees the same."""
        return clock.to_datetime(self._ledger.handed(self._do_.host.clock.now))

    @property
    def random(self) -> random.Random:
        """Random numbers; recorded, so that a replay sees the same."""
        return RecordedRandom(self._ledger)

    def uuid4(self) -> UUID:
        """A random UUID; recorded, so that a replay sees the same."""
        value = self._ledger.handed(lambda: self._ledger.rng.getrandbits(128).to_bytes(16, "big"))
        return UUID(bytes=value, version=4)

    # -- storage ------------------------------------------------------------------------------------------------

    @property
    def storage(self) -> Storage:
        """Key-value, SQL, transactions and the alarm of this entity."""
        from dotdo.durable_object.storage import Storage

        return Storage(self._do_, self._ledger)

    # -- durable steps --------------------------------------------------------------------------------------------

    @overload
    def do(
        self, fn: Callable[[*Ts], Awaitable[R]], *args: *Ts, step_id: str | None = None, retry: RetryPolicy | int | None = None,
        timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
    ) -> Awaitable[R]: ...  # fmt: skip
    @overload
    def do(
        self, fn: Callable[[*Ts], R], *args: *Ts, step_id: str | None = None, retry: RetryPolicy | int | None = None,
        timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
    ) -> Awaitable[R]: ...  # fmt: skip
    def do(
        self, fn: Callable[..., Any], *args: Any, step_id: str | None = None, retry: RetryPolicy | int | None = None,
        timeout: durations.Duration | None = None, undo: Callable[..., Any] | None = None,
    ) -> Any:  # fmt: skip
        """Run `fn(*args)` as a durable step: its outcome is recorded once, and a replay gets it from the record.

        The body runs at least once, its recorded outcome counts exactly once. The result must be data the codec knows.

        Args:
            step_id: its id in this execution; the function's name by default, with `#2`, `#3` for repeats.
            retry: a RetryPolicy or a number of attempts; 3 attempts, 1 s doubling to 30 s, by default.
            timeout: of one attempt; raises StepTimeout, which counts as a failed attempt.
            undo: called with the step's result if the execution fails or is cancelled later.

        Raises:
            Exception: the last attempt's error, also on replay.
        """
        return self._ledger.do(fn, args, step_id=step_id, policy=retry, timeout_s=_seconds(timeout), undo=undo)

    @overload
    def try_(self, fn: Callable[[*Ts], Awaitable[R]], *args: *Ts, timeout: durations.Duration | None = None) -> Awaitable[R]: ...
    @overload
    def try_(self, fn: Callable[[*Ts], R], *args: *Ts, timeout: durations.Duration | None = None) -> Awaitable[R]: ...
    def try_(self, fn: Callable[..., Any], *args: Any, timeout: durations.Duration | None = None) -> Any:
        """Run `fn(*args)` once, with a timeout and without a record: a replay runs it again."""
        ledger = self._ledger
        run, task = ledger.current_run("try_")
        key = task.branch.key(f"try:{step.name_of(fn)}")
        return attempt.attempt(ledger, run, task, key, fn, args, _seconds(timeout))

    def step(self, name: str, fn: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """`do` with the name first."""
        return self.do(fn, *args, step_id=name, **options)

    def sleep(self, duration: durations.Duration) -> Awaitable[None]:
        """Wait, durably: the entity may hibernate meanwhile and wakes at the time first promised."""
        return self._ledger.sleep(durations.seconds(duration))  # type: ignore[no-any-return]

    def wait_for(
        self, name: str | EventName, *, match: dict[str, Any] | None = None, filter: Callable[[Any], Any] | None = None,
        timeout: durations.Duration | None = None, default: Any = NO_DEFAULT,
    ) -> Awaitable[Any]:  # fmt: skip
        """Wait for an event, as "Approval.decided", or for a signal to this execution, a bare word; its data.

        Args:
            match: fields of the event's data and the values they must have; only what matches wakes the entity.
            filter: a predicate of the data, for what `match` cannot say.
            timeout: then WaitTimeout is raised, or `default` returned.
        """
        return waiting.wait(self._ledger, name, match, filter, _seconds(timeout), default)

    # -- events -------------------------------------------------------------------------------------------------

    @property
    def send(self) -> Send:
        """`dotdo.send`: with the commit of this turn."""
        return send

    @property
    def on(self) -> OnEntity:
        """`self.on.Payment.failed(self.failed)`: this entity's method gets these events from now on."""
        return OnEntity(self._ledger.extensions[subscriptions.NAME].subscribe)  # type: ignore[attr-defined]

    # -- schedules ----------------------------------------------------------------------------------------------

    @property
    def every(self) -> Every:
        """`self.every.Monday.at("9am")(self.weekly_report)`: this entity does it, again and again; a handle with `.cancel()`.

        Kept in the entity's own file with the commit of this turn, under the method's name or `name=`. What `setup` scheduled
        the last time and does not schedule now is taken back.
        """
        return agenda.every_of(self._ledger)

    def schedule_at(self, when: datetime, handler: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> Scheduled:
        """Run a method of this entity, a function or a workflow once, at a time; part of this turn's commit.

        Args:
            when: an aware datetime; a time in the past means now.
            handler: `self.remind`, or its name; a function defined with `def`; a workflow; `Cart("c1").remind`.
            args, kwargs: copied now; give an id rather than what may have changed by then.

        Returns:
            A handle with `.cancel()`, which can be kept in a field.

        Raises:
            DefinitionError: what cannot be found again later, and any use in `setup`.
            ValueError: `when` has no zone.
        """
        return agenda.agenda_of(self._ledger).once(when, handler, args, kwargs)

    def callback(self, name: str = "callback", *, timeout: durations.Duration | None = None) -> callbacks.Callback:
        """A handle whose `.id` goes to the outside world; `await` it for what `dotdo.complete(id, value)` brings."""
        return callbacks.make(self._ledger, name, _seconds(timeout))

    def poll(
        self, fn: Callable[..., Any], *args: Any, until: Callable[[Any], bool], interval: durations.Duration = "10s",
        backoff: float = 1.0, timeout: durations.Duration | None = None,
    ) -> Awaitable[Any]:  # fmt: skip
        """Call `fn` again and again until `until(value)`; each check is a step, the entity sleeps between them."""
        return callbacks.poll(self._ledger, fn, args, until, durations.seconds(interval), backoff, _seconds(timeout))

    def first(self, *awaitables: Any) -> Awaitable[tuple[int, Any]]:
        """Index and value of what is done first, the same again on replay; the others are cancelled."""
        self._ledger.current_run("first")
        return callbacks.first(awaitables)

    def timeout(self, duration: durations.Duration) -> callbacks.Timeout:
        """`async with self.timeout("1h")`: a deadline that outlives the process. Raises WaitTimeout."""
        return callbacks.Timeout(self._ledger, durations.seconds(duration))

    def saga(self) -> Saga:
        """`async with self.saga() as saga: saga.add(fn, *args)`: undone newest first if the block fails."""
        return Saga(self._ledger)

    # -- what layers above bring ------------------------------------------------------------------------------------

    @property
    def cascade(self) -> Any:
        """`await self.cascade(task=..., tiers={...}, confidence_threshold=0.9)`: the cheapest tier that is sure enough."""
        return capabilities.of(self, "cascade")

    @property
    def approval_flow(self) -> Any:
        """`await self.approval_flow.request_approval(...)`: people decide, the execution is parked meanwhile."""
        return capabilities.of(self, "approval_flow")

    # -- gates and life -------------------------------------------------------------------------------------------

    def block_concurrency_while(self, fn: Callable[[], Any]) -> Awaitable[Any]:
        """Run `fn` while nothing else of this entity runs; an error resets the entity."""
        return input_gate.block_concurrency_while(self._do_, fn)

    def wait_until(self, awaitable: Awaitable[Any]) -> None:
        """Keep the entity awake until `awaitable` is done, without delaying the answer."""
        self._ledger.current("wait_until")
        self._ledger.pin(asyncio.ensure_future(awaitable))

    def abort(self, reason: str = "aborted") -> None:
        """Reset the entity at once: uncommitted writes are dropped, everybody waiting gets `Aborted`."""
        self._do_.abort(Aborted(f"{self._do_.key}: {reason}"))
        raise Hibernated

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(cls)


class Bindings(dict[str, Any]):
    """`self.env` where `init` was given a dict: `env.STRIPE` and `env["STRIPE"]`."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{name!r} is not in the env given to dotdo.init(env=...)") from None

    def __repr__(self) -> str:
        return f"<env with {', '.join(sorted(self)) or 'nothing'}>"  # values are secrets


class RecordedRandom(random.Random):
    """A `random.Random` whose draws are handed out by the runtime."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        super().__init__(0)

    def random(self) -> float:
        return float(self._ledger.handed(self._ledger.rng.random))

    def getrandbits(self, k: int, /) -> int:
        return int(self._ledger.handed(lambda: self._ledger.rng.getrandbits(k)))


class _NounReference:
    """`self.User`: a noun by its name, for import cycles."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, entity_id: str) -> Any:
        return stubs.make_stub(self._name, entity_id)


def _seconds(duration: durations.Duration | None) -> float | None:
    return None if duration is None else durations.seconds(duration)


def _is_being_loaded(cls: type) -> bool:
    """True while cloudpickle rebuilds the class: it comes with an empty body first, which no user writes."""
    return set(cls.__dict__) <= {
        "__module__",
        "__doc__",
        "__qualname__",
        "_do_given_",
        "__slotnames__",
        "__dict__",
        "__weakref__",
        "__firstlineno__",
        "__static_attributes__",
    } and bool(catalog.is_loading())


def _own_parts(cls: type[DO]) -> list[type]:
    """The class and the mixins it brings: what is no noun was not checked before."""
    return [part for part in cls.__mro__ if part is cls or (not issubclass(part, DO) and part is not object)]


def _check_names(cls: type[DO], part: type) -> None:
    """Raise DefinitionError for what `part` would put in the place of the runtime's own."""
    for name in vars(part):
        if name in RESERVED:
            raise DefinitionError(f"class {cls.__name__} overrides {name!r}, a name of the runtime: call it something else")
    for name in vars(part).get("__annotations__", {}):
        if name in RESERVED:
            raise DefinitionError(f"class {cls.__name__} declares a field {name!r}, a name of the runtime: call it something else")
    if "__init__" in vars(part):
        raise DefinitionError(f"class {cls.__name__} defines __init__: use `async def setup(self)`, which runs on every wake-up")


def _options_of(cls: type[DO]) -> dict[str, Any]:
    """The class options: those given, and for the others those of the nouns it inherits from."""
    options: dict[str, Any] = {}
    for part in reversed(cls.__mro__):
        options.update(part.__dict__.get("_do_given_", {}))
    options.pop("noun", None)
    return options


def _define(cls: type[DO], origin: str | None = None) -> None:
    noun = cls._do_given_.get("noun") or cls.__name__
    for part in _own_parts(cls):
        _check_names(cls, part)
    for hook in HOOKS & set(cls.__dict__):
        if hook != "migrate" and not asyncio.iscoroutinefunction(cls.__dict__[hook]):
            raise DefinitionError(f"{cls.__name__}.{hook} must be `async def`")
    base = next((b.__dict__["_do_spec_"] for b in cls.__mro__[1:] if "_do_spec_" in b.__dict__), None)
    spec = NounSpec(cls, noun, NounOptions.of(cls.__name__, _options_of(cls)), RESERVED, base)
    cls._do_spec_ = spec
    stub_class = type(
        f"{cls.__name__}", (Stub, cls), {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "_do_members_": spec.members}
    )
    cls._do_stub_class_ = stub_class
    if origin is not None:
        catalog.replace(spec, origin)
    else:
        catalog.register(spec)
    stubs.stub_classes[noun] = stub_class
    registry.add_noun(spec)
