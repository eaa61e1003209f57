"""Updates: `{"status": "paid", "stock": {"$decrement": 2}, "address.city": "Rome"}`, checked and applied to one document.

Fields are merged: what is not named stays. Operators stand at the field, or in front as in `{"$set": {...}, "$push": {...}}`.
The whole update is checked against the document before any of it counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from dotdo.documents import paths
from dotdo.documents.paths import Path
from dotdo.documents.record import META
from dotdo.documents.where import operators_in
from dotdo.errors import QueryError

OPERATORS = ("$set", "$unset", "$increment", "$decrement", "$push", "$pull")
CHANGES_MAX = 1_000


class _Missing:
    """No such field."""


MISSING = _Missing()


def parse(changes: Any) -> list[tuple[Path, str, Any]]:
    """What an update does: path, operator, operand. Raises QueryError."""
    if not isinstance(changes, Mapping):
        raise QueryError(f"an update is a dict of fields and values or operators, not {changes!r:.80}")
    found: list[tuple[Path, str, Any]] = []
    for name, value in changes.items():
        if name in META or name == "id":
            continue  # a record given back as it was read; what it says of its id is checked by the collection
        if isinstance(name, str) and name.startswith("$"):
            found += [(paths.parse(field), name, operand) for field, operand in _fields_of(name, value)]
            continue
        path = paths.parse(name)
        operators = operators_in(value, f"the update of {name!r}")
        if operators is None:
            found.append((path, "$set", value))
        elif len(operators) == 1:
            ((op, operand),) = operators.items()
            _check_operator(op, f" in the update of {name!r}")
            found.append((path, op, operand))
        else:
            raise QueryError(f"the update of {name!r} has {len(operators)} operators, {', '.join(operators)}: one field, one operator")
    for path, _, _ in found:
        if path[0] in META:
            raise QueryError(f"{path[0]} is the runtime's own: no update changes it")
    if len(found) > CHANGES_MAX:
        raise QueryError(f"the update changes {len(found)} fields; at most {CHANGES_MAX}")
    _check_overlaps([path for path, _, _ in found])
    return found


def _fields_of(op: str, value: Any) -> Iterator[tuple[Any, Any]]:
    _check_operator(op, "")
    if op == "$unset" and isinstance(value, str):
        return iter([(value, True)])
    if op == "$unset" and isinstance(value, (list, tuple)):
        return ((name, True) for name in value)
    if not isinstance(value, Mapping):
        raise QueryError(f"{op} in front takes a dict of fields, as in {{'{op}': {{'total': 1}}}}, not {value!r:.80}")
    return iter(value.items())


def _check_operator(op: str, where: str) -> None:
    if op not in OPERATORS:
        raise QueryError(f"{op[:100]!r}{where} is no operator of updates; there are {', '.join(OPERATORS)}")


def _check_overlaps(changed: list[Path]) -> None:
    seen = set(changed)
    if len(seen) != len(changed):
        twice = next(path for path in changed if changed.count(path) > 1)
        raise QueryError(f"the update changes {paths.text_of(twice)!r} twice")
    for path in changed:
        for length in range(1, len(path)):
            if path[:length] in seen:
                raise QueryError(f"the update changes both {paths.text_of(path[:length])!r} and {paths.text_of(path)!r} inside it")


def apply(document: dict[str, Any], changes: list[tuple[Path, str, Any]]) -> None:
    """Change a document in place. Raises QueryError; the document is then to be dropped."""
    for path, op, operand in changes:
        holder, name = _holder(document, path, make=op not in ("$unset", "$pull"))
        if holder is None:
            continue
        new = _OPERATIONS[op](paths.text_of(path), _get(holder, name), operand)
        _put(holder, name, new)


def _holder(document: dict[str, Any], path: Path, *, make: bool) -> tuple[Any, str]:
    """The dict or list that has the last part of a path; dicts that are missing on the way are made, if they are to be."""
    place: Any = document
    for depth, part in enumerate(path[:-1]):
        inner = _get(place, part)
        if inner is MISSING or inner is None:
            if not make:
                return None, ""
            inner = {}
            _put(place, part, inner)
        if not isinstance(inner, (dict, list)):
            raise QueryError(f"{paths.text_of(path)!r} leads into {paths.text_of(path[: depth + 1])!r}, which is {_kind_of(inner)}")
        place = inner
    if isinstance(place, list) and paths.place_of(path[-1]) is None:
        raise QueryError(f"{paths.text_of(path[:-1])!r} is a list: {path[-1]!r} is no place in it")
    return place, path[-1]


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(name, MISSING)
    index = paths.place_of(name)
    return holder[index] if index is not None and index < len(holder) else MISSING


def _put(holder: Any, name: str, value: Any) -> None:
    if isinstance(holder, dict):
        if value is MISSING:
            holder.pop(name, None)
        else:
            holder[name] = value
        return
    index = paths.place_of(name)
    if index is None or index > len(holder) or (index == len(holder) and value is MISSING):
        if value is MISSING:
            return
        raise QueryError(f"the list has {len(holder)} items: there is no place {name} in it")
    if index == len(holder):
        holder.append(value)
    else:
        holder[index] = None if value is MISSING else value


def _set(_name: str, _current: Any, operand: Any) -> Any:
    return operand


def _unset(name: str, _current: Any, operand: Any) -> Any:
    if operand is not True and operand != "" and operand != 1:
        raise QueryError(f"$unset of {name!r} takes True, not {operand!r:.80}")
    return MISSING


def _adding(op: str, sign: int) -> Callable[[str, Any, Any], Any]:
    def add(name: str, current: Any, operand: Any) -> Any:
        if not _is_number(operand) or not math.isfinite(operand):
            raise QueryError(f"{op} of {name!r} takes a number, not {operand!r:.80}")
        if current is MISSING:
            current = 0
        if not _is_number(current):
            raise QueryError(f"{op} of {name!r}: the field is {_kind_of(current)}, no number")
        if isinstance(current, Decimal) != isinstance(operand, Decimal):
            current, operand = (Decimal(str(n)) if isinstance(n, float) else n for n in (current, operand))
        try:
            return current + operand if sign > 0 else current - operand
        except OverflowError as error:
            raise QueryError(f"{op} of {name!r}: {error}") from None

    return add


def _push(name: str, current: Any, operand: Any) -> Any:
    if current is MISSING:
        return [operand]
    if not isinstance(current, list):
        raise QueryError(f"$push to {name!r}: the field is {_kind_of(current)}, no list")
    return [*current, operand]


def _pull(name: str, current: Any, operand: Any) -> Any:
    if current is MISSING:
        return MISSING
    if not isinstance(current, list):
        raise QueryError(f"$pull from {name!r}: the field is {_kind_of(current)}, no list")
    return [item for item in current if not _same(item, operand)]


def _same(one: Any, other: Any) -> bool:
    """Equal, and true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _kind_of(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


_OPERATIONS: dict[str, Callable[[str, Any, Any], Any]] = {
    "$set": _set, "$unset": _unset, "$increment": _adding("$increment", 1), "$decrement": _adding("$decrement", -1),
    "$push": _push, "$pull": _pull,
}  # fmt: skip
