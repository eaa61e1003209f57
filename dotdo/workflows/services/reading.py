"""Everything that is wrong with a service's definition, at once, each with its place.

A finding is fatal when no request could be served with it. What matters only to the step that reaches it (a dependency or a
branch that is not there, a condition that cannot be read) is a warning with `strict=False`; a parallel step without steps and
a condition without a condition do nothing then.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel, to_snake

from dotdo.errors import ConditionError, DefinitionError
from dotdo.workflows import expressions
from dotdo.workflows.finding import Finding
from dotdo.workflows.graph import Graph, Node
from dotdo.workflows.pricing import PerExecution, Pricing, TimeBased, pricing_of
from dotdo.workflows.services.definition import (
    Compensation,
    CompensationAction,
    ErrorHandling,
    EscalationPolicy,
    RetrySpec,
    ServiceDefinition,
    ServiceStep,
)
from dotdo.workflows.spelling import MILLISECONDS, has_snake

SHOWN_MAX = 100
NAMES = frozenset({"inputs", "results", "completedSteps", "completed_steps"})
"""What an expression of a service can read."""
CONTINUES = frozenset({"continue", "log-and-continue"})

_MODELS = (ServiceStep, RetrySpec, Compensation, CompensationAction, EscalationPolicy, ErrorHandling)
_CHILDREN = ("steps", "then", "else", "else_")
_ONLY = {
    "steps": "parallel", "strategy": "parallel", "then": "condition", "else_": "condition", "assign_to": "human-task",
    "escalation_policy": "human-task", "retry_policy": "function",
}  # fmt: skip


def read(
    name: Any, id: Any, steps: Any, pricing: Any, error_handling: Any, *, strict: bool, is_python: bool, **more: Any
) -> ServiceDefinition:
    """The definition, checked.

    Raises:
        DefinitionError: lists everything wrong; with `strict=False` only what is fatal.
    """
    reader = _Reader(is_camel=not is_python and not has_snake([steps, error_handling], _MODELS))
    if not isinstance(name, str) or not name.strip():
        reader.find("name", f"is a text that says what the service is, not {name!r}")
    service_id = id if id is not None else slug(name) if isinstance(name, str) else "?"
    found = reader.all_steps(steps)
    handling = reader.error_handling(error_handling)
    price = reader.pricing(pricing, found)
    definition: ServiceDefinition | None = None
    try:
        definition = ServiceDefinition(
            id=service_id, name=str(name), steps=found, pricing=price, error_handling=handling or ErrorHandling(), **more
        )
    except ValidationError as error:
        for problem in error.errors():
            reader.find(".".join(map(str, problem["loc"])), str(problem["msg"]))
    wrong = [finding for finding in reader.findings if strict or finding.is_fatal]
    if wrong or definition is None:
        raise refusal(f"service {name!r}", wrong)
    return definition.model_copy(update={"warnings": [str(one) for one in [*reader.findings, *reader.hints]]})


def refusal(what: str, findings: list[Finding]) -> DefinitionError:
    """The error that lists the findings."""
    count = "one thing is" if len(findings) == 1 else f"{len(findings)} things are"
    more = [f"  and {len(findings) - SHOWN_MAX} more"] if len(findings) > SHOWN_MAX else []
    return DefinitionError("\n".join([f"{what}: {count} wrong with its definition", *(f"  {one}" for one in findings[:SHOWN_MAX]), *more]))


def slug(name: str) -> str:
    """A service's id, made of its name: "Order Fulfillment" is order-fulfillment."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "service"


def graph_of(steps: list[ServiceStep]) -> Graph:
    """The steps, as far as their order is concerned: one that says nothing of it comes after the one before it in the list."""
    after = _order_of_the_list(steps)
    return Graph(
        Node(
            step.id, tuple(step.depends_on), required=step.is_required or step.on_error == "rollback", error_branch=step.error_branch,
            on_failure="continue" if step.on_error in CONTINUES else "branch" if step.on_error == "branch" else "fail",
            must_run=step.required is True, after=after.get(step.id, ()),
        )
        for step in steps
    )  # fmt: skip


def _order_of_the_list(steps: list[ServiceStep]) -> dict[str, tuple[str, ...]]:
    """For each step without a word on what it depends on, the nearest step before it that does not depend on it."""
    branches = {step.error_branch for step in steps if step.on_error == "branch"}
    needs = {step.id: set(step.depends_on) for step in steps}
    found: dict[str, tuple[str, ...]] = {}
    for index, step in enumerate(steps):
        if "depends_on" in step.model_fields_set or step.id in branches:
            continue
        for earlier in reversed(steps[:index]):
            if not _depends(earlier.id, step.id, needs):
                found[step.id] = (earlier.id,)
                needs[step.id].add(earlier.id)
                break
    return found


def _depends(one: str, other: str, needs: Mapping[str, set[str]]) -> bool:
    """Does `one` come after `other`, or after what comes after it?"""
    seen: set[str] = set()
    left = [one]
    while left:
        step_id = left.pop()
        if step_id == other:
            return True
        if step_id not in seen:
            seen.add(step_id)
            left += needs.get(step_id, ())
    return False


class _Reader:
    def __init__(self, *, is_camel: bool) -> None:
        self.findings: list[Finding] = []
        self.hints: list[Finding] = []
        self._context = MILLISECONDS if is_camel else None
        self._is_camel = is_camel

    def find(self, path: str, message: str, *, is_fatal: bool = True) -> None:
        self.findings.append(Finding(path, message, is_fatal))

    def _hint(self, path: str, message: str) -> None:
        self.hints.append(Finding(path, message, is_fatal=False))

    def _key(self, name: str) -> str:
        return to_camel(name) if self._is_camel else name

    # -- steps ------------------------------------------------------------------------------------------------------

    def all_steps(self, given: Any) -> list[ServiceStep]:
        """The steps that can be read, the order of them checked."""
        if given is None:
            given = []
        if not isinstance(given, (list, tuple)):
            self.find("steps", f"is a list, not {type(given).__name__}")
            return []
        if not given:
            self._hint("steps", "is empty: a request has nothing to do")
        read = [(index, self._step(one, f"steps[{index}]")) for index, one in enumerate(given)]
        found = [(index, step) for index, step in read if step is not None]
        steps = [step for _, step in found]
        ids = [step.id for step in steps]
        inner = {child.id for step in steps for child in step.all()[1:]}
        for flaw in graph_of(steps).flaws():
            index, step = found[flaw.index]
            message = flaw.message
            if flaw.part == "depends_on" and any(f"{one!r} is not a step" in message for one in inner):
                message = f"{message} (what is within another step cannot be depended on: depend on the step around it)"
            self.find(f"steps[{index}].{self._key(flaw.part)}", message, is_fatal=flaw.is_fatal)
        seen = dict.fromkeys(ids)
        for index, step in found:
            for child in step.all()[1:]:
                if child.id in seen:
                    self.find(f"steps[{index}]", f"{child.id!r} within it is the id of an earlier step too")
                seen[child.id] = None
        for index, step in found:
            self._check_compensation(step, f"steps[{index}]", set(seen))
        return steps

    def _step(self, given: Any, path: str) -> ServiceStep | None:
        if isinstance(given, ServiceStep):
            self._check(given, path, given.model_fields_set)
            return given
        if not isinstance(given, Mapping):
            self.find(path, f"is a dict or a ServiceStep, not {type(given).__name__}")
            return None
        data = {str(key): value for key, value in given.items() if self._is_known(str(key), path)}
        children: dict[str, Any] = {}
        for key in _CHILDREN:
            value = data.pop(key, None)
            if value is None:
                continue
            if key == "steps":
                several = value if isinstance(value, (list, tuple)) else []
                if not isinstance(value, (list, tuple)):
                    self.find(f"{path}.steps", f"is a list, not {type(value).__name__}")
                inner = [self._step(one, f"{path}.steps[{index}]") for index, one in enumerate(several)]
                children["steps"] = [one for one in inner if one is not None]
            else:
                children["else_" if key == "else" else key] = self._step(value, f"{path}.{key}")
        try:
            step = ServiceStep.model_validate({**data, **children}, context=self._context)
        except ValidationError as error:
            for problem in error.errors():
                place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
                self.find(f"{path}{place}", _message(dict(problem)))
            return None
        if "type" not in data:
            self._hint(f"{path}.type", "is missing: a step without a type is a function")
        self._check(step, path, step.model_fields_set)
        return step

    def _is_known(self, key: str, path: str) -> bool:
        known = {spelling for name in ServiceStep.model_fields for spelling in (name, to_camel(name))} | {"else"}
        if key in known:
            return True
        near = difflib.get_close_matches(to_snake(key), list(ServiceStep.model_fields), 1)
        self.find(f"{path}.{key}", f"is no field of a step{f'; did you mean {self._key(near[0])!r}?' if near else ''}", is_fatal=False)
        return False

    def _check(self, step: ServiceStep, path: str, given: set[str]) -> None:
        for name, kind in _ONLY.items():
            if name in given and step.type != kind and getattr(step, name):
                self.find(f"{path}.{self._key(name.rstrip('_'))}", f"is for steps of type {kind!r}, this is a {step.type}", is_fatal=False)
        if step.type == "parallel" and not step.steps:
            self.find(f"{path}.steps", "is missing: a parallel step has steps", is_fatal=False)
        if step.type == "condition":
            if step.condition is None:
                self.find(f"{path}.condition", "is missing: what decides between then and else?", is_fatal=False)
            if step.then is None and step.else_ is None:
                self.find(f"{path}.then", "is missing, and so is else: a condition step has a branch at least", is_fatal=False)
        if step.condition is not None:
            self._check_expression(step.condition, f"{path}.condition")
        if step.error_branch is not None and step.on_error != "branch":
            self.find(f"{path}.{self._key('error_branch')}", f"is used only with {self._key('on_error')} 'branch'", is_fatal=False)
        for child in step.children:
            if child.depends_on:
                self.find(f"{path}.{child.id}.{self._key('depends_on')}", "a step within another begins with that one", is_fatal=False)
            if child.on_error == "branch":
                self.find(f"{path}.{child.id}.{self._key('on_error')}", "a step within another cannot branch", is_fatal=False)

    def _check_expression(self, text: str, path: str) -> None:
        try:
            strangers = expressions.parse(text).names - NAMES
        except ConditionError as error:
            self.find(path, str(error), is_fatal=False)
            return
        for name in sorted(strangers):
            self._hint(path, f"reads {name!r}, which is none of inputs, results and completedSteps")

    def _check_compensation(self, step: ServiceStep, path: str, ids: set[str]) -> None:
        for one in step.all():
            for index, action in enumerate(one.compensation.steps if one.compensation is not None else ()):
                if action.step_id is not None and action.step_id not in ids:
                    place = f"{path}.compensation.steps[{index}].{self._key('step_id')}"
                    self.find(place, f"{action.step_id!r} is not a step", is_fatal=False)

    # -- the rest -----------------------------------------------------------------------------------------------------

    def error_handling(self, given: Any) -> ErrorHandling | None:
        """What holds for every step."""
        if given is None or isinstance(given, ErrorHandling):
            return given
        try:
            return ErrorHandling.model_validate(dict(given), context=self._context)
        except (ValidationError, TypeError, ValueError) as error:
            path = self._key("error_handling")
            if not isinstance(error, ValidationError):
                self.find(path, f"is a dict, not {given!r}")
                return None
            for problem in error.errors():
                self.find(".".join([path, *map(str, problem["loc"])]), _message(dict(problem)))
            return None

    def pricing(self, given: Any, steps: list[ServiceStep]) -> Pricing | None:
        """What it costs; a rate for a step there is not costs nothing, and is worth a look."""
        if given is None:
            return None
        try:
            price = pricing_of(given)
        except DefinitionError as error:
            self.find("pricing", str(error).removeprefix("pricing: "))
            return None
        ids = {inner.id for step in steps for inner in step.all()}
        named = price.step_rates if isinstance(price, PerExecution) else price.step_multipliers if isinstance(price, TimeBased) else {}
        for step_id in sorted(set(named) - ids):
            self._hint("pricing", f"names {step_id!r}, which is no step")
        return price


def _message(problem: dict[str, Any]) -> str:
    if problem["type"] == "missing":
        return "is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return message
    return f"{message[0].lower()}{message[1:]}, not {problem.get('input')!r}"
