"""A request's JSON as the arguments of a method, checked against its type hints.

An object is the keywords, an array the positional arguments, anything else the one argument; an object or an array that
does not fit this way is taken as the one argument of a method that has one. Nothing is sent before every argument fits.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pydantic
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from dotdo.http.problems import Problem, errors_of, from_validation
from dotdo.http.reach import is_public
from dotdo.rpc.stub import Stub, make_stub

Arguments = tuple[tuple[Any, ...], dict[str, Any]]

NOTHING: Any = object()
"""The body of a request without one."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method."""

    name: str
    kind: Any
    adapter: TypeAdapter[Any]
    noun: str | None
    """The noun, where the hint is one: a plain id will do."""
    is_required: bool
    default: Any


class Signature:
    """The parameters and the result of a method, as pydantic sees them."""

    def __init__(self, function: Callable[..., Any], *, is_method: bool = True) -> None:
        given = list(inspect.signature(function).parameters.values())[1 if is_method else 0 :]
        hints = _hints_of(function)
        self.plain = inspect.Signature([p.replace(annotation=p.empty) for p in given])
        self.parameters = {p.name: _parameter(p, hints.get(p.name, Any)) for p in given}
        self.result: TypeAdapter[Any] = _adapter(hints.get("return", Any))[0]
        self.has_one = len(given) == 1 and given[0].kind in (given[0].POSITIONAL_ONLY, given[0].POSITIONAL_OR_KEYWORD)

    def read(self, body: Any, where: str) -> Arguments:
        """The arguments that a body stands for. Raises Problem (422) naming every argument that does not fit."""
        body = with_stubs(body)
        first: Problem | None = None
        for args, kwargs in self._readings(body):
            try:
                return self._checked(args, kwargs, where)
            except Problem as problem:
                if first is None or (first.code == "wrong_arguments" and problem.code != "wrong_arguments"):
                    first = problem
        assert first is not None
        raise first

    def _readings(self, body: Any) -> list[tuple[list[Any], dict[str, Any]]]:
        if body is NOTHING:
            return [([], {})]
        one: list[tuple[list[Any], dict[str, Any]]] = [([body], {})]
        if isinstance(body, dict):
            return [([], body)] + (one if self.has_one else [])
        if isinstance(body, list):
            return [(body, {})] + (one if self.has_one else [])
        return one

    def _checked(self, args: list[Any], kwargs: dict[str, Any], where: str) -> Arguments:
        try:
            bound = self.plain.bind(*args, **kwargs)
        except TypeError as error:
            raise Problem(422, "wrong_arguments", f"{where}: {error}") from None
        found: list[Any] = []
        for name, value in bound.arguments.items():
            parameter = self.parameters[name]
            if parameter.kind == inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[name] = tuple(_value(parameter, one, (name, i), found) for i, one in enumerate(value))
            elif parameter.kind == inspect.Parameter.VAR_KEYWORD:
                bound.arguments[name] = {key: _value(parameter, one, (key,), found) for key, one in value.items()}
            else:
                bound.arguments[name] = _value(parameter, value, (name,), found)
        if found:
            raise from_validation(found, where)
        return bound.args, bound.kwargs

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the keywords."""
        properties: dict[str, Any] = {}
        required = []
        extra: Any = False
        for parameter in self.parameters.values():
            schema = schema_of(parameter.adapter)
            if parameter.kind == inspect.Parameter.VAR_KEYWORD:
                extra = schema or True
            elif parameter.kind == inspect.Parameter.VAR_POSITIONAL:
                continue
            else:
                properties[parameter.name] = schema
                if parameter.is_required:
                    required.append(parameter.name)
        found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": extra}
        return {**found, "required": required} if required else found


@lru_cache(maxsize=4096)
def signature_of(function: Callable[..., Any]) -> Signature:
    """The signature of a method; made once."""
    return Signature(function)


def _parameter(given: inspect.Parameter, hint: Any) -> Parameter:
    adapter, noun = _adapter(hint)
    is_required = given.default is given.empty and given.kind not in (given.VAR_POSITIONAL, given.VAR_KEYWORD)
    return Parameter(given.name, given.kind, adapter, noun, is_required, given.default)


def _value(parameter: Parameter, value: Any, place: tuple[Any, ...], found: list[Any]) -> Any:
    if parameter.noun is not None and isinstance(value, str):
        value = make_stub(parameter.noun, value)
    try:
        return parameter.adapter.validate_python(value)
    except pydantic.ValidationError as error:
        for one in errors_of(error):
            found.append({**one, "loc": (*place, *one["loc"])})
        return value


def with_stubs(value: Any) -> Any:
    """The value with `{"$noun": ..., "$id": ...}` as stubs; of public nouns only."""
    if isinstance(value, dict):
        if len(value) == 2 and isinstance(value.get("$noun"), str) and isinstance(value.get("$id"), str):
            if not is_public(value["$noun"]):
                raise Problem(404, "no_such_noun", f"there is no noun {value['$noun']!r}")
            return make_stub(value["$noun"], value["$id"])
        return {key: with_stubs(part) for key, part in value.items()}
    if isinstance(value, list):
        return [with_stubs(part) for part in value]
    return value


def _hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(function), include_extras=True)
    except Exception:  # a hint that cannot be resolved here: the entity itself still checks the call
        return {}


def _adapter(hint: Any) -> tuple[TypeAdapter[Any], str | None]:
    spec = getattr(hint, "_do_spec_", None)
    noun = spec.noun if isinstance(hint, type) and spec is not None else None
    if noun is not None:
        return TypeAdapter(Stub, config=_LOOSE), noun
    try:
        return TypeAdapter(hint), None
    except pydantic.PydanticUserError:
        pass
    try:
        return TypeAdapter(hint, config=_LOOSE), None
    except pydantic.PydanticUserError:
        return TypeAdapter(Any), None


_LOOSE = pydantic.ConfigDict(arbitrary_types_allowed=True)


class _Schemas(GenerateJsonSchema):
    """JSON schemas in which a stub is what `answers` writes for it, and what has no schema is anything."""

    def is_instance_schema(self, schema: Any) -> JsonSchemaValue:
        cls = schema.get("cls")
        if isinstance(cls, type) and (issubclass(cls, Stub) or hasattr(cls, "_do_spec_")):
            return {"type": "object", "properties": {"$noun": {"type": "string"}, "$id": {"type": "string"}}, "required": ["$noun", "$id"]}
        return {}

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def schema_of(adapter: TypeAdapter[Any], mode: Any = "validation") -> dict[str, Any]:
    """The JSON schema of a type; of shared definitions each schema has its own."""
    try:
        return adapter.json_schema(mode=mode, schema_generator=_Schemas)
    except Exception:  # pydantic cannot say it: anything goes, and the check at the call decides
        return {}
