"""The decisions of a circuit breaker, without a world: a state, an event, the next state.

    closed      calls pass; `threshold` failures in a row open it (a success in between starts the count anew)
    open        calls are refused until `timeout_s` has passed since it opened
    half-open   so many calls as `probes` pass as a trial; a success closes it, a failure opens it again

A trial that never reports back, because whoever made it died, lapses after `timeout_s`, or a half-open circuit could stay
so for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

State = Literal["closed", "open", "half-open"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a circuit opens, for how long, and how many trials it lets through after that."""

    threshold: int = 5
    timeout_s: float = 60.0
    probes: int = 1


@dataclass(frozen=True, slots=True)
class Circuit:
    """Where a circuit stands. `trials` is when each trial under way lapses, by its number."""

    state: State = "closed"
    failures: int = 0
    opened_at: float = 0.0
    next_trial: int = 1
    trials: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer to "may I?": refused for `wait_s` seconds more, or let in, as trial `trial` (0: an ordinary call).

    `counts` says if a success must be told: it would change something.
    """

    is_refused: bool = False
    wait_s: float = 0.0
    trial: int = 0
    counts: bool = False


def state_at(circuit: Circuit, limits: Limits, now: float) -> State:
    """Its state as seen at a moment: an open circuit whose time is up is half-open."""
    if circuit.state == "open" and now >= circuit.opened_at + limits.timeout_s:
        return "half-open"
    return circuit.state


def enter(circuit: Circuit, limits: Limits, now: float) -> tuple[Circuit, Entry]:
    """Somebody wants to call."""
    state = state_at(circuit, limits, now)
    if state == "closed":
        return circuit, Entry(counts=circuit.failures > 0)
    if state == "open":
        return circuit, Entry(is_refused=True, wait_s=circuit.opened_at + limits.timeout_s - now)
    trials = {number: lapses for number, lapses in circuit.trials.items() if lapses > now}
    if len(trials) >= limits.probes:
        return circuit, Entry(is_refused=True, wait_s=min(trials.values()) - now)
    number = circuit.next_trial
    trials[number] = now + limits.timeout_s
    return replace(circuit, state="half-open", trials=trials, next_trial=number + 1), Entry(trial=number, counts=True)


def succeeded(circuit: Circuit, trial: int) -> Circuit:
    """A call went well. One that was let in before the circuit opened says nothing about now."""
    if trial:
        return Circuit(next_trial=circuit.next_trial) if trial in circuit.trials else circuit
    return replace(circuit, failures=0) if circuit.state == "closed" and circuit.failures else circuit


def failed(circuit: Circuit, limits: Limits, now: float, trial: int) -> tuple[Circuit, bool]:
    """A call failed; True if that opened the circuit."""
    if trial:
        return (_open(circuit, now), True) if trial in circuit.trials else (circuit, False)
    if circuit.state != "closed":
        return circuit, False
    if circuit.failures + 1 >= limits.threshold:
        return _open(circuit, now), True
    return replace(circuit, failures=circuit.failures + 1), False


def given_up(circuit: Circuit, trial: int) -> Circuit:
    """A call was cancelled: it proves nothing, and its trial is free again."""
    if trial not in circuit.trials:
        return circuit
    return replace(circuit, trials={number: lapses for number, lapses in circuit.trials.items() if number != trial})


def _open(circuit: Circuit, now: float) -> Circuit:
    return Circuit(state="open", opened_at=now, next_trial=circuit.next_trial)
