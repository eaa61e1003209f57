"""`Execution`: the handle of something durable that runs, from anywhere.

It is the execution's id, `<key>!<call id>`, and the verbs one can ask of it. Nothing is kept in it: a handle made from
the id alone, in another program, days later, does the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from datetime import datetime
from typing import Any

from dotdo import clock, codec, durations
from dotdo.durable import timeline
from dotdo.durable.timeline import Timeline
from dotdo.errors import CallTimeout, IdError
from dotdo.names import RUN_CALL, RUN_NOUN, split_execution_id
from dotdo.rpc import caller as callers
from dotdo.rpc.client import new_client_id
from dotdo.rpc.node import CallOptions, Node
from dotdo.rpc.promise import record_call


class ExecutionInfo:
    """A snapshot of an execution."""

    __slots__ = ("attempt", "ended_at", "error", "id", "method", "progress", "started_at", "status", "steps", "until", "waiting_for")

    def __init__(self, data: dict[str, Any]) -> None:
        self.id: str = data["id"]
        self.method: str = data["method"]
        self.status: str = data["status"]
        self.steps: list[dict[str, Any]] = data["steps"]
        self.waiting_for: str | None = data["waiting_for"]
        self.until: datetime | None = _moment(data["until"])
        self.error: BaseException | None = data["error"]
        self.started_at: datetime | None = _moment(data["started_at"])
        self.ended_at: datetime | None = _moment(data["ended_at"])
        self.attempt: int = data["attempt"]
        self.progress: dict[str, Any] | None = data["progress"]
        """What `progress(step, total)` said last: step, total, progress (0 to 1) and time_remaining in seconds."""

    def __repr__(self) -> str:
        return f"<execution {self.id}: {self.status}>"


def _moment(epoch: float | None) -> datetime | None:
    return None if epoch is None else clock.to_datetime(epoch)


class Execution:
    """A handle of one execution. `await execution` gives the handle itself."""

    __slots__ = ("_entity_id", "_noun", "_run_id", "id")

    def __init__(self, execution_id: str) -> None:
        self._noun, self._entity_id, self._run_id = split_execution_id(execution_id)
        self.id = execution_id

    def __repr__(self) -> str:
        return f"<execution {self.id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Execution) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __await__(self) -> Generator[Any, None, Execution]:
        return self
        yield

    async def result(self, timeout: durations.Duration | None = None) -> Any:
        """Its result, waited for; its error is raised. Raises CallTimeout after `timeout`."""
        waiting = self._ask("result")
        if timeout is None:
            return await waiting
        try:
            return await asyncio.wait_for(waiting, durations.seconds(timeout))
        except CallTimeout:
            raise
        except TimeoutError:
            raise CallTimeout(f"execution {self.id} did not end within {timeout}") from None

    async def info(self) -> ExecutionInfo:
        """A snapshot: status, steps, what it waits for and until when, its error."""
        return ExecutionInfo(await self._ask("info"))

    async def status(self) -> str:
        """pending, running, waiting, paused, completed, failed or cancelled."""
        return (await self.info()).status

    async def history(self) -> list[dict[str, Any]]:
        """What happened, oldest first."""
        return await self._ask("history")  # type: ignore[no-any-return]

    async def timeline(self) -> Timeline:
        """What ran and when, its attempts and outcomes, waits, children and progress, as typed records in order."""
        info, history = await asyncio.gather(self.info(), self.history())
        return timeline.build(info, history)

    async def cancel(self) -> bool:
        """Cancel it: its body sees a cancellation, its undos run. False if it has ended."""
        return await self._ask("cancel")  # type: ignore[no-any-return]

    async def pause(self) -> bool:
        """Start nothing new in it until `resume`. False if it has ended."""
        return await self._ask("pause")  # type: ignore[no-any-return]

    async def resume(self) -> bool:
        """Go on after `pause`. False if it is not paused."""
        return await self._ask("resume")  # type: ignore[no-any-return]

    async def retry(self) -> bool:
        """Go on from the failed step, with its attempts renewed, under the same id. False if it has not failed."""
        return await self._ask("retry")  # type: ignore[no-any-return]

    async def replay(self) -> Execution:
        """Start over with the same arguments, as a new execution; of a workflow, as a new run."""
        fresh = f"replay-{_fresh_id()}"
        if self._noun != RUN_NOUN:
            return Execution(await self._ask("replay", fresh))
        method, payload = await self._ask("recipe")  # a run is an entity of its own, so the new one has another place
        options = CallOptions(RUN_CALL, None, {"start": True}, f"replay of {self.id}")
        return Execution(await record_call(Node(RUN_NOUN, f"{self._entity_id}-{fresh}", None, (method,), payload, options)))

    async def signal(self, name: str, data: Any = None) -> None:
        """Hand `data` to its `wait_for(name)`, now or when it gets there."""
        await self._ask("signal", name, True, codec.encode(data))  # ok=True on the wire

    def asking(self, verb: str, *args: Any) -> Node:
        """The call that asks a verb of it."""
        arguments = codec.encode([[self._run_id, *args], {}])
        return Node(self._noun, self._entity_id, None, ("!", verb), arguments, CallOptions(name=f"{verb} of {self.id}"))

    def _ask(self, verb: str, *args: Any) -> Any:
        return record_call(self.asking(verb, *args))


def _fresh_id() -> str:
    """An id for something new; inside an execution the same again on replay."""
    ledger = getattr(callers.current(), "ledger", None)
    return str(new_client_id() if ledger is None else ledger.handed(new_client_id))


def control_call(stub: Any, verb: str, *args: Any) -> Any:
    """The promise of a control call that concerns no single execution."""
    noun, entity_id = stub._do_target_
    return record_call(Node(noun, entity_id, None, ("!", verb), codec.encode([list(args), {}]), None))


async def start(promise: Any) -> Execution:
    """Start the call a promise stands for, and keep its handle. Durable when it returns."""
    node: Node | None = getattr(promise, "_do_node", None)
    if node is None or node.payload is None:
        raise TypeError("start() takes a bound method and its arguments: await dotdo.start(Order('o1').process, order)")
    return Execution(await promise)


def starting(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The promise of starting `method(*args, **kwargs)`."""
    options = getattr(method, "_do_options", None)
    call_id = options.call_id if options is not None else None
    return method._do_with(CallOptions(call_id, None, {"start": True}))(*args, **kwargs)


def complete(callback_id: str, value: Any = None) -> Any:
    """Resolve a callback, once: True; False if it has its outcome already."""
    return _resolve(callback_id, True, codec.encode(value))


def fail(callback_id: str, error: Any) -> Any:
    """Fail a callback, once: whoever awaits it gets the error. As `complete`."""
    problem = error if isinstance(error, BaseException) else CallbackFailed(str(error))
    return _resolve(callback_id, False, codec.encode(problem))


class CallbackFailed(Exception):
    """A callback was failed from outside; the text is the reason given."""


def _resolve(callback_id: str, ok: bool, blob: bytes) -> Any:  # (ok, blob) is one outcome
    execution_id, hash_, name = callback_id.rpartition("#")
    if not hash_:
        raise IdError(f"{callback_id!r} is not the id of a callback")
    execution = Execution(execution_id)
    return execution._ask("signal", f"callback:{name}", ok, blob)
