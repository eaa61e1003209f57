"""The pytest plugin: fixtures of a runtime that a test shares with them.

    dotdo_runtime    an in-process runtime in a temporary folder, with a virtual clock
    dotdo_clock      that clock: `.now()`, `await .advance("3d")`
    dotdo_mailbox    what was sent in it: its mails, and `.events`

They need pytest-asyncio (`pip install 'dotdo[testing]'`); the plugin itself does not, for it is loaded by every pytest that runs where
dotdo is installed.

Each test module is an application of its own: the schedules that other test modules declare do not run in its runtimes, nor
do those that an earlier test has declared while it ran.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dotdo.schedules import registry
from dotdo.testing.mailbox import Mailbox
from dotdo.testing.runtime import Runtime, RuntimeClock, runtime

_test_modules: set[str] = set()
_known: pytest.StashKey[set[str]] = pytest.StashKey()
_imported: pytest.StashKey[set[str]] = pytest.StashKey()


def _module_of(item: pytest.Item) -> str:
    return str(getattr(getattr(item, "module", None), "__name__", ""))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which modules are tests, those left out included."""
    _test_modules.update(_module_of(item) for item in items)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Hide the schedules of the other test modules."""
    registry.hide_modules(_test_modules - {_module_of(item)})
    item.stash[_known] = registry.known_ids()
    item.stash[_imported] = set(sys.modules)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Forget what the test declared; a module that was first imported meanwhile will not declare again, so it keeps its own."""
    if _known not in item.stash:
        return
    before, imported_before = item.stash[_known], item.stash[_imported]
    imported = {module for module in sys.modules if module not in imported_before}
    for schedule_id in [one for one in registry.known_ids() if one not in before]:
        if registry.module_of(schedule_id) not in imported:
            registry.forget(schedule_id)


def _async_fixture(fn: Callable[[], AsyncIterator[Any]]) -> Any:
    """A fixture of pytest-asyncio; without it, one that says what is missing to the test that asks for it."""
    if importlib.util.find_spec("pytest_asyncio") is not None:
        import pytest_asyncio

        return pytest_asyncio.fixture(fn)

    def missing() -> None:
        pytest.fail(f"the fixture {fn.__name__} needs pytest-asyncio: pip install 'dotdo[testing]'", pytrace=False)

    return pytest.fixture(name=fn.__name__)(missing)


@_async_fixture
async def dotdo_runtime() -> AsyncIterator[Runtime]:
    """An in-process runtime whose waits of days pass at once; for the real clock: `async with runtime() as rt`."""
    async with runtime(clock="virtual") as running:
        yield running


@pytest.fixture
def dotdo_clock(dotdo_runtime: Runtime) -> RuntimeClock:
    """The clock of the test's runtime."""
    return RuntimeClock(dotdo_runtime)


@pytest.fixture
def dotdo_mailbox(dotdo_runtime: Runtime) -> Mailbox:
    """What is sent in the test's runtime: a list of its mails, and `.events`."""
    return dotdo_runtime.mailbox
