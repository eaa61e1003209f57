"""Filters: `{"status": "failed", "total": {"$gt": 100}, "$or": [...]}`, checked and turned into SQL.

What is not on the list of operators, or has a value of the wrong type, is refused by name. Values are bound, never written
into the SQL; paths are checked (`paths`). A comparison finds only values of its own kind; `$ne`, `$nin` and `$not` are true
of documents that lack the field; `None` equals both null and no such field, `$exists` tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dotdo.documents import comparing, paths
from dotdo.documents.paths import Path
from dotdo.documents.record import META
from dotdo.errors import QueryError

OPERATORS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$like", "$and", "$or", "$not")
CONDITIONS_MAX = 40
DEPTH_MAX = 8
IN_VALUES_MAX = 10_000
PATTERN_CHARACTERS_MAX = 1_000

_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


@dataclass(slots=True)
class Condition:
    """A filter in SQL, over a column `body` of JSON and a column `id`."""

    sql: str
    params: list[Any]
    equal: list[Path] = field(default_factory=list)
    """Fields that must equal one of given values: an index may begin with them."""
    ranged: list[Path] = field(default_factory=list)
    """Fields that must lie in a range: an index may end with one of them."""
    named: list[Path] = field(default_factory=list)
    """Every field it speaks of."""


def compile_where(where: Any) -> Condition:
    """The condition a filter stands for. Raises QueryError naming what is wrong."""
    compiler = _Compiler()
    sql = compiler.filter(where, depth=0, is_required=True)
    return Condition(sql, compiler.params, compiler.equal, compiler.ranged, compiler.named)


def operators_in(value: Any, where: str) -> dict[str, Any] | None:
    """The operators that a value consists of; None if it is a plain value. Raises QueryError for a mixture."""
    if not isinstance(value, Mapping):
        return None
    found = [name for name in value if isinstance(name, str) and name.startswith("$") and name not in META]
    if not found:
        return None
    if len(found) != len(value):
        raise QueryError(f"{where} mixes the operator {found[0]} with plain fields: write one or the other")
    return dict(value)


def expression(path: Path) -> str:
    """What SQL compares and indexes for a field."""
    return "id" if path == ("$id",) else f"json_extract(body, {paths.in_sql(path)})"


class _Compiler:
    def __init__(self) -> None:
        self.params: list[Any] = []
        self.equal: list[Path] = []
        self.ranged: list[Path] = []
        self.named: list[Path] = []
        self._conditions = 0

    def filter(self, where: Any, *, depth: int, is_required: bool) -> str:
        if not isinstance(where, Mapping):
            raise QueryError(f"where is a dict of fields and values, as in {{'status': 'failed'}}, not {_short(where)}")
        if depth > DEPTH_MAX:
            raise QueryError(f"where is nested deeper than {DEPTH_MAX}")
        parts = []
        for name, value in where.items():
            if name in ("$and", "$or"):
                parts.append(self._several(name, value, depth, is_required=is_required and name == "$and"))
            elif name == "$not":
                parts.append(f"NOT ifnull({self.filter(value, depth=depth + 1, is_required=False)}, 0)")
            elif isinstance(name, str) and name.startswith("$") and name not in META:
                raise QueryError(f"{name[:100]!r} is no operator of where; on its own stand $and, $or, $not, beside a field {_listed()}")
            else:
                parts.append(self._field(paths.parse(name), value, is_required=is_required))
        return f"({' AND '.join(parts)})" if parts else "1"

    def _several(self, name: str, value: Any, depth: int, *, is_required: bool) -> str:
        if not isinstance(value, (list, tuple)) or not value:
            raise QueryError(f"{name} takes a list of filters, not {_short(value)}")
        joined = f" {name[1:].upper()} ".join(self.filter(one, depth=depth + 1, is_required=is_required) for one in value)
        return f"({joined})"

    def _field(self, path: Path, value: Any, *, is_required: bool) -> str:
        name = paths.text_of(path)
        self.named.append(path)
        operators = operators_in(value, f"the filter of {name!r}")
        if operators is None:
            operators = {"$eq": value}
        ranges = {op: operand for op, operand in operators.items() if op in _RANGES}
        parts = [self._range(path, ranges, is_required=is_required)] if ranges else []
        for op, operand in operators.items():
            if op not in ranges:
                parts.append(self._operator(path, op, operand, is_required=is_required))
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _operator(self, path: Path, op: str, operand: Any, *, is_required: bool) -> str:
        name = paths.text_of(path)
        self._count()
        if op in ("$eq", "$in") and is_required and path not in self.equal:
            self.equal.append(path)
        if op == "$eq":
            return self._equals(path, operand)
        if op == "$ne":
            return f"NOT ifnull({self._equals(path, operand)}, 0)"
        if op == "$in":
            return self._in(path, op, operand)
        if op == "$nin":
            return f"NOT ifnull({self._in(path, op, operand)}, 0)"
        if op == "$exists":
            if not isinstance(operand, bool):
                raise QueryError(f"$exists of {name!r} takes True or False, not {_short(operand)}")
            return f"{self._kind(path)} IS {'NOT ' if operand else ''}NULL"
        if op == "$like":
            if not isinstance(operand, str) or len(operand) > PATTERN_CHARACTERS_MAX:
                raise QueryError(f"$like of {name!r} takes text with % and _, at most {PATTERN_CHARACTERS_MAX} long, not {_short(operand)}")
            return f"({expression(path)} LIKE {self._bind(_key(path, op, operand))} ESCAPE '\\'{self._and_is_text(path)})"
        if op == "$not":
            inner = operators_in(operand, f"$not of {name!r}")
            if not inner:
                raise QueryError(f"$not of {name!r} takes operators, as in {{'$not': {{'$gt': 5}}}}, not {_short(operand)}")
            return f"NOT ifnull({self._field(path, inner, is_required=False)}, 0)"
        raise QueryError(f"{op[:100]!r} in the filter of {name!r} is no operator; there are {_listed()}")

    def _equals(self, path: Path, value: Any) -> str:
        found = expression(path)
        if value is None:
            return f"{found} IS NULL"
        if isinstance(value, (list, tuple, set, frozenset)) or comparing.is_object(value):
            self.params.append(comparing.json_of(value))
            return f"({found} = json_extract(?, '$') AND {self._kind(path)} IN ('array', 'object'))"
        key = _key(path, "$eq", value)
        is_like_json = isinstance(key, str) and key.startswith(("[", "{"))
        return f"({found} = {self._bind(key)}{self._and_is_text(path) if is_like_json else ''})"

    def _in(self, path: Path, op: str, values: Any) -> str:
        name = paths.text_of(path)
        if not isinstance(values, (list, tuple, set, frozenset)):
            raise QueryError(f"{op} of {name!r} takes a list of values, not {_short(values)}")
        if len(values) > IN_VALUES_MAX:
            raise QueryError(f"{op} of {name!r} has {len(values)} values; at most {IN_VALUES_MAX}: ask in parts")
        simple = [value for value in values if comparing.is_scalar(value) and not _begins_like_json(value)]
        others = [value for value in values if not (comparing.is_scalar(value) and not _begins_like_json(value))]
        for _ in others:
            self._count()
        self.params.append(comparing.json_of(simple))
        parts = [f"{expression(path)} IN (SELECT value FROM json_each(?))"]
        parts += [self._equals(path, value) for value in others]
        return f"({' OR '.join(parts)})"

    def _range(self, path: Path, ranges: dict[str, Any], *, is_required: bool) -> str:
        """Bounds; one that is not given is where the kind of the other ends, so that the index is read no further."""
        found = expression(path)
        parts, kinds, sides = [], [], set()
        for op, operand in ranges.items():
            self._count()
            if operand is None or isinstance(operand, bool) or not comparing.is_scalar(operand):
                raise QueryError(f"{op} of {paths.text_of(path)!r} takes a value that has an order, not {_short(operand)}")
            key = _key(path, op, operand)
            parts.append(f"{found} {_RANGES[op]} {self._bind(key)}")
            kinds.append(comparing.range_of(key))
            sides.add(op[1])
        if is_required:
            self.ranged.append(path)
        for kind in dict.fromkeys(kinds):
            other_kinds = len(set(kinds)) > 1
            if kind is None and ("l" not in sides or other_kinds):
                parts.append(f"{found} < ''")
            elif kind is not None:
                if "l" not in sides or other_kinds:
                    parts.append(f"{found} < {self._bind(kind[1])}")
                if "g" not in sides or other_kinds:
                    parts.append(f"{found} >= {self._bind(kind[0])}")
        is_text = any(kind is not None and kind[0] == "" for kind in kinds)
        return f"({' AND '.join(parts)}{self._and_is_text(path) if is_text else ''})"

    def _bind(self, key: Any) -> str:
        if isinstance(key, bytes):
            self.params.append(key.decode())
            return "json_extract(?, '$')"
        self.params.append(key)
        return "?"

    def _kind(self, path: Path) -> str:
        return "typeof(id)" if path == ("$id",) else f"json_type(body, {paths.in_sql(path)})"

    def _and_is_text(self, path: Path) -> str:
        return "" if path == ("$id",) else f" AND {self._kind(path)} = 'text'"

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > CONDITIONS_MAX:
            raise QueryError(f"where has more than {CONDITIONS_MAX} conditions; many values of one field go into $in")


def _key(path: Path, op: str, value: Any) -> Any:
    key: Callable[[Any], Any] = comparing.key_of
    try:
        return key(value)
    except QueryError as error:
        raise QueryError(f"{op} of {paths.text_of(path)!r}: {error}") from None


def _begins_like_json(value: Any) -> bool:
    key = comparing.key_of(value)
    return isinstance(key, str) and key.startswith(("[", "{"))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _listed() -> str:
    return ", ".join(OPERATORS)
