"""Paths to fields: "status", "customer.email", "lines.0.price".

A path becomes part of SQL text, because SQLite uses an index on an expression only for the same expression. So every part
is checked against a list of characters first, and quoted for JSON and for SQL.
"""

from __future__ import annotations

import re

from dotdo.documents.record import META
from dotdo.errors import DocumentError, QueryError

NAME_CHARACTERS_MAX = 100
PARTS_MAX = 16

_NAME = re.compile(r"\w[\w :/@-]*\Z")

Path = tuple[str, ...]


def parse(text: object) -> Path:
    """The parts of a path. Raises QueryError naming it."""
    if not isinstance(text, str):
        raise QueryError(f"{text!r} is no field: write its name as text")
    if text == "id":
        return ("$id",)
    if text in META:
        return (text,)
    parts = tuple(text.split("."))
    if len(parts) > PARTS_MAX:
        raise QueryError(f"the field {text[:100]!r} has {len(parts)} parts; at most {PARTS_MAX}")
    for part in parts:
        if not _is_name(part):
            hint = "; an operator stands in the value, as in {'total': {'$gt': 5}}" if part.startswith("$") else ""
            raise QueryError(
                f"{text[:100]!r} is no field: each part is a word of letters, digits, _, space or :/@-, at most {NAME_CHARACTERS_MAX}{hint}"
            )
    return parts


def check_name(name: object) -> str:
    """The name of a document's own field. Raises DocumentError."""
    if not isinstance(name, str) or not _is_name(name):
        raise DocumentError(
            f"{name!r} cannot name a field: a word of letters, digits, _, space or :/@-, at most {NAME_CHARACTERS_MAX}; "
            "names that begin with $ are the runtime's, a dot leads into a value"
        )
    return name


def _is_name(part: str) -> bool:
    return len(part) <= NAME_CHARACTERS_MAX and _NAME.match(part) is not None


def text_of(path: Path) -> str:
    """The path as it is written."""
    return ".".join(path)


def in_sql(path: Path) -> str:
    """The path as a literal of SQL. A part of digits is the place in a list, except at the beginning."""
    steps = [f'."{part}"' if n == 0 or not _is_place(part) else f"[{part}]" for n, part in enumerate(path)]
    return f"'${''.join(steps)}'"


def _is_place(part: str) -> bool:
    return part.isascii() and part.isdigit()


def place_of(part: str) -> int | None:
    """The place in a list that a part of a path means, or None."""
    return int(part) if _is_place(part) else None
