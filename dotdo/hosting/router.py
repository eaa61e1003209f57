"""Which host owns a key, and how to reach a host: through its Unix socket on the same node, through TCP on another.

Only who can reach the Ray cluster learns addresses and the token. A host that was started again listens at the same
socket; its port is another one, and is asked for through Ray (`find`) when the one known answers no more.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from dotdo.errors import HostLost
from dotdo.hosting.shards import shard_of
from dotdo.names import CONTROL_NOUN, key_of

ADDRESSES_KEPT_MAX = 10_000
OWNERS_KEPT_MAX = 4096


class ClusterRouter:
    """The hosts of a runtime on Ray, as one process reaches them."""

    def __init__(
        self, owners: list[str], addresses: dict[str, list[Any]], token: str, node: str, find: Callable[[str], list[Any] | None]
    ) -> None:
        self.token = token
        self.node = node
        self._owners = owners
        self._addresses = dict(addresses)
        self._names = sorted(set(owners))
        self._find = find
        self.before_next: Callable[[], None] | None = None
        """Runs once, before the next call leaves."""
        self._owner_of = functools.lru_cache(OWNERS_KEPT_MAX)(self._find_owner)

    def host_of(self, noun: str, entity_id: str) -> str:
        """The owner of the entity's shard; of the control noun, the host itself."""
        if self.before_next is not None:
            self.before_next()
        return self._owner_of(noun, entity_id)

    def _find_owner(self, noun: str, entity_id: str) -> str:
        if noun == CONTROL_NOUN:
            return entity_id
        return self._owners[shard_of(key_of(noun, entity_id), len(self._owners))]

    def host_names(self) -> list[str]:
        """The hosts that own shards."""
        return self._names

    def learn(self, host: str, address: list[Any]) -> None:
        """Where a host listens: Ray node, socket path, IP address, port."""
        while len(self._addresses) >= ADDRESSES_KEPT_MAX:
            stale = next((name for name in self._addresses if name not in self._names), None)
            if stale is None:
                break
            del self._addresses[stale]
        self._addresses[host] = address

    async def connect(self, host: str, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseTransport:
        """A connection. Raises OSError while there is none, HostLost if there is no such host."""
        loop = asyncio.get_running_loop()
        address = self._addresses.get(host) or await self._ask(host)
        if address[0] != self.node and not address[3]:  # known by its socket only, which is on another node
            address = await self._ask(host)
        node, path, ip, port = address
        if node == self.node:
            transport, _ = await loop.create_unix_connection(protocol, path)
            return transport
        try:
            transport, _ = await loop.create_connection(protocol, ip, port)
        except OSError:
            await self._ask(host)
            raise
        return transport

    async def _ask(self, host: str) -> list[Any]:
        address = await asyncio.get_running_loop().run_in_executor(None, self._find, host)
        if address is None:
            if host not in self._names:
                raise HostLost(f"this runtime has no host {host!r}; it has {', '.join(self.host_names())}")
            raise ConnectionRefusedError(f"host {host} is not there now")
        self.learn(host, address)
        return address
