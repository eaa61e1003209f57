"""Functions that handle events: one entity per function, in which its executions run.

A function has no entity of its own, so it gets one: its executions are journaled there, `do`, `sleep` and `send` act on
them, and they are finished after any crash. The function is found by its name in the code that the host has loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dotdo.durable_object.do import DO
from dotdo.entity.noun import Code
from dotdo.errors import NounNotLoadable
from dotdo.events.event import Event, is_handled_here
from dotdo.hosting import catalog


class Function(DO, noun="DotdoFunction", max_queue=100_000):
    """The executions of one function; its id is `module:qualified name`."""

    @staticmethod
    def _do_code_(entity_id: str, _method: str, _payload: bytes | None) -> Code:
        try:
            return Code(entity_id, catalog.find_function(entity_id))
        except NounNotLoadable as error:
            return Code(entity_id, None, error)

    async def answer(self, event: Event) -> Any:
        """Handle an event that somebody awaits."""
        is_handled_here(event)
        return await self._call(event)

    async def handle(self, event: Event) -> None:
        """Handle an event."""
        await self._call(event)

    async def run(self, *args: Any) -> Any:
        """Call the function with arguments of its own."""
        return await _call(catalog.find_function(self.id), args)

    async def _call(self, event: Event) -> Any:
        return await _call(catalog.find_function(self.id), (event.data,) if event.has_data else ())


async def _call(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    result = fn(*args[: _takes(fn)])
    if inspect.isawaitable(result):
        result = await result
    return result


def _takes(fn: Callable[..., Any]) -> int:
    """How many positional arguments a function takes: a handler need not take what it does not want."""
    kinds = [p.kind for p in inspect.signature(fn).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 1_000_000
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
