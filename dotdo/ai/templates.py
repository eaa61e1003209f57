"""Prompts with a name: `ai.template("product-announcement", "Announce {product} in two sentences.")`.

A template is text with `{names}` for the data of a call, or a function of them, with a model and a schema of its own if it
needs them. A name without a template still says what is wanted: the model is asked for that, and given the data.
"""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pydantic

from dotdo.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with a name."""

    name: str
    prompt: str | Callable[..., str]
    schema: Any = None
    model: Any = None

    def filled(self, data: Mapping[str, Any]) -> str:
        """The prompt for this data. Raises DefinitionError for data that it needs and does not get."""
        if callable(self.prompt):
            return self.prompt(**data)
        try:
            return _TextOf().vformat(self.prompt, (), data)
        except (KeyError, IndexError, AttributeError) as error:
            raise DefinitionError(f"the template {self.name!r} needs {error}, and the call gives {', '.join(data) or 'nothing'}") from None


class _TextOf(string.Formatter):
    """As `str.format`, but what goes in is data, and private attributes are out of reach."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if "_" in {part[:1] for part in field_name.replace("[", ".").split(".")}:
            raise AttributeError(f"{field_name!r} (names that begin with _ are private)")
        first, *path = field_name.replace("[", ".").replace("]", "").split(".")
        value = kwargs[first]
        for name in path:
            value = value[name] if isinstance(value, Mapping) else getattr(value, name)
        return value, first

    def format_field(self, value: Any, format_spec: str) -> str:
        return format(value, format_spec) if format_spec or isinstance(value, (str, int, float)) else as_text(value)


_templates: dict[str, Template] = {}


def template(name: str, prompt: str | Callable[..., str], *, schema: Any = None, model: Any = None) -> Template:
    """Give a prompt a name; naming it anew replaces it.

    Args:
        prompt: text with {names} of the call's data, also {product.name}, or a function of the data.
        schema: what the answer must be; text by default.
        model: which model is asked, unless the call says so.
    """
    _templates[name] = made = Template(name, prompt, schema, model)
    return made


def find(name: str) -> Template:
    """The template of this name; one that asks for what the name says if there is none."""
    found = _templates.get(name)
    if found is not None:
        return found
    wish = name.replace("-", " ").replace("_", " ")
    return Template(name, lambda **data: f"Write this: {wish}." + (f"\n\n{as_text(data)}" if data else ""))


def as_text(value: Any) -> str:
    """Data as a model reads it best: JSON."""
    return json.dumps(value, ensure_ascii=False, indent=1, default=_plain)


def _plain(value: Any) -> Any:
    try:
        return pydantic.TypeAdapter(type(value)).dump_python(value, mode="json")
    except (pydantic.PydanticSchemaGenerationError, pydantic.errors.PydanticUserError, ValueError):
        return str(value)
