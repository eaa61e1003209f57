"""Everything that is wrong with a definition, at once, each with the place where it stands.

Reading and checking are one pass: a step that cannot be read does not keep the others from being checked. A finding is
fatal when no run could come to an end with it (something is malformed, an id is used twice, dependencies go round in a
circle); what matters only to the step that reaches it is a warning under `strict=False`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel, to_snake

from dotdo.errors import ConditionError, DefinitionError
from dotdo.events import names
from dotdo.workflows import expressions
from dotdo.workflows.actions import NOOP
from dotdo.workflows.definition import Trigger, WorkflowDefinition, WorkflowStep
from dotdo.workflows.finding import Finding
from dotdo.workflows.graph import Graph, Node
from dotdo.workflows.spelling import MILLISECONDS

M = TypeVar("M", bound=BaseModel)

ActionCheck = Callable[[str], None]
"""Raises LookupError for an action's name that means nothing."""

SHOWN_MAX = 100


def read(given: WorkflowDefinition | Mapping[str, Any], check_action: ActionCheck, *, strict: bool = True) -> WorkflowDefinition:
    """The definition, checked.

    Raises:
        DefinitionError: lists everything that is wrong; with `strict=False` only what is fatal, the rest is in `warnings`.
    """
    reader = _Reader(given, check_action)
    definition = reader.definition()
    wrong = [finding for finding in reader.findings if strict or finding.is_fatal]
    if wrong or definition is None:
        raise _error(reader.title, wrong)
    warnings = [str(finding) for finding in reader.findings] + [str(hint) for hint in reader.hints]
    return definition.model_copy(update={"warnings": warnings})


def _error(title: str, findings: list[Finding]) -> DefinitionError:
    shown = [f"  {finding}" for finding in findings[:SHOWN_MAX]]
    if len(findings) > SHOWN_MAX:
        shown.append(f"  and {len(findings) - SHOWN_MAX} more")
    count = "one thing is" if len(findings) == 1 else f"{len(findings)} things are"
    return DefinitionError("\n".join([f"workflow {title}: {count} wrong with its definition", *shown]))


class _Reader:
    def __init__(self, given: WorkflowDefinition | Mapping[str, Any], check_action: ActionCheck) -> None:
        self.findings: list[Finding] = []
        self.hints: list[Finding] = []
        self._check_action = check_action
        if isinstance(given, WorkflowDefinition):
            self._data: Any = {**given.model_dump(exclude_unset=True), "steps": list(given.steps), "triggers": list(given.triggers)}
            self._is_camel = False
        else:
            self._data = given
            self._is_camel = not _has_snake(given)
        self.title = repr(self._data.get("id", "?")) if isinstance(self._data, Mapping) else "?"

    # -- reading ----------------------------------------------------------------------------------------------------

    def definition(self) -> WorkflowDefinition | None:
        if not isinstance(self._data, Mapping):
            self._find("", f"a definition is a dict or a WorkflowDefinition, not {type(self._data).__name__}")
            return None
        steps = self._all("steps", WorkflowStep)
        triggers = self._all("triggers", Trigger)
        rest = {key: value for key, value in self._data.items() if key not in ("steps", "triggers", "warnings", "version")}
        placeholder = [WorkflowStep(id="placeholder", action="noop")]
        whole = self._read(WorkflowDefinition, {**rest, "steps": placeholder}, "")
        if not self._data.get("steps") and not any(f.path == "steps" for f in self.findings):
            self._find("steps", "is empty: a workflow has at least one step")
        self._check_steps(steps)
        self._check_triggers(triggers)
        if whole is None:
            return None
        kept_steps = [step for _, step in steps]
        return whole.model_copy(update={"steps": kept_steps, "triggers": [trigger for _, trigger in triggers]})

    def _all(self, part: str, model: type[M]) -> list[tuple[int, M]]:
        """Those that can be read, each with its place in the list."""
        listed = self._data.get(part, [])
        if not isinstance(listed, (list, tuple)):
            self._find(part, f"is a list, not {type(listed).__name__}")
            return []
        found = []
        for index, one in enumerate(listed):
            read_one = self._read(model, one, f"{part}[{index}]")
            if read_one is not None:
                found.append((index, read_one))
        return found

    def _read(self, model: type[M], data: Any, path: str) -> M | None:
        """The model, or as much of it as can be read, so that the rest can be checked as well."""
        if isinstance(data, model):
            return data
        if not isinstance(data, Mapping):
            self._find(path, f"is a dict or a {model.__name__}, not {type(data).__name__}")
            return None
        data = {key: value for key, value in data.items() if self._is_known(model, key, path)}
        context = MILLISECONDS if self._is_camel else None
        try:
            return model.model_validate(data, context=context)
        except ValidationError as error:
            problems = error.errors()
        for problem in problems:
            place = "".join(self._key(str(p)) if isinstance(p, str) else f"[{p}]" for p in problem["loc"])
            self._find((path + place).lstrip("."), _message(dict(problem)))
        bad = {to_snake(str(problem["loc"][0])) for problem in problems}
        rest = {key: value for key, value in data.items() if to_snake(str(key)) not in bad}
        instead = {"id": f"({path})", "action": NOOP, "event": "Any.any"}
        return model.model_validate({**rest, **{key: instead[key] for key in bad & instead.keys()}}, context=context)

    def _is_known(self, model: type[BaseModel], key: Any, path: str) -> bool:
        fields = [name for field in model.model_fields for name in (field, to_camel(field))]
        if key in fields:
            return True
        near = difflib.get_close_matches(to_snake(str(key)), list(model.model_fields), 1)
        hint = f"; did you mean {self._key(near[0])[1:]!r}?" if near else ""
        self._find(f"{path}.{key}".lstrip("."), f"is no field of a {model.__name__}{hint}", is_fatal=False)
        return False

    def _key(self, name: str) -> str:
        return f".{to_camel(to_snake(name)) if self._is_camel else to_snake(name)}"

    def _find(self, path: str, message: str, *, is_fatal: bool = True) -> None:
        self.findings.append(Finding(path, message, is_fatal))

    # -- checking ---------------------------------------------------------------------------------------------------

    def _check_steps(self, steps: list[tuple[int, WorkflowStep]]) -> None:
        graph = graph_of([step for _, step in steps])
        for flaw in graph.flaws():
            self._find(f"steps[{steps[flaw.index][0]}]{self._key(flaw.part)}", flaw.message, is_fatal=flaw.is_fatal)
        for index, step in steps:
            path = f"steps[{index}]"
            try:
                self._check_action(step.action)
            except LookupError as error:
                self._find(f"{path}.action", str(error.args[0]), is_fatal=False)
            if step.error_branch is not None and step.on_error != "branch":
                branch, on_error = self._key("error_branch")[1:], self._key("on_error")[1:]
                self._find(
                    f"{path}.{branch}", f"is used only with {on_error} 'branch', and {on_error} is {step.on_error!r}", is_fatal=False
                )
            for place, text in _expressions_in(step.params, f"{path}.params"):
                self._condition(text, place)
            if step.condition is not None and (expression := self._condition(step.condition, f"{path}.condition")) is not None:
                strangers = (expression.names & graph.nodes.keys()) - graph.ancestors_of(step.id)
                for name in sorted(strangers):
                    self.hints.append(Finding(f"{path}.condition", f"reads {name!r}, which may not have ended: depend on it"))

    def _condition(self, text: str, path: str) -> expressions.Expression | None:
        try:
            return expressions.parse(text)
        except ConditionError as error:
            self._find(path, str(error), is_fatal=False)
            return None

    def _check_triggers(self, triggers: list[tuple[int, Trigger]]) -> None:
        for index, trigger in triggers:
            try:
                names.parse(trigger.event)
                if names.is_signal(trigger.event):
                    self._find(f"triggers[{index}].event", f"{trigger.event!r} names no verb: write 'Customer.created' or 'Customer.*'")
            except DefinitionError as error:
                self._find(f"triggers[{index}].event", str(error))
            if trigger.condition is not None:
                self._condition(trigger.condition, f"triggers[{index}].condition")


def graph_of(steps: list[WorkflowStep]) -> Graph:
    """The steps, as far as their order is concerned."""
    return Graph(
        Node(
            step.id,
            tuple(step.depends_on),
            on_failure=step.on_error if step.on_error in ("continue", "branch") else "fail",  # type: ignore[arg-type]  # "retry" fails at its end
            error_branch=step.error_branch,
        )
        for step in steps
    )


def _has_snake(given: Any) -> bool:
    """True if a definition is written with Python's names somewhere."""
    if not isinstance(given, Mapping):
        return False
    parts = [given, *(one for key in ("steps", "triggers") for one in _listed(given.get(key)))]
    ours = {name for model in (WorkflowDefinition, WorkflowStep, Trigger) for name in model.model_fields if "_" in name}
    return any(isinstance(part, BaseModel) or (isinstance(part, Mapping) and bool(ours & part.keys())) for part in parts)


def _expressions_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The expressions among the params of a step, each with its place."""
    if isinstance(value, dict):
        if set(value) == {"$expr"}:
            yield path, value["$expr"]
            return
        for key, part in value.items():
            yield from _expressions_in(part, f"{path}.{key}")
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _expressions_in(part, f"{path}[{index}]")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _message(problem: dict[str, Any]) -> str:
    kind, message = problem["type"], str(problem["msg"])
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    given = problem.get("input")
    shown = repr(given)
    return f"{message[0].lower()}{message[1:]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
