"""Expressions of messages, as values and targets; and the programs of `.map`.

Evaluating delivers the calls in an expression, in order and at once; what they come to is a target. An expression that
breaks the protocol raises `Malformed` and ends the connection; one that asks for what is not there is a `Failed` target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from dotdo.errors import RemoteError
from dotdo.http.capnweb.targets import Failed, Late, Target, Value, at, of_evaluated, resolved
from dotdo.http.capnweb.values import Malformed, read_plain
from dotdo.http.limits import Limits
from dotdo.http.problems import Problem


class Tables(Protocol):
    """What the ids in an expression mean."""

    limits: Limits

    def exported(self, number: int) -> Target:
        """The target of an id the client got from us. Raises Malformed."""

    def imported(self, number: int) -> Any:
        """An object of the client's."""

    def promised(self, number: int) -> Target:
        """What the client will resolve by itself."""

    def readable(self, number: int) -> Target:
        """The readable end of a pipe. Raises Malformed."""


def evaluate(expression: Any, tables: Tables, depth: int = 0, map_depth: int = 0) -> Any:
    """The value of an expression, with targets in it for what is still to come. Raises Malformed."""
    if depth > tables.limits.depth_max:
        raise Malformed(f"a value is nested deeper than {tables.limits.depth_max}")
    if isinstance(expression, dict):
        return {key: evaluate(part, tables, depth + 1, map_depth) for key, part in expression.items()}
    if not isinstance(expression, list):
        return expression
    if len(expression) == 1 and isinstance(expression[0], list):
        return [evaluate(part, tables, depth + 1, map_depth) for part in expression[0]]
    kind = expression[0] if expression else None
    if not isinstance(kind, str):
        raise Malformed("an array that is no value: arrays are written in a second array")
    plain = read_plain(kind, expression[1:], tables.limits)
    if plain is not NotImplemented:
        return plain
    special = _SPECIAL.get(kind)
    if special is None:
        raise Malformed(f"unknown kind of value: {kind[:40]!r}")
    return special(expression, tables, depth, map_depth)


def _pipeline(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    """["import" or "pipeline", id, path?, args?]"""
    if not 2 <= len(expression) <= 4:
        raise Malformed(f"bad {expression[0]}")
    target = tables.exported(_number(expression[1]))
    if len(expression) == 2:
        return target
    path = _path(expression[2], tables.limits)
    if len(expression) == 3:
        return target.get(path)
    args = expression[3]
    if not isinstance(args, list):
        raise Malformed("the arguments of a call are an array")
    return target.call(path, [evaluate(arg, tables, depth + 1, map_depth) for arg in args])


def _remap(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    """["remap", id, path, captures, instructions]"""
    if len(expression) != 5 or not isinstance(expression[3], list) or not isinstance(expression[4], list):
        raise Malformed("bad remap")
    limits = tables.limits
    subject = tables.exported(_number(expression[1])).get(_path(expression[2], limits))
    captures, instructions = [], expression[4]
    if len(expression[3]) > limits.map_instructions_max or not 1 <= len(instructions) <= limits.map_instructions_max:
        raise Malformed(f"a map has 1 to {limits.map_instructions_max} instructions")
    for capture in expression[3]:
        if not isinstance(capture, list) or len(capture) != 2 or capture[0] not in ("import", "export"):
            raise Malformed("bad capture of a map")
        number = _number(capture[1])
        captures.append(tables.exported(number) if capture[0] == "import" else of_evaluated(tables.imported(number)))
    if map_depth >= limits.map_depth_max:
        return Failed(Problem(422, "map_too_deep", f"maps are nested deeper than {limits.map_depth_max}"))
    return Late(_mapped(subject, captures, instructions, limits, depth, map_depth + 1))


async def _mapped(subject: Target, captures: list[Target], instructions: list[Any], limits: Limits, depth: int, map_depth: int) -> Target:
    """Apply a map program to what the subject comes to; the calls of all elements are made at once."""
    value = await subject.value()
    if value is None:
        return Value(None)

    def one(element: Any) -> Any:
        try:
            return _Mapper(captures, at(element), limits).run(instructions, depth, map_depth)
        except Malformed as error:
            return Failed(Problem(422, "bad_map", str(error)))

    if not isinstance(value, (list, tuple, set, frozenset)):
        return of_evaluated(one(value))
    if len(value) > limits.map_elements_max or len(value) * len(instructions) > limits.map_work_max:
        raise Problem(422, "map_too_large", f"a map over {len(value)} elements is too large: at most {limits.map_elements_max}")
    return Value(await resolved([one(element) for element in value]))


class _Mapper:
    """The ids of a map program: captures below zero, the element at zero, results of instructions above."""

    def __init__(self, captures: list[Target], element: Target, limits: Limits) -> None:
        self.limits = limits
        self._captures = captures
        self._variables = [element]

    def run(self, instructions: list[Any], depth: int, map_depth: int) -> Any:
        """The value of the last instruction."""
        for instruction in instructions[:-1]:
            self._variables.append(of_evaluated(evaluate(instruction, self, depth, map_depth)))
        return evaluate(instructions[-1], self, depth, map_depth)

    def exported(self, number: int) -> Target:
        table, index = (self._captures, -number - 1) if number < 0 else (self._variables, number)
        if index >= len(table):
            raise Malformed(f"a map function refers to {number}, which it does not have")
        return table[index]

    def imported(self, number: int) -> Any:
        raise Malformed("a map function cannot export")

    def promised(self, number: int) -> Target:
        raise Malformed("a map function cannot export")

    def readable(self, number: int) -> Target:
        raise Malformed("a map function cannot use streams")


def _export(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    return tables.imported(_only_number(expression))


def _promise(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    return tables.promised(_only_number(expression))


def _readable(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    return tables.readable(_only_number(expression))


def _blob(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    """["blob", type, content]: its bytes."""
    if len(expression) != 3 or not isinstance(expression[1], str):
        raise Malformed("bad blob")
    return evaluate(expression[2], tables, depth + 1, map_depth)


def _error(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    """["error", type, message, stack?, props?]: an error of the client's."""
    if len(expression) < 3 or not isinstance(expression[1], str) or not isinstance(expression[2], str):
        raise Malformed("bad error value")
    name = expression[1][:100]
    return RemoteError(f"{name}: {expression[2][:4000]}", name)


def _request(expression: list[Any], tables: Tables, depth: int, map_depth: int) -> Any:
    """["request", url, init] and ["response", body, init]: as data."""
    if len(expression) != 3 or not isinstance(expression[2], dict):
        raise Malformed(f"bad {expression[0]}")
    init = dict(expression[2])
    headers = read_plain("headers", [init.pop("headers", [])], tables.limits)
    if expression[0] == "request":
        if not isinstance(expression[1], str):
            raise Malformed("bad request")
        body = evaluate(init.pop("body", None), tables, depth + 1, map_depth)
        return {"url": expression[1], "method": str(init.get("method", "GET")), "headers": headers, "body": body}
    body = evaluate(expression[1], tables, depth + 1, map_depth)
    return {"status": init.get("status", 200), "headers": headers, "body": body}


_SPECIAL: dict[str, Callable[[list[Any], Tables, int, int], Any]] = {
    "import": _pipeline, "pipeline": _pipeline, "remap": _remap, "export": _export, "promise": _promise, "writable": _export,
    "readable": _readable, "blob": _blob, "error": _error, "request": _request, "response": _request,
}  # fmt: skip


def _number(value: Any) -> int:
    if type(value) is not int:
        raise Malformed("an id is a whole number")
    return value


def _only_number(expression: list[Any]) -> int:
    if len(expression) != 2:
        raise Malformed(f"bad {expression[0]}")
    return _number(expression[1])


def _path(value: Any, limits: Limits) -> list[Any]:
    if not isinstance(value, list) or not all(type(part) in (str, int) for part in value):
        raise Malformed("a property path is an array of names and numbers")
    if len(value) > limits.path_length_max:
        raise Malformed(f"a property path is longer than {limits.path_length_max}")
    return value
