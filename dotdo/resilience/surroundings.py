"""Where the code runs that uses a pattern: in no entity, in the body of an execution, or in the body of a step.

The difference matters twice. Time: an entity's is its host's clock. And identity: the calls of a step's body keep their
ids over all attempts, so that an attempt that is made again is answered what the first one was. That is right for a
payment and wrong for a question like "may I try now?", so `asked_anew` gives such questions an id of their own.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import TypeVar

from dotdo import clock
from dotdo.durable.calls import EntityCaller
from dotdo.durable.ledger import Ledger
from dotdo.durable_object.do import DO
from dotdo.rpc.caller import CALLER

Entity = TypeVar("Entity", bound=DO)


def ledger() -> Ledger | None:
    """The ledger of the entity whose turn runs here; None outside entities."""
    caller = CALLER.get()
    if not isinstance(caller, EntityCaller):
        return None
    turn = caller.ledger.activation.turn
    return caller.ledger if turn is not None and turn.task is not None else None


def is_execution_body(found: Ledger) -> bool:
    """True where a replay runs the code again: in a method, not in the body of a step of it."""
    turn = found.activation.turn
    return turn is not None and turn.task is not None and turn.task.run is not None and not turn.task.branch.in_step


def now() -> float:
    """Seconds since the epoch, by the clock that counts here."""
    found = ledger()
    return clock.wall_now() if found is None else found.activation.host.clock.now()


async def pause(seconds: float) -> None:
    """Wait: durably in the body of an execution, by the host's clock in the body of a step."""
    found = ledger()
    if found is None:
        await asyncio.sleep(seconds)
    elif is_execution_body(found):
        await found.sleep(seconds)
    else:
        host = found.activation.host
        over: asyncio.Future[None] = host.loop.create_future()
        timer = host.clock.call_at(host.clock.now() + seconds, lambda: None if over.done() else over.set_result(None))
        try:
            await over
        finally:
            timer.cancel()


def asked_anew(entity: Entity) -> Entity:
    """A stub whose next call is a new one, also in a step that is tried again; in an execution's body it is recorded as ever."""
    found = ledger()
    if found is not None and is_execution_body(found):
        return entity
    return entity.with_options(call_id=f"anew-{secrets.token_hex(8)}")  # type: ignore[no-any-return,attr-defined]
