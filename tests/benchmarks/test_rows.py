"""The benchmarks' targets, and how a slow disk eases them."""

import pytest

from benchmarks.rows import Row, Sheet, at_least, at_most


@pytest.mark.parametrize(
    ("target", "fdatasync_ms", "eased"),
    [
        (at_most(2, disk=True), 0.4, 4),
        (at_least(1500, disk=True), 0.3, 1000),
        (at_least(1500, disk=True), 0.1, 1500),
        (at_least(1500, disk=True), None, 1500),
        (at_most(30), 0.4, 30),
    ],
    ids=["a limit", "a rate", "a fast disk", "a disk not measured", "no disk in it"],
)
def test_a_target_is_eased_in_proportion_on_a_slower_disk_only(target, fdatasync_ms, eased):
    assert target.eased(fdatasync_ms) == pytest.approx(eased)


def test_a_target_is_met_by_figures_on_its_good_side():
    assert at_most(30).is_met(30, None)
    assert not at_most(30).is_met(31, None)
    assert at_least(3000, disk=True).is_met(1500, 0.4)
    assert not at_least(3000, disk=True).is_met(1499, 0.4)


def test_the_median_of_the_rounds_counts():
    sheet = Sheet()
    sheet.add(Row("call p50", "us", [90, 70, 400]))
    assert sheet.median("call p50") == 90
    assert sheet.median("never taken") is None
