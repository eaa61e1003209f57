"""Nouns with `index=`: each entity tells the noun's collection what its indexed fields hold.

It tells in the commit that changes one of them, and in the first commit of all, through the outbox: so the collection
hears of a change exactly if it happened, and what it hears is every indexed field as of that commit. The outbox numbers
messages and the receiver drops a lower number, so a later state is never overwritten by an earlier one. What was told last
is kept as a hash; an entity that finds another one when it wakes (its class was changed) tells anew.

An entity that is deleted says so first, in a commit that also marks its file. Whatever is committed after that takes the
mark back; a file that still bears it when its host comes back is deleted then.

A noun without `index=` has none of this.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.storage import journal
from dotdo.storage.entity_file import EntityFile

if TYPE_CHECKING:
    from dotdo.durable.ledger import Ledger
    from dotdo.rpc.server import IncomingCall

COLLECTION = "DotdoCollection"
"""The noun of collections; the id is the collection's name, here the noun that is followed."""

LEAVE_AGAIN_SECONDS = 1.0
VALUE_BYTES_MAX = 16 * 1024
"""A longer value is not told: an index is for short ones."""

_TOLD = "projected"
_LEAVING = "leaving"

After = Callable[[], None]


class Projection:
    """What one activation tells its noun's collection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._activation = activation = ledger.activation
        self._names = frozenset(activation.spec.options.index)
        self._told = 0
        self._was_there = False
        self._is_leaving = False
        self._says_so = False
        """The commit that is being made is the one that marks the file."""
        activation.before_commit = self.before_commit

    # -- Component ----------------------------------------------------------------------------------------------

    def load(self) -> None:
        file = self._activation.file
        self._was_there = True
        self._told = journal.counter(file, _TOLD)
        self._is_leaving = bool(journal.counter(file, _LEAVING))

    def wake(self) -> None:
        if self._is_leaving:
            self._ledger.host.delete_left(self._activation.key)
        elif self._was_there and self._told != self._hash(self._content()):
            self._activation.exclusively(self.tell)

    def stop(self) -> None: ...

    def due_times(self) -> list[float]:
        return [self._activation.host.clock.now() + LEAVE_AGAIN_SECONDS] if self._is_leaving else []

    # -- telling ------------------------------------------------------------------------------------------------

    def before_commit(self) -> After | None:
        """A commit is being made: add what it changes for the collection; what is returned runs after it."""
        if self._says_so:
            self._says_so = False
            return None
        if self._is_leaving:
            self._is_leaving = False
            journal.put_counter(self._activation.file, _LEAVING, 0)
        elif self._told and self._names.isdisjoint(self._activation.fields.pending):
            return None
        return self.tell()

    def tell(self) -> After | None:
        """Add a message with every indexed field to the transaction that is being put together, if it says something new."""
        content = self._content()
        told = self._hash(content)
        if told == self._told:
            return None
        self._told = told
        journal.put_counter(self._activation.file, _TOLD, told)
        return self._put({name: codec.decode(data) for name, data in content.items()})

    def _put(self, fields: dict[str, Any] | None) -> After:
        activation, outbox = self._activation, self._ledger.outbox
        payload = codec.encode([[activation.id, fields], {}])
        outbox.put(COLLECTION, activation.spec.noun, ["follow"], payload, f"{activation.key}/index/{secrets.token_hex(8)}")
        return outbox.send_new

    def _content(self) -> dict[str, bytes]:
        """The indexed fields, encoded, as the commit that is being made leaves them; without those that are not set."""
        fields, specs = self._activation.fields, self._activation.spec.fields
        content = {}
        for name in sorted(self._names):
            data = fields.pending.get(name) or fields.encoded.get(name)
            if data is None and specs[name].has_default:
                data = codec.encode(specs[name].make_default())
            if data is not None and len(data) <= VALUE_BYTES_MAX:
                content[name] = data
        return content

    def _hash(self, content: dict[str, bytes]) -> int:
        digest = hashlib.blake2b(digest_size=8)
        for name, data in content.items():
            digest.update(codec.encode([name, data]))
        return int.from_bytes(digest.digest(), "big") >> 1 or 1  # 0 means: nothing told yet

    # -- leaving ------------------------------------------------------------------------------------------------

    def leave(self, *, resumes: bool) -> After | None:
        """Mark the file and tell the collection that the entity is gone; again only if it `resumes` and is still marked."""
        if self._is_leaving or resumes:
            return None
        self._is_leaving = self._says_so = True
        self._told = 0
        file = self._activation.file
        journal.put_counter(file, _LEAVING, 1)
        journal.put_counter(file, _TOLD, 0)
        return self._put(None)


def leave(ledger: Ledger, call: IncomingCall, resumes: bool) -> None:
    """The control verb: the entity is to be deleted. Its answer says whether the file is marked now."""

    def mark() -> After:
        projection = ledger.projection
        send = projection.leave(resumes=resumes) if projection is not None else None

        def after() -> None:
            if send is not None:
                send()
            marked = codec.encode(projection is None or projection._is_leaving)
            ledger.activation.gate.when_safe(lambda error: call.settle(error, marked))

        return after

    ledger.activation.exclusively(mark)


def is_left(file: EntityFile) -> bool:
    """True if the file of a sleeping entity is marked (worker thread)."""
    file.open(create=False)
    try:
        return bool(journal.counter(file, _LEAVING))
    finally:
        file.close()
