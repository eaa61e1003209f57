import datetime

import pytest

from dotdo.errors import CodecError
from dotdo.storage.keyvalue import KeyValue


@pytest.fixture
def store(make_file):
    return KeyValue(make_file())


def test_one_key(store):
    assert store.get("a") is None
    assert store.get("a", 7) == 7
    store.put("a", {"x": (1, 2)})
    assert store.get("a") == {"x": (1, 2)}
    store.put("a", None)
    assert store.get("a", 7) is None
    assert store.delete("a") is True
    assert store.delete("a") is False


def test_many_keys(store):
    store.put({"a": 1, "b": 2, "c": 3})
    assert store.get(["c", "a", "missing"]) == {"c": 3, "a": 1}
    assert store.delete(["a", "missing", "b"]) == 2
    assert store.list() == {"c": 3}
    store.delete_all()
    assert store.list() == {}
    store.put({})
    assert store.get([]) == {}


def test_list_is_in_key_order_and_bounded_as_asked(store):
    store.put({key: key for key in ["a", "b:1", "b:2", "b:3", "c", "B", "ä"]})
    assert list(store.list()) == ["B", "a", "b:1", "b:2", "b:3", "c", "ä"]
    assert list(store.list(prefix="b:")) == ["b:1", "b:2", "b:3"]
    assert list(store.list(prefix="b:", limit=2)) == ["b:1", "b:2"]
    assert list(store.list(prefix="b:", limit=2, reverse=True)) == ["b:3", "b:2"]
    assert list(store.list(start="b:2", end="c")) == ["b:2", "b:3"]
    assert list(store.list(start_after="b:2", end="c")) == ["b:3"]
    assert list(store.list(prefix="b:", start_after="b:1")) == ["b:2", "b:3"]


@pytest.mark.parametrize("last", ["\U0010ffff", "\ud7ff", "a\U0010ffff\U0010ffff"])
def test_a_prefix_at_the_end_of_the_alphabet_is_a_prefix_too(store, last):
    store.put({last: 1, last + "x": 2, "0": 3})
    assert store.list(prefix=last) == {last: 1, last + "x": 2}


def test_what_cannot_be_encoded_writes_nothing(store):
    with pytest.raises(CodecError):
        store.put({"a": 1, "b": object()})
    assert store.list() == {}


def test_wrong_keys_and_arguments_are_refused(store):
    for key in ("", "x" * 2049, "\ud800"):
        with pytest.raises(ValueError):
            store.put(key, 1)
    for call in (
        lambda: store.put(1, 2),
        lambda: store.put("a"),
        lambda: store.put({"a": 1}, 2),
        lambda: store.get(7),
        lambda: store.list(start="a", start_after="b"),
        lambda: store.list(start=7),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="limit"):
        store.list(limit=0)


def test_values_keep_their_type(store):
    for value in (0, 2**80, 1.5, b"x", {1, 2}, datetime.date(2026, 1, 2), [None, True]):
        store.put("v", value)
        back = store.get("v")
        assert back == value
        assert type(back) is type(value)


def test_a_large_value_survives_a_reopening(make_file):
    file = make_file()
    KeyValue(file).put("big", b"x" * 20_000_000)
    file.commit()
    file.close()
    assert len(KeyValue(make_file()).get("big")) == 20_000_000
