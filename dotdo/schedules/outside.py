"""What is asked of an entity's schedules from outside: which there are, and to keep, end, pause or resume one.

These are control calls (see durable/control.py), answered by the runtime for an entity of any noun. All of them are idempotent; one
that comes through an outbox is taken by the inbox, so that an old word never undoes a newer one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import clock, codec
from dotdo.durable import ports
from dotdo.errors import NoSuchMember
from dotdo.schedules import entry
from dotdo.schedules.agenda import Agenda, agenda_of
from dotdo.schedules.entry import Definition
from dotdo.schedules.scheduled import NAME

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

FOLLOWING = 5
"""So many of the next times are told."""

_ALL = "SELECT name, definition, rule, due, runs, skipped, last, status, error FROM _do_agenda ORDER BY due IS NULL, due, name"


def describe(agenda: Agenda) -> list[dict[str, Any]]:
    """The schedules of an entity as plain data, what is due first at the front."""
    return [_described(agenda.key, *row) for row in agenda.rows(_ALL)]


def _described(key: str, name: str, packed: bytes, rule: bytes, due: float | None, *rest: Any) -> dict[str, Any]:
    definition: Any = codec.decode(packed)
    anchored: Any = codec.decode(rule)
    runs, skipped, last, status, error = rest
    following = [] if due is None else [clock.to_datetime(due)]
    if following and anchored is not None:
        following += anchored.next_times(FOLLOWING - 1, following[0])
    return {
        "entity": key, "name": name, "rule": anchored, "text": str(anchored) if anchored is not None else "once",
        "handler": definition.handler, "overlap": definition.overlap, "catch_up": definition.catch_up, "next_times": following,
        "is_paused": due is None, "runs": runs, "skipped": skipped, "last": None if last is None else clock.to_datetime(last),
        "status": status, "error": error,
    }  # fmt: skip


def _pause(agenda: Agenda, name: str) -> bool:
    return agenda.write("UPDATE _do_agenda SET due = NULL WHERE name = ?1 AND due IS NOT NULL", name) > 0


def _resume(agenda: Agenda, name: str) -> bool:
    rows = agenda.rows("SELECT definition, rule FROM _do_agenda WHERE name = ?1 AND due IS NULL", name)
    if not rows:
        return False
    now = agenda.now()
    definition: Any = codec.decode(rows[0][0])
    rule: Any = codec.decode(rows[0][1])
    due = definition.at if rule is None else entry.next_due(rule, now)
    return agenda.write("UPDATE _do_agenda SET due = ?2, since = ?3 WHERE name = ?1", name, due, now) > 0


def _do(agenda: Agenda, action: str, name: str, definition: Definition | None) -> tuple[bool, Callable[[], None]]:
    """In the transaction that is being put together: whether it did anything, and what follows its commit."""
    if action == "keep" and definition is not None:
        agenda.keep(definition, by_setup=False)
        return True, agenda.arm
    if action == "cancel":
        return (True, agenda.forget(name)) if agenda.has(name) else (False, agenda.arm)
    return (_pause if action == "pause" else _resume)(agenda, name), agenda.arm


def answer(ledger: Ledger, call: IncomingCall, action: str, name: str = "", definition: Definition | None = None) -> None:
    """Answer one control call: list, keep, cancel, pause or resume. Raises NoSuchMember."""
    agenda, activation = agenda_of(ledger), ledger.activation

    def say(value: Any) -> None:
        blob = codec.encode(value)
        activation.gate.when_safe(lambda error: call.settle(error, blob))

    if action == "list":
        say(describe(agenda))
        return

    if action not in ("keep", "cancel", "pause", "resume") or not isinstance(definition, Definition | None):
        raise NoSuchMember(f"schedules cannot be asked to {action!r} {definition!r}")

    if call.is_message:
        ledger.inbox.take(call, lambda: _do(agenda, action, name, definition)[1])
        return

    def act() -> Callable[[], None]:
        did, after = _do(agenda, action, name, definition)

        def go_on() -> None:
            after()
            say(did)

        return go_on

    activation.exclusively(act)


ports.verbs[NAME] = answer
