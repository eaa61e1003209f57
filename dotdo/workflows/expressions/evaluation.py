"""What an expression is worth in a scope.

A name or key that is not there is `undefined`: every comparison with it is false (but `=== undefined` and `!==` say what
they say), and a key of it is an error. Values are data: mappings by key, lists and texts by index and `.length`, fields
of pydantic models and dataclasses. Nothing else of a Python object can be reached.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any

import pydantic

from dotdo.errors import ConditionError
from dotdo.workflows.expressions.tree import Comparison, Literal, Logical, Member, Name, Node, Unary


class Undefined:
    """JavaScript's `undefined`: what is not there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED = Undefined()

_ORDER: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_TIMES = (datetime, date, timedelta)


def evaluate(node: Node, scope: Any, text: str) -> Any:
    """The value of `node`, `UNDEFINED` among them. Raises ConditionError."""
    match node:
        case Literal(value):
            return value
        case Name(name):
            return _plain(_member_of(scope, name, node, text))
        case Member():
            return _member(node, scope, text)
        case Logical(sign, operands):
            return _logical(sign, operands, scope, text)
        case Comparison(sign, left, right):
            return _compare(sign, evaluate(left, scope, text), evaluate(right, scope, text), node, text)
        case Unary("!", operand):
            return not is_true(evaluate(operand, scope, text))
        case Unary(_, operand):
            value = evaluate(operand, scope, text)
            if not _is_number(value):
                raise ConditionError.at(text, node.position, f"{_what(value)} has no negative")
            return -value


def is_true(value: Any) -> bool:
    """As JavaScript: false, 0, NaN, "", null and undefined are false, everything else is true."""
    if _is_nothing(value):
        return False
    if isinstance(value, (bool, str)):
        return bool(value)
    if _is_number(value):
        return not _is_nan(value) and value != 0
    return True


def _logical(sign: str, operands: tuple[Node, ...], scope: Any, text: str) -> Any:
    value: Any = None
    for operand in operands:
        value = evaluate(operand, scope, text)
        if is_true(value) is (sign == "||"):
            return value
    return value


# -- members ----------------------------------------------------------------------------------------------------


def _member(node: Member, scope: Any, text: str) -> Any:
    value = evaluate(node.base, scope, text)
    for index, (key_node, position) in enumerate(node.keys):
        key = evaluate(key_node, scope, text)
        if _is_nothing(value):
            path = text[node.position : node.keys[index][1]].rstrip(".[ ")
            where = "" if index else ": is it spelled as in the input, and does the step depend on the one it names?"
            raise ConditionError.at(text, position, f"{path or 'this'} is {_what(value)}, so it has no {key!r}{where}")
        value = _plain(_member_of(value, key, Literal(key, position), text))
    return value


def _member_of(value: Any, key: Any, node: Name | Literal, text: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(key, UNDEFINED) if isinstance(key, (str, int, float)) and not isinstance(key, bool) else UNDEFINED
    if isinstance(value, (list, tuple, str)):
        if key == "length":
            return len(value)
        if isinstance(key, int) and not isinstance(key, bool):
            return value[key] if 0 <= key < len(value) else UNDEFINED
        return UNDEFINED
    if isinstance(value, pydantic.BaseModel):
        fields = {**type(value).model_fields, **(value.model_extra or {})}
        return getattr(value, key) if isinstance(key, str) and key in fields else UNDEFINED
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return getattr(value, key, UNDEFINED) if any(field.name == key for field in dataclasses.fields(value)) else UNDEFINED
    raise ConditionError.at(text, node.position, f"{_what(value)} has no {key!r}: only objects, lists and texts have parts")


# -- comparing --------------------------------------------------------------------------------------------------


def _compare(sign: str, left: Any, right: Any, node: Comparison, text: str) -> bool:
    """`==` differs from `===` in one thing: null and undefined are the same to it."""
    if sign in _ORDER:
        return _is_ordered(sign, left, right, node, text)
    if _is_nothing(left) or _is_nothing(right):
        is_loose = len(sign) == 2
        equal = left is right or (is_loose and _is_nothing(left) and _is_nothing(right))
    else:
        equal = _is_equal(left, right, node, text)
    return equal is (sign[0] == "=")


def _is_nothing(value: Any) -> bool:
    return value is None or value is UNDEFINED


def _is_equal(left: Any, right: Any, node: Comparison, text: str) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if _is_number(left) and _is_number(right):
        return not (_is_nan(left) or _is_nan(right)) and bool(left == right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if _is_container(left) and _is_container(right):
        raise ConditionError.at(text, node.position, f"{_what(left)} and {_what(right)} cannot be compared: compare their parts")
    return type(left) is type(right) and bool(left == right)


def _is_ordered(sign: str, left: Any, right: Any, node: Comparison, text: str) -> bool:
    if left is UNDEFINED or right is UNDEFINED:
        return False
    if _is_number(left) and _is_number(right):
        if _is_nan(left) or _is_nan(right):
            return False
        return _ORDER[sign](left, right)
    if isinstance(left, str) and isinstance(right, str):
        return _ORDER[sign](left, right)
    if type(left) is type(right) and isinstance(left, _TIMES):
        try:
            return _ORDER[sign](left, right)
        except TypeError:
            raise ConditionError.at(text, node.position, "a time with a zone and one without cannot be compared") from None
    raise ConditionError.at(
        text, node.position, f"{_what(left)} {sign} {_what(right)}: nothing is converted here, both must be numbers or both texts"
    )


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _is_nan(value: Any) -> bool:
    try:
        return bool(value != value)
    except InvalidOperation:  # a signalling NaN
        return True


def _is_container(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple, set, frozenset, pydantic.BaseModel)) or dataclasses.is_dataclass(value)


def _what(value: Any) -> str:
    """How an error calls a value, without showing what may be private."""
    if _is_nothing(value):
        return "null" if value is None else "undefined"
    if isinstance(value, bool):
        return "a boolean"
    if _is_number(value):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, (list, tuple)) else "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"
