"""The decisions of a circuit breaker, and of a line that lets so many through in a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dotdo.resilience import circuit as circuits
from dotdo.resilience.circuit import Circuit, Limits
from dotdo.resilience.limiter import Rate, reserve

LIMITS = Limits(threshold=3, timeout_s=60.0, probes=1)


def opened(now: float = 0.0) -> Circuit:
    circuit = Circuit()
    for _ in range(3):
        circuit, _ = circuits.failed(circuit, LIMITS, now, 0)
    return circuit


@pytest.mark.feature(364)
def test_so_many_failures_in_a_row_open_it_and_a_success_between_them_starts_anew():
    circuit, _ = circuits.failed(Circuit(), LIMITS, 0.0, 0)
    circuit, _ = circuits.failed(circuit, LIMITS, 0.0, 0)
    circuit = circuits.succeeded(circuit, 0)
    for expected in (False, False, True):
        circuit, has_opened = circuits.failed(circuit, LIMITS, 1.0, 0)
        assert has_opened is expected
    assert circuits.enter(circuit, LIMITS, 2.0)[1].is_refused


@pytest.mark.feature(365)
def test_a_half_open_circuit_lets_only_so_many_trials_through():
    circuit, first = circuits.enter(opened(), LIMITS, 60.0)
    circuit, second = circuits.enter(circuit, LIMITS, 60.0)
    assert (first.is_refused, second.is_refused) == (False, True)
    assert circuits.state_at(circuits.succeeded(circuit, first.trial), LIMITS, 61.0) == "closed"
    again, has_opened = circuits.failed(circuit, LIMITS, 61.0, first.trial)
    assert has_opened
    assert circuits.state_at(again, LIMITS, 120.0) == "open"


def test_a_trial_nobody_reports_back_lapses_and_its_late_word_counts_for_nothing():
    circuit, lost = circuits.enter(opened(), LIMITS, 60.0)
    circuit, refused = circuits.enter(circuit, LIMITS, 100.0)
    assert refused.is_refused
    assert refused.wait_s == pytest.approx(20.0)
    circuit, second = circuits.enter(circuit, LIMITS, 121.0)
    assert second.trial not in (0, lost.trial)
    assert circuits.failed(circuit, LIMITS, 122.0, lost.trial) == (circuit, False)
    assert circuits.succeeded(circuit, lost.trial) == circuit


def test_a_cancelled_trial_makes_room_for_the_next():
    circuit, trial = circuits.enter(opened(), LIMITS, 60.0)
    assert not circuits.enter(circuits.given_up(circuit, trial.trial), LIMITS, 60.0)[1].is_refused


def test_a_call_let_in_before_it_opened_does_not_close_it():
    assert circuits.succeeded(opened(), 0) == opened()


@given(st.lists(st.floats(0, 5), min_size=1, max_size=60), st.integers(1, 10), st.integers(1, 5))
def test_no_window_of_time_lets_more_through_than_rate_and_burst_allow(gaps, rate, burst):
    one = Rate(1.0 / rate, burst)
    free_at, now, let_in = 0.0, 0.0, []
    for gap in gaps:
        now += gap
        free_at, wait_s = reserve(free_at, one, now, float("inf"))
        let_in.append(now + wait_s)
    assert let_in == sorted(let_in)
    for first in range(len(let_in)):
        for last in range(first, len(let_in)):
            assert last - first + 1 <= burst + (let_in[last] - let_in[first]) * rate + 1e-6


def test_who_will_not_wait_takes_no_place():
    one = Rate(1.0, 1)
    free_at, wait_s = reserve(0.0, one, 100.0, 0.0)
    assert wait_s == 0.0
    assert reserve(free_at, one, 100.0, 0.5) == (free_at, None)
