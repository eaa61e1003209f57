"""`WorkflowRun`: the noun whose entities run workflows, one run each, and the handle of a run.

A run has an entity, and so a file, of its own; the entity's id is the run's. It makes one call, `run`, whose journal is
the run's. So a run is started once by its id, and everything that can be asked of an execution can be asked of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

from dotdo import codec, durations
from dotdo.durable.calls import EntityCaller
from dotdo.durable.handle import Execution
from dotdo.durable_object import DO
from dotdo.entity.noun import Code
from dotdo.errors import DefinitionError, DotdoError
from dotdo.names import RUN_CALL, RUN_NOUN, check_id, execution_id_of
from dotdo.rpc import caller as callers
from dotdo.rpc.client import new_client_id
from dotdo.rpc.node import CallOptions

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Close = Literal["abandon", "cancel"]
"""What becomes of a child when its parent ends."""

READABLE_NAME_LENGTH_MAX = 60
"""So much of a workflow's name is in the ids made for its runs."""
READABLE_ID_BYTES_MAX = 200
"""A longer id of a run started by another is hashed."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What `with_options` of a workflow said."""

    id: str | None = None
    timeout_s: float | None = None
    on_parent_close: Close = "abandon"

    def updated(self, id: str | None, timeout: durations.Duration | None, on_parent_close: Close | None) -> RunOptions:
        """The options with those given in place of the earlier ones. Raises IdError, BadDuration, DefinitionError."""
        if on_parent_close not in (None, "abandon", "cancel"):
            raise DefinitionError(f"on_parent_close={on_parent_close!r}; use 'abandon' or 'cancel'")
        return replace(
            self,
            id=self.id if id is None else check_id(id),
            timeout_s=self.timeout_s if timeout is None else durations.seconds(timeout),
            on_parent_close=on_parent_close or self.on_parent_close,
        )


class WorkflowRun(DO, noun=RUN_NOUN):
    """One run of a workflow."""

    @staticmethod
    def _do_code_(_entity_id: str, method: str, payload: bytes | None) -> Code:
        """The workflow's function is what the run runs: its code decides whether a replay must match."""
        from dotdo.workflows import functions  # functions start runs, and runs find functions

        try:
            arguments: Any = codec.decode(payload or b"")
            name = arguments[0][0]
        except (DotdoError, LookupError):
            return Code(method, None)
        try:
            return Code(name, functions.find(name).fn)
        except DotdoError as error:
            return Code(name, None, error)

    async def run(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow of this name. Raises WorkflowNotFound."""
        from dotdo.workflows import functions

        return await functions.find(name).fn(*args, **kwargs)


class Run(Execution, Generic[R_co]):
    """The handle of a workflow run: an Execution whose result is typed as the workflow says."""

    __slots__ = ()

    async def result(self, timeout: durations.Duration | None = None) -> R_co:
        """What the workflow returned, waited for; its error is raised. Raises CallTimeout after `timeout`."""
        return await super().result(timeout)  # type: ignore[no-any-return]


def starting(id: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, key: str | None = None) -> Any:
    """The promise of a run's start: its execution id, once it is durable."""
    options = CallOptions(RUN_CALL, None, {"start": True}, f"start of {name}", key)
    return WorkflowRun(id).run._do_with(options)(name, *args, **kwargs)


def run_id(name: str) -> str:
    """An id for a run that was given none. Inside an execution it is the same again on replay and in every attempt of a step."""
    caller = callers.current()
    if not isinstance(caller, EntityCaller):
        return f"{name[:READABLE_NAME_LENGTH_MAX]}-{new_client_id()}"
    _turn, task = caller.ledger.current("starting a workflow")
    key = task.branch.key(f"run:{name}")
    return id_within(execution_of(caller, task.run), key.replace("run:", "", 1))


def execution_of(caller: EntityCaller, run: Any) -> str:
    """The id of the execution that runs; of an entity's setup, its key."""
    key = caller.activation.key
    return key if run is None else execution_id_of(key, run.id)


def id_within(parent: str, place: str) -> str:
    """The id of a run that an execution starts, made of the two: `onboard-42/reserve-inventory`."""
    text = f"{parent}{place.replace('|', '/')}" if place.startswith("|") else f"{parent}/{place.replace('|', '/')}"
    if "!" in text or len(text.encode()) > READABLE_ID_BYTES_MAX:
        return "r" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return text
