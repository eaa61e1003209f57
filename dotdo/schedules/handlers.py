"""What a schedule runs, as text that outlives the process, and back again.

    method:weekly_report                 of the entity whose schedule it is
    setup:<name of the schedule>         a lambda or a local function, which the entity's `setup` gives anew at every waking
    function:<module>:<qualified name>   a function of a program's code, found as event handlers are
    workflow:<name>                      what has `.execute`, by the name it is registered under
    entity:<method>:<noun>/<id>          the method of one entity

Nothing else can be run by another process, days later, after everything was restarted.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo.errors import DefinitionError, NoSuchMember, NounNotLoadable
from dotdo.events import registry
from dotdo.hosting import catalog
from dotdo.names import key_of, split_key
from dotdo.rpc.promise import Promise
from dotdo.rpc.stub import make_stub

if TYPE_CHECKING:
    from dotdo.entity.activation import Activation

finders: list[Callable[[str], Any]] = []
"""Where workflows are looked for by their name besides the functions a program has registered; each gives one, or None."""


def of_program(handler: Any, schedule: str) -> str:
    """The reference of what a program schedules; it is made known here, and travels to hosts with the program's code."""
    if isinstance(handler, Promise):
        return _of_entity(handler)
    if is_workflow(handler):
        return _of_workflow(handler)
    module = _module_of(handler)
    plain = inspect.isfunction(handler) and "<lambda>" not in handler.__qualname__
    name = registry.function_name(handler) if plain else f"{module}:{schedule}"
    catalog.register_function(name, handler if plain else _named(handler, module))
    return f"function:{name}"


def of_entity(activation: Activation, handler: Any, schedule: str, *, in_setup: bool) -> str:
    """The reference of what an entity schedules for itself. Raises DefinitionError."""
    if isinstance(handler, str):
        if not hasattr(type(activation.instance), handler):
            raise DefinitionError(f"{activation.spec.noun} has no method {handler!r}")
        return f"method:{handler}"
    name = getattr(handler, "__name__", "")
    if getattr(handler, "__self__", None) is activation.instance and hasattr(type(activation.instance), name):
        return f"method:{name}"
    if isinstance(handler, Promise) or is_workflow(handler):
        return of_program(handler, schedule)
    if inspect.isfunction(handler) and "<" not in handler.__qualname__:
        return of_program(handler, schedule)
    if in_setup:
        return f"setup:{schedule}"
    raise DefinitionError(
        f"{handler!r} has no name under which it is found again when {activation.key} has slept: give a method of this entity, "
        f"or a function defined with `def` at the top of a module; lambdas can be scheduled in setup"
    )


def is_workflow(handler: Any) -> bool:
    """True for what is started, not called."""
    return not isinstance(handler, Promise) and not inspect.isroutine(handler) and hasattr(handler, "execute")


def _of_workflow(workflow: Any) -> str:
    name = getattr(workflow, "name", None) or getattr(workflow, "__qualname__", None)
    if not isinstance(name, str) or not name:
        raise DefinitionError(f"{workflow!r} has no name under which it is found again")
    if not any(find(name) is not None for find in finders):
        catalog.register_function(f"workflow:{name}", workflow)
    return f"workflow:{name}"


def _of_entity(method: Promise) -> str:
    noun, entity_id = method._do_target
    path = method._do_path
    if method._do_base is not None or len(path) != 1 or not isinstance(path[0], str) or method._do_node is not None:
        raise DefinitionError(f"{method!r} cannot be scheduled: give the method itself, as Report('r1').write, without calling it")
    return f"entity:{path[0]}:{key_of(noun, entity_id)}"


def _module_of(handler: Any) -> str:
    while isinstance(handler, functools.partial):
        handler = handler.func
    return str(getattr(handler, "__module__", None) or "__main__")


def _named(handler: Any, module: str) -> Any:
    """The handler as something that says which module it is of, so that it is shipped with that."""
    if getattr(handler, "__module__", None) == module:
        return handler

    def call(*args: Any, **kwargs: Any) -> Any:
        return handler(*args, **kwargs)

    call.__module__ = module
    return call


# -- running ----------------------------------------------------------------------------------------------------


def call(activation: Activation, reference: str, args: list[Any], kwargs: dict[str, Any], given: dict[str, Any]) -> Any:
    """Run it in a turn of this entity; what it returns is to be awaited if it can be.

    Raises NoSuchMember, NounNotLoadable: it is not in the code that is loaded (any more).
    """
    kind, _, name = reference.partition(":")
    if kind == "method":
        method = getattr(activation.instance, name, None)
        if method is None:
            raise NoSuchMember(f"{activation.spec.noun} has no method {name!r} (any more), which its schedule is to run")
        return method(*args, **kwargs)
    if kind == "setup":
        if name not in given:
            raise NoSuchMember(f"setup of {activation.key} does not schedule {name!r} any more")
        return given[name](*args, **kwargs)
    if kind == "entity":
        method_name, _, key = name.partition(":")
        return make_stub(*split_key(key))[method_name](*args, **kwargs)
    found = _workflow(name) if kind == "workflow" else _function(activation, name)
    return found.execute(*args, **kwargs) if is_workflow(found) else found(*args, **kwargs)


def _workflow(name: str) -> Any:
    for find in finders:
        found = find(name)
        if found is not None:
            return found
    return catalog.find_function(f"workflow:{name}")


def _function(activation: Activation, name: str) -> Any:
    try:
        return catalog.find_function(name)
    except NounNotLoadable:
        found = _imported(*name.split(":", 1)) or _beside_the_class(activation.spec.cls, name)
        if found is None:
            raise
        return found


def _imported(module: str, qualified: str) -> Any:
    target: Any = sys.modules.get(module) if module != "__main__" else None
    for part in qualified.split("."):
        target = getattr(target, part, None)
    return target


def _beside_the_class(cls: type, name: str) -> Any:
    """A function of a script that came here with the class whose methods use it."""
    for member in vars(cls).values():
        found = getattr(inspect.unwrap(member), "__globals__", {}).get(name.partition(":")[2]) if inspect.isfunction(member) else None
        if found is not None and getattr(found, "__module__", None) == name.partition(":")[0]:
            return found
    return None
