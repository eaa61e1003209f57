"""`StateMachine`: what a user writes and holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dotdo.errors import DefinitionError
from dotdo.people import parking
from dotdo.workflows.machines import known, pictures, reading
from dotdo.workflows.machines.instance import MachineInstance


class StateMachine:
    """A state machine, registered by its name. `start` makes an instance, an entity of its own.

    Args:
        name: by which instances find it, after a restart too.
        initial: the state an instance begins in; `initialState` is the same.
        states: by name, in either form of the sources: see `dotdo.workflows.machines.reading`. A guard is a plain function of
            the context; an action gets the context with the event's data in it and gives a new one, or None to keep that. Either
            may take the event's data as a second argument.
        context: a pydantic model, as the type of every context; or a value that instances started without one begin with.
        events: domain events that drive instances: {"Order.paid": "pay"}, or as a dict of `event`, `key` (the field that holds
            the instance's id; "$id" or "id" by default) and `data`, a function from the payload to the event's data.
        key: for events that name none.
        strict: False loads what can be run; the rest is in `.warnings`, and fails when it is reached.

    Raises:
        DefinitionError: lists everything that is wrong; or the name belongs to a machine of another module.
    """

    def __init__(
        self, name: str | None = None, initial: str | None = None, states: Mapping[str, Any] | None = None, *, context: Any = None,
        events: Mapping[str, Any] | None = None, key: str | None = None, strict: bool = True, **also: Any,
    ) -> None:  # fmt: skip
        initial = _one_of(initial, also)
        _check_kind(also)
        self.definition = reading.read(name, initial, states, events=events, key=key, context=context, strict=strict)
        self.module = known.module_of_caller()
        known.register(self)

    @property
    def name(self) -> str:
        """What it is registered by."""
        return self.definition.name

    @property
    def initial(self) -> str:
        """The state an instance begins in."""
        return self.definition.initial

    @property
    def states(self) -> list[str]:
        """The names of the states, in the order of the definition."""
        return list(self.definition.states)

    @property
    def warnings(self) -> list[str]:
        """What is wrong with it and was let pass."""
        return list(self.definition.warnings)

    def __repr__(self) -> str:
        return f"<state machine {self.name}>"

    async def start(self, context: Any = None, *, id: str | None = None) -> MachineInstance:
        """Make an instance; its initial state is entered, and safe, when this returns.

        Args:
            context: what it is about: a dict or a model.
            id: of the instance; the same id and context again give the one there is. A new one by default.

        Raises:
            CallIdConflict: the id belongs to an instance that was started with another context.
        """
        instance = self.get(parking.new_id() if id is None else id)
        await instance._stub.start(context)
        return instance

    def get(self, id: str) -> MachineInstance:
        """The instance of this id, started or not."""
        return MachineInstance(self.name, id)

    def mermaid(self, current: str | None = None) -> str:
        """The machine as a Mermaid state diagram, with the current state marked."""
        return pictures.mermaid(self.definition, current)

    def svg(self, current: str | None = None) -> str:
        """The machine as an SVG picture, with the current state marked."""
        return pictures.svg(self.definition, current)


def _one_of(initial: str | None, also: dict[str, Any]) -> str | None:
    given = [also.pop(spelling) for spelling in ("initial_state", "initialState") if spelling in also]
    if len(given) + (initial is not None) > 1:
        raise DefinitionError("initial, initial_state and initialState are one thing: give one of them")
    return given[0] if given else initial


def _check_kind(also: dict[str, Any]) -> None:
    """The words by which the sources say that a service is a state machine."""
    also.pop("type", None)
    kind = also.pop("subtype", "state-machine")
    if kind != "state-machine":
        raise DefinitionError(f"subtype={kind!r} is not 'state-machine'")
    if also:
        raise TypeError(f"StateMachine takes no {', '.join(sorted(also))}")
