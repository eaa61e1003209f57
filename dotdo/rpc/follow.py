"""Following a path to its end, also across entities and through maps.

`walk` (in `evaluate`) goes as far as the data goes; here the rest is sent on to the entity that a stub names, and map
programs are run for each element. The host that holds the data does this, so the client pays one round trip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from dotdo import codec
from dotdo.errors import CodecError, NoSuchMember
from dotdo.rpc.evaluate import walk
from dotdo.rpc.node import Expression
from dotdo.rpc.recording import Reference
from dotdo.rpc.stub import Stub

MAP_ELEMENTS_MAX = 100_000
LOCAL = frozenset({"id", "noun", "key"})
"""What a stub knows by itself: no entity is asked."""

CallOut = Callable[[str, str, list[Any], bytes | None, str | None], Awaitable[bytes]]
"""(noun, id, path, payload, call id) -> the encoded value; raises its error."""


async def follow(value: Any, path: Sequence[Any], payload: bytes | None, call_out: CallOut, call_id: str | None = None) -> Any:
    """The value at the end of a path; with a payload the last name is called. Raises NoSuchMember or the callee's error."""
    ops = list(path)
    while True:
        data_ops = ops if payload is None else ops[:-1]
        value, rest = walk(value, data_ops)
        if payload is not None:
            rest.append(ops[-1])
        if not rest:
            return value
        if isinstance(value, Stub):
            name = rest[0] if isinstance(rest[0], str) else _name_of(rest[0])
            if name in LOCAL and (payload is None or len(rest) > 1):
                value, ops = getattr(value, name), rest[1:]
                continue
            if isinstance(name, str) and not name.isidentifier():
                raise NoSuchMember(f"{value!r} has no member {name!r}")  # above all not "!", which begins what only the runtime asks
            rest[0] = name
            noun, entity_id = value._do_target_
            return codec.decode(await call_out(noun, entity_id, rest, payload, call_id))
        op = rest[0]
        if isinstance(op, str):
            raise NoSuchMember(f"a {type(value).__name__} is a plain value: {op!r} of it cannot be called remotely")
        value = await _map(value, op, call_out)
        ops = rest[1:]
        if not ops and payload is None:
            return value


def _name_of(op: list[Any]) -> Any:
    """`promise["map"]` on a stub is the member `map`; any other operation stays what it is."""
    key = codec.decode(op[1]) if op[0] == "i" else None
    return key if isinstance(key, str) and not key.startswith("_") else op


async def _map(items: Any, op: list[Any], call_out: CallOut) -> Any:
    if items is None:
        return None
    if isinstance(items, dict):
        items = list(items.values())
    if not isinstance(items, (list, tuple, set, frozenset)):
        items = [items]
        single = True
    else:
        single = False
    if len(items) > MAP_ELEMENTS_MAX:
        raise NoSuchMember(f"map over {len(items)} elements is over the limit of {MAP_ELEMENTS_MAX}")
    _, instructions, template = op
    results = await asyncio.gather(*(_run(item, instructions, template, call_out) for item in items))
    return results[0] if single else results


async def _run(element: Any, instructions: list[Any], template: bytes, call_out: CallOut) -> Any:
    """One element through a map program."""
    values: list[Any] = []

    async def value_of(reference: Reference) -> Any:
        root = element if reference.index < 0 else values[reference.index]
        return await follow(root, reference.path, None, call_out)

    for base, path, payload in instructions:
        filled = payload
        if payload is not None:
            filled = codec.encode(await _filled(codec.decode(payload), value_of))
        if isinstance(base, list):
            values.append(codec.decode(await call_out(base[0], base[1], path, filled, None)))
        else:
            root = element if base < 0 else values[base]
            values.append(await follow(root, path, filled, call_out))
    return await _filled(codec.decode(template), value_of)


async def _filled(value: Any, value_of: Callable[[Reference], Awaitable[Any]]) -> Any:
    if isinstance(value, Reference):
        return await value_of(value)
    if isinstance(value, list):
        return [await _filled(part, value_of) for part in value]
    if isinstance(value, tuple):
        return tuple([await _filled(part, value_of) for part in value])
    if isinstance(value, dict):
        return {key: await _filled(part, value_of) for key, part in value.items()}
    return value


async def evaluate(expression: Expression, call_out: CallOut) -> Any:
    """The value of a promise that came as an argument."""
    payload = expression.payload
    if payload is not None:  # its arguments may be promises as well
        payload = await fill_promises(payload, call_out)
    if expression.base is not None:
        base = await evaluate(expression.base, call_out)
        return await follow(base, expression.path, payload, call_out, expression.call_id)
    blob = await call_out(expression.noun, expression.entity_id, expression.path, payload, expression.call_id)
    return codec.decode(blob)


async def fill_promises(payload: bytes, call_out: CallOut) -> bytes:
    """A payload with its promises replaced by their values."""
    value = codec.decode(payload)
    found: list[Expression] = []
    _collect(value, found)
    values = await asyncio.gather(*(evaluate(expression, call_out) for expression in found))
    for expression, result in zip(found, values, strict=True):
        expression.value = result
        expression.has_value = True
    return codec.encode(value)


def _collect(value: Any, found: list[Expression]) -> None:
    if isinstance(value, Expression):
        found.append(value)
    elif isinstance(value, dict):
        for part in value.values():
            _collect(part, found)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            _collect(part, found)
    elif isinstance(value, Reference):
        raise CodecError("a map reference outside a map program")
    elif hasattr(value, "__dict__") and not isinstance(value, (Stub, type)):
        for part in vars(value).values():
            _collect(part, found)
