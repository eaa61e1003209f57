"""Promises: what a path or a call on a stub gives before it is awaited.

Writing on a stub records; awaiting asks for the value. A promise is not its value: used as one (`bool`, `==`, `len`,
iteration, text) it raises `NotAwaited` and names its path. The promise of a call is a coroutine to asyncio, so
`create_task`, `gather` and `TaskGroup` take it.
"""

from __future__ import annotations

import collections.abc
import weakref
from collections.abc import Callable, Generator
from typing import Any, NoReturn

from dotdo import codec, durations
from dotdo.errors import CodecError, NoSuchMember, NotAwaited
from dotdo.rpc import caller as callers
from dotdo.rpc import recording
from dotdo.rpc.node import IMPLICIT, CallOptions, Expression, Node, PathOp, path_text

PATH_LENGTH_MAX = 64

NO_ARGUMENTS = codec.encode([[], {}])
"""The payload of a call without arguments."""


class Promise:
    """A property path on an entity or on the result of a call."""

    __slots__ = ("__weakref__", "_do_base", "_do_holds", "_do_members", "_do_node", "_do_options", "_do_path", "_do_target")

    def __init__(
        self,
        target: tuple[str, str],
        members: Any,
        base: Node | None,
        path: tuple[PathOp, ...],
        options: CallOptions | None = None,
        holds: Any = None,
    ) -> None:
        self._do_target = target
        self._do_members = members
        self._do_base = base
        self._do_path = path
        self._do_options = options
        self._do_node: Node | None = None
        self._do_holds = holds

    # -- recording ----------------------------------------------------------------------------------------------

    def _do_extend(self, op: PathOp) -> Promise:
        node = self._do_node
        if node is not None and node.payload is not None:
            return Promise(self._do_target, None, node, (op,), None, self)
        if len(self._do_path) >= PATH_LENGTH_MAX:
            raise NoSuchMember(f"the path {self!r} is longer than {PATH_LENGTH_MAX}")
        return Promise(self._do_target, self._do_members, self._do_base, (*self._do_path, op), self._do_options, self._do_holds)

    def __getattr__(self, name: str) -> Promise:
        if name.startswith(("_", "cr_", "gi_", "ag_")):
            raise AttributeError(name)
        if name == "add_done_callback":
            raise TypeError(f"{self!r} is a promise, not a future: wrap it in asyncio.create_task(...) to wait for it with asyncio.wait")
        return self._do_extend(name)

    def __getitem__(self, key: Any) -> Promise:
        return self._do_extend(["i", codec.encode(key)])

    def map(self, fn: Callable[[Any], Any]) -> Promise:
        """Apply `fn` to every element beside the data; it is recorded once, not run for each element here."""
        instructions, result = recording.record_map(fn)
        return self._do_extend(["m", instructions, result])

    def with_options(self, *, call_id: str | None = None, timeout: Any = None) -> Promise:
        """Options for the call that ends this path."""
        return self._do_with(make_options(call_id, timeout))

    def _do_with(self, options: CallOptions) -> Promise:
        return Promise(self._do_target, self._do_members, self._do_base, self._do_path, options, self._do_holds)

    def __call__(self, *args: Any, **kwargs: Any) -> CallPromise:
        """Record the call; it goes at the end of the tick, awaited or not."""
        path = self._do_path
        members = self._do_members
        if members is not None and len(path) == 1:
            members.check_call(path[0], args, kwargs)
        noun, entity_id = self._do_target
        base = self._do_base
        has_promises = False
        if args or kwargs:
            recording.promises_packed = 0
            try:
                payload = codec.encode([[*args], kwargs])
            except CodecError as error:
                raise CodecError(f"an argument of {noun}.{path_text(path).lstrip('.')}: {error}") from None
            has_promises = recording.promises_packed > 0
        else:
            payload = NO_ARGUMENTS
        node = Node(noun, entity_id, base, path, payload, self._do_options)
        node.has_promises = has_promises
        promise = CallPromise(node, self._do_holds)
        if recording.active is None:
            callers.current().record(node)
        else:
            recording.active.record(node)
        return promise

    @property
    def _do_name_(self) -> str:
        noun = self._do_target[0] if self._do_base is None else ""
        name = ".".join(op for op in self._do_path if isinstance(op, str))
        return f"{noun}.{name}" if noun else name

    # -- the value ----------------------------------------------------------------------------------------------

    def _do_get_node(self) -> Node:
        node = self._do_node
        if node is None:
            noun, entity_id = self._do_target
            if self._do_base is None and self._do_members is not None:
                self._do_members.check_read(self._do_path[0])
            node = Node(noun, entity_id, self._do_base, self._do_path, None, self._do_options)
            node.promise = weakref.ref(self)
            self._do_node = node
        return node

    def __await__(self) -> Generator[Any, None, Any]:
        return callers.current().pull(self._do_get_node()).__await__()

    def result(self, timeout: Any = None) -> Any:
        """The value, for code without a loop; blocks up to `timeout`. Raises CallTimeout; RuntimeError inside a loop."""
        timeout_s = None if timeout is None else durations.seconds(timeout)
        return callers.current().result(self._do_get_node(), timeout_s)

    # -- what a promise is not ------------------------------------------------------------------------------------

    def _do_refuse(self, *_args: Any) -> NoReturn:
        raise NotAwaited(f"{self!r} is a promise, not a value: await it first")

    __bool__ = __len__ = __iter__ = __contains__ = __str__ = __format__ = __int__ = __float__ = __index__ = _do_refuse  # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _do_refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __mod__ = __neg__ = __enter__ = __exit__ = _do_refuse
    __aiter__ = __aenter__ = __aexit__ = __bytes__ = __complex__ = __reversed__ = _do_refuse
    __rfloordiv__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __divmod__ = __rdivmod__ = _do_refuse
    __pos__ = __invert__ = __abs__ = __round__ = __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = _do_refuse
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _do_refuse

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        self._do_refuse()

    def __ne__(self, other: object) -> bool:
        if self is other:
            return False
        self._do_refuse()

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        noun, entity_id = self._do_target
        root = self._do_base.text if self._do_base is not None else f"{noun}({entity_id!r})" if noun else "element"
        return f"<promise of {root}{path_text(self._do_path)}>"


class CallPromise(Promise, collections.abc.Coroutine[Any, Any, Any]):
    """The promise of a call; a coroutine to asyncio."""

    __slots__ = ("_do_steps",)

    def __init__(self, node: Node, holds: Any = None) -> None:
        self._do_target = (node.noun, node.entity_id)
        self._do_members = self._do_options = None
        self._do_base = node.base
        self._do_path = node.path
        self._do_node = node
        self._do_holds = holds
        self._do_steps: Generator[Any, None, Any] | None = None
        node.promise = weakref.ref(self)

    def _do_begin(self) -> Generator[Any, None, Any]:
        steps = self._do_steps
        if steps is None:
            self._do_steps = steps = self.__await__()
        return steps

    def send(self, value: Any) -> Any:
        return (self._do_steps or self._do_begin()).send(value)

    def throw(self, *error: Any) -> Any:
        return self._do_begin().throw(*error)

    def close(self) -> None:
        if self._do_steps is not None:
            self._do_steps.close()

    def __repr__(self) -> str:
        node = self._do_node
        return f"<promise of {node.text if node is not None else '?'}>"


def record_call(node: Node) -> CallPromise:
    """The promise of a call that was put together by hand, recorded as if it had been written on a stub."""
    promise = CallPromise(node)
    callers.current().record(node)
    return promise


def make_options(call_id: str | None, timeout: Any) -> CallOptions:
    """Checked call options."""
    if call_id is not None and (not isinstance(call_id, str) or not 1 <= len(call_id) <= 200):
        raise ValueError(f"call_id={call_id!r}: a string of 1 to 200 characters")
    return CallOptions(call_id, None if timeout is None else durations.seconds(timeout))


def _pack_promise(promise: Any) -> Any:
    recording.promises_packed += 1
    if isinstance(promise, Expression):
        if promise.has_value:
            return [1, promise.value]
        return [0, *_parts(promise)]
    node = promise._do_get_node()
    recorder = recording.active
    if recorder is not None:
        found = recorder.reference(promise, node)
        if found is not None:
            return found
    future = node.future
    if future is not None and future.done() and not future.cancelled() and future.exception() is None:
        return [1, future.result()]  # the answer may be forgotten over there by now
    return [0, *_node_parts(node)]


def _node_parts(node: Node) -> list[Any]:
    node.is_consumed = True
    base = _node_parts(node.base) if node.base is not None else None
    call_id = node.call_id
    if call_id is not None and base is None and (node.options is None or node.options.call_id is None):
        call_id = IMPLICIT + call_id
    return [node.noun, node.entity_id, base, list(node.path), node.payload, call_id]


def _parts(expression: Expression) -> list[Any]:
    base = _parts(expression.base) if expression.base is not None else None
    return [expression.noun, expression.entity_id, base, expression.path, expression.payload, expression.call_id]


def expression_of(parts: Any) -> Expression:
    """An expression from its parts. Raises CodecError for anything else."""
    try:
        noun, entity_id, base, path, payload, call_id = parts
    except (TypeError, ValueError):
        raise CodecError("a promise in these bytes is malformed") from None
    if not isinstance(noun, str) or not isinstance(entity_id, str) or not isinstance(path, list):
        raise CodecError("a promise in these bytes is malformed")
    return Expression(noun, entity_id, expression_of(base) if base is not None else None, path, payload, call_id)


def _unpack_promise(packed: Any) -> Any:
    if not isinstance(packed, list) or not packed:
        raise CodecError("a promise in these bytes is malformed")
    if packed[0] == 1:
        return packed[1]
    if packed[0] == 2:
        return recording.Reference(packed[1], packed[2])
    return expression_of(packed[1:])


codec.register_extension(41, Promise, _pack_promise, _unpack_promise)
codec.register_extension(42, Expression, _pack_promise, _unpack_promise)
codec.register_extension(43, recording.Reference, lambda r: [2, r.index, r.path], _unpack_promise)
