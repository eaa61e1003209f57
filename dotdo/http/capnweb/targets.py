"""What an id of a connection stands for, and what a path or a call on it gives.

A path on an entity is a promise of `dotdo.rpc`: pipelined calls are recorded on it at once and travel to the host together,
which is why five dependent calls of a browser cost one round trip at both doors. What is not known yet, because it waits for
a client or for arguments, is a `Late` target, and so is everything built on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dotdo.errors import DotdoError, NoSuchMember
from dotdo.http import reach
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem
from dotdo.nouns.connections import ClientObject
from dotdo.rpc.evaluate import walk
from dotdo.rpc.promise import CallPromise, Promise
from dotdo.rpc.stub import Stub, make_stub

Path = list[Any]


class Target:
    """Something a client can hold."""

    __slots__ = ()

    def get(self, path: Path) -> Target:
        """What a property path leads to."""
        raise NotImplementedError

    def call(self, path: Path, args: list[Any]) -> Target:
        """The result of calling what the path leads to."""
        raise NotImplementedError

    async def value(self) -> Any:
        """The Python value it comes to. Raises its error."""
        raise NotImplementedError


class Failed(Target):
    """An error; whatever is built on it is the same error."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def get(self, path: Path) -> Target:
        return self

    def call(self, path: Path, args: list[Any]) -> Target:
        return self

    async def value(self) -> Any:
        raise self.error


class Main(Target):
    """The object a connection begins with: `api.Order("o1")` is an entity."""

    __slots__ = ()

    def get(self, path: Path) -> Target:
        if not path:
            return self
        return Failed(Problem(422, "not_a_value", f"{path[0]!r} of the main object is called with an id, as in api.Order('o1')"))

    def call(self, path: Path, args: list[Any]) -> Target:
        if len(path) != 1 or not isinstance(path[0], str):
            return Failed(Problem(404, "no_such_noun", "the main object has nouns, called with an id: api.Order('o1')"))
        if len(args) != 1:
            return Failed(Problem(422, "wrong_arguments", f"{path[0]}(...) takes one argument, the id"))
        if isinstance(args[0], Target):
            return Late(_entity_late(path[0], args[0]))
        return attempt(lambda: _entity(path[0], args[0]))

    async def value(self) -> Any:
        raise Problem(422, "not_a_value", "the main object stays here: ask it for an entity, as in api.Order('o1')")


def _entity(noun: str, entity_id: Any) -> Target:
    return Entity(make_stub(reach.noun_of(noun).noun, entity_id))


async def _entity_late(noun: str, entity_id: Target) -> Target:
    return _entity(noun, await entity_id.value())


class Entity(Target):
    """An entity, or a path or call on one: a stub or a promise."""

    __slots__ = ("subject",)

    def __init__(self, subject: Stub | Promise) -> None:
        self.subject = subject

    def get(self, path: Path) -> Target:
        return self if not path else attempt(lambda: Entity(_extended(self.subject, path)))

    def call(self, path: Path, args: list[Any]) -> Target:
        if holds_targets(args):
            return Late(_called_late(self, path, args))
        return attempt(lambda: Entity(_called(self.subject, path, args)))

    async def value(self) -> Any:
        return await self.subject if isinstance(self.subject, Promise) else self.subject


def _extended(subject: Any, path: Path) -> Any:
    reach.check_path(path)
    for name in path:
        if isinstance(subject, Stub):
            if not isinstance(name, str):
                raise NoSuchMember(f"{subject!r} has no element {name!r}: it is an entity")
            if name in ("id", "noun", "key"):
                raise NoSuchMember(f"{name!r} of {subject!r} is not told here")
            subject = subject[name]
        else:
            subject = subject._do_extend(name) if isinstance(name, str) else subject[name]
    return subject


def _called(subject: Any, path: Path, args: list[Any]) -> Promise:
    method = _extended(subject, path)
    if isinstance(method, (Stub, CallPromise)):
        raise NoSuchMember(f"{method!r} is not a function: name the method to call")
    called: Promise = method(*(_passed(arg) for arg in args))
    return called


def _passed(value: Any) -> Any:
    """An argument as it is sent: a promise of an entity goes as it is, to be resolved beside the data."""
    if isinstance(value, Entity):
        return value.subject
    if isinstance(value, list):
        return [_passed(part) for part in value]
    if isinstance(value, dict):
        return {key: _passed(part) for key, part in value.items()}
    return value


async def _called_late(target: Target, path: Path, args: list[Any]) -> Target:
    return target.call(path, await resolved(args))


class Value(Target):
    """A value that is here."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content

    def get(self, path: Path) -> Target:
        return self if not path else attempt(lambda: self._walked(path))

    def _walked(self, path: Path) -> Target:
        reach.check_path(path)
        value = self.content
        for position, name in enumerate(path):
            if isinstance(value, (Stub, ClientObject)):
                return at(value).get(path[position:])
            if isinstance(name, int) and isinstance(value, (list, tuple)) and not 0 <= name < len(value):
                return Value(None)
            if name == "length" and isinstance(value, (list, tuple, str)):
                value = len(value)
                continue
            value, _ = walk(value, [name] if isinstance(name, str) else [_index(name)])
        return at(value)

    def call(self, path: Path, args: list[Any]) -> Target:
        target = self.get(path[:-1])
        if isinstance(target, Value) or not path:
            return (
                target if isinstance(target, Failed) else Failed(NoSuchMember("a plain value has no methods that can be called remotely"))
            )
        return target.call(path[-1:], args)

    async def value(self) -> Any:
        return self.content


def _index(key: Any) -> list[Any]:
    from dotdo import codec

    return ["i", codec.encode(key)]


def at(value: Any) -> Target:
    """The target of a value that is here."""
    if isinstance(value, Stub):
        return Entity(value)
    if isinstance(value, ClientObject):
        return OfClient(value)
    return Value(value)


class OfClient(Target):
    """An object of this or another client, called through its connection's entity."""

    __slots__ = ("object",)

    def __init__(self, object: ClientObject) -> None:
        self.object = object

    def get(self, path: Path) -> Target:
        def walk_on() -> Target:
            reach.check_path(path)
            found = self.object
            for name in path:
                found = getattr(found, str(name))
            return OfClient(found)

        return attempt(walk_on)

    def call(self, path: Path, args: list[Any]) -> Target:
        if holds_targets(args):
            return Late(_called_late(self, path, args))
        target = self.get(path)
        if not isinstance(target, OfClient):
            return target
        return attempt(lambda: Entity(target.object(*(_passed(arg) for arg in args))))

    async def value(self) -> Any:
        return self.object


class Late(Target):
    """A target that is still being found; what is asked of it is asked in order once it is."""

    __slots__ = ("_task",)

    def __init__(self, finding: Awaitable[Target]) -> None:
        self._task = asyncio.ensure_future(_found(finding))

    def get(self, path: Path) -> Target:
        return self if not path else self.then(lambda target: target.get(path))

    def call(self, path: Path, args: list[Any]) -> Target:
        return self.then(lambda target: target.call(path, args))

    def then(self, go_on: Callable[[Target], Target]) -> Late:
        async def later() -> Target:
            return go_on(await asyncio.shield(self._task))

        return Late(later())

    async def value(self) -> Any:
        return await (await asyncio.shield(self._task)).value()


async def _found(finding: Awaitable[Target]) -> Target:
    try:
        return await finding
    except Exception as error:  # it belongs to whoever asks for the value
        return Failed(error)


class Composite(Target):
    """A value with targets in it."""

    __slots__ = ("content",)

    def __init__(self, content: Any) -> None:
        self.content = content

    def get(self, path: Path) -> Target:
        return self if not path else Late(self._at(path))

    async def _at(self, path: Path) -> Target:
        return Value(await self.value()).get(path)

    def call(self, path: Path, args: list[Any]) -> Target:
        return Late(self._called(path, args))

    async def _called(self, path: Path, args: list[Any]) -> Target:
        return Value(await self.value()).call(path, args)

    async def value(self) -> Any:
        return (await resolved([self.content]))[0]


def of_evaluated(value: Any) -> Target:
    """The target of an evaluated expression."""
    if isinstance(value, Target):
        return value
    return Composite(value) if _any_target(value) else at(value)


def attempt(make: Callable[[], Target]) -> Target:
    """What `make` gives, or its refusal as a target."""
    try:
        return make()
    except (DotdoError, Problem, TypeError, ValueError) as error:
        return Failed(error)


def holds_targets(args: list[Any]) -> bool:
    """True if an argument has to be waited for before the call can be made."""
    return any(_waits(arg) for arg in args)


def _waits(value: Any) -> bool:
    if isinstance(value, Target):
        return not isinstance(value, Entity)
    if isinstance(value, list):
        return any(_waits(part) for part in value)
    if isinstance(value, dict):
        return any(_waits(part) for part in value.values())
    return False


def _any_target(value: Any) -> bool:
    if isinstance(value, Target):
        return True
    if isinstance(value, list):
        return any(_any_target(part) for part in value)
    return isinstance(value, dict) and any(_any_target(part) for part in value.values())


async def resolved(args: list[Any]) -> list[Any]:
    """The arguments with every target replaced by its value, all waited for at once."""
    waiting: list[tuple[Any, Any, Target]] = []

    def collect(holder: Any, key: Any, value: Any) -> None:
        if isinstance(value, Target):
            waiting.append((holder, key, value))
        elif isinstance(value, list):
            for i, part in enumerate(value):
                collect(value, i, part)
        elif isinstance(value, dict):
            for name, part in value.items():
                collect(value, name, part)

    copied = _copied(args)
    for i, arg in enumerate(copied):
        collect(copied, i, arg)
    values = await asyncio.gather(*(target.value() for _, _, target in waiting))
    for (holder, key, _), value in zip(waiting, values, strict=True):
        holder[key] = value
    return copied  # type: ignore[no-any-return]


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(part) for part in value]
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    return value


class Pipe(Target):
    """A stream that a client writes: what it carried is its value, once it is closed."""

    __slots__ = ("_chunks", "_closed", "_left")

    def __init__(self, limits: Limits) -> None:
        self._chunks: list[Any] = []
        self._left = limits.stream_bytes_max
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def get(self, path: Path) -> Target:
        return Failed(NoSuchMember("a stream has the methods write, close and abort"))

    def call(self, path: Path, args: list[Any]) -> Target:
        if path == ["write"] and len(args) == 1:
            return self._write(args[0])
        if path == ["close"]:
            self._end(None)
        elif path == ["abort"]:
            self._end(Problem(422, "stream_aborted", "the client broke its stream off"))
        else:
            return self.get(path)
        return Value(None)

    def _write(self, chunk: Any) -> Target:
        if self._closed.done() or isinstance(chunk, Target):
            return Failed(Problem(422, "stream_closed", "the stream takes nothing any more"))
        self._left -= len(chunk) if isinstance(chunk, (bytes, str)) else 64
        if self._left < 0:
            self._end(Problem(413, "stream_too_large", "the stream carries more than this door takes"))
            self._chunks.clear()
            return Failed(Problem(413, "stream_too_large", "the stream carries more than this door takes"))
        self._chunks.append(chunk)
        return Value(None)

    def _end(self, error: Exception | None) -> None:
        if not self._closed.done():
            if error is None:
                self._closed.set_result(None)
            else:
                self._closed.set_exception(error)
                self._closed.exception()

    def dropped(self) -> None:
        """The client let it go; a stream that was not closed has ended badly."""
        self._end(Problem(422, "stream_aborted", "the client left in the middle of its stream"))

    async def value(self) -> Any:
        await asyncio.shield(self._closed)
        chunks = self._chunks
        if chunks and all(isinstance(chunk, bytes) for chunk in chunks):
            return b"".join(chunks)
        if chunks and all(isinstance(chunk, str) for chunk in chunks):
            return "".join(chunks)
        return chunks


class Readable(Target):
    """The end of a pipe that an entity gets: everything that was written to it."""

    __slots__ = ("_pipe",)

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def get(self, path: Path) -> Target:
        return self if not path else Failed(NoSuchMember("a stream is passed as an argument, not walked"))

    def call(self, path: Path, args: list[Any]) -> Target:
        return self.get(["call"])

    async def value(self) -> Any:
        return await self._pipe.value()
