"""What an event does in a state: decided here, done by the entity. Pure but for the guards it asks."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass
from typing import Any

from dotdo.errors import DefinitionError, GuardFailed, InvalidTransition
from dotdo.events import names
from dotdo.workflows.machines import contexts
from dotdo.workflows.machines.definition import Action, EventRoute, Function, MachineDefinition, State, Transition

TIMEOUT = "timeout"
"""The event in the history of an instance whose time in a state was up."""
STARTED = "start"


@dataclass(frozen=True, slots=True)
class Move:
    """What is to be done: leave, merge, act, enter. `attempt` is set when a retry keeps the state: then nothing is left."""

    event: str
    source: str
    target: State
    context: Any
    data: Any = None
    exit: tuple[Action, ...] = ()
    actions: tuple[Action, ...] = ()
    entry: tuple[Action, ...] = ()
    attempt: int | None = None
    stays: bool = False

    @property
    def has_effects(self) -> bool:
        """True if functions are to be run or events to be sent."""
        return bool(self.exit or self.actions or self.entry)


def state_of(definition: MachineDefinition, name: str) -> State:
    """The state of this name. Raises DefinitionError if the machine has none (any more)."""
    state = definition.states.get(name)
    if state is None:
        raise DefinitionError(f"state machine {definition.name!r}: the state {name!r} is not defined")
    return state


def begin(definition: MachineDefinition, context: Any) -> Move:
    """The move into the initial state."""
    first = state_of(definition, definition.initial)
    return Move(STARTED, "", first, contexts.begin(definition, context), entry=first.entry)


def decide(definition: MachineDefinition, current: str, event: str, context: Any, data: Any, tries: int) -> Move:
    """What `event` does in the state `current`, in which its retry was counted `tries` times.

    Raises:
        InvalidTransition: the state does not take the event.
        GuardFailed: the guard says no.
        DefinitionError: it leads to a state that is not defined.
    """
    state = state_of(definition, current)
    transition = state.transitions.get(event)
    if transition is None:
        raise InvalidTransition(f"Invalid transition {event} from state {current} of {definition.name!r}: {_takes(state)}")
    if not allows(transition, context, data):
        raise GuardFailed(f"Guard condition failed for {event} in state {current} of {definition.name!r}")
    retry = state.retry
    attempt = tries + 1 if retry is not None and retry.on == event else None
    if attempt is not None and retry is not None and attempt < retry.max_attempts:
        return Move(event, current, state, context, data, attempt=attempt, stays=True)
    target = state_of(definition, transition.target)
    return Move(event, current, target, context, data, state.exit, transition.actions, target.entry, attempt)


def time_out(definition: MachineDefinition, current: str, context: Any) -> Move:
    """What happens when the time in a state is up."""
    state = state_of(definition, current)
    target = state_of(definition, state.timeout_target or "")
    return Move(TIMEOUT, current, target, context, exit=state.exit, entry=target.entry)


def allows(transition: Transition, context: Any, data: Any) -> bool:
    """Does the guard let it through? It sees a copy: a guard changes nothing."""
    guard = transition.guard
    return guard is None or bool(call(guard, copy.deepcopy(context), copy.deepcopy(data)))


def call(function: Function, *offered: Any) -> Any:
    """Call a function with as many of the arguments as it takes."""
    return function(*offered[: _arity(function)])


def _arity(function: Function) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    return sum(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and (parameter.default is parameter.empty or index == 0)
        for index, parameter in enumerate(parameters)
    )


def route_of(definition: MachineDefinition, event: str) -> EventRoute | None:
    """The route that a domain event takes."""
    return next((route for route in definition.routes if names.matches(route.pattern, event)), None)


def _takes(state: State) -> str:
    if state.is_terminal:
        return "it is terminal"
    return f"it takes {', '.join(state.transitions) or 'no events'}"
