"""A state machine as a table: states, and which event leads from each of them where.

It is held in memory only, for it is made of functions too. What is kept of an instance is its state's name and its context,
so a machine may be redefined while instances of it rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Action:
    """Something done on a transition: a function called with the context, or an event sent with it."""

    type: Literal["function", "emit"]
    handler: Function | None = None
    event: str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """Where an event leads. The guard is asked first; actions run between leaving and entering."""

    event: str
    target: str
    guard: Function | None = None
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class TransitionRetry:
    """The first `max_attempts` - 1 times that event `on` comes in one visit, the state is kept."""

    max_attempts: int
    on: str


@dataclass(frozen=True, slots=True)
class State:
    """One state. It is terminal if it says so, or if nothing leads out of it."""

    name: str
    transitions: Mapping[str, Transition] = field(default_factory=dict)
    entry: tuple[Action, ...] = ()
    exit: tuple[Action, ...] = ()
    is_terminal: bool = False
    timeout_s: float | None = None
    timeout_target: str | None = None
    retry: TransitionRetry | None = None


@dataclass(frozen=True, slots=True)
class EventRoute:
    """A domain event that drives instances: which event of the machine it is, whose id is where, what is passed on."""

    pattern: str
    event: str
    key: str | None = None
    data: Function | None = None


@dataclass(frozen=True, slots=True)
class MachineDefinition:
    """The table.

    `warnings` is what `strict=False` let pass. `context_type` is a pydantic model or None, `context` what an instance that
    is started without one begins with.
    """

    name: str
    initial: str
    states: Mapping[str, State]
    routes: tuple[EventRoute, ...] = ()
    context_type: type | None = None
    context: Any = None
    warnings: tuple[str, ...] = ()
