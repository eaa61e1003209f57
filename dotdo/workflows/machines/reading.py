"""Reading a machine's states in both forms of the sources, and saying everything that is wrong at once.

    A   {"on": {"submit": {"target": "pending", "guard": f, "action": f}}, "entry": f, "exit": f}
    B   {"on": {"VALIDATE": "validating"}, "onEntry": [{"type": "emit", "event": "Order.seen"}], "terminal": True,
         "timeout": 30000, "timeoutTransition": "failed", "retry": {"maxAttempts": 3, "on": "PAYMENT_FAILED"}}

The two mix freely; `"type": "final"`, as statecharts elsewhere write it, is `"terminal": True`. A finding is fatal when nothing could be made of the part it is about; a target that is not there matters
only to whom it leads there, so `strict=False` lets it pass.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

import pydantic

from dotdo import durations
from dotdo.errors import BadDuration, DefinitionError
from dotdo.events import names
from dotdo.workflows.finding import Finding
from dotdo.workflows.machines.definition import Action, EventRoute, MachineDefinition, State, Transition, TransitionRetry

NAME_LENGTH_MAX = 100
STATES_MAX = 1_000
ATTEMPTS_MAX = 1_000

_SPELLINGS = {
    "entry": ("entry", "on_entry", "onEntry"), "exit": ("exit", "on_exit", "onExit"), "on": ("on",), "terminal": ("terminal", "final"), "type": ("type",),
    "timeout": ("timeout",), "timeout_transition": ("timeout_transition", "timeoutTransition"), "retry": ("retry",),
}  # fmt: skip
_TRANSITION = {"target": ("target",), "guard": ("guard",), "action": ("action", "actions")}
_RETRY = {"max_attempts": ("max_attempts", "maxAttempts"), "on": ("on",)}
_ACTION = {"type": ("type",), "handler": ("handler",), "event": ("event",)}
_ROUTE = {"event": ("event",), "key": ("key",), "data": ("data",)}


def read(
    name: Any, initial: Any, states: Any, *, events: Any = None, key: str | None = None, context: Any = None, strict: bool = True
) -> MachineDefinition:
    """The definition, checked.

    Raises:
        DefinitionError: lists everything wrong; with `strict=False` what is fatal, and the rest is in `warnings`.
    """
    reader = _Reader()
    found = reader.states(states)
    reader.check_name(name)
    reader.check_initial(initial, found)
    reader.check_targets(found)
    routes = reader.routes(events, key, found)
    wrong = [finding for finding in reader.findings if strict or finding.is_fatal]
    if wrong:
        count = "one thing is" if len(wrong) == 1 else f"{len(wrong)} things are"
        raise DefinitionError("\n".join([f"state machine {name!r}: {count} wrong with its definition", *(f"  {one}" for one in wrong)]))
    context_type = context if isinstance(context, type) else None
    if context_type is not None and not issubclass(context_type, pydantic.BaseModel) and context_type is not dict:
        raise DefinitionError(f"state machine {name!r}: context={context_type.__name__} is neither a pydantic model nor a value")
    return MachineDefinition(
        name, initial, found, routes, None if context_type is dict else context_type, None if context_type is not None else context,
        tuple(str(finding) for finding in reader.findings),
    )  # fmt: skip


class _Reader:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def _find(self, path: str, message: str, *, is_fatal: bool = True) -> None:
        self.findings.append(Finding(path, message, is_fatal))

    # -- parts ------------------------------------------------------------------------------------------------------

    def states(self, given: Any) -> dict[str, State]:
        """Every state that can be read."""
        if not isinstance(given, Mapping) or not given:
            self._find("states", "is a dict of at least one state by name")
            return {}
        if len(given) > STATES_MAX:
            self._find("states", f"{len(given)} states are over the limit of {STATES_MAX}")
        unit_s = 1.0 if _is_python(given) else 0.001
        return {str(name): self._state(str(name), {} if state is None else state, unit_s) for name, state in given.items()}

    def _state(self, name: str, given: Any, unit_s: float) -> State:
        path = f"states.{name}"
        if isinstance(given, State):
            return given
        parts = self._parts(given, _SPELLINGS, path)
        transitions = self._transitions(parts.get("on"), f"{path}.on")
        timeout_s = self._timeout(parts, path, unit_s)
        kind = parts.get("type")
        if kind not in (None, "final"):
            self._find(f"{path}.type", f"is 'final' or nothing, not {kind!r}")
        is_terminal = bool(parts.get("terminal")) or kind == "final"
        if is_terminal and (transitions or timeout_s is not None):
            self._find(f"{path}.terminal", "a terminal state has no transitions and no timeout", is_fatal=False)
        return State(
            name, transitions, self._actions(parts.get("entry"), f"{path}.entry"), self._actions(parts.get("exit"), f"{path}.exit"),
            is_terminal or (not transitions and timeout_s is None), timeout_s, parts.get("timeout_transition"),
            self._retry(parts.get("retry"), transitions, f"{path}.retry"),
        )  # fmt: skip

    def _transitions(self, given: Any, path: str) -> dict[str, Transition]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self._find(path, f"is a dict of targets by event, not {type(given).__name__}")
            return {}
        return {str(event): self._transition(str(event), target, f"{path}.{event}") for event, target in given.items()}

    def _transition(self, event: str, given: Any, path: str) -> Transition:
        if isinstance(given, Transition):
            return given
        if isinstance(given, str):
            return Transition(event, given)
        parts = self._parts(given, _TRANSITION, path)
        target = parts.get("target")
        if not isinstance(target, str):
            self._find(f"{path}.target", "is missing: the name of a state")
            target = ""
        guard = parts.get("guard")
        if guard is not None and not callable(guard):
            self._find(f"{path}.guard", f"is a function of the context, not {guard!r}")
        elif inspect.iscoroutinefunction(guard):
            self._find(f"{path}.guard", "is a coroutine: a guard looks at the context at once, write `def`")
        return Transition(event, target, guard, self._actions(parts.get("action"), f"{path}.action"))

    def _actions(self, given: Any, path: str) -> tuple[Action, ...]:
        if given is None:
            return ()
        several = list(given) if isinstance(given, (list, tuple)) else [given]
        return tuple(self._action(one, f"{path}[{index}]") for index, one in enumerate(several))

    def _action(self, given: Any, path: str) -> Action:
        if isinstance(given, Action):
            action = given
        elif callable(given):
            action = Action("function", given)
        else:
            parts = self._parts(given, _ACTION, path)
            action = Action(parts.get("type", ""), parts.get("handler"), parts.get("event"))
        if action.type == "function":
            if not callable(action.handler):
                self._find(f"{path}.handler", "is missing: a function of the context")
        elif action.type == "emit":
            self._check_event(action.event, f"{path}.event")
        else:
            self._find(f"{path}.type", f"Unknown action type: {action.type!r}; use 'function' or 'emit'")
        return action

    def _timeout(self, parts: dict[str, Any], path: str, unit_s: float) -> float | None:
        timeout, target = parts.get("timeout"), parts.get("timeout_transition")
        if timeout is None:
            if target is not None:
                self._find(f"{path}.timeout", f"is missing: when does it go to {target!r}?")
            return None
        if target is None:
            self._find(f"{path}.timeout_transition", "is missing: the state it goes to when the time is up")
        try:
            seconds = durations.seconds(timeout)
        except BadDuration as error:
            self._find(f"{path}.timeout", str(error))
            return None
        return seconds * unit_s if isinstance(timeout, (int, float)) else seconds

    def _retry(self, given: Any, transitions: Mapping[str, Transition], path: str) -> TransitionRetry | None:
        if given is None:
            return None
        if isinstance(given, TransitionRetry):
            retry = given
        else:
            parts = self._parts(given, _RETRY, path)
            retry = TransitionRetry(parts.get("max_attempts", 0), parts.get("on", ""))
        if type(retry.max_attempts) is not int or not 1 <= retry.max_attempts <= ATTEMPTS_MAX:
            self._find(f"{path}.max_attempts", f"is a whole number from 1 to {ATTEMPTS_MAX}, not {retry.max_attempts!r}")
        if retry.on not in transitions:
            self._find(f"{path}.on", f"{retry.on!r} is no event of this state")
        return retry

    def routes(self, given: Any, key: str | None, states: Mapping[str, State]) -> tuple[EventRoute, ...]:
        """Which domain events drive the machine."""
        if given is None:
            return ()
        if not isinstance(given, Mapping):
            self._find("events", 'is a dict, as {"Order.paid": "pay"}')
            return ()
        known = {event for state in states.values() for event in state.transitions}
        found = []
        for pattern, route in given.items():
            path = f"events.{pattern}"
            parts: dict[str, Any] = {"event": route} if isinstance(route, str) else self._parts(route, _ROUTE, path)
            self._check_event(str(pattern), path)
            if names.is_pattern(str(pattern)):
                self._find(path, "is a pattern: each event that drives a machine is named")
            if parts.get("event") not in known:
                self._find(path, f"{parts.get('event')!r} is an event of no state", is_fatal=False)
            found.append(EventRoute(str(pattern), str(parts.get("event")), parts.get("key", key), parts.get("data")))
        return tuple(found)

    def _parts(self, given: Any, spellings: Mapping[str, tuple[str, ...]], path: str) -> dict[str, Any]:
        """What is given, by our names."""
        if not isinstance(given, Mapping):
            self._find(path, f"is a dict, not {given!r}")
            return {}
        ours = {spelling: name for name, several in spellings.items() for spelling in several}
        found: dict[str, Any] = {}
        for key, value in given.items():
            name = ours.get(str(key))
            if name is None:
                near = difflib.get_close_matches(str(key), ours, 1)
                self._find(f"{path}.{key}", f"means nothing here{f'; did you mean {near[0]!r}?' if near else ''}", is_fatal=False)
            elif name in found:
                self._find(path, f"{' and '.join(s for s in spellings[name] if s in given)} are one thing: give one of them")
            else:
                found[name] = value
        return found

    # -- the whole --------------------------------------------------------------------------------------------------

    def check_name(self, name: Any) -> None:
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH_MAX or "/" in name:
            self._find("name", f"is a text of 1 to {NAME_LENGTH_MAX} characters without a slash: instances are found by it")

    def check_initial(self, initial: Any, states: Mapping[str, State]) -> None:
        if initial not in states:
            self._find("initial", f"{initial!r} is not a state; {_known(states)}")

    def check_targets(self, states: Mapping[str, State]) -> None:
        for state in states.values():
            for transition in state.transitions.values():
                if transition.target and transition.target not in states:
                    path = f"states.{state.name}.on.{transition.event}"
                    self._find(path, f"the state {transition.target!r} is not defined; {_known(states)}", is_fatal=False)
            if state.timeout_target is not None and state.timeout_target not in states:
                path = f"states.{state.name}.timeout_transition"
                self._find(path, f"the state {state.timeout_target!r} is not defined; {_known(states)}", is_fatal=False)

    def _check_event(self, event: Any, path: str) -> None:
        try:
            if not isinstance(event, str) or names.is_signal(str(names.parse(event))):
                self._find(path, f"{event!r} is no event: write it as 'Order.paid'")
        except DefinitionError as error:
            self._find(path, str(error))


def _is_python(states: Mapping[Any, Any]) -> bool:
    """True if the states are spelled as in Python, where a plain number of a timeout counts seconds."""
    return any(isinstance(state, Mapping) and "timeout_transition" in state for state in states.values())


def _known(states: Mapping[str, State]) -> str:
    return f"the states are {', '.join(list(states)[:30])}"
