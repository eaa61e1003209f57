"""Bytes from an enemy: what decodes them fails typed, keeps nothing, and everybody else goes on working."""

import asyncio
import logging
import random
import struct
import tracemalloc

import msgpack
import pytest

import dotdo
from dotdo import DO, CodecError, codec
from dotdo.rpc import frames
from dotdo.rpc.frames import FrameError, Parser

SEED = 20_260_101
RANDOM_BYTES = 2 * 1024 * 1024
GROWTH_BYTES_MAX = 4 * 1024 * 1024
LEVELS = 10_000

SAMPLE = {"a": [1, (2, {3}), b"x" * 50], "when": 1.5, "text": "é" * 40, "big": 2**100, "error": ValueError("x"), "none": None}


class Target(DO, noun="HostileTarget"):
    count: int = 0

    async def add(self, value: int) -> int:
        self.count += value
        return self.count


@pytest.fixture(autouse=True)
def no_log(caplog):
    """Every closed connection is one warning, and pytest would keep them all."""
    caplog.set_level(logging.CRITICAL, "dotdo")


def _decode(data: bytes) -> None:
    """Decoding may succeed by chance; else it fails with a CodecError and nothing else."""
    try:
        codec.decode(data)
    except CodecError as error:
        assert str(error)


def _chunks(rng: random.Random, total: int):
    while total > 0:
        size = min(total, rng.choice((1, 3, 17, 200, 3_000, 60_000)))
        total -= size
        yield rng.randbytes(size)


def _deep(levels: int) -> list[bytes]:
    """Nesting by every means the format has: arrays, maps, and extensions within extensions."""
    array = b"\x91" * levels + b"\xc0"
    mapping = b"\x81\xa1a" * levels + b"\xc0"
    extension = b"\xc0"
    for _ in range(1_000):
        extension = msgpack.packb(msgpack.ExtType(codec_codes()[0], b"\x91" + extension))
    mixed = b"\x91" * (levels // 2) + msgpack.packb(msgpack.ExtType(2, b"\x91" * (levels // 2) + b"\xc0"))
    return [array, mapping, extension, mixed, b"\x91\x81\xa1a" * levels]


def codec_codes() -> list[int]:
    return [*range(1, 18), 40, 41, 42, 43]


def _forged(rng: random.Random) -> list[bytes]:
    """Extension values whose content is not what their code promises."""
    insides = [
        b"", b"\xc0", b"\x90", b"\x80", b"\x91\x01", b"\xa3abc", b"\xcb" + b"\xff" * 8, b"\xff" * 30,
        msgpack.packb(["os", "system", "true"]), msgpack.packb(["builtins", "eval", ["1"], {}, [], None, "", ""]),
        msgpack.packb(["builtins", "SystemExit", [1], {}, [], None, "", ""]), msgpack.packb(["builtins", "KeyboardInterrupt", [], {}, [], None, "", ""]),
        msgpack.packb(["builtins", "UnicodeDecodeError", [1], {"__class__": 1}, [1], [1], 1, 1]),
        msgpack.packb(["builtins", "ValueError", [], {"__traceback__": 1, "args": 5, "with_traceback": 1}, [], None, "", ""]),
        msgpack.packb(["pydantic", "ValidationError", [1, [[1, 2, 3]]], {}, [], None, "", ""]),
        msgpack.packb(["dotdo.rpc.stub", "Stub", {}]), msgpack.packb([[], {}, ()]), msgpack.packb([1e308, 1e308, 1e308]),
        msgpack.packb([2**62, 2**62, 2**62]), msgpack.packb(["9999-99-99T00:00", None, 0]), msgpack.packb(["2026-01-01", ["zone", "../../etc/passwd"], 0]),
        msgpack.packb(["2026-01-01", ["zone", "\x00"], 7]), msgpack.packb(["2026-01-01", 1e300, 0]), msgpack.packb([{"a": 1}, [1], [[2]]]),
        b"NaN" * 50, b"1e999999999", b"9" * 5_000, msgpack.packb([0, "", "", None, [], None, None]), msgpack.packb([2, "x", {}]),
        msgpack.packb([0, "Noun", "id", [0], ["x"], b"x", 5]), rng.randbytes(40),
    ]  # fmt: skip
    return [msgpack.packb(msgpack.ExtType(code, inside)) for code in (*codec_codes(), 0, 44, 99, 127) for inside in insides]


def _lengths_that_lie() -> list[bytes]:
    """A few bytes that promise four gigabytes."""
    return [
        b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01",
        b"\xdd\x7f\xff\xff\xff" + b"\xc0" * 1_000,
    ]  # fmt: skip


def _attacks(rng: random.Random) -> list[bytes]:
    return [*_deep(LEVELS), *_forged(rng), *_lengths_that_lie(), b"", b"\xc1", codec.encode(SAMPLE) * 2]


def test_two_megabytes_of_random_bytes_give_codec_errors_only():
    rng = random.Random(SEED)
    for chunk in _chunks(rng, RANDOM_BYTES):
        _decode(chunk)


def test_every_truncation_and_many_mutations_of_good_bytes_give_codec_errors_only():
    rng = random.Random(SEED)
    good = codec.encode(SAMPLE)
    for cut in range(len(good)):
        with pytest.raises(CodecError):
            codec.decode(good[:cut])
    for _ in range(3_000):
        changed = bytearray(good)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        _decode(bytes(changed))


def test_deep_nesting_forged_types_and_false_lengths_give_codec_errors_only():
    for data in _attacks(random.Random(SEED)):
        _decode(data)
    for data in (*_deep(LEVELS), *_lengths_that_lie()):
        with pytest.raises(CodecError):
            codec.decode(data)
    assert codec.decode(codec.encode(SAMPLE))["big"] == 2**100


def test_decoding_hostile_bytes_keeps_no_memory():
    def once() -> None:
        rng = random.Random(SEED)
        for data in _attacks(rng):
            _decode(data)
        for chunk in _chunks(rng, 300_000):
            _decode(chunk)

    once()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2):
            once()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 256 * 1024
    assert peak - before < GROWTH_BYTES_MAX


def test_a_forged_error_cannot_end_the_process_or_take_over_the_object():
    for name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit"):
        forged = msgpack.packb(msgpack.ExtType(15, msgpack.packb(["builtins", name, [3], {"code": 3}, [], None, "", "bye"])))
        assert isinstance(codec.decode(forged), Exception), name


# -- frames -----------------------------------------------------------------------------------------------------


def test_a_parser_of_frames_gives_frame_errors_only_and_never_waits_for_more_than_its_limit():
    rng = random.Random(SEED)
    for chunk in _chunks(rng, RANDOM_BYTES // 4):
        parser = Parser(frames.HELLO_BYTES_MAX)
        try:
            for start in range(0, len(chunk), 1_000):
                for messages in parser.feed(chunk[start : start + 1_000]):
                    assert isinstance(messages, list)
        except FrameError:
            continue
        assert len(parser._buffer) <= frames.HELLO_BYTES_MAX + 1_000
    for body in _attacks(rng):
        try:
            Parser().feed(struct.pack(">I", len(body)) + body)
        except FrameError:
            continue
    good = frames.encode([[frames.PING], [frames.RELEASE, 3]])
    parser = Parser()
    received = [messages for byte in good * 3 for messages in parser.feed(bytes([byte]))]
    assert received == [[[frames.PING], [frames.RELEASE, 3]]] * 3


# -- a live host ------------------------------------------------------------------------------------------------


def _hello(token: str, client_id: str = "enemy") -> bytes:
    return frames.encode([[frames.HELLO, frames.VERSION, token, client_id, "client"]])


def _malformed_messages(rng: random.Random) -> list[list]:
    """Frames of a client that knows the token: each message is wrong in its own way."""
    payload = codec.encode([[1], {}])
    call = [frames.CALL, 1, "HostileTarget", "t", ["add"], payload, frames.WANTED, None, None]
    wrong: list[list] = []
    for place in range(1, 9):
        wrong.extend(
            [*call[:place], value, *call[place + 1 :]] for value in (None, -1, 2**63, "x" * 300, b"\x00", [], {}, [[[]]], 1.5, True)
        )
    wrong.extend(call[:length] for length in range(1, 9))
    wrong.append([*call, 1, 2, 3])
    wrong.extend([frames.CALL, n, "HostileTarget", "t", ["add"], data, frames.WANTED | flag, None, None]
                 for n, data in enumerate(_attacks(rng)[:60]) for flag in (0, frames.PROMISES, frames.REPEAT))  # fmt: skip
    for path in (["!"], ["!", "info"], ["!", "signal", 1], ["!", "reply"], ["!", "__class__"], ["__class__"], ["_do_"], ["add"] * 65, [1], [None],
                 [["i"]], [["m", 1, 2]], ["count", ["m", [[0]], b""]], ["count", ["i", b"\xc1"]], ["setup"], ["id"], ["storage"]):  # fmt: skip
        wrong.extend([frames.CALL, 7, "HostileTarget", "t", path, data, frames.WANTED, None, None] for data in (None, payload))
    for options in (
        {"chain": 5},
        {"from": 1},
        {"from": [1, 2]},
        {"sender": "x"},
        {"sender": 1, "number": "y"},
        {"start": 1, "explicit": []},
    ):
        wrong.append([frames.CALL, 8, "HostileTarget", "t", ["add"], payload, frames.WANTED | frames.REPEAT, "id", options])
    for noun in ("", "../x", "nope", "HostileTarget/t", "\x00", "A" * 5_000, "_system"):
        wrong.append([frames.CALL, 9, noun, "t", ["add"], payload, frames.WANTED, None, None])
    wrong.append([frames.CALL, 10, "HostileTarget", "x" * 600, ["add"], payload, frames.WANTED, None, None])
    wrong.extend([kind, *([1] * length)] for kind in (*range(12), 99, -1, 2**40) for length in range(9) if kind != frames.PING)
    wrong.append([frames.PIPE, 2, 1, ["x"], payload, 0, None, None])
    return wrong


class _Enemy(asyncio.Protocol):
    """A raw connection: what comes back is counted, whether it was closed is known."""

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.received = 0
        self.transport = None

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += len(data)

    def connection_lost(self, _error) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def _throw(connect, data: bytes) -> _Enemy:
    """One hostile connection: all of its bytes, then its end."""
    enemy = _Enemy()
    transport = await connect(lambda: enemy)
    transport.write(data)
    for _ in range(3):
        await asyncio.sleep(0)
    transport.close()
    return enemy


async def _attack_host(connect, token: str, work) -> None:
    """Throw everything at a host, while `work` goes on beside it."""
    rng = random.Random(SEED)
    for data in (
        rng.randbytes(5_000),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        _hello("wrong"),
        _hello(token)[:-3],
    ):
        await _throw(connect, data)
    await work()
    hello = _hello(token)
    for chunk in (rng.randbytes(size) for size in (10, 1_000, 100_000, 500_000)):
        await _throw(connect, hello + chunk)
        await _throw(connect, hello + struct.pack(">I", len(chunk)) + chunk)
    for body in _attacks(rng):
        await _throw(connect, hello + struct.pack(">I", len(body)) + body)
    await work()
    for number, message in enumerate(_malformed_messages(rng)):
        await _throw(connect, hello + frames.encode([message]))
        if number % 50 == 0:
            await work()
    good = frames.encode([[frames.CALL, 1, "HostileTarget", "t", ["add"], codec.encode([[0], {}]), frames.WANTED, None, None]])
    for cut in range(1, len(good), 7):
        await _throw(connect, hello + good[:cut])
    await work()


@pytest.mark.filterwarnings("ignore")
async def test_a_host_survives_hostile_connections_and_serves_the_others(rt):
    counter = Target("good")
    problems: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    expected = 0

    async def work() -> None:
        nonlocal expected
        expected += 1
        assert await asyncio.wait_for(dotdo.get(counter.add(1)), 5) == expected

    await work()
    await _attack_host(lambda protocol: rt.router.connect("local", protocol), rt.router.token, work)
    assert await counter.count == expected
    assert not problems, problems[:3]
    assert len(rt.host.sessions) == 1


async def test_hostile_connections_keep_no_memory_of_a_host(rt):
    async def work() -> None:
        await dotdo.get(Target("good").add(1))

    async def once() -> None:
        rng = random.Random(SEED)
        for body in _attacks(rng)[:200]:
            await _throw(connect, _hello(rt.router.token) + struct.pack(">I", len(body)) + body)
        for _ in range(10):
            await _throw(connect, rng.randbytes(20_000))
        await work()

    def connect(protocol):
        return rt.router.connect("local", protocol)

    await once()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2):
            await once()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < GROWTH_BYTES_MAX // 4


async def test_a_host_behind_a_real_socket_closes_hostile_connections_and_serves_the_others(rt, tmp_path):
    path = str(tmp_path / "host.sock")
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(rt.host.session, path)
    try:
        for data in (b"\xff" * 5_000, _hello("wrong"), _hello(rt.router.token) + b"\x00\x00\x00\x05\xc1\xc1\xc1\xc1\xc1"):
            enemy = _Enemy()
            transport, _ = await loop.create_unix_connection(lambda enemy=enemy: enemy, path)
            transport.write(data)
            await asyncio.wait_for(enemy.closed, 2)
        friend = _Enemy()
        transport, _ = await loop.create_unix_connection(lambda: friend, path)
        transport.write(_hello(rt.router.token, "friend"))
        enemies = []
        for body in _attacks(random.Random(SEED))[:40]:
            enemy = _Enemy()
            hostile, _ = await loop.create_unix_connection(lambda enemy=enemy: enemy, path)
            hostile.write(_hello(rt.router.token) + struct.pack(">I", len(body)) + body)
            enemies.append(hostile)
        transport.write(
            frames.encode([[frames.CALL, 1, "HostileTarget", "t", ["add"], codec.encode([[5], {}]), frames.WANTED, None, None]])
        )
        for _ in range(200):
            if friend.received:
                break
            await asyncio.sleep(0.005)
        assert friend.received
        assert not friend.closed.done()
        for hostile in enemies:
            hostile.close()
        transport.close()
    finally:
        server.close()
        await server.wait_closed()
    assert await Target("t").count == 5


async def test_a_large_first_call_may_come_together_with_the_greeting(rt, tmp_path):
    path = str(tmp_path / "host.sock")
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(rt.host.session, path)
    friend = _Enemy()
    try:
        transport, _ = await loop.create_unix_connection(lambda: friend, path)
        call = [frames.CALL, 1, "HostileTarget", "t", ["add"], codec.encode([[5], {}]), frames.WANTED, None, {"padding": "x" * 100_000}]
        transport.write(_hello(rt.router.token, "friend") + frames.encode([call]))
        for _ in range(400):
            if friend.received or friend.closed.done():
                break
            await asyncio.sleep(0.005)
        assert friend.received
        transport.close()
    finally:
        server.close()
        await server.wait_closed()
    assert await Target("t").count == 5


async def test_a_client_survives_a_hostile_host(rt):
    """A link that is answered with rubbish drops that connection, connects again and gets its answer."""
    rng = random.Random(SEED)
    connect = rt.router.connect
    rubbish = [rng.randbytes(3_000), b"\xff\xff\xff\xff", *(struct.pack(">I", len(b)) + b for b in _attacks(rng)[:8])]
    for reply in ([], [frames.RESOLVE], [frames.PARKED, 1], ["x"], [frames.RESOLVE, [], b""], [frames.RESOLVE, {}, 1], [frames.REJECT, 1]):
        rubbish.append(frames.encode([reply]))

    async def hostile(host, protocol):
        if not rubbish:
            return await connect(host, protocol)
        data = rubbish.pop()
        loop = asyncio.get_running_loop()

        class Transport(asyncio.Transport):
            def write(self, _data) -> None:
                pass

            def abort(self) -> None:
                loop.call_soon(link.connection_lost, None)

            close = abort

        link = protocol()
        transport = Transport()
        link.connection_made(transport)
        loop.call_soon(link.data_received, data)
        loop.call_soon(loop.call_soon, loop.call_soon, _lose, link, transport)
        return transport

    def _lose(link, transport) -> None:
        if link._transport is transport:
            link.connection_lost(None)

    problems: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: problems.append(context))
    rt.router.connect = hostile
    fresh = dotdo.rpc.client.Client(rt.router, asyncio.get_running_loop())
    try:
        value = await asyncio.wait_for(fresh.pull(_node(fresh)), 8)
    finally:
        fresh.close()
        del rt.router.connect
    assert value == 1
    assert not rubbish
    assert not problems, problems[:3]


def _node(client):
    from dotdo.rpc.node import Node

    node = Node("HostileTarget", "client", None, ("add",), codec.encode([[1], {}]), None)
    node.is_wanted = True
    client.record(node)
    return node
