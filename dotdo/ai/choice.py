"""Which model is asked: the call's, its template's, the program's, the runtime's, or the environment's, in this order.

Names are pydantic-ai's, as `openai:gpt-5`; a bare `gpt-5` or `claude-sonnet-4.5` gets the provider that makes it. A server of
your own that speaks OpenAI's protocol is named by `base_url`. Keys are found where the providers look for them
(`OPENAI_API_KEY` and its like), or given to `configure`; they are never recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dotdo import config
from dotdo.errors import ModelUnavailable
from dotdo.resilience import surroundings

if TYPE_CHECKING:
    from pydantic_ai.models import Model

_PROVIDERS = {"gpt": "openai", "o1": "openai", "o3": "openai", "o4": "openai", "claude": "anthropic", "gemini": "google"}


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, and where it is asked."""

    model: Any = None
    base_url: str | None = None
    api_key: str | None = None

    def __repr__(self) -> str:
        return f"<choice of {self.model!r}>"  # the key is a secret


_of_program = Choice()


def configure(*, model: Any = None, base_url: str | None = None, api_key: str | None = None) -> None:
    """Say which model this program asks where nothing else is said.

    Hosts in other processes do not see this: give them `dotdo.init(env={"AI_MODEL": ..., "AI_BASE_URL": ..., "AI_API_KEY": ...})`.

    Args:
        model: a name, or a model object of pydantic-ai.
        base_url: of a server that speaks OpenAI's protocol.
        api_key: for it.
    """
    global _of_program
    _of_program = Choice(model, base_url, api_key)


def resolve(asked: Any, of_template: Any) -> Model:
    """The model to ask. Raises ModelUnavailable, naming the way out."""
    try:
        from pydantic_ai.exceptions import UserError
        from pydantic_ai.models import Model
    except ImportError:
        raise ModelUnavailable("dotdo.ai needs pydantic-ai: pip install 'dotdo[ai]'") from None
    given = _given()
    model = next((one for one in (asked, of_template, given.model) if one is not None), None)
    if model is None:
        raise ModelUnavailable(
            "no model is configured: pass model='openai:gpt-5', call dotdo.ai.configure(model=...), "
            "give dotdo.init(env={'AI_MODEL': ...}), or set DOTDO_AI_MODEL"
        )
    if isinstance(model, Model):
        return model
    if not isinstance(model, str):
        raise ModelUnavailable(f"{model!r} is no model: give a name such as 'openai:gpt-5', or a model of pydantic-ai")
    try:
        return _of_server(model, given) if given.base_url is not None else _named(model)
    except (UserError, ImportError) as error:
        raise ModelUnavailable(f"the model {model!r} cannot be asked: {error}") from error


def _given() -> Choice:
    if _of_program != Choice():
        return _of_program
    found = surroundings.ledger()
    env = found.activation.host.env if found is not None else None
    if isinstance(env, Mapping) and any(name in env for name in ("AI_MODEL", "AI_BASE_URL")):
        return Choice(env.get("AI_MODEL"), env.get("AI_BASE_URL"), env.get("AI_API_KEY"))
    return Choice(*config.ai_from_environment())


def _named(name: str) -> Model:
    from pydantic_ai.models import infer_model

    if ":" not in name and name != "test":  # which is pydantic-ai's own, and asks nobody
        provider = next((provider for start, provider in _PROVIDERS.items() if name.startswith(start)), None)
        if provider is None:
            raise ModelUnavailable(f"nobody is known to make a model {name!r}: name the provider too, as 'openai:{name}'")
        name = f"{provider}:{name}"
    return infer_model(name)


def _of_server(name: str, given: Choice) -> Model:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return OpenAIChatModel(name.removeprefix("openai:"), provider=OpenAIProvider(base_url=given.base_url, api_key=given.api_key or "none"))
