"""The names machines go by.

An instance keeps the name of its machine, not the table, which is made of functions: wherever it goes on, the machine is
found again by its name, in the code that a host has loaded. Machines of importable modules are found by importing the
module that makes them; those of a script or a notebook travel by value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from dotdo.errors import DefinitionError, MachineNotFound, NounNotLoadable
from dotdo.events import registry
from dotdo.hosting import catalog
from dotdo.workflows.machines.definition import EventRoute

if TYPE_CHECKING:
    from dotdo.workflows.machines.machine import StateMachine

NOUN = "DotdoMachine"
"""Of the entities that are instances."""

_PREFIX = "machine:"
"""Before the name of a machine among the functions that hosts can find."""
_PACKAGE = __name__.partition(".")[0]

_machines: dict[str, StateMachine] = {}


def find(name: str) -> StateMachine:
    """The machine of this name. Raises MachineNotFound."""
    found = _machines.get(name)
    if found is not None:
        return found
    try:
        loaded: StateMachine = catalog.find_function(f"{_PREFIX}{name}")()
        return loaded
    except NounNotLoadable:
        pass
    found = _machines.get(name)  # the module that makes it may have been imported just now
    if found is not None:
        return found
    raise MachineNotFound(f"no state machine {name!r} is known here: import the module that makes it")


def names() -> list[str]:
    """The machines this program has made."""
    return sorted(_machines)


def forget(name: str) -> StateMachine | None:
    """Take a machine out of the program, and give it back (tests that deploy other code)."""
    catalog.forget_function(f"{_PREFIX}{name}")
    return _machines.pop(name, None)


def register(machine: StateMachine) -> None:
    """Make a machine known, in the place of one of this name from the same module. Raises DefinitionError."""
    known = _machines.get(machine.name)
    if known is not None and known.module != machine.module:
        raise DefinitionError(f"the state machine {machine.name!r} is made in {known.module} and in {machine.module}: rename one")
    if known is not None:
        _drop_routes(known)
    _machines[machine.name] = machine
    catalog.register_function(f"{_PREFIX}{machine.name}", _loader(machine))
    for route in machine.definition.routes:
        registry.add_handler(_handler(machine, route))


def _drop_routes(machine: StateMachine) -> None:
    for route in machine.definition.routes:
        registry.discard_handler(_handler(machine, route))


def _handler(machine: StateMachine, route: EventRoute) -> registry.Handler:
    return registry.Handler(route.pattern, "take_event", NOUN, route.key, machine.module, within=f"{machine.name}/")


def _loader(machine: StateMachine) -> Callable[[], StateMachine]:
    """How hosts get at it: a function that belongs to the machine's module, and so travels as that does."""

    def load() -> StateMachine:
        return machine

    load.__module__ = machine.module
    return load


def module_of_caller() -> str:
    """The module of the code outside dotdo that is running: where a machine is made is where it is found again."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", "__main__"))
