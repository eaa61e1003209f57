"""A node: one recorded call or property path, from the moment it is written to the arrival of its value.

A node's root is an entity or another node (a chain on the result of a call). Arguments are encoded when the call is
written, so what the caller changes afterwards is not seen. The node knows by a weak reference whether user code still
holds a promise for it: a call nobody holds is fire and forget.
"""

from __future__ import annotations

import weakref
from typing import Any

PathOp = Any
"""A member name (str), `["i", encoded key]` for an index, or `["m", instructions, result]` for a map."""

IMPLICIT = "\0"
"""Before the id of a call in an expression: the runtime made the id, so the call itself goes under it too, unsaid."""


class CallOptions:
    """What `with_options` said about a call; `name`, and its `key` if that is taken already, are for the caller's journal."""

    __slots__ = ("call_id", "extra", "key", "name", "timeout_s")

    def __init__(
        self,
        call_id: str | None = None,
        timeout_s: float | None = None,
        extra: dict[str, Any] | None = None,
        name: str | None = None,
        key: str | None = None,
    ) -> None:
        self.call_id = call_id
        self.timeout_s = timeout_s
        self.extra = extra
        self.name = name
        self.key = key


class Node:
    """One call, or one property path that somebody wants."""

    __slots__ = (
        "__weakref__", "base", "call_id", "children", "entity_id", "future", "has_promises", "is_consumed", "is_wanted",
        "noun", "options", "owner", "path", "payload", "promise", "seq", "slot",
    )  # fmt: skip

    def __init__(
        self,
        noun: str,
        entity_id: str,
        base: Node | None,
        path: tuple[PathOp, ...],
        payload: bytes | None,
        options: CallOptions | None,
    ) -> None:
        self.noun = noun
        self.entity_id = entity_id
        self.base = base
        self.path = path
        self.payload = payload
        self.options = options
        self.call_id: str | None = options.call_id if options is not None else None
        self.seq = 0
        self.children = 0
        self.has_promises = False
        self.is_consumed = False
        self.is_wanted = False
        self.future: Any = None
        self.slot: Any = None
        self.owner: Any = None
        self.promise: weakref.ref[Any] | None = None
        if base is not None:
            base.children += 1

    def replied(self, kind: int, value: Any) -> None:
        """The answer, from the link it was sent on."""
        self.owner.arrived(self, kind, value)

    @property
    def is_held(self) -> bool:
        """True while user code holds a promise for this node."""
        promise = self.promise
        return promise is not None and promise() is not None

    @property
    def text(self) -> str:
        """The node as the user wrote it, for messages."""
        root = self.base.text if self.base is not None else f"{self.noun}({self.entity_id!r})"
        return root + path_text(self.path) + ("(...)" if self.payload is not None else "")


def path_text(path: tuple[PathOp, ...]) -> str:
    """A path as the user wrote it."""
    return "".join(f".{op}" if isinstance(op, str) else "[...]" if op[0] == "i" else ".map(...)" for op in path)


class Expression:
    """A promise that travels as an argument: what it stands for, to be evaluated where it arrives."""

    __slots__ = ("base", "call_id", "entity_id", "has_value", "noun", "path", "payload", "value")

    def __init__(
        self,
        noun: str,
        entity_id: str,
        base: Expression | None,
        path: list[PathOp],
        payload: bytes | None,
        call_id: str | None,
    ) -> None:
        self.noun = noun
        self.entity_id = entity_id
        self.base = base
        self.path = path
        self.payload = payload
        self.call_id = call_id
        self.value: Any = None
        self.has_value = False
