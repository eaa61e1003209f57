"""`ServiceRequest`: the handle of a request, an Execution from anywhere."""

from __future__ import annotations

from typing import Any

from dotdo import durations
from dotdo.durable.handle import Execution
from dotdo.errors import InvalidTransition, ServiceFailed
from dotdo.names import execution_id_of, key_of
from dotdo.workflows.course import shown
from dotdo.workflows.services.outcome import ServiceOutcome
from dotdo.workflows.services.request_entity import CALL, NOUN, RequestEntity


class ServiceRequest(Execution):
    """A request. `request_id` is its id within the service; `id` names its execution everywhere."""

    __slots__ = ("_was_there", "request_id", "service_id")

    def __init__(self, service_id: str, request_id: str, *, was_there: bool = False) -> None:
        super().__init__(execution_id_of(key_of(NOUN, f"{service_id}/{request_id}"), CALL))
        self.service_id = service_id
        self.request_id = request_id
        self._was_there = was_there

    async def result(self, timeout: durations.Duration | None = None) -> ServiceOutcome:
        """What became of it, waited for. A request that failed has an outcome too: `.success` is False, `.error` says why.

        Raises CallTimeout after `timeout`, ExecutionCancelled if it was cancelled.
        """
        try:
            outcome: ServiceOutcome = await super().result(timeout)
        except ServiceFailed as failed:
            if failed.outcome is None:
                raise
            outcome = failed.outcome
        return outcome.model_copy(update={"results": shown(outcome.results), "cached": self._was_there})

    async def progress(self) -> dict[str, Any]:
        """How far it is: current step, completed steps, share of the whole, seconds left by the pace so far."""
        return await RequestEntity(f"{self.service_id}/{self.request_id}").progress()  # type: ignore[no-any-return]

    async def checkpoint(self) -> dict[str, Any]:
        """`progress()`, and the results so far. Raises ServiceNotFound if there is no such request."""
        return await RequestEntity(f"{self.service_id}/{self.request_id}").checkpoint()  # type: ignore[no-any-return]

    async def retry(self) -> bool:
        """Refused with InvalidTransition: a request that failed was undone, and everybody was told. Make a new one.

        False if it has not failed.
        """
        if await self.status() != "failed":
            return False
        raise InvalidTransition(f"the request {self.request_id!r} failed, was undone, and everybody was told: make a new request instead")
