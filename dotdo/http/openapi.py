"""The OpenAPI description: the app's routes, and one path per public member of every noun known when it is asked for.

Parameter and result models come from the type hints, as pydantic describes them; models that several members share are
described once, under `components`.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from dotdo.entity.noun import Member, NounSpec
from dotdo.http import reach
from dotdo.http.arguments import schema_of, signature_of

_ID = {
    "name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 512},
    "description": "which one",
}  # fmt: skip
_KEY = {
    "name": "Idempotency-Key", "in": "header", "required": False, "schema": {"type": "string", "maxLength": 200},
    "description": "The same key gives the recorded answer.",
}  # fmt: skip
ONCE: dict[str, Any] = {"parameters": [_KEY]}
"""For `openapi_extra` of a route that takes an Idempotency-Key ..."""
ANY_JSON: dict[str, Any] = {"requestBody": {"required": False, "content": {"application/json": {"schema": {}}}}}
"""... and of one that reads its body itself."""
_PREFER = {
    "name": "Prefer", "in": "header", "required": False, "schema": {"type": "string", "enum": ["respond-async"]},
    "description": "Start it as an execution and answer 202 at once.",
}  # fmt: skip
_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "retryable"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "code": {"type": "string"}, "retryable": {"type": "boolean"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}  # fmt: skip
_STARTED = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("execution", "status", "location", "events")},
}  # fmt: skip


def describe(app: FastAPI) -> dict[str, Any]:
    """The whole description."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas: dict[str, Any] = found.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    schemas["Started"] = _STARTED
    found["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    if app.state.door.tokens:
        found["security"] = [{"bearer": []}]
    tags = []
    for noun, spec in reach.nouns().items():
        tags.append({"name": noun, "description": (spec.cls.__doc__ or "").strip().partition("\n")[0]})
        for name, member in sorted(spec.members.items()):
            path = f"/{noun}/{{id}}/{name}"
            if member.kind == "method" and member.function is not None:
                found["paths"][path] = {"post": _method(spec, name, member, schemas)}
            else:
                found["paths"][path] = {"get": _field(spec, name, schemas)}
    found["tags"] = tags
    return found


def _method(spec: NounSpec, name: str, member: Member, schemas: dict[str, Any]) -> dict[str, Any]:
    assert member.function is not None
    signature = signature_of(member.function)
    has_arguments = bool(signature.parameters)
    operation: dict[str, Any] = {
        **_about(spec, name, member.function.__doc__),
        "parameters": [_ID, _KEY, _PREFER],
        "responses": {
            "200": _json("What it returns", _shared(schema_of(signature.result, "serialization"), schemas)),
            "202": _json("It goes on: the execution's id and where to look", _ref("Started")),
            "default": _problem(),
        },
    }
    if has_arguments:
        is_required = any(parameter.is_required for parameter in signature.parameters.values())
        body = _json("The arguments by name; an array gives them by position", _shared(signature.schema(), schemas))
        operation["requestBody"] = {**body, "required": is_required}
    return operation


def _field(spec: NounSpec, name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    field = spec.fields.get(name)
    adapter = getattr(field, "adapter", None)
    schema = _shared(schema_of(adapter, "serialization"), schemas) if adapter is not None else {}
    return {
        **_about(spec, name, getattr(getattr(spec.cls, name, None), "__doc__", None) if field is None else None),
        "parameters": [_ID],
        "responses": {"200": _json("Its value", schema), "default": _problem()},
    }


def _about(spec: NounSpec, name: str, doc: str | None) -> dict[str, Any]:
    text = (doc or "").strip()
    return {
        "tags": [spec.noun],
        "operationId": f"{spec.noun}_{name}",
        "summary": text.partition("\n")[0] or f"{spec.noun}.{name}",
        "description": text,
    }


def _json(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem() -> dict[str, Any]:
    return {"description": "What went wrong", "content": {"application/problem+json": {"schema": _ref("Problem")}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _shared(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema with its own definitions moved to the shared ones; one of another content under a name that is taken gets a number."""
    definitions = _definitions(schema)
    names: dict[str, str] = {}
    for name, definition in definitions.items():
        shared, number = name, 1
        while shared in schemas and schemas[shared] != _renamed(definition, {**names, name: shared}):
            number += 1
            shared = f"{name}_{number}"
        names[name] = shared
        schemas[shared] = {}
    for name, definition in definitions.items():
        schemas[names[name]] = _renamed(definition, names)
    renamed: dict[str, Any] = _renamed({key: value for key, value in schema.items() if key != "$defs"}, names)
    return renamed


def _definitions(schema: Any) -> dict[str, Any]:
    """Every `$defs` in a schema, also of its parts."""
    found: dict[str, Any] = {}
    if isinstance(schema, dict):
        found.update(schema.get("$defs", {}))
        for part in schema.values():
            found.update(_definitions(part))
    elif isinstance(schema, list):
        for part in schema:
            found.update(_definitions(part))
    return found


def _renamed(schema: Any, names: dict[str, str]) -> Any:
    if isinstance(schema, dict):
        made = {key: _renamed(value, names) for key, value in schema.items() if key != "$defs"}
        reference = made.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            name = reference.removeprefix("#/$defs/")
            made["$ref"] = f"#/components/schemas/{names.get(name, name)}"
        return made
    if isinstance(schema, list):
        return [_renamed(part, names) for part in schema]
    return schema
