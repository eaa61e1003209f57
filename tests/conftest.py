"""What every test shares: runtimes on the test's own loop, in both kinds of clock, and one Ray cluster for the whole run."""

from __future__ import annotations

import gc

import pytest

from dotdo.testing import runtime


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    """No garbage is collected while test files are parsed.

    CPython 3.11 loses count of its recursion (SystemError: AST constructor recursion depth mismatch) if a callback of the
    collector runs just then, and Hypothesis has one: gh-106905.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture
async def rt():
    """An in-process runtime with the real clock."""
    async with runtime() as running:
        yield running


@pytest.fixture
async def virtual():
    """An in-process runtime whose clock jumps over every wait."""
    async with runtime(clock="virtual") as running:
        yield running


@pytest.fixture(scope="session")
def ray_data(tmp_path_factory):
    """One local Ray cluster with two hosts, for every test marked `ray`."""
    import dotdo

    folder = tmp_path_factory.mktemp("ray") / "data"
    dotdo.init(data=folder, hosts=2, idle_timeout="60s", max_turn="3s")
    yield folder
    dotdo.shutdown()
