"""`generate`, `analyze`, `recommend`: a prompt, a model, an answer of the shape that was asked for.

An answer that does not fit its schema is sent back to the model with what is wrong, twice by default; a server that fails
is asked again as the policy of steps says. What is recorded is the answer with what it cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pydantic

from dotdo import durations
from dotdo.ai import choice, templates
from dotdo.ai.answers import ANALYSES, Analysis, Recommendation
from dotdo.ai.usage import Usage, book
from dotdo.durable.retry import RetryPolicy
from dotdo.errors import BadAnswer, DefinitionError, ModelUnavailable
from dotdo.events.names import EventName
from dotdo.resilience import retrying, surroundings

CORRECTIONS = 2
_WORTH_ANOTHER_TRY = frozenset({408, 409, 425, 429})
"""Of what HTTP calls errors of the client, those that may pass."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is recorded of an answer."""

    output: Any
    model: str
    usage: Usage


@dataclass(frozen=True)
class _Question:
    prompt: str
    schema: Any
    model: Any
    of_template: Any
    name: str
    retry: RetryPolicy | int | None
    timeout: durations.Duration | None
    corrections: int

    async def ask(self) -> Answer:
        """Ask the model, now."""
        model = choice.resolve(self.model, self.of_template)
        from pydantic_ai import Agent, ModelHTTPError, UnexpectedModelBehavior

        agent: Any = Agent(model, output_type=_output_of(self.schema), retries=self.corrections)
        try:
            result = await agent.run(self.prompt)
        except UnexpectedModelBehavior as error:
            raise BadAnswer(f"{model.model_name} gave no answer to {self.name!r} that fits: {error.__cause__ or error}") from error
        except ModelHTTPError as error:
            if 400 <= error.status_code < 500 and error.status_code not in _WORTH_ANOTHER_TRY:
                raise ModelUnavailable(f"{model.model_name} refuses: {error}") from error
            raise
        used = result.usage
        usage = Usage(1, used.requests, used.input_tokens, used.output_tokens)
        book().add(model.model_name, usage)
        return Answer(result.output, model.model_name, usage)


async def generate(
    template: str | None = None,
    data: dict[str, Any] | None = None,
    /,
    *,
    prompt: str | None = None,
    model: Any = None,
    schema: Any = None,
    context: Any = None,
    retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None,
    corrections: int = CORRECTIONS,
    **more: Any,
) -> Any:
    """What a model writes: text, or an instance of `schema`. In an execution it is recorded, and a replay asks nobody.

    Args:
        template: the name of a prompt (`ai.template`); its data follow as a dict or as keywords.
        prompt: the prompt itself, instead.
        model: as `choice` says; the configured one by default.
        schema: a pydantic model, dataclass or other type, a JSON schema as a dict, or the name of a model as N.BlogPost.
        context: data the prompt is about, shown to the model below it.
        retry: for a server that fails; 3 attempts by default.
        timeout: of one attempt.
        corrections: how often an answer that does not fit is sent back.

    Raises:
        ModelUnavailable: no model, or none that can be asked.
        BadAnswer: the answers did not fit.
    """
    if (template is None) == (prompt is None):
        raise TypeError("generate() takes the name of a template or prompt=..., one of them")
    if template is not None:
        found = templates.find(template)
        text = found.filled({**(data or {}), **more})
        schema, of_template = found.schema if schema is None else schema, found.model
    else:
        if data or more:
            raise TypeError(f"generate(prompt=...) takes no {', '.join(more) or 'data'}: write it into the prompt, or give it as context")
        assert prompt is not None
        text, of_template = prompt, None
    if context is not None:
        text = f"{text}\n\n{context if isinstance(context, str) else templates.as_text(context)}"
    return await _answer(_Question(text, schema, model, of_template, template or "generate", retry, timeout, corrections))


async def analyze(
    kind: str,
    data: dict[str, Any] | None = None,
    /,
    *,
    model: Any = None,
    schema: Any = None,
    retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None,
    **more: Any,
) -> Any:
    """What a model finds out about data; recorded as `generate` is.

    `ticket-complexity` and `content-safety` have shapes of their own (`dotdo.ai.answers`), `schema` asks for another, and else
    the attributes of the answer are what the model found worth saying.
    """
    text = f"Analyze the {kind.replace('-', ' ')} of this:\n\n{templates.as_text({**(data or {}), **more})}"
    shape = schema if schema is not None else ANALYSES.get(kind, Analysis)
    return await _answer(_Question(text, shape, model, None, f"analyze:{kind}", retry, timeout, CORRECTIONS))


async def recommend(
    *,
    type: Any = None,
    for_: Any = None,
    strategy: str | None = None,
    among: list[Any] | None = None,
    count: int | None = None,
    model: Any = None,
    retry: RetryPolicy | int | None = None,
    timeout: durations.Duration | None = None,
) -> Any:
    """What a model recommends: a Recommendation, or a list of at most `count` of them; recorded as `generate` is.

    Args:
        type: what is recommended, as N.Feature.
        for_: to whom, or for what.
        strategy: how to choose, as "most-relevant".
        among: what there is to choose from; what is recommended is one of these.
    """
    wanted = {"recommend": str(type) if type is not None else "something", "for": for_, "strategy": strategy, "choose among": among}
    many = f" Give at most {count}, the best first." if count is not None else ""
    text = f"Recommend what suits best.{many}\n\n{templates.as_text({name: value for name, value in wanted.items() if value is not None})}"
    shape: Any = Recommendation if count is None else list[Recommendation]
    found = await _answer(_Question(text, shape, model, None, f"recommend:{type or 'something'}", retry, timeout, CORRECTIONS))
    chosen = [found] if count is None else found[:count]
    for one in chosen:
        if among is not None and one.item not in among:
            raise BadAnswer(f"the model recommends {one.item!r}, which is not among {among!r}")
    return found if count is None else chosen


async def _answer(question: _Question) -> Any:
    ledger = surroundings.ledger()
    if ledger is not None and surroundings.is_execution_body(ledger):
        timeout_s = None if question.timeout is None else durations.seconds(question.timeout)
        step_id = f"ai:{question.name}"
        answer = await ledger.do(question.ask, (), step_id=step_id, policy=question.retry or RetryPolicy(), timeout_s=timeout_s)
    else:
        answer = await retrying.with_retry(question.ask, policy=_policy(question.retry))
    return answer.output


def _policy(given: RetryPolicy | int | None) -> RetryPolicy:
    if isinstance(given, RetryPolicy):
        return given
    return RetryPolicy() if given is None else RetryPolicy(max_attempts=given)


def _output_of(schema: Any) -> Any:
    """What pydantic-ai calls an output type."""
    if schema is None:
        return str
    if isinstance(schema, dict):
        from pydantic_ai import StructuredDict

        return StructuredDict(schema)
    if isinstance(schema, EventName):
        return _model_named(str(schema))
    return schema


def _model_named(name: str) -> type[pydantic.BaseModel]:
    """The pydantic model of this name. Raises DefinitionError if there is none, or more than one."""
    found = [model for model in _models(pydantic.BaseModel) if model.__name__ == name]
    if len(found) != 1:
        raise DefinitionError(f"{len(found) or 'no'} pydantic models are called {name!r}: pass the class itself, as schema={name}")
    return found[0]


def _models(base: Callable[..., Any]) -> Iterator[type[pydantic.BaseModel]]:
    for model in base.__subclasses__():  # type: ignore[attr-defined]
        yield model
        yield from _models(model)
