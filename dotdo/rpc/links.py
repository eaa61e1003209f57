"""The links of one caller: to the hosts that own entities, and straight to entities that have a host of their own.

A call goes to the owner of its entity. Where the entity has a dedicated host, the owner passes the call on and says where
it lives; from then on the caller sends there itself. So that no later call overtakes one that is still on its way through
the owner, what is sent directly is held until the owner says that all before it has arrived. When the dedicated host is
gone (asleep, dead, unreachable), what it has not answered goes to the owner again, who knows what is to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from dotdo.rpc import frames
from dotdo.rpc.link import Link, Router


class Links:
    """All links of one client, or of one host."""

    def __init__(self, router: Router, client_id: str, kind: str, loop: asyncio.AbstractEventLoop) -> None:
        self._router = router
        self._client_id = client_id
        self._kind = kind
        self._loop = loop
        self._by_host: dict[str, Link] = {}
        self._direct: dict[tuple[str, str], Link] = {}

    def __iter__(self) -> Iterator[Link]:
        return iter([*self._by_host.values(), *self._direct.values()])

    def to(self, noun: str, entity_id: str) -> Link:
        """The link that an entity's calls go over."""
        if self._direct:
            link = self._direct.get((noun, entity_id))
            if link is not None:
                return link
        return self.host(self._router.host_of(noun, entity_id))

    def host(self, name: str) -> Link:
        """The link to a host, made when first needed."""
        link = self._by_host.get(name)
        if link is None:
            link = self._by_host[name] = Link(self._router, name, self._client_id, self._kind, self._loop, links=self)
        return link

    # -- entities with a host of their own ----------------------------------------------------------------------

    def moved(self, owner: Link, noun: str, entity_id: str, host: str, address: list[Any]) -> None:
        """The owner says where the entity lives."""
        if (noun, entity_id) in self._direct:
            return
        self._router.learn(host, address)
        link = Link(self._router, host, self._client_id, self._kind, self._loop, links=self, owner=owner, entity=(noun, entity_id))
        self._direct[noun, entity_id] = link
        owner.say([frames.BARRIER, noun, entity_id])

    def passed(self, noun: str, entity_id: str) -> None:
        """All that went through the owner has arrived."""
        link = self._direct.get((noun, entity_id))
        if link is not None:
            link.release()

    def owner_lost(self, owner: Link) -> None:
        """The connection to an owner broke: who waits for its word goes through it again."""
        for link in [link for link in self._direct.values() if link.owner is owner and link.is_held]:
            self.gone(link)

    def gone(self, link: Link) -> None:
        """A dedicated host cannot be reached: what waits for its answer goes to the owner, in order."""
        assert link.entity is not None
        if self._direct.get(link.entity) is not link:
            return
        del self._direct[link.entity]
        owner = self.host(self._router.host_of(*link.entity))
        taken = link.hand_over()
        if self._kind == "host":  # a client numbers its calls over all of its links
            for message, _ in taken:
                message[1] = owner.next_seq()
        owner.take_over(taken)
        link.close()
        owner.flush()

    def close(self) -> None:
        """Close every connection; whoever still waits gets HostLost."""
        for link in self:
            link.close()
        self._by_host.clear()
        self._direct.clear()
