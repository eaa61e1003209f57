"""The parts an expression is made of.

A chain of `&&`, of `||` or of member accesses is one node with many parts, so that depth means nesting, not length.
Every node knows its position in the text, for errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true, false, null or undefined."""

    value: Any
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name at the root of the scope."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Member:
    """`base.a["b"]`: a value and the keys that lead on from it, each with its own position."""

    base: Node
    keys: tuple[tuple[Node, int], ...]
    position: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x` or `-x`."""

    operator: str
    operand: Node
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left < right` and its like."""

    operator: str
    left: Node
    right: Node
    position: int


@dataclass(frozen=True, slots=True)
class Logical:
    """`a && b && c`, or the same with `||`."""

    operator: str
    operands: tuple[Node, ...]
    position: int


Node = Literal | Name | Member | Unary | Comparison | Logical


def root_names(node: Node) -> set[str]:
    """The names an expression looks up in its scope."""
    match node:
        case Literal():
            return set()
        case Name(name):
            return {name}
        case Member(base, keys):
            return root_names(base).union(*(root_names(key) for key, _ in keys))
        case Unary(_, operand):
            return root_names(operand)
        case Comparison(_, left, right):
            return root_names(left) | root_names(right)
        case Logical(_, operands):
            return set().union(*(root_names(operand) for operand in operands))
