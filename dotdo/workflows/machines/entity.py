"""`DotdoMachine`: one instance of a state machine; its id is `<machine>/<id>`.

A move is all or nothing. What its functions do happens in one durable step, which gives the new context; state, context,
history and timer then change in one commit. A function that raises leaves the instance where it was, and its caller gets
the error. While the functions of a move run, which may take days, other events wait in line, on disk if need be.

The time in a state is the entity's alarm, set in the commit that enters the state and taken back in the one that leaves it.
"""

from __future__ import annotations

import hashlib
import inspect
from datetime import timedelta
from typing import Any

from dotdo import clock, codec
from dotdo.durable_object.do import DO
from dotdo.errors import CallIdConflict, DefinitionError, MachineNotFound, WouldDeadlock
from dotdo.events.event import Event
from dotdo.events.sending import Delivery, send
from dotdo.people import parking
from dotdo.workflows.machines import contexts, known, rules
from dotdo.workflows.machines.definition import Action, MachineDefinition
from dotdo.workflows.machines.rules import Move

HISTORY_MAX = 10_000

_TABLE = """CREATE TABLE IF NOT EXISTS history(
    number INTEGER PRIMARY KEY, source TEXT NOT NULL, event TEXT NOT NULL, target TEXT NOT NULL, at REAL NOT NULL, attempt INTEGER)"""


class MachineEntity(DO, noun=known.NOUN):
    """One instance. Called by `MachineInstance`."""

    at_state: str | None = None
    at_context: Any = None
    begun_with: bytes | None = None
    visit: int = 0
    tries: int = 0
    moving: str | None = None
    line: list[str] = []
    waiting: list[str] = []

    # -- what is asked of it ----------------------------------------------------------------------------------------

    async def start(self, context: Any) -> None:
        """Enter the initial state; a second time, with the same context, do nothing. Raises CallIdConflict."""
        given = hashlib.blake2b(codec.encode(context), digest_size=16).digest()
        await self._wait_in_line()
        if self.begun_with is not None:
            if given != self.begun_with:
                raise CallIdConflict(f"the instance {self.id} was started with another context; use another id")
            return
        await self._move(rules.begin(self._definition(), context), begun_with=given)

    async def send_event(self, event: str, data: Any = None) -> str:
        """Let an event happen; the state it led to. Raises InvalidTransition, GuardFailed, what a function raised."""
        await self._wait_in_line()
        move = rules.decide(self._definition(), self._state(), event, self.at_context, data, self.tries)
        await self._move(move)
        return self._state()

    async def take_event(self, event: Event) -> None:
        """A domain event came. One that does not fit the state is tried again, and in the end a dead letter.

        What an instance itself announces, as the action of `submit` does with `Order.submitted`, does not drive it.
        """
        if event.source == self.key:
            return
        route = rules.route_of(self._definition(), event.name)
        if route is not None:
            data = route.data(event.data) if route.data is not None else event.data
            await self.send_event(route.event, data)

    async def can(self, event: str, data: Any = None) -> bool:
        """Would the event be taken now?"""
        transition = rules.state_of(self._definition(), self._state()).transitions.get(event)
        return transition is not None and rules.allows(transition, self.at_context, data)

    async def current(self) -> str:
        """The name of the state."""
        return self._state()

    async def context(self) -> Any:
        """The context."""
        self._state()
        return self.at_context

    async def history(self) -> list[dict[str, Any]]:
        """Every move, oldest first, 10,000 at most."""
        self._state()
        return [_entry(row) for row in self.storage.sql("SELECT * FROM history ORDER BY number").all()]

    async def outcome(self) -> dict[str, Any]:
        """State, context and history once it is in a terminal state; who waits is parked until then."""
        if not rules.state_of(self._definition(), self._state()).is_terminal:
            await parking.until_ended(self, self.waiting)
        return {"final_state": self._state(), "context": self.at_context, "history": await self.history()}

    async def alarm(self, info: Any) -> None:
        """The time in a state is up, unless an event was faster."""
        visit = self.visit
        await self._wait_in_line()
        if self.visit == visit and rules.state_of(self._definition(), self._state()).timeout_s is not None:
            await self._move(rules.time_out(self._definition(), self._state(), self.at_context))

    # -- moving -----------------------------------------------------------------------------------------------------

    async def _wait_in_line(self) -> None:
        """Until no move is under way."""
        while self.moving is not None:
            _turn, task = self._ledger.current("send")
            if task.run is not None and self.key in task.run.chain[:-1]:
                raise WouldDeadlock(
                    f"{self.id} is in the middle of {self.moving!r}, and a function of that very move waits for its next event: "
                    f"do not await it there"
                )
            await parking.until_ended(self, self.line)

    async def _move(self, move: Move, begun_with: bytes | None = None) -> None:
        context = contexts.merge(self._definition(), move.context, move.data)
        if move.has_effects:
            self.moving = move.event
            try:
                context = await self.do(self._run_functions, move, step_id=f"{move.source or 'nothing'}.{move.event}", retry=1)
            except Exception:
                self._let_next()
                await self.storage.sync()  # the end of a turn: the error undoes only what comes after it
                raise
        if begun_with is not None:
            self.begun_with = begun_with
            self.storage.sql(_TABLE)
        self._settle(move, context)
        self._let_next()

    def _settle(self, move: Move, context: Any) -> None:
        """The move is done: state, context, history and timer, in this turn."""
        now = self.now()
        self.at_state = move.target.name
        self.at_context = context
        row = (move.source, move.event, move.target.name, clock.to_epoch(now), move.attempt)
        self.storage.sql("INSERT INTO history(source, event, target, at, attempt) VALUES(?, ?, ?, ?, ?)", *row)
        if move.stays:
            self.tries = move.attempt or 0
            return
        self.visit += 1
        self.tries = 0
        if self.visit % 100 == 0:
            self.storage.sql("DELETE FROM history WHERE number <= (SELECT max(number) FROM history) - ?", HISTORY_MAX)
        if move.target.timeout_s is not None:
            self.storage.set_alarm(now + timedelta(seconds=move.target.timeout_s))
        else:
            self.storage.delete_alarm()
        if move.target.is_terminal:
            parking.let_go(self.waiting)

    def _let_next(self) -> None:
        self.moving = None
        parking.let_go(self.line)

    async def _run_functions(self, move: Move) -> Any:
        """Exit, then the event's data, then actions, then entry: the new context."""
        definition = self._definition()
        context = contexts.merge(definition, move.context, None)
        for action in move.exit:
            await _perform(action, context, move.data)
        context = contexts.merge(definition, context, move.data)
        for action in move.actions:
            returned = await _perform(action, context, move.data)
            if action.handler is not None:
                context = contexts.after(definition, context, returned, getattr(action.handler, "__name__", "?"))
        for action in move.entry:
            await _perform(action, context, move.data)
        return contexts.as_context(definition, context, "the context")

    # -- what it is -------------------------------------------------------------------------------------------------

    def _definition(self) -> MachineDefinition:
        return known.find(self.id.partition("/")[0]).definition

    def _state(self) -> str:
        if self.at_state is None:
            name, _, instance = self.id.partition("/")
            raise MachineNotFound(f"no instance {instance!r} of the state machine {name!r} was started")
        return self.at_state


async def _perform(action: Action, context: Any, data: Any) -> Any:
    """Run one action; what a coroutine returned. An event that a function sent without awaiting it is on its way already."""
    if action.type == "emit":
        if action.event is None:
            raise DefinitionError("an action of type 'emit' names no event")
        send(action.event, context)
        return None
    assert action.handler is not None
    returned = rules.call(action.handler, context, data)
    if isinstance(returned, Delivery):
        return None
    return await returned if inspect.isawaitable(returned) else returned


def _entry(row: Any) -> dict[str, Any]:
    entry = {"from": row["source"] or None, "event": row["event"], "to": row["target"], "at": clock.to_datetime(row["at"])}
    return entry if row["attempt"] is None else {**entry, "attempt": row["attempt"]}
