"""`DotdoService`: the definition of a service, by its id; and `DotdoServiceVolume`: how much one customer has used one."""

from __future__ import annotations

from dotdo.durable_object.do import DO
from dotdo.errors import ServiceNotFound
from dotdo.workflows.services.definition import ServiceDefinition


class ServiceEntity(DO, noun="DotdoService"):
    """One service. Called by `Service`, and by each of its requests when it begins."""

    kept: ServiceDefinition | None = None
    places: dict[str, str] = {}

    async def define(self, definition: ServiceDefinition) -> ServiceDefinition:
        """Keep a definition; a changed one is a new version, by which requests go that begin from now on."""
        version = 1 if self.kept is None else self.kept.version
        if self.kept is not None and self.kept != definition.model_copy(update={"version": version}):
            version += 1
        self.kept = definition.model_copy(update={"version": version})
        return self.kept

    async def definition(self) -> ServiceDefinition:
        """The definition there is. Raises ServiceNotFound."""
        if self.kept is None:
            raise ServiceNotFound(f"no service {self.id!r} was created")
        return self.kept

    async def recipe(self) -> tuple[ServiceDefinition, dict[str, str]]:
        """The definition, and where its functions can be imported from."""
        return await self.definition(), self.places

    async def know_places(self, places: dict[str, str]) -> None:
        """Keep where functions can be imported from."""
        self.places.update(places)


class VolumeEntity(DO, noun="DotdoServiceVolume"):
    """How many requests of one customer one service has delivered."""

    delivered: int = 0

    async def count(self) -> int:
        """One more; how many now."""
        self.delivered += 1
        return self.delivered
