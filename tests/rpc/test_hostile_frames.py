"""A host's own socket: whatever comes in ends its own connection with a reason, runs nothing, and harms nobody else."""

from __future__ import annotations

import asyncio
import gc
import logging
import struct
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest

from dotdo import DO, codec
from dotdo.errors import DotdoError
from dotdo.rpc import frames
from dotdo.testing import Runtime, runtime

ran: list[str] = []


class FrameVictim(DO):
    """Whoever gets in leaves a mark."""

    mark: int = 0

    async def touch(self, how: int = 1) -> int:
        ran.append("touch")
        return how

    async def still(self) -> str:
        return "here"

    async def _private(self) -> None:
        ran.append("_private")


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def hello(token: Any, *, kind: Any = frames.HELLO, version: Any = frames.VERSION, client: Any = "c1", last: Any = None) -> list[Any]:
    return [kind, version, token, client, last]


NONE = codec.encode([[], {}])


def call(
    path: Any, payload: Any = NONE, *, seq: Any = 1, noun: Any = "FrameVictim", entity: Any = "v", flags: Any = frames.WANTED
) -> list[Any]:
    return [frames.CALL, seq, noun, entity, path, payload, flags, None, {}]


def strangers() -> list[bytes]:
    """First bytes of who does not know the token."""
    whole = frames.encode([hello("wrong")])
    raw = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 900, b"SSH-2.0-x\r\n", b"\xff" * 5_000,
        b"\x80\x04\x95cos\nsystem\n", struct.pack(">I", 0xFFFFFFFF) + b"x", struct.pack(">I", 4_097) + b"x" * 10, frame(b""), frame(b"\xc1"),
        frame(b"\x91" * 2_000), frame(b"\xdd\xff\xff\xff\xff"), frame(b"\xdf\xff\xff\xff\xff"), frame(b"\xc6\xff\xff\xff\xff"), frame(b"\x81\x90\x01"),
        frame(b"\x92\x01"), frame(b"\xa4\xff\xfe\xfd\xfc"), frame(b"\xc7\x00\x05"), frame(b"\x91\x91\xd4\xff\x00"),
    ]  # fmt: skip
    packed: list[Any] = [
        None, 1, "x", {}, [], [[]], [1], ["x"], [None], [[None]], [["x"]], [[1.5]], [[True]], [[frames.HELLO]], [[99, 1, "x", "c", None]], [hello("")], [hello(None)],
        [hello(b"x")], [hello(["x"])], [hello("x" * 3_000)], [hello("\x00")], [hello("wrong", version=0)], [hello("wrong", version=None)], [hello("wrong", kind=7)],
        [hello("wrong", client="")], [[*hello("wrong"), 1]], [call(["touch"])], [call(["touch"]), hello("wrong")], [hello("wrong"), call(["touch"])],
        [[frames.PING]], [[frames.WELCOME, "x"]], [[frames.RELEASE, 1]], [[frames.BARRIER, "FrameVictim", "v"]], [[frames.RESOLVE, 1, b""]],
    ]  # fmt: skip
    return [*raw, *(frame(msgpack.packb(one)) for one in packed), whole + whole, whole[:-1] + b"\xff"]


def members() -> list[Any]:
    """Messages of somebody who does know it, and breaks the protocol all the same."""
    bad: list[Any] = [
        [99], [frames.CALL], [frames.CALL, 1], [*call(["touch"]), 1], call("touch"), call([]), call(["x"] * 65), call(["touch"], "text"), call(["touch"], 5),
        call(["touch"], seq="1"), call(["touch"], seq=1.5), call(["touch"], seq=True), call(["touch"], noun=1), call(["touch"], noun=None), call(["touch"], entity=1),
        call(["touch"], entity=None), call(["touch"], flags="1"), call(["touch"], flags=None), call({"touch": 1}), [frames.PIPE, 2, 1, ["touch"], NONE, 1, None, {}],
        [frames.PIPE], [frames.PIPE, 2], [frames.RELEASE], [frames.RELEASE, "x"], [frames.RELEASE, None], [frames.BARRIER], [frames.BARRIER, "x"],
        [frames.WELCOME], [frames.RESOLVE, 1, b""], [frames.REJECT, 1, b""], [frames.MOVED], [frames.REFUSED, "x", "y"], hello("again"),
    ]  # fmt: skip
    return bad


def rejected() -> list[Any]:
    """Calls that are well formed and ask for what is not there, or bring what cannot be read."""
    paths: list[Any] = [
        ["_private"], ["__class__"], ["__init__"], ["_do_"], ["setup"], ["nope"], [""], ["storage"], ["!"], ["!", "nope"], [1], [None], [["i", b"x"]], [["m", [], 0]],
        [["x"]], ["touch", "_x"], ["mark", "__class__"],
    ]  # fmt: skip
    payloads = [
        b"", b"x", b"\xff" * 100, b"\x80\x04.", b"cos\nsystem\n(S'true'\ntR.", codec.encode("x"), codec.encode([]), codec.encode([1]), codec.encode([[], []]),
        codec.encode([[1, 2], {}]), codec.encode([[], {"nope": 1}]), codec.encode([[], {"self": 1}]), b"\x91" * 5_000,
    ]  # fmt: skip
    entities = ["", "x" * 600]
    nouns = ["Nope", "", "framevictim", "object", "dotdo.DO", "x" * 5_000, "\x00", "../x"]
    return [
        *(call(path) for path in paths), *(call(["touch"], payload) for payload in payloads), *(call(["touch"], entity=one) for one in entities),
        *(call(["touch"], noun=one) for one in nouns),
    ]  # fmt: skip


@asynccontextmanager
async def listening(rt: Runtime, folder: Path) -> AsyncIterator[str]:
    """The host's session behind a real socket, as hosts of a cluster have it."""
    path = str(folder / "host.sock")
    server = await asyncio.get_running_loop().create_unix_server(rt.host.session, path)
    try:
        yield path
    finally:
        server.close()


async def told(path: str, content: bytes) -> list[list[Any]]:
    """What the host answers before it closes the connection, or after it has answered a call."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(content)
        messages: list[list[Any]] = []
        async with asyncio.timeout(10):
            while not messages or messages[-1][0] in (frames.WELCOME, frames.PARKED):
                head = await reader.read(4)
                if not head:
                    break
                length = struct.unpack(">I", head + await reader.readexactly(4 - len(head)))[0]
                messages += msgpack.unpackb(await reader.readexactly(length), raw=False)
        return messages
    finally:
        writer.close()


@pytest.fixture(autouse=True)
def nothing_ran():
    ran.clear()
    yield
    assert ran == []


def is_refused(messages: list[list[Any]]) -> bool:
    said = [one for one in messages if one[0] != frames.WELCOME]
    return len(said) == 1 and said[0][0] == frames.REFUSED and "Traceback" not in str(said)


async def test_who_does_not_know_the_token_is_told_so_and_nothing_is_read(tmp_path: Path):
    async with runtime() as rt, listening(rt, tmp_path) as path:
        for content in strangers():
            assert is_refused(await told(path, content)), content[:80]
        assert await FrameVictim("v").still() == "here"


async def test_a_malformed_message_ends_its_own_connection_only(tmp_path: Path):
    async with runtime() as rt, listening(rt, tmp_path) as path:
        for message in members():
            assert is_refused(await told(path, frames.encode([hello(rt.host.token)]) + frames.encode([message]))), message
            assert await FrameVictim("v").still() == "here"


async def test_a_call_for_what_is_not_there_is_rejected_with_a_typed_error(tmp_path: Path):
    async with runtime() as rt, listening(rt, tmp_path) as path:
        for message in rejected():
            answer = await told(path, frames.encode([hello(rt.host.token)]) + frames.encode([message]))
            assert answer[-1][:2] == [frames.REJECT, 1], (message, answer)
            error = codec.decode(answer[-1][2])
            assert isinstance(error, DotdoError | TypeError | ValueError | AttributeError), (message, error)
        assert await FrameVictim("v").still() == "here"


async def test_strangers_leave_nothing_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging.getLogger("dotdo.rpc"), "disabled", True)  # pytest keeps what is logged
    async with runtime() as rt, listening(rt, tmp_path) as path:
        contents = strangers()

        async def wave() -> int:
            for content in contents:
                await told(path, content)
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            await wave()
            before = await wave()
            assert await wave() - before < 50_000
        finally:
            tracemalloc.stop()
        assert len(strangers()) + len(members()) + len(rejected()) >= 120
