"""What may be kept as a document, its id, and how it is written into a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pydantic

from dotdo import codec
from dotdo.documents import comparing, paths
from dotdo.documents.record import META, Record
from dotdo.documents.where import operators_in
from dotdo.errors import DocumentError, IdError, QueryError
from dotdo.names import check_id as check_entity_id
from dotdo.rpc.stub import Stub

DOCUMENT_BYTES_MAX = 1024 * 1024
FIELDS_MAX = 1_000


def fields_of(given: Any) -> tuple[dict[str, Any], str | None]:
    """A new document's fields and the id it chooses, if it does. Raises DocumentError."""
    if isinstance(given, pydantic.BaseModel):
        given = dict(given)
    elif dataclasses.is_dataclass(given) and not isinstance(given, type):
        given = {f.name: getattr(given, f.name) for f in dataclasses.fields(given)}
    if not isinstance(given, Mapping):
        raise DocumentError(f"a document is a dict of fields, not {given!r:.80}")
    if len(given) > FIELDS_MAX:
        raise DocumentError(f"the document has {len(given)} fields; at most {FIELDS_MAX}")
    fields = {paths.check_name(name): value for name, value in given.items() if name not in META and name != "id"}
    return fields, chosen_id(given, {})


def chosen_id(*given: Any) -> str | None:
    """The id that "$id" or "id" name, or None. Raises DocumentError if they differ."""
    found = [check_id(one[name]) for one in given if isinstance(one, Mapping) for name in ("$id", "id") if one.get(name) is not None]
    if len(set(found)) > 1:
        raise DocumentError(f"the document has two ids, {found[0]!r} and {found[1]!r}")
    return found[0] if found else None


def check_id(id: Any) -> str:
    """The id of a document: text; numbers, UUIDs, records and stubs are taken for theirs. Raises DocumentError."""
    if isinstance(id, Record):
        id = id["$id"]
    elif isinstance(id, Stub):
        id = id.id
    elif isinstance(id, UUID) or type(id) is int:
        id = str(id)
    try:
        return check_entity_id(id)
    except IdError as error:
        raise DocumentError(str(error).replace("an entity id", "a document's id").replace("the entity id", "the document's id")) from None


def check_same_id(update: Any, id: str) -> None:
    """Raise QueryError if an update would give a document another id."""
    if isinstance(update, Mapping) and chosen_id(update) not in (None, id):
        raise QueryError(f"the update of {id!r} has another id, {chosen_id(update)!r}: an id does not change")


def equalities_of(where: Any) -> dict[str, Any]:
    """The fields that a filter says are equal to something: what a new document of an upsert has."""
    found: dict[str, Any] = {}
    for name, value in where.items():
        if name == "$and":
            for one in value:
                found.update(equalities_of(one))
        elif not name.startswith("$") or name in META:
            operators = operators_in(value, f"the filter of {name!r}")
            if operators is None:
                found[name] = {"$set": value} if isinstance(value, Mapping) and name not in META and name != "id" else value
            elif "$eq" in operators:
                found[name] = operators["$eq"] if name in META or name == "id" else {"$set": operators["$eq"]}
    return found


def encode(record: Record) -> tuple[bytes, str]:
    """A document's row: the value, and the JSON that queries see. Raises DocumentError, CodecError."""
    value = codec.encode(dict(record))
    if len(value) > DOCUMENT_BYTES_MAX:
        raise DocumentError(
            f"{record['$type']} {record['$id']!r} has {len(value)} bytes, over {DOCUMENT_BYTES_MAX}: keep large data in a file"
        )
    return value, comparing.json_of(record)
