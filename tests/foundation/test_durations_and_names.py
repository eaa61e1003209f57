"""Durations, ids and keys: what is accepted, and what the refusal says."""

from datetime import timedelta

import pytest

from dotdo import durations, names
from dotdo.errors import BadDuration, DefinitionError, IdError


@pytest.mark.feature(199)
@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1m", 60.0),
        ("2h", 7200.0),
        ("3d", 259200.0),
        ("1w", 604800.0),
        ("1h30m", 5400.0),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_a_duration_in_every_form(given, seconds):
    assert durations.seconds(given) == seconds


@pytest.mark.parametrize("given", ["3 days", "", "5", "s", "-1s", -1, float("nan"), float("inf"), True, None, "1x"])
def test_what_is_no_duration_is_refused(given):
    with pytest.raises(BadDuration):
        durations.seconds(given)


@pytest.mark.feature(3)
def test_an_id_is_any_text_of_1_to_512_bytes():
    assert names.check_id("ü" * 256) == "ü" * 256
    for bad in ("", "x" * 513, 5, None, "\ud800"):
        with pytest.raises(IdError):
            names.check_id(bad)
    assert names.split_key("Order/a/b") == ("Order", "a/b")
    with pytest.raises(DefinitionError):
        names.check_noun("lower")
