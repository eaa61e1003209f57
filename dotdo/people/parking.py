"""Waiting for an approval or a task: each waiter is an execution of its entity, parked on a callback.

The entity keeps the callbacks' ids, and resolves them in the commit that ends it. So neither the entity, nor who waits for
it, nor who waits for those holds anything in memory meanwhile.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from dotdo import durations
from dotdo.durable.callbacks import Timeout
from dotdo.durable.calls import EntityCaller
from dotdo.durable.current import ledger_of
from dotdo.durable.handle import complete
from dotdo.errors import Overloaded
from dotdo.rpc.caller import CALLER

WAITERS_MAX = 1_000


async def until_ended(entity: Any, waiting: list[str]) -> None:
    """Park until `let_go`. Raises Overloaded."""
    if len(waiting) >= WAITERS_MAX:
        raise Overloaded(f"{WAITERS_MAX} wait for {entity.key} already")
    callback = entity.callback("ended")
    waiting.append(callback.id)
    await callback


def let_go(waiting: list[str]) -> None:
    """Resolve every callback, with the commit of this turn."""
    for callback_id in waiting:
        complete(callback_id)
    waiting.clear()


def new_id() -> str:
    """An id for what is asked for: in an execution the same on every replay, and over all attempts of a step; else a random one."""
    if not is_in_execution():
        return secrets.token_hex(16)
    ledger = ledger_of("asking")
    run, task = ledger.current_run("asking")
    place = f"{ledger.activation.key}!{run.id} {task.branch.next_call('new id')}"
    return hashlib.blake2b(place.encode(), digest_size=16).hexdigest()


def is_in_execution() -> bool:
    """True for code of an entity; False for a program or a test outside."""
    return isinstance(CALLER.get(), EntityCaller)


async def within(timeout: durations.Duration | None, stub: Any, method: str) -> Any:
    """`await stub.method()`, for at most `timeout`: durably inside an execution (WaitTimeout), else CallTimeout."""
    if timeout is None:
        return await stub[method]()
    if not is_in_execution():
        return await stub[method].with_options(timeout=timeout)()
    async with Timeout(ledger_of("wait"), durations.seconds(timeout)):
        return await stub[method]()
