"""`@workflow`: a function that runs durably, known by a name.

A run keeps the name, not the function: wherever and whenever it goes on, the function is found again by it. So a name
stands for one function in a program. Functions of importable modules are found by importing the module; those of a script
or a notebook travel by value, as nouns and handlers of events do.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from dotdo import durations
from dotdo.errors import DefinitionError, NounNotLoadable, WorkflowConflict, WorkflowNotFound
from dotdo.hosting import catalog
from dotdo.workflows.runs import Close, Run, RunOptions, run_id, starting

P = ParamSpec("P")
R = TypeVar("R")

NAME_LENGTH_MAX = 200
_PREFIX = "workflow:"
"""Before the name of a workflow among the functions that hosts can find."""

_workflows: dict[str, WorkflowFunction[..., Any]] = {}


class WorkflowFunction(Generic[P, R]):
    """A workflow. Called, it is the plain function; `start` and `execute` run it durably.

    `name` is what it is registered by. `with_options` chooses the id of the run and keeps the arguments typed:
    `onboarding.with_options(id="onboard-42").start(customer)`.
    """

    def __init__(self, name: str, fn: Callable[P, Awaitable[R]], options: RunOptions | None = None) -> None:
        self.name = name
        self.fn = fn
        self.options = options or RunOptions()
        self.__doc__ = fn.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        return self.fn(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def with_options(
        self,
        *,
        id: str | None = None,
        timeout: durations.Duration | None = None,
        on_parent_close: Close | None = None,
    ) -> WorkflowFunction[P, R]:
        """The same workflow, to be started with these options.

        Args:
            id: of the run; the same id is the same run, started once. A new one by default.
            timeout: how long `execute` waits before it raises CallTimeout; the run goes on.
            on_parent_close: for `start_child`: "abandon" (default) or "cancel" the child when its parent ends.
        """
        return WorkflowFunction(self.name, self.fn, self.options.updated(id, timeout, on_parent_close))

    @overload
    def start(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Run[R]]: ...
    @overload
    def start(self, *args: Any, id: str, **kwargs: Any) -> Coroutine[Any, Any, Run[R]]: ...
    def start(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Run[Any]]:
        """Start a run and keep its handle. Durable once awaited; the same `id` again gives the run there is.

        `id=` is always the run's: a parameter of the function that is called so is given by its position.

        Raises:
            TypeError: the arguments do not fit the function; nothing was started.
            CallIdConflict: the id belongs to a run of another workflow, or with other arguments.
        """
        return _started(self._starting(args, kwargs))

    @overload
    def execute(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]: ...
    @overload
    def execute(self, *args: Any, id: str, **kwargs: Any) -> Coroutine[Any, Any, R]: ...
    def execute(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        """Start a run and wait for it: what the function returns. Its error is raised as it was. Else as `start`."""
        return _executed(self._starting(args, kwargs), self.options.timeout_s)

    def _starting(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        options = self.options.updated(kwargs.pop("id", None), None, None)
        self.check_arguments(args, kwargs)
        return starting(options.id or run_id(self.name), self.name, args, kwargs)

    def check_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise TypeError, as the call itself would, if the arguments do not fit."""
        try:
            inspect.signature(self.fn).bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"workflow {self.name!r}: {error}") from None


async def _started(promise: Any) -> Run[Any]:
    return Run(await promise)


async def _executed(promise: Any, timeout_s: float | None) -> Any:
    run: Run[Any] = Run(await promise)
    return await run.result(timeout_s)


class _Decorator:
    """`@workflow("name")`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, fn: Callable[P, Awaitable[R]]) -> WorkflowFunction[P, R]:
        return _register(self._name, fn)


@overload
def workflow(name: str) -> _Decorator: ...
@overload
def workflow(name: str, fn: Callable[P, Awaitable[R]]) -> WorkflowFunction[P, R]: ...
@overload
def workflow(name: Callable[P, Awaitable[R]]) -> WorkflowFunction[P, R]: ...
def workflow(name: Any, fn: Any = None) -> Any:
    """Register a function as the workflow `name`.

    `@workflow("customer-onboarding")` above an `async def`, or `workflow(f"{entity}-approval", fn)` where a factory makes
    workflows. In modules call factories while the module is imported: a host that takes up a run imports it and must find
    the name. `@workflow` alone takes the function's name.

    Raises:
        WorkflowConflict: another function is registered by this name.
        DefinitionError: the name is no text of 1 to 200 characters, or the function is no function.
    """
    if fn is None and callable(name):
        return _register(name.__name__, name)
    if fn is None:
        _check_name(name)
        return _Decorator(name)
    return _register(name, fn)


def find(name: str) -> WorkflowFunction[..., Any]:
    """The workflow of this name. Raises WorkflowNotFound."""
    found = _workflows.get(name)
    if found is not None:
        return found
    try:
        return WorkflowFunction(name, catalog.find_function(f"{_PREFIX}{name}"))
    except NounNotLoadable:
        pass
    found = _workflows.get(name)  # the module that registers it may have been imported just now
    if found is not None:
        return found
    near = difflib.get_close_matches(name, _workflows, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise WorkflowNotFound(f"no workflow {name!r} is known here{hint}: import the module that registers it") from None


def known() -> dict[str, WorkflowFunction[..., Any]]:
    """Every workflow registered in this process, by name."""
    return dict(_workflows)


def forget(name: str) -> WorkflowFunction[..., Any] | None:
    """Take a workflow out of the program, and give it back (tests that deploy other code)."""
    catalog.forget_function(f"{_PREFIX}{name}")
    return _workflows.pop(name, None)


def _register(name: str, fn: Callable[P, Awaitable[R]]) -> WorkflowFunction[P, R]:
    _check_name(name)
    if isinstance(fn, WorkflowFunction):
        fn = fn.fn
    if not callable(fn):
        raise DefinitionError(f"workflow {name!r}: {fn!r} is not a function")
    if inspect.isasyncgenfunction(fn) or inspect.isgeneratorfunction(fn):
        raise DefinitionError(f"workflow {name!r} is a generator: write `async def` without yield")
    known_one = _workflows.get(name)
    if known_one is not None and not _is_same(known_one.fn, fn):
        raise WorkflowConflict(
            f"the workflow {name!r} is registered as {_place(known_one.fn)} and as {_place(fn)}: a name stands for one function, rename one"
        )
    made = WorkflowFunction(name, fn)
    _workflows[name] = made
    catalog.register_function(f"{_PREFIX}{name}", fn)
    return made


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH_MAX:
        raise DefinitionError(f"workflow({name!r}): its name is a text of 1 to {NAME_LENGTH_MAX} characters, as in @workflow('name')")


def _is_same(one: Any, other: Any) -> bool:
    """The same function, or the same place in the same module defined anew, as in a notebook."""
    return one is other or (_place(one) == _place(other) and "<lambda>" not in _place(one)) or _code(one) == _code(other) is not None


def _code(fn: Any) -> Any:
    return getattr(fn, "__code__", None)


def _place(fn: Any) -> str:
    return f"{getattr(fn, '__module__', '?')}:{getattr(fn, '__qualname__', repr(fn))}"
