"""Values of entities as JSON, for HTTP.

Models, dataclasses, times, sets and the like go as pydantic writes them. A stub is `{"$noun": "Order", "$id": "o1"}`, and is
taken back in that form; bytes are base64; NaN and the infinities, which JSON lacks, are strings.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pydantic_core import to_json, to_jsonable_python
from starlette.responses import Response

from dotdo.durable.handle import Execution, ExecutionInfo
from dotdo.http.problems import body_of
from dotdo.rpc.stub import Stub


def encode(value: Any) -> bytes:
    """The JSON of a value."""
    return to_json(value, bytes_mode="base64", inf_nan_mode="strings", serialize_unknown=False, fallback=plain)


def as_data(value: Any) -> Any:
    """The value as JSON types."""
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="strings", fallback=plain)


def response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The answer that carries a value."""
    return Response(encode(value), status_code=status, headers=headers, media_type="application/json")


def plain(value: Any) -> Any:
    """What pydantic does not know, as something it knows."""
    if isinstance(value, Stub):
        return {"$noun": value.noun, "$id": value.id}
    if isinstance(value, Execution):
        return {"id": value.id}
    if isinstance(value, ExecutionInfo):
        return info(value)
    if isinstance(value, BaseException):
        return body_of(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return str(value)


def info(snapshot: ExecutionInfo) -> dict[str, Any]:
    """A snapshot of an execution."""
    names = [name for name in type(snapshot).__slots__ if not name.startswith("_")]
    return {name: getattr(snapshot, name) for name in names if hasattr(snapshot, name)}
