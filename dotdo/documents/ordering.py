"""The order of a list and the cursor that goes on in it.

Ties are broken by the order in which documents were made, so an order is total and a cursor names a place in it: the
values of the last record, not its number, so that what is inserted or deleted meanwhile shifts nothing. In SQLite's order
what has no value comes first, then numbers, then text, then the other kinds.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dotdo.documents import paths
from dotdo.documents.paths import Path
from dotdo.documents.where import expression
from dotdo.errors import QueryError

TERMS_MAX = 8


@dataclass(frozen=True, slots=True)
class Order:
    """Fields, each rising or falling; ties go by age, in the direction of the last field."""

    terms: tuple[tuple[Path, bool], ...]
    """Path, and whether it falls."""

    @property
    def falls_at_end(self) -> bool:
        return bool(self.terms) and self.terms[-1][1]

    def in_sql(self) -> str:
        """What stands after ORDER BY."""
        parts = [f"{expression(path)}{' DESC' if falls else ''}" for path, falls in self.terms]
        return ", ".join([*parts, f"number{' DESC' if self.falls_at_end else ''}"])

    def columns(self) -> list[str]:
        """The values of a row that its cursor keeps."""
        return [expression(path) for path, _ in self.terms]

    def text(self) -> str:
        return ",".join(f"{'-' if falls else ''}{paths.text_of(path)}" for path, falls in self.terms)


def parse(order_by: Any) -> Order:
    """The order that `order_by` asks for: "total", "-total" for falling, or a list of them. Raises QueryError."""
    if order_by is None:
        return Order(())
    if isinstance(order_by, Mapping):
        order_by = [f"{'-' if _falls(direction) else ''}{name}" for name, direction in order_by.items()]
    names = [order_by] if isinstance(order_by, str) else order_by
    if not isinstance(names, (list, tuple)) or len(names) > TERMS_MAX:
        raise QueryError(f"order_by takes a field, '-field' for the other way round, or a list of up to {TERMS_MAX}, not {order_by!r:.80}")
    terms = []
    for name in names:
        if not isinstance(name, str):
            raise QueryError(f"order_by takes names of fields as text, not {name!r:.80}")
        terms.append((paths.parse(name.removeprefix("-").strip()), name.startswith("-")))
    return Order(tuple(terms))


def _falls(direction: Any) -> bool:
    if direction in ("asc", 1):
        return False
    if direction in ("desc", -1):
        return True
    raise QueryError(f"order_by takes 'asc' or 'desc', not {direction!r:.80}")


def cursor_of(order: Order, values: list[Any], number: int) -> str:
    """The place of a row."""
    text = json.dumps([order.text(), number, values], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def after(order: Order, cursor: Any) -> tuple[str, list[Any]]:
    """The condition of the rows behind a cursor. Raises QueryError."""
    values, number = _read(order, cursor)
    params: list[Any] = []
    return _behind(order, values, number, 0, params), params


def _read(order: Order, cursor: Any) -> tuple[list[Any], int]:
    try:
        text, number, values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (TypeError, ValueError, binascii.Error):
        raise QueryError(f"{cursor!r:.80} is no cursor: pass what the page before has as .cursor") from None
    if text != order.text():
        raise QueryError("the cursor belongs to another order_by: pass the same as for the page before")
    is_sound = type(number) is int and isinstance(values, list) and len(values) == len(order.terms)
    if not is_sound or not all(value is None or type(value) in (str, int, float) for value in values):
        raise QueryError(f"{cursor!r:.80} is no cursor: pass what the page before has as .cursor")
    return values, number


def _behind(order: Order, values: list[Any], number: int, depth: int, params: list[Any]) -> str:
    if depth == len(order.terms):
        params.append(number)
        return f"number {'<' if order.falls_at_end else '>'} ?"
    path, falls = order.terms[depth]
    found, value = expression(path), values[depth]
    if value is None:
        inner = _behind(order, values, number, depth + 1, params)
        same = f"({found} IS NULL AND {inner})"
        return same if falls else f"({found} IS NOT NULL OR {same})"
    if falls:
        params += [value, value]
        return f"({found} < ? OR {found} IS NULL OR ({found} = ? AND {_behind(order, values, number, depth + 1, params)}))"
    params += [value, value, value]
    return f"({found} >= ? AND ({found} > ? OR ({found} = ? AND {_behind(order, values, number, depth + 1, params)})))"
