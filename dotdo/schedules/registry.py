"""`every` and `schedule`: what a program's code runs again and again.

A declaration at the top of a module is kept here, under its name and module, and tells nobody: code is also loaded by hosts, which
would all do the same. The program that starts a runtime, or joins one, announces once what it declares (`announce`), and
what it declares later while it runs. Announcing the same again changes nothing.

Like event handlers, schedules belong to the module that declares them, and a runtime may be limited to some modules.
"""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from dotdo.durable.handle import control_call
from dotdo.events import registry as events
from dotdo.hosting import catalog
from dotdo.rpc.promise import Promise
from dotdo.rpc.stub import make_stub
from dotdo.schedules import handlers
from dotdo.schedules.agenda import once
from dotdo.schedules.entry import Definition
from dotdo.schedules.every import Every, make_schedule, name_of
from dotdo.schedules.policies import CatchUp, Overlap
from dotdo.schedules.scheduled import NAME, Scheduled, own_agenda, with_promise
from dotdo.schedules.times import Schedule

BOOK = ("DotdoSchedules", "all")
"""The entity that knows which schedules programs have announced."""

FUNCTION = "DotdoFunction"
"""The entities in which functions run; a single time of a function is kept by the function's own."""

_log = logging.getLogger("dotdo")


@dataclass(frozen=True)
class Declared:
    """One schedule of a program. Its id names the entity that keeps it."""

    id: str
    definition: Definition
    module: str
    handler: Any


_declared: dict[str, Declared] = {}
_modules: frozenset[str] | None = None
_hidden: frozenset[str] = frozenset()
_announce_late: Callable[[], bool] | None = None


def use_modules(modules: Iterable[str] | None) -> frozenset[str] | None:
    """Let only schedules of these modules be announced (None: all); what it was before."""
    global _modules
    before, _modules = _modules, None if modules is None else frozenset(modules)
    return before


def hide_modules(modules: Iterable[str]) -> None:
    """Let schedules of these modules not be announced: test modules that are collected beside the one that runs."""
    global _hidden
    _hidden = frozenset(modules)


def _is_announced(module: str) -> bool:
    return module not in _hidden and (_modules is None or module in _modules)


def declared() -> list[Declared]:
    """What this program declares, in the order it was declared."""
    return [one for one in _declared.values() if _is_announced(one.module)]


def known_ids() -> set[str]:
    """The ids of all that is declared in this process."""
    return set(_declared)


def forget(schedule_id: str) -> None:
    """Declare it no longer here; where it was announced, it goes on."""
    _declared.pop(schedule_id, None)


def module_of(schedule_id: str) -> str:
    """The module that declares it."""
    return _declared[schedule_id].module


def announce_late_with(ask: Callable[[], bool] | None) -> None:
    """Who is asked, when something is declared, whether a runtime runs that is to know of it at once (None: nobody is)."""
    global _announce_late
    _announce_late = ask


def announce(which: Iterable[Declared] | None = None) -> Any:
    """Tell the runtime what this program declares: the promise of its receipt, None if there is nothing to tell."""
    found = declared() if which is None else list(which)
    if not found:
        return None
    return make_stub(*BOOK).declare([[one.id, one.definition] for one in found])


def _register(rule: Schedule, handler: Any, name: str, /, *, overlap: Overlap, catch_up: CatchUp) -> None:
    if inspect.isfunction(handler) and events.is_method(handler):
        handler._do_every_ = [*getattr(handler, "_do_every_", ()), (name, rule, overlap, catch_up)]  # type: ignore[attr-defined]
        return
    module = _module_of(handler)
    is_named = name != name_of(handler, rule)
    schedule_id = name if is_named else f"{module}:{name}"
    if not is_named:
        name, schedule_id = _free(name, schedule_id, handler)
    reference = handlers.of_program(handler, name)
    one = Declared(schedule_id, Definition(name, reference, rule, None, overlap, catch_up), module, handler)
    before = _declared.get(schedule_id)
    if before is not None and before.handler is handler and before.definition.rule != rule:
        _log.warning("%s is scheduled twice, and the later time counts (%s): give one of them another name=", name, rule)
    _declared[schedule_id] = one
    if catalog.is_loading() or not _is_announced(module):
        return
    if own_agenda() is not None or (_announce_late is not None and _announce_late()):
        announce([one])


def _free(name: str, schedule_id: str, handler: Any) -> tuple[str, str]:
    """Two lambdas on one phrase are two schedules, in the order in which they stand."""
    number, own_name, own_id = 1, name, schedule_id
    while "<lambda>" in name and own_id in _declared and _code_of(_declared[own_id].handler) != _code_of(handler):
        number += 1
        own_name, own_id = f"{name} #{number}", f"{schedule_id} #{number}"
    return own_name, own_id


def _code_of(handler: Any) -> Any:
    return getattr(handler, "__code__", handler)


def _module_of(handler: Any) -> str:
    """Where a handler is declared; what has no module of its own belongs to the script."""
    while isinstance(handler, functools.partial):
        handler = handler.func
    if isinstance(handler, Promise):
        spec = catalog.find(handler._do_target[0])
        return spec.cls.__module__ if spec is not None else "__main__"
    return str(getattr(handler, "__module__", None) or "__main__")


every = Every(_register)
schedule = make_schedule(_register)


def schedule_at(when: Any, handler: Any, /, *args: Any, **kwargs: Any) -> Scheduled:
    """Run a function, a workflow or the method of an entity once, at a time, whatever is restarted until then.

    Inside an entity it is part of this turn's commit, as `self.schedule_at` is. Outside it goes at the end of the tick, and is
    safe once `await`ed.

    Args:
        when: an aware datetime; a time in the past means now.
        handler: a function defined with `def`, a workflow, or a method as `Cart("c1").remind`.
        args, kwargs: copied now; give an id rather than what may have changed by then.

    Returns:
        A handle with `.cancel()`, which can be kept and sent.

    Raises:
        DefinitionError: the handler cannot be found again later, or `when` is no datetime.
        ValueError: `when` has no zone.
        CodecError: an argument cannot be sent.
    """
    agenda = own_agenda()
    if agenda is not None:
        return agenda.once(when, handler, args, kwargs)
    if inspect.isfunction(handler):
        events.function_name(handler)  # raises for a lambda: nothing declares it again after a restart
    reference = handlers.of_program(handler, "")
    definition = once(when, reference, secrets.token_hex(8), args, kwargs)
    keeper = make_stub(FUNCTION, reference.removeprefix("function:").partition("/")[0])  # methods of a noun's entities share one
    if _announce_late is not None:
        _announce_late()
    promise = control_call(keeper, NAME, "keep", definition.name, definition)
    return with_promise(Scheduled(keeper.key, definition.name), promise)
