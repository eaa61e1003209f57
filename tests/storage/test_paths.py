import os
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotdo.errors import IdError
from dotdo.storage import paths
from dotdo.storage.entity_file import EntityFile

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: len(text.encode()) <= 512)


@pytest.mark.feature(3)
@given(ids)
def test_a_file_name_leads_back_to_its_id_or_is_a_hash(entity_id):
    name = paths.file_name(entity_id)
    assert len(name) <= paths.NAME_LENGTH_MAX
    if not name.startswith("~"):
        assert paths.id_of(name) == entity_id


@pytest.mark.feature(3)
@given(ids)
def test_no_id_leaves_its_folder(entity_id):
    path = paths.entity_path(Path("/data/00"), "Order", entity_id)
    assert path.parent == Path("/data/00/Order")
    assert os.path.normpath(path) == str(path)
    assert "\0" not in str(path)


@pytest.mark.feature(3)
@given(ids, ids)
def test_two_ids_never_share_a_file_even_where_case_does_not_count(one, other):
    if one != other:
        assert paths.file_name(one).lower() != paths.file_name(other).lower()


@pytest.mark.feature(3)
@pytest.mark.parametrize(
    "entity_id",
    ["../../etc/passwd", "..", ".", "/", "a/b", "a\0b", "con", "a b", "ä" * 200, "A" * 512, "x" * 512, "\U0001f600" * 128, "a.sqlite"],
)
def test_any_id_can_be_written_read_and_found_again(tmp_path, put, entity_id):
    path = paths.entity_path(tmp_path / "00", "Order", entity_id)
    file = EntityFile(path)
    put(file, b"1")
    file.commit(sync=True)
    assert list(paths.active_entities(tmp_path / "00")) == [("Order", entity_id)]
    file.close()
    assert list(paths.active_entities(tmp_path / "00")) == []
    assert list(paths.stored_entities(tmp_path / "00")) == [("Order", entity_id)]
    again = EntityFile(paths.entity_path(tmp_path / "00", "Order", entity_id))
    assert again.load_fields() == {"n": b"1"}
    again.delete()
    assert list((tmp_path / "00" / "Order").iterdir()) == []


def test_ids_that_differ_in_case_have_their_own_files():
    assert paths.file_name("a") != paths.file_name("A").lower()
    assert paths.noun_folder("Order") == "Order"
    assert paths.noun_folder("ORDER").lower() != paths.noun_folder("Order").lower()
    assert paths.noun_of_folder(paths.noun_folder("OrderItem")) == "OrderItem"


@pytest.mark.parametrize("name", ["", "A", "%", "%zz", "%41x%", "%ff", "%61", "~abc", "a.b", "../x"])
def test_a_foreign_file_name_is_refused(name):
    with pytest.raises(IdError):
        paths.id_of(name)


def test_a_long_id_whose_text_was_lost_or_swapped_is_an_error(tmp_path):
    path = paths.entity_path(tmp_path, "Order", "X" * 300)
    with pytest.raises(IdError):
        paths.id_of_file(path)
    path.parent.mkdir()
    path.id_path.write_text("another")
    with pytest.raises(IdError):
        paths.id_of_file(path)


def test_an_sqlite_tool_can_read_a_hibernated_file(make_file, put):
    file = make_file()
    put(file, b"1")
    file.commit()
    file.close()
    with sqlite3.connect(file.path) as connection:
        assert connection.execute("SELECT value FROM _do_fields").fetchall() == [(b"1",)]
    connection.close()
