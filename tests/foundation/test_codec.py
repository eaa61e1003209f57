"""Values keep type and value; bytes from outside can only fail, typed."""

import dataclasses
import enum
import math
import os
import sys
from collections import OrderedDict
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgpack
import pydantic
import pytest

from dotdo import CodecError, RemoteError, codec
from dotdo.rpc.stub import make_stub


class Model(pydantic.BaseModel):
    name: str
    tags: list[str] = []


@dataclasses.dataclass
class Point:
    x: int
    y: tuple[int, ...]


class Color(enum.Enum):
    RED = 1


class Broken(Exception):
    def __init__(self, code, detail):
        super().__init__(f"{code}: {detail}")
        self.code = code


VALUES = [
    None, True, False, 0, -1, 2**63, -(2**63), 2**64, 2**200, -(2**200), 1.5, math.inf, -math.inf, "", "héllo", b"\x00bytes",
    [], [1, [2]], (), (1, (2, "x")), {}, {"a": 1}, {1: "int", (1, 2): "tuple", None: "none"}, {1, 2}, frozenset({3}),
    datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), datetime(2026, 1, 2), datetime(2026, 6, 1, tzinfo=ZoneInfo("Europe/Paris")),
    date(2026, 1, 2), time(1, 2, 3), timedelta(days=-1, seconds=5, microseconds=7), Decimal("1.10"), Decimal("NaN").copy_abs(),
    Path("/tmp/x"), Color.RED, Point(1, (2, 3)), Model(name="n", tags=["a"]), OrderedDict([("b", 1), ("a", 2)]), make_stub("Unheard", "o/1"),
    {"deep": [{"er": ({"set": {1}},)}]},
]  # fmt: skip


@pytest.mark.feature(19, 25, 41)
@pytest.mark.parametrize("value", VALUES, ids=lambda v: f"{type(v).__name__}-{str(v)[:20]}")
def test_a_value_keeps_its_type_and_value(value):
    back = codec.decode(codec.encode(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    if isinstance(value, dict):
        assert list(back) == list(value)


def test_nan_and_uuids_survive():
    assert math.isnan(codec.decode(codec.encode(math.nan)))
    identity = uuid4()
    assert codec.decode(codec.encode(identity)) == identity


@pytest.mark.feature(42)
def test_an_exception_is_rebuilt_without_running_its_init():
    error = Broken("E1", "detail")
    error.add_note("noted")
    error.__cause__ = ValueError("why")
    back = codec.decode(codec.encode(error))
    assert type(back) is Broken
    assert back.args == ("E1: detail",)
    assert back.code == "E1"
    assert "noted" in back.__notes__
    assert isinstance(back.__cause__, ValueError)


def test_an_unknown_exception_becomes_a_remote_error():
    data = codec.encode(Broken("E", "x")).replace(b"Broken", b"Brokex")
    back = codec.decode(data)
    assert isinstance(back, RemoteError)
    assert "Brokex" in back.type_name


@pytest.mark.feature(32, 41)
def test_what_cannot_be_encoded_is_named_by_its_place():
    with pytest.raises(CodecError, match=r"value\['lines'\]\[1\]\['price'\].*object"):
        codec.encode({"lines": [1, {"price": object()}]})
    cycle: list = []
    cycle.append(cycle)
    with pytest.raises(CodecError, match="cycle"):
        codec.encode(cycle)


def test_hostile_bytes_only_ever_give_a_codec_error():
    import random

    rng = random.Random(1)
    modules = set(sys.modules)
    for _ in range(2000):
        data = rng.randbytes(rng.randrange(1, 1000))
        try:
            codec.decode(data)
        except CodecError:
            pass
    good = codec.encode(VALUES[-1])
    for cut in range(len(good)):
        try:
            codec.decode(good[:cut])
        except CodecError:
            pass
    deep = b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(CodecError):
        codec.decode(deep)
    for code in range(1, 18):
        for inner in (b"", b"\xc0", b"\x93\xa2os\xa6system\x90", b"\x91\x01", os.urandom(20)):
            try:
                codec.decode(msgpack.packb(msgpack.ExtType(code, inner)))
            except CodecError:
                pass
    assert set(sys.modules) - modules <= {"zoneinfo._tzpath"}


def test_bytes_cannot_name_a_class_of_another_kind_or_import_one():
    forged = msgpack.packb(msgpack.ExtType(13, msgpack.packb(["subprocess", "Popen", {}])))
    with pytest.raises(CodecError, match="not known"):
        codec.decode(forged)
    forged = msgpack.packb(msgpack.ExtType(11, msgpack.packb(["antigravity", "X", "Y"])))
    with pytest.raises(CodecError, match="not known"):
        codec.decode(forged)
    assert "antigravity" not in sys.modules


def nested(depth: int, value: object, *, siblings: int = 0) -> object:
    for level in range(depth):
        value = [*range(siblings), value] if level % 2 else {"k": value, **{str(n): [n] for n in range(siblings)}}
    return value


@pytest.mark.parametrize("siblings", [0, 3, 300])
@pytest.mark.parametrize("inside", [1, "x" * 5000, [b"\x91" * 200]])
def test_lists_and_dicts_are_nested_64_deep_at_most_on_both_sides(siblings, inside):
    deep = nested(62, inside, siblings=siblings)
    assert codec.decode(codec.encode(deep)) == deep
    too_deep = nested(70, inside, siblings=siblings)
    with pytest.raises(CodecError, match="deeper than 64"):
        codec.encode(too_deep)
    with pytest.raises(CodecError, match="deeper than 64"):
        codec.decode(msgpack.packb(too_deep))
    with pytest.raises(CodecError, match="deeper than 64"):
        codec.encode((too_deep,))
    with pytest.raises(CodecError, match="deeper than 64"):
        codec.decode(msgpack.packb(msgpack.ExtType(1, msgpack.packb([too_deep]))))


def test_wide_values_are_not_taken_for_deep_ones():
    for value in (
        [[n] for n in range(500)],
        {str(n): {"v": [n, 1.5]} for n in range(3000)},
        "\u00e4\u2713" * 4000,
        [n / 7 for n in range(900)],
    ):
        assert codec.decode(codec.encode(value)) == value


def test_two_classes_cannot_have_one_extension_code():
    class Another:
        pass

    with pytest.raises(CodecError, match="44 of .*Another belongs to EventName"):
        codec.register_extension(44, Another, str, lambda packed: Another())
