"""Words of the command line as arguments: JSON where they are JSON, text where they are not, `name=value` by name.

Where the noun's class is known here, each is then made what the method's type hints say: a JSON object becomes the model, and
a number stays text for a parameter that takes text.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable, Sequence
from typing import Any

from dotdo.cli.failing import Usage


def parse(text: str) -> Any:
    """JSON, or the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def split(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Positional words and `name=value` ones. Raises Usage for a name given twice."""
    args: list[str] = []
    kwargs: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            raise Usage(f"there is no option {word}; as text, write it in quotes of JSON: '\"{word}\"'")
        name, equals, value = word.partition("=")
        if not equals or not name.isidentifier():
            args.append(word)
        elif name in kwargs:
            raise Usage(f"{name}= is given twice")
        else:
            kwargs[name] = value
    return args, kwargs


def arguments(words: Sequence[str], method: Callable[..., Any] | None = None) -> tuple[list[Any], dict[str, Any]]:
    """What to call a method with. Raises Usage for what its signature or type hints refuse."""
    args, kwargs = split(words)
    if method is None:
        return [parse(word) for word in args], {name: parse(word) for name, word in kwargs.items()}
    signature = inspect.signature(method)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise Usage(f"{method.__name__}{_without_self(signature)}: {error}") from None
    hints = _hints(method)
    for name, given in bound.arguments.items():
        hint = hints.get(name, Any)
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            bound.arguments[name] = tuple(_fit(method, name, word, hint) for word in given)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[name] = {key: _fit(method, key, word, hint) for key, word in given.items()}
        else:
            bound.arguments[name] = _fit(method, name, given, hint)
    return list(bound.args), dict(bound.kwargs)


def _without_self(signature: inspect.Signature) -> str:
    return str(signature.replace(return_annotation=inspect.Signature.empty))


def _hints(method: Callable[..., Any]) -> dict[str, Any]:
    from dotdo.codec import classes

    try:
        return typing.get_type_hints(method, localns=dict(classes.registered_in(method.__module__)))
    except Exception:  # a hint that cannot be evaluated is none
        return {}


def _fit(method: Callable[..., Any], name: str, word: str, hint: Any) -> Any:
    value = parse(word)
    if hint is Any:
        return value
    import pydantic

    try:
        adapter = pydantic.TypeAdapter(hint, config=None if _has_config(hint) else pydantic.ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # a type pydantic knows nothing of
        return value
    problem = None
    for candidate in (value, word):
        try:
            return adapter.validate_python(candidate)
        except pydantic.ValidationError as error:
            problem = problem or error
    assert problem is not None
    first = problem.errors()[0]
    where = "".join(f".{part}" for part in first["loc"] if isinstance(part, str | int))
    raise Usage(f"{method.__name__}: {name}{where}: {first['msg']} (given {word!r})") from None


def _has_config(hint: Any) -> bool:
    import dataclasses

    import pydantic

    return isinstance(hint, type) and (issubclass(hint, pydantic.BaseModel) or dataclasses.is_dataclass(hint) or typing.is_typeddict(hint))
