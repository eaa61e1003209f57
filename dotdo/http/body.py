"""A request's body as JSON."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json
from starlette.requests import Request

from dotdo.http.arguments import NOTHING
from dotdo.http.problems import Problem


async def read(request: Request) -> Any:
    """The JSON of the body, NOTHING without one. Raises Problem: 415 for another media type, 400 for what is no JSON."""
    body = await request.body()
    if not body:
        return NOTHING
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(415, "not_json", f"the body is {media_type or 'of no type'!r}: send Content-Type: application/json")
    return parse(body)


def parse(body: bytes) -> Any:
    """The value of JSON text, strictly: UTF-8, no NaN, bounded depth. Raises Problem (400)."""
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(400, "malformed_json", f"the body is no JSON: {str(error)[:200]}") from None


async def read_object(request: Request) -> dict[str, Any]:
    """The body as an object; without one an empty object. Raises Problem (400, 415, 422)."""
    value = await read(request)
    if value is NOTHING:
        return {}
    if not isinstance(value, dict):
        raise Problem(422, "not_an_object", "the body is to be a JSON object")
    return value
