"""What becomes of a context: a dict, or a pydantic model.

The data of an event is merged into it. An action may give a new one, or None to keep the one it was handed, with whatever it
changed in it. It never becomes anything else than a context: an action that returns a number is an error.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pydantic

from dotdo.errors import DefinitionError
from dotdo.workflows.machines.definition import MachineDefinition


def begin(definition: MachineDefinition, given: Any) -> Any:
    """The context of a new instance."""
    if given is None:
        given = {} if definition.context is None else copy.deepcopy(definition.context)
    return as_context(definition, given, "the context")


def merge(definition: MachineDefinition, context: Any, data: Any) -> Any:
    """The context with an event's data in it; `context` itself stays as it is."""
    context = copy.deepcopy(context)
    if data is None:
        return context
    fields = dict(data) if isinstance(data, Mapping) else _fields(data) if isinstance(data, pydantic.BaseModel) else None
    if fields is None:
        raise DefinitionError(f"state machine {definition.name!r}: the data of an event is a dict or a model, not {data!r}")
    if isinstance(context, pydantic.BaseModel):
        return type(context).model_validate({**_fields(context), **fields})
    return {**context, **fields}


def after(definition: MachineDefinition, context: Any, returned: Any, action: str) -> Any:
    """The context after an action returned something."""
    return as_context(definition, context if returned is None else returned, f"what the action {action!r} returned")


def as_context(definition: MachineDefinition, value: Any, what: str) -> Any:
    """The value as a context of this machine. Raises DefinitionError, or pydantic's ValidationError."""
    wanted = definition.context_type
    if wanted is not None and issubclass(wanted, pydantic.BaseModel):
        return wanted.model_validate(_fields(value) if isinstance(value, pydantic.BaseModel) else value)
    if isinstance(value, pydantic.BaseModel):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise DefinitionError(f"state machine {definition.name!r}: {what} is a dict or a model (None keeps the one there is), not {value!r}")


def _fields(model: pydantic.BaseModel) -> dict[str, Any]:
    """The fields as they are, models among them too."""
    return {**{name: getattr(model, name) for name in type(model).model_fields}, **(model.model_extra or {})}
