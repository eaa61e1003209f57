"""The pytest plugin: the fixtures `dotdo_runtime` (real clock) and `dotdo_virtual` (virtual clock)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from dotdo.testing.runtime import Runtime, runtime


@pytest_asyncio.fixture
async def dotdo_runtime() -> AsyncIterator[Runtime]:
    """An in-process runtime in a temporary folder."""
    async with runtime() as running:
        yield running


@pytest_asyncio.fixture
async def dotdo_virtual() -> AsyncIterator[Runtime]:
    """The same with a virtual clock: waits of days pass at once when nothing else can run."""
    async with runtime(clock="virtual") as running:
        yield running
