"""`Service`: what a user creates, registers functions with and makes requests of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar, overload

from dotdo.errors import DefinitionError
from dotdo.events import registry
from dotdo.people import parking
from dotdo.workflows.machines.machine import StateMachine
from dotdo.workflows.services import known, reading
from dotdo.workflows.services.definition import ServiceDefinition
from dotdo.workflows.services.request import ServiceRequest
from dotdo.workflows.services.request_entity import RequestEntity
from dotdo.workflows.services.service_entity import ServiceEntity

F = TypeVar("F", bound=Callable[..., Any])


class Service:
    """A service. `await Service.create(...)` makes one, `await Service.get(id)` finds one that was made."""

    def __init__(self, definition: ServiceDefinition) -> None:
        self.definition = definition
        self._is_complete = False

    @overload
    @classmethod
    async def create(
        cls, name: str, steps: Any = ..., pricing: Any = ..., *, id: str | None = ..., error_handling: Any = ...,
        errorHandling: Any = ...,  # noqa: N803 - as definitions from JSON spell it
        type: Any = ..., subtype: Literal["workflow"] = ..., description: str | None = ..., strict: bool = ...,
        functions: Mapping[str, Callable[..., Any]] | None = ...,
    ) -> Service: ...  # fmt: skip
    @overload
    @classmethod
    async def create(cls, name: str, *, subtype: Literal["state-machine"], **machine: Any) -> StateMachine: ...
    @classmethod
    async def create(
        cls, name: str | None = None, steps: Any = None, pricing: Any = None, *, id: str | None = None, error_handling: Any = None,
        type: Any = "automation", subtype: str = "workflow", description: str | None = None, strict: bool = True,
        functions: Mapping[str, Callable[..., Any]] | None = None, **also: Any,
    ) -> Any:  # fmt: skip
        """Create a service, or give one of this id a new definition; kept when this returns.

        Args:
            steps: dicts in either spelling, or ServiceStep. In camelCase plain numbers of durations are milliseconds.
            pricing: see `dotdo.workflows.pricing`.
            id: made of the name by default.
            error_handling: what holds for all steps; `errorHandling` is the same.
            subtype: "state-machine" makes a StateMachine of `states` and `initialState` instead.
            strict: False loads what can be run; the rest is in `.warnings`, and fails when it is reached.
            functions: those of the steps, instead of `@service.step`.

        Raises:
            DefinitionError: lists everything that is wrong; nothing is kept then.
        """
        if subtype == "state-machine":
            return StateMachine(name, strict=strict, subtype=subtype, **also)
        spelled = "errorHandling" in also
        if spelled and error_handling is not None:
            raise DefinitionError("error_handling and errorHandling are one thing: give one of them")
        handling = also.pop("errorHandling") if spelled else error_handling
        if also:
            raise TypeError(f"Service.create takes no {', '.join(sorted(also))}")
        if subtype != "workflow":
            raise DefinitionError(f"subtype={subtype!r} is unknown; use 'workflow' or 'state-machine'")
        definition = reading.read(
            name, id, steps, pricing, handling, strict=strict, is_python=error_handling is not None, type=str(type), subtype=subtype,
            description=description, is_strict=strict,
        )  # fmt: skip
        service = cls(await ServiceEntity(definition.id).define(definition))
        for step_id, fn in (functions or {}).items():
            service.step(step_id, fn)
        return service

    @classmethod
    async def get(cls, id: str) -> Service:
        """The service of this id, or of this name. Raises ServiceNotFound."""
        return cls(await ServiceEntity(reading.slug(id)).definition())

    @property
    def id(self) -> str:
        """What it is found by."""
        return self.definition.id

    @property
    def name(self) -> str:
        """What it is called."""
        return self.definition.name

    @property
    def warnings(self) -> list[str]:
        """What `strict=False` let pass, and what is worth a look."""
        return self.definition.warnings

    def __repr__(self) -> str:
        return f"<service {self.id}>"

    @overload
    def step(self, name: str) -> Callable[[F], F]: ...
    @overload
    def step(self, name: str, fn: F) -> F: ...
    def step(self, name: str, fn: Any = None) -> Any:
        """Register the function of a step, or of a compensating action: `@service.step("validate")`; it is returned unchanged.

        It is called with (), (inputs) or (inputs, state), a compensating action with its params in the place of the inputs. It
        may be a coroutine. `state` has `results`, `context`, `completed_steps`, `request_id`, `customer_id`.
        """

        def register(function: Any) -> Any:
            known.register(self.id, name, function)
            self._is_complete = False
            return function

        return register if fn is None else register(fn)

    action = step
    """The same, read better above the function of a compensating action."""

    async def request(
        self, inputs: Any = None, *, customer_id: str | None = None, id: str | None = None, volume: float | None = None
    ) -> ServiceRequest:  # fmt: skip
        """Ask for the service. It is durable when this returns, and goes on by itself.

        Args:
            inputs: what the steps get.
            customer_id: who pays.
            id: the same id again gives the request there is, with its outcome if it has one; a new one by default.
            volume: by which discounts go; the number of requests delivered to this customer, if it is not given.

        Raises:
            DefinitionError: a step has no function; nothing was begun.
            CallIdConflict: the id belongs to a request with other inputs.
        """
        await self._make_functions_known()
        request_id = parking.new_id() if id is None else id
        had_ended = await RequestEntity(f"{self.id}/{request_id}").open({} if inputs is None else inputs, customer_id, volume)
        return ServiceRequest(self.id, request_id, was_there=had_ended)

    def get_request(self, id: str) -> ServiceRequest:
        """The handle of a request by its id."""
        return ServiceRequest(self.id, id)

    async def _make_functions_known(self) -> None:
        """Once: every function there has to be is there, and hosts know where those are that can be imported."""
        if self._is_complete:
            return
        steps = self.definition.all_steps().values()
        wanted = dict.fromkeys(step.id for step in steps if step.type == "function")
        for step in steps:
            wanted.update((action.action, None) for action in (step.compensation.steps if step.compensation is not None else ()))
        entity: Any = ServiceEntity(self.id)
        _, kept = await entity.recipe()
        missing = [name for name in wanted if name not in kept and not known.is_known(self.id, name)]
        if missing and self.definition.is_strict:
            shown = ", ".join(map(repr, missing))
            raise DefinitionError(
                f"service {self.id!r}: no function is registered for {shown}; write @service.step({missing[0]!r}) above it"
            )
        places = {name: place for name in wanted if (place := known.place_of(self.id, name)) is not None}
        if any(kept.get(name) != place for name, place in places.items()):
            await entity.know_places(places)
        self._is_complete = True


async def on_service_request_created(request: Any) -> None:
    """`ServiceRequest.created`, as the sources send it, asks the service it names; the event's id, else a new one, is the request's."""
    service_id = request.get("service_id", request.get("serviceId"))
    customer_id = request.get("customer_id", request.get("customerId"))
    service = await Service.get(str(service_id))
    given = request.get("id", request.get("$id"))
    await service.request(request.get("inputs"), customer_id=customer_id, id=None if given is None else str(given))


registry.add_function("ServiceRequest.created", on_service_request_created, is_default=True)
