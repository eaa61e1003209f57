"""A dedicated host that ends: what it has not answered goes to the owner, and the answers still awaited are not forgotten."""

from __future__ import annotations

import asyncio

from dotdo.rpc import frames
from dotdo.rpc.links import Links


class Wire:
    """A transport that keeps what is written."""

    def __init__(self):
        self.messages = []
        self._parser = frames.Parser()

    def write(self, data):
        for messages in self._parser.feed(data):
            self.messages += messages

    def close(self): ...


class Router:
    token = "secret"

    def __init__(self):
        self.wires = {}

    def host_of(self, _noun, _entity_id):
        return "owner"

    def host_names(self):
        return ["owner"]

    def learn(self, host, address): ...

    async def connect(self, host, protocol):
        wire = self.wires[host] = Wire()
        protocol().connection_made(wire)
        return wire


class Nobody:
    def replied(self, kind, value): ...


def call(seq):
    return [frames.CALL, seq, "Noun", f"e{seq}", ["ping"], b"", frames.WANTED, None, None]


async def test_calls_of_a_dedicated_host_that_ended_stand_before_later_ones_so_that_their_answers_are_kept():
    router = Router()
    links = Links(router, "c1", "client", asyncio.get_running_loop())
    owner = links.host("owner")
    owner.send(call(4), Nobody())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    links.moved(owner, "Noun", "e5", "d1", [])
    links.passed("Noun", "e5")
    direct = links.to("Noun", "e5")
    direct.send(call(5), Nobody())
    owner.send(call(8), Nobody())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    direct.connection_lost(None)
    owner.data_received(frames.encode([[frames.RESOLVE, 4, b""]]))
    owner.send(call(9), Nobody())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    said = router.wires["owner"].messages
    assert [message[1] for message in said if message[0] == frames.CALL] == [4, 8, 5, 9]
    assert [message[6] & frames.REPEAT for message in said if message[0] == frames.CALL and message[1] == 5] == [frames.REPEAT]
    assert max((message[1] for message in said if message[0] == frames.RELEASE), default=0) <= 5, "5 is still awaited"
    links.close()
