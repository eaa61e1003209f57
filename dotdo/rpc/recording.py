"""Recording `.map(fn)`: the function runs once, on a stand-in, and what it does becomes a short program.

The program is a list of instructions, each a path or a call on the element, on an earlier result or on a named entity,
and a template of the result. It is run for every element beside the data (`dotdo.rpc.evaluate`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dotdo import codec
from dotdo.errors import DefinitionError
from dotdo.rpc.node import Node

INSTRUCTIONS_MAX = 1000

ELEMENT = ("", "")
"""The target of the stand-in for the element while `fn` is recorded."""

active: Recorder | None = None
promises_packed = 0


class Reference:
    """In a map program: the value of an instruction (-1 is the element), and a path into it."""

    __slots__ = ("index", "path")

    def __init__(self, index: int, path: list[Any]) -> None:
        self.index = index
        self.path = path


class Recorder:
    """Collects the instructions of one map."""

    def __init__(self) -> None:
        self.instructions: list[list[Any]] = []
        self._index: dict[int, int] = {}
        self._nodes: list[Node] = []

    def record(self, node: Node) -> None:
        if len(self.instructions) >= INSTRUCTIONS_MAX:
            raise DefinitionError(f"a map function records more than {INSTRUCTIONS_MAX} calls")
        self._index[id(node)] = len(self.instructions)
        self._nodes.append(node)
        self.instructions.append([self._base(node), list(node.path), node.payload])

    def _base(self, node: Node) -> Any:
        if node.base is not None:
            return self._index[id(node.base)]
        return [node.noun, node.entity_id] if node.noun else -1

    def reference(self, _promise: Any, node: Node) -> list[Any] | None:
        """How a promise inside the program is packed."""
        if node.payload is not None:
            return [2, self._index[id(node)], []]
        base = self._base(node)
        if isinstance(base, list):
            self.record(node)
            return [2, self._index[id(node)], []]
        return [2, base, list(node.path)]


def record_map(fn: Callable[[Any], Any]) -> tuple[list[list[Any]], bytes]:
    """The program of `fn`: its instructions and the encoded template of its result."""
    global active
    from dotdo.rpc.promise import Promise

    if active is not None:
        raise DefinitionError("a map inside a map function is not supported: return the inner list and map outside")
    recorder = Recorder()
    active = recorder
    try:
        result = fn(Promise(ELEMENT, None, None, ()))
        template = codec.encode(result)
    finally:
        active = None
    return recorder.instructions, template
