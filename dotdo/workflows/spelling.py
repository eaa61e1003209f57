"""Both spellings of a definition: `base_rate` as Python writes it, `baseRate` as the sources' JSON does.

A plain number that stands for a duration counts seconds in Python and milliseconds in JSON. Which of the two a definition
is cannot be seen at the number, so it is decided once for the whole of it (`is_camel`) and handed down as the validation's
context. One thing said in both spellings is refused: nobody could say which was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator
from pydantic.alias_generators import to_camel

from dotdo import durations
from dotdo.errors import BadDuration

MILLISECONDS = {"number_unit": "ms"}
"""The validation context in which plain numbers are milliseconds."""


def seconds_of(value: Any, info: ValidationInfo) -> Any:
    """A duration as users write it, in seconds; None stays None. Raises ValueError."""
    if value is None:
        return None
    try:
        seconds = durations.seconds(value)
    except BadDuration as error:
        raise ValueError(str(error)) from None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return seconds / 1000 if is_number and info.context == MILLISECONDS else seconds


Seconds = Annotated[float, BeforeValidator(seconds_of)]
"""A duration as users write it, kept as seconds."""


class Spelled(BaseModel):
    """A model whose fields have a name in Python and one in JSON."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_said_once(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for name, field in cls.model_fields.items():
                alias = field.alias or name
                if name != alias and name in given and alias in given:
                    raise ValueError(f"{name} and {alias} are one thing in two spellings: give one of them")
        return given


def has_snake(given: Any, models: Iterable[type[BaseModel]]) -> bool:
    """True if a key of Python's spelling, of one of these models, is used anywhere in a definition."""
    ours = {name for model in models for name in model.model_fields if "_" in name.strip("_")}
    return _uses(given, ours)


def _uses(given: Any, names: set[str]) -> bool:
    if isinstance(given, BaseModel):
        return True
    if isinstance(given, Mapping):
        return any((isinstance(key, str) and key in names) or _uses(value, names) for key, value in given.items())
    if isinstance(given, (list, tuple)):
        return any(_uses(one, names) for one in given)
    return False
