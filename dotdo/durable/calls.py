"""Calls an entity makes: the `Caller` inside entities.

Every call gets an id derived from the caller's own call id, the branch and the ordinal, so that whatever is run again
asks under the same id, and a callee that wrote answers from its record. An awaited call outside a step is a step of its
own once the caller is an execution: its outcome is journaled. A call whose promise nobody holds when the turn commits
goes through the outbox, in that very commit; the others go directly, once the commit is safe. The calls of a transaction
wait for the turn that commits it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable.operation import Operation
from dotdo.entity.turn import Turn
from dotdo.errors import CallTimeout, DotdoError, InsideTransaction, mark_remote
from dotdo.rpc import follow, frames
from dotdo.rpc.client import decode_error
from dotdo.rpc.node import Node
from dotdo.rpc.server import encode_error
from dotdo.storage.journal import Kind

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.durable.run import Run

CALL_ID_LENGTH_MAX = 100

_NONE = codec.encode(None)


def derived_id(parent: str, place: str) -> str:
    """The id of a call made at `place` in the call `parent`; long ones are hashed."""
    text = f"{parent}/{place}"
    if len(text) <= CALL_ID_LENGTH_MAX:
        return text
    return "h" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _name_of(node: Node) -> str:
    member = node.path[-1]
    if not isinstance(member, str):
        member = next((op for op in reversed(node.path) if isinstance(op, str)), "item")
    return f"{node.noun}.{member}"


def _is_on_record(node: Node) -> bool:
    """True if a replay has the call's outcome and nothing else builds on the call: it need not be made again."""
    outgoing: Outgoing = node.slot
    run = outgoing.run
    if run is None or run.replay is None or outgoing.key is None:
        return False
    return not node.children and not node.is_consumed and run.replay.has(outgoing.key)


class Outgoing:
    """What the entity's caller keeps on a node."""

    __slots__ = ("attempt", "is_sent", "is_undone", "key", "name", "operation", "reply", "run", "waiters")

    def __init__(self, run: Run | None, key: str | None, name: str) -> None:
        self.run = run
        self.key = key
        self.name = name
        self.operation: CallOperation | None = None
        self.reply: tuple[bool, bytes] | None = None
        self.is_sent = False
        self.is_undone = False
        self.attempt = 1
        self.waiters: list[Callable[[bool, bytes], None]] | None = None


class EntityCaller:
    """Takes what an entity's code records."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.activation = ledger.activation
        self._origin = [ledger.activation.spec.noun, ledger.activation.id]
        self._of_transaction: list[Node] = []
        """Calls made in the transaction that is open."""

    # -- Caller -------------------------------------------------------------------------------------------------

    def record(self, node: Node) -> None:
        turn = self.activation.turn
        if turn is None or turn.task is None or turn.dropped:
            turn, _ = self.ledger.current("a call")
        task = turn.task
        assert task is not None
        run: Run | None = task.run
        options = node.options
        name = options.name if options is not None and options.name is not None else _name_of(node)
        branch = task.branch
        key = None
        if run is not None and not branch.in_step:
            key = options.key if options is not None and options.key is not None else branch.key(name)
        if node.call_id is None:
            parent = run.unique_id if run is not None else f"{self.activation.key}/setup"
            node.call_id = derived_id(parent, branch.next_call(name))
        node.owner = self
        node.slot = outgoing = Outgoing(run, key, name)
        outgoing.attempt = branch.attempt
        if turn.nodes is None:
            turn.nodes = []
        turn.nodes.append(node)

    def pull(self, node: Node) -> Awaitable[Any]:
        if node.owner is None:
            self.record(node)
        elif node.owner is not self:
            raise DotdoError(f"{node.text} was made outside {self.activation.key}: a promise cannot be taken across entities")
        if self.activation.hold is not None and self.activation.in_transaction:
            raise InsideTransaction(f"{node.text} was awaited inside a transaction of {self.activation.key}: await it before or after")
        outgoing: Outgoing = node.slot
        if outgoing.is_undone:
            raise InsideTransaction(f"{node.text} was made in a transaction of {self.activation.key} that was undone: make it anew")
        node.is_wanted = True
        if outgoing.run is None:
            return self._plain(node)
        if outgoing.operation is not None:
            return self._again(node, outgoing)
        operation = outgoing.operation = CallOperation(self, node, outgoing)
        return operation.outcome()

    def result(self, node: Node, timeout_s: float | None) -> Any:
        raise RuntimeError(f"{node.text}.result() blocks, and an entity runs on an event loop: await it instead")

    async def _plain(self, node: Node) -> Any:
        """A call made by `setup`: not part of any execution."""
        future: asyncio.Future[tuple[bool, bytes]] = self.activation.host.loop.create_future()
        self.when_answered(node, lambda ok, blob: None if future.done() else future.set_result((ok, blob)))
        return _value(*await future)

    async def _again(self, node: Node, outgoing: Outgoing) -> Any:
        """A promise that is awaited a second time."""
        future: asyncio.Future[tuple[bool, bytes]] = self.activation.host.loop.create_future()
        self.when_answered(node, lambda ok, blob: None if future.done() else future.set_result((ok, blob)))
        return _value(*await future)

    # -- what a turn's end does ---------------------------------------------------------------------------------

    @property
    def has_waiting(self) -> bool:
        """True if calls of a transaction wait for its commit."""
        return bool(self._of_transaction)

    def mark(self) -> int:
        """Where an inner transaction begins: what is called from here on is undone with it."""
        turn = self.activation.turn
        return len(self._of_transaction) + (len(turn.nodes or ()) if turn is not None else 0)

    def undo(self, mark: int = 0) -> None:
        """The transaction, or the inner one that began at `mark`, is undone: its calls were never made."""
        turn = self.activation.turn
        earlier = self._of_transaction
        undone = earlier[mark:]
        if turn is not None and turn.nodes is not None:
            first = max(mark - len(earlier), 0)
            undone += turn.nodes[first:]
            del turn.nodes[first:]
        del earlier[mark:]
        for node in undone:
            node.slot.is_undone = True

    def place(self, turn: Turn, *, replayed: bool) -> None:
        """Decide where the calls of this turn go; messages for the outbox join its transaction."""
        nodes = turn.nodes or []
        turn.nodes = None
        if not replayed and self.activation.in_transaction:
            self._of_transaction += nodes
            return
        if self._of_transaction:
            nodes, self._of_transaction = self._of_transaction + nodes, []
        direct = []
        for node in nodes:
            if node.slot.run is not None and node.slot.run.check is not None:
                continue
            if node.is_wanted or node.is_held:
                if not replayed and not _is_on_record(node):
                    direct.append(node)
            elif node.payload is None or node.children or node.is_consumed or replayed:
                continue
            elif node.base is None:
                assert node.call_id is not None
                self.ledger.outbox.put(
                    node.noun, node.entity_id, list(node.path), node.payload, node.call_id, has_promises=node.has_promises
                )
            else:
                direct.append(node)
        if direct:
            turn.calls = direct

    def send_when_safe(self, nodes: list[Node]) -> None:
        """The turn that made these calls is committed: they go once the commit is safe."""
        gate = self.activation.gate
        if gate.is_open:
            self._send_all(nodes)
        else:
            gate.when_safe(lambda error: None if error else self._send_all(nodes))  # later commits are not theirs to wait for

    def _send_all(self, nodes: list[Node]) -> None:
        for node in nodes:
            self.send(node)

    def send(self, node: Node) -> None:
        """Send one call now; its answer is kept for whoever awaits it."""
        outgoing: Outgoing = node.slot
        if outgoing.is_sent:
            return
        outgoing.is_sent = True
        base = node.base
        if base is not None:
            self.when_answered(base, lambda ok, blob: self._send_on(node, ok, blob))
        elif node.has_promises:
            self.activation.host.loop.create_task(self._fill_then_send(node))
        else:
            self._send_to(node, node.noun, node.entity_id, node.path, node.payload)

    def _send_to(self, node: Node, noun: str, entity_id: str, path: Sequence[Any], payload: bytes | None) -> None:
        run: Run | None = node.slot.run
        activation = self.activation
        options: dict[str, Any] = {"chain": run.chain if run is not None else [activation.key], "from": self._origin}
        flags = frames.WANTED
        if node.is_consumed or (run is not None and run.is_repeat):
            flags |= frames.REPEAT
        if node.slot.attempt > 1:
            options["attempt"] = node.slot.attempt
        if node.options is not None:
            if node.options.extra:
                options.update(node.options.extra)
            if node.options.call_id is not None:
                options["explicit"] = True
        assert node.call_id is not None
        self.ledger.host.send_call(noun, entity_id, path, payload, flags, node.call_id, options, node)

    def _send_on(self, node: Node, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        """A chain on the result of a call: the base is here."""
        if not ok:
            self.answered(node, ok, blob)
            return
        self.activation.host.loop.create_task(self._follow(node, blob))

    async def _follow(self, node: Node, blob: bytes) -> None:
        try:
            payload = node.payload
            if payload is not None and node.has_promises:
                payload = await follow.fill_promises(payload, self.ledger.host.call_out)
            value = await follow.follow(codec.decode(blob), node.path, payload, self.ledger.host.call_out, node.call_id)
            self.answered(node, True, codec.encode(value))
        except BaseException as error:  # whoever awaits the node gets it
            self.answered(node, False, encode_error(error))

    async def _fill_then_send(self, node: Node) -> None:
        try:
            assert node.payload is not None
            payload = await follow.fill_promises(node.payload, self.ledger.host.call_out)
        except BaseException as error:  # as above
            self.answered(node, False, encode_error(error))
            return
        self._send_to(node, node.noun, node.entity_id, list(node.path), payload)

    # -- answers ------------------------------------------------------------------------------------------------

    def arrived(self, node: Node, kind: int, value: Any) -> None:
        """The answer to a node, or word that it may take days."""
        if kind == frames.PARKED:
            operation = node.slot.operation
            if operation is not None:
                operation.callee_parked()
            return
        self.answered(node, kind != frames.REJECT, value if value is not None else _NONE)

    def answered(self, node: Node, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        """A node has its outcome."""
        outgoing: Outgoing = node.slot
        if outgoing.reply is not None:
            return
        outgoing.reply = (ok, blob)
        if outgoing.waiters:
            waiters, outgoing.waiters = outgoing.waiters, None
            for waiter in waiters:
                waiter(ok, blob)
        if outgoing.operation is not None:
            outgoing.operation.answered(ok, blob)

    def when_answered(self, node: Node, waiter: Callable[[bool, bytes], None]) -> None:
        """Call back with the node's answer, now or when it is here."""
        outgoing: Outgoing = node.slot
        if outgoing.reply is not None:
            waiter(*outgoing.reply)
        else:
            outgoing.waiters = [*(outgoing.waiters or ()), waiter]


class CallOperation(Operation):
    """An awaited call to another entity."""

    __slots__ = ("_is_deadline_kept", "_is_recorded", "_limit", "caller", "node", "outgoing")

    is_call = True

    def __init__(self, caller: EntityCaller, node: Node, outgoing: Outgoing) -> None:
        assert outgoing.run is not None
        super().__init__(outgoing.run, outgoing.key or f"call:{node.call_id}", outgoing.name)
        self.caller = caller
        self._is_recorded = outgoing.key is not None
        self._limit: Any = None
        self._is_deadline_kept = False
        self.node = node
        self.outgoing = outgoing

    def start(self, turn: Turn) -> None:
        options = self.node.options
        if options is not None and options.timeout_s is not None:
            timeout_s = options.timeout_s
            turn.then(lambda: self._limit_to(timeout_s))
        reply = self.outgoing.reply
        if reply is not None:
            turn.then(lambda: self.answered(*reply))
        elif not self.outgoing.is_sent and (turn.nodes is None or turn.is_replayed or self.node not in turn.nodes):
            turn.then(lambda: self.caller.send_when_safe([self.node]))  # made in an earlier turn, or in one that is replayed

    def _limit_to(self, timeout_s: float) -> None:
        """`with_options(timeout=)`: counted anew after a crash, since the call is sent anew as well, but not after a rest."""
        clock = self.run.activation.host.clock
        error = CallTimeout(f"{self.node.text} gave no answer within {timeout_s} s; it may still run")
        kept = self._kept_deadline(self.outgoing.attempt)
        self._is_deadline_kept = kept is not None
        self.until = kept.until if kept is not None and kept.until is not None else clock.now() + timeout_s
        self._limit = clock.call_at(self.until, lambda: self.answered(False, encode_error(error)))

    def keep_deadline(self) -> None:
        if self.until is not None and not self._is_deadline_kept:
            self._is_deadline_kept = True
            call_id = (self.node.call_id or "").encode()
            self.run.add_row(Kind.WAIT, self.key, name=self.name, attempt=self.outgoing.attempt, value=call_id, until=self.until)

    def answered(self, ok: bool, blob: bytes) -> None:  # (ok, blob) is one outcome
        if self._limit is not None:
            self._limit.cancel()
            self.until = None
        run = self.run
        if self.withdrawn or run.operations.get(self.key) is not self or run.is_replaying:
            return
        if not self._is_recorded:
            self.resolve(ok, blob)
        elif not run.is_journaled:
            run.keep_outcome(self.key, self.name, ok, blob, self.body)
            self.resolve(ok, blob)
        else:
            run.operations.pop(self.key, None)

            def record() -> Callable[[], None]:
                run.add_row(Kind.STEP, self.key, name=self.name, ok=ok, value=blob, body=self.body)
                return lambda: run.deliver(self, ok, blob)

            run.activation.exclusively(record)

    @property
    def body(self) -> str:
        """Who is called: an outcome of another entity is never taken for it."""
        return f"{self.node.noun}/{self.node.entity_id}"

    @property
    def is_remote(self) -> bool:
        return self.outgoing.is_sent and self.outgoing.reply is None

    def error(self, blob: bytes) -> BaseException:
        return mark_remote(super().error(blob))

    def callee_parked(self) -> None:
        """The answer may take days: journal the wait, so that this entity may sleep as well."""
        if self.withdrawn or self.is_parked or self.run.is_over:
            return
        self.is_parked = True
        self.waiting_for = self.name

        def record() -> Callable[[], None]:
            self.run.add_row(Kind.WAIT, self.key, name=self.name, value=(self.node.call_id or "").encode())
            return self.run.may_be_parked

        self.run.activation.exclusively(record)


def _value(ok: bool, blob: bytes) -> Any:  # (ok, blob) is one outcome
    if not ok:
        raise mark_remote(decode_error(blob))
    return codec.decode(blob)
