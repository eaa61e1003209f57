"""`ServiceRequest`: the noun whose entities are requests, one each; its id is `<service>/<request>`.

A request makes one call, `run`, whose execution is the request. What it says to the world at its end (the result delivered,
the charge, or that it failed) leaves in one commit with its outcome, so it is said once, and all of it or nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from dotdo import codec
from dotdo.durable.handle import starting
from dotdo.durable_object.do import DO
from dotdo.errors import CallIdConflict, ServiceFailed, ServiceNotFound
from dotdo.rpc import stub as stubs
from dotdo.workflows.services import compensating
from dotdo.workflows.services.outcome import ServiceOutcome
from dotdo.workflows.services.service_entity import ServiceEntity, VolumeEntity
from dotdo.workflows.services.standing import Standing
from dotdo.workflows.services.walking import Walk

NOUN = "ServiceRequest"
CALL = "run"
"""The one call of a request."""


class RequestEntity(DO, noun=NOUN):
    """One request. Called by `Service.request`."""

    asked: bytes | None = None
    status_now: dict[str, Any] = {}
    outcome: ServiceOutcome | None = None

    async def open(self, inputs: Any, customer_id: str | None, volume: Any) -> bool:
        """Begin; asked again, say how it stands: True if it has ended. Raises CallIdConflict."""
        service_id, _, request_id = self.id.partition("/")
        asked = hashlib.blake2b(codec.encode([inputs, customer_id]), digest_size=16).digest()
        if self.asked is not None and asked != self.asked:
            raise CallIdConflict(f"the request {request_id!r} to {service_id!r} was made with other inputs; use another id")
        if self.asked is None:
            self.asked = asked
            run = stubs.make_stub(NOUN, self.id).run.with_options(call_id=CALL)
            await starting(run, (service_id, request_id, inputs, customer_id, volume), {})
            return False
        if self.outcome is not None:
            self._tell_outcome(self.outcome, cached=True)
            return True
        self.send("ServiceProgress.status", {
            "id": request_id, "request_id": request_id, "status": "running", "current_step": self.status_now.get("current_step"),
        })  # fmt: skip
        return False

    async def run(self, service_id: str, request_id: str, inputs: Any, customer_id: str | None, volume: Any) -> ServiceOutcome:
        """Serve the request. Raises ServiceFailed, when all is undone and everybody is told."""
        definition, places = await ServiceEntity(service_id).recipe()
        standing = Standing(definition, request_id, inputs, customer_id, self.now(), places)
        walk = Walk(self, standing)
        try:
            failure = await walk.to_the_end()
        except asyncio.CancelledError as error:
            await self._fail(standing, walk, error)
            raise
        if failure is None:
            return await self._deliver(standing, volume)
        outcome = await self._fail(standing, walk, failure)
        failed = ServiceFailed(f"service {service_id!r}, request {request_id!r}: step {outcome.failed_step!r} failed: {outcome.error}")
        failed.outcome = outcome
        raise failed from failure

    async def progress(self) -> dict[str, Any]:
        """How far it is, as `WorkflowProgress.updated` says it."""
        self._must_be_there()
        return self.status_now

    async def checkpoint(self) -> dict[str, Any]:
        """What has been done so far."""
        self._must_be_there()
        kept = self.storage.list(prefix="result:")
        results = {key.removeprefix("result:"): value for key, value in kept.items()}
        return {**self.status_now, "results": results, "outcome": self.outcome}

    # -- its end ------------------------------------------------------------------------------------------------------

    async def _deliver(self, standing: Standing, volume: Any) -> ServiceOutcome:
        pricing = standing.definition.pricing
        if volume is None and pricing is not None and pricing.discounts.volume:
            volume = await VolumeEntity(f"{standing.definition.id}/{standing.customer_id or ''}").count()
        cost = None if pricing is None else pricing.cost(standing.usage(self.now(), volume or 0))
        outcome = self._outcome(standing, cost=cost)
        self.outcome = outcome
        self.tell_progress(standing)
        self._tell_outcome(outcome)
        if cost is not None and cost > 0 and standing.customer_id is not None:
            description = f"{standing.definition.name} - {len(standing.completed)} steps completed"
            self.send("Payment.charge", {
                "id": standing.request_id, "request_id": standing.request_id, "idempotency_key": standing.request_id,
                "customer_id": standing.customer_id, "amount": cost, "description": description,
            })  # fmt: skip
        return outcome

    async def _fail(self, standing: Standing, walk: Walk, failure: BaseException) -> ServiceOutcome:
        """Undo, then tell; safe when this returns."""
        failed_step = walk.failed_step
        tops = standing.definition.steps
        within = {one.id for top in tops if top.id == failed_step for one in top.all()}
        await compensating.compensate(self, standing, [step for step in walk.failed_all if step.id in within])
        cancelled = isinstance(failure, asyncio.CancelledError)
        outcome = self._outcome(
            standing, cost=Decimal(0) if standing.definition.pricing is not None else None, failed_step=failed_step,
            error="it was cancelled" if cancelled else str(failure) or type(failure).__name__,
        )  # fmt: skip
        self.outcome = outcome
        self.tell_progress(standing)
        self._tell_outcome(outcome)
        handling = standing.definition.error_handling
        if handling.notify_on_failure:
            self.notify(standing, handling.notify, "request-failed", step_id=failed_step, error=outcome.error)
        await self.storage.sync()  # the end of a turn: the error that follows undoes only what comes after it
        return outcome

    def _outcome(self, standing: Standing, **more: Any) -> ServiceOutcome:
        failed_step = more.get("failed_step")
        return ServiceOutcome(
            request_id=standing.request_id, service_id=standing.definition.id, customer_id=standing.customer_id,
            success=not standing.failed and "error" not in more, results=dict(standing.results), completed_steps=list(standing.completed),
            failed_steps=list(dict.fromkeys([*standing.failed, *([failed_step] if failed_step else [])])),
            skipped_steps=[step for step in standing.skipped if step != failed_step], path=list(standing.path),
            compensations=list(standing.compensations), started_at=standing.began, completed_at=self.now(), **more,
        )  # fmt: skip

    # -- what it says ---------------------------------------------------------------------------------------------------

    def _tell_outcome(self, outcome: ServiceOutcome, *, cached: bool = False) -> None:
        about = {"id": outcome.request_id, "request_id": outcome.request_id, "service_id": outcome.service_id}
        if outcome.error is not None:
            self.send("ServiceRequest.fail", {
                **about, "error": outcome.error, "failed_step": outcome.failed_step, "completed_steps": outcome.completed_steps,
                "partial_results": outcome.results, "compensations": outcome.compensations, **({"cached": True} if cached else {}),
            })  # fmt: skip
            return
        outputs = {
            "success": outcome.success, "results": outcome.results, "completed_steps": outcome.completed_steps,
            "failed_steps": outcome.failed_steps, "path": outcome.path,
        }  # fmt: skip
        self.send("ServiceResult.deliver", {**about, "outputs": outputs, **({"cached": True} if cached else {})})

    def tell_progress(self, standing: Standing) -> None:
        """Say how far it is, and keep that."""
        self.status_now = standing.progress()
        self.send("WorkflowProgress.updated", {"id": standing.request_id, **self.status_now})

    def keep_result(self, step_id: str, value: Any) -> None:
        """Keep what a step gave where it can be read without running anything."""
        self.storage.put(f"result:{step_id}", value)

    def notify(self, standing: Standing, user: str, kind: str, **data: Any) -> None:
        """Tell a person, or who holds a role."""
        about: Mapping[str, Any] = {"service_id": standing.definition.id, "request_id": standing.request_id, **data}
        identity = f"{self.id}/{kind}/{data.get('step_id')}"
        self.send("Notification.send", {"id": identity, "type": kind, "user_id": user, "data": about})

    def _must_be_there(self) -> None:
        if self.asked is None:
            service_id, _, request_id = self.id.partition("/")
            raise ServiceNotFound(f"No checkpoint found: nobody made a request {request_id!r} to {service_id!r}")
