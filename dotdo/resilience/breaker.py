"""`CircuitBreaker`: after so many failures in a row, nobody calls what is down, for a while.

    payments = CircuitBreaker("payments", threshold=5, timeout="60s")
    receipt = await payments.execute(charge, order)      # raises CircuitOpen at once while it is open

A breaker with a name is an entity of that name: whoever uses the name, on whatever host, counts together, and it is
remembered over hibernation and restarts. Without a name it lives in this process, for this object alone.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, cast, overload

from dotdo import durations
from dotdo.durable_object.do import DO
from dotdo.errors import CircuitOpen
from dotdo.events.sending import send
from dotdo.resilience import circuit as circuits
from dotdo.resilience import surroundings
from dotdo.resilience.circuit import Circuit, Entry, Limits, State

P = ParamSpec("P")
R = TypeVar("R")


class Breaker(DO, noun="DotdoBreaker", max_queue=100_000):
    """The circuit of one name. Limits come with each question: the code that asks is where they are written."""

    circuit: Circuit = Circuit()

    async def enter(self, limits: Limits) -> Entry:
        """May somebody call?"""
        self.circuit, entry = circuits.enter(self.circuit, limits, self.now().timestamp())
        return entry

    async def succeeded(self, trial: int) -> None:
        """A call went well."""
        self.circuit = circuits.succeeded(self.circuit, trial)

    async def failed(self, limits: Limits, trial: int, error: str) -> None:
        """A call failed; who handles `Alert.send` learns when that opened the circuit."""
        self.circuit, has_opened = circuits.failed(self.circuit, limits, self.now().timestamp(), trial)
        if has_opened:
            send.Alert(type="circuit-breaker-open", service=self.id, error=error, retry_in_s=limits.timeout_s)

    async def given_up(self, trial: int) -> None:
        """A call was cancelled."""
        self.circuit = circuits.given_up(self.circuit, trial)

    async def state_of(self, limits: Limits) -> State:
        """Its state now."""
        return circuits.state_at(self.circuit, limits, self.now().timestamp())

    async def reset(self) -> None:
        """Close it by hand."""
        self.circuit = Circuit(next_trial=self.circuit.next_trial)


class _Here:
    """The circuit of a breaker without a name; the same questions, answered in this process."""

    def __init__(self) -> None:
        self.circuit = Circuit()

    async def enter(self, limits: Limits) -> Entry:
        self.circuit, entry = circuits.enter(self.circuit, limits, surroundings.now())
        return entry

    async def succeeded(self, trial: int) -> None:
        self.circuit = circuits.succeeded(self.circuit, trial)

    async def failed(self, limits: Limits, trial: int, error: str) -> None:
        self.circuit, _ = circuits.failed(self.circuit, limits, surroundings.now(), trial)

    async def given_up(self, trial: int) -> None:
        self.circuit = circuits.given_up(self.circuit, trial)

    async def state_of(self, limits: Limits) -> State:
        return circuits.state_at(self.circuit, limits, surroundings.now())

    async def reset(self) -> None:
        self.circuit = Circuit(next_trial=self.circuit.next_trial)


class CircuitBreaker:
    """A circuit breaker.

    Args:
        name: who shares it: everybody who uses this name, in the whole cluster. None: this object alone, in memory.
        threshold: failures in a row that open it, at least 1.
        timeout: how long it stays open, and how long a trial may go without word.
        half_open_attempts: how many calls are let through as trials when that time is up.
        counts: which errors count as failures; others pass through and prove nothing.
    """

    def __init__(
        self,
        name: str | None = None,
        threshold: int = 5,
        timeout: durations.Duration = "60s",
        half_open_attempts: int = 1,
        *,
        counts: type[BaseException] | tuple[type[BaseException], ...] = Exception,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"the name of a circuit breaker is text, not {name!r}: CircuitBreaker('payments', threshold=5)")
        if threshold < 1 or half_open_attempts < 1:
            raise ValueError(f"threshold={threshold}, half_open_attempts={half_open_attempts}: both are at least 1")
        self.name = name
        self.limits = Limits(threshold, durations.seconds(timeout), half_open_attempts)
        self._counts = counts
        self._here = _Here() if name is None else None

    def __repr__(self) -> str:
        return f"<circuit breaker {self.name or 'of this process'}>"

    @property
    def _circuit(self) -> Breaker:
        if self._here is not None:
            return cast(Breaker, self._here)
        return surroundings.asked_anew(cast(Breaker, Breaker(cast(str, self.name))))

    async def execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The value of `fn(*args, **kwargs)`, or its error, which counts. Raises CircuitOpen, without a call, while it is open."""
        entry = await self._circuit.enter(self.limits)
        if entry.is_refused:
            raise CircuitOpen(f"Circuit breaker is open: {self.name or 'unnamed'} lets calls through again in {entry.wait_s:.3g} s")
        try:
            value = fn(*args, **kwargs)
            if inspect.isawaitable(value):
                value = await value
        except asyncio.CancelledError:
            if entry.trial:
                await self._circuit.given_up(entry.trial)
            raise
        except self._counts as error:
            await self._circuit.failed(self.limits, entry.trial, f"{type(error).__name__}: {error}")
            raise
        if entry.counts:
            await self._circuit.succeeded(entry.trial)
        return value

    call = execute

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]: ...
    @overload
    def __call__(self, fn: Callable[P, R]) -> Callable[P, Awaitable[R]]: ...
    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """As a decorator: every call goes through `execute`."""

        @functools.wraps(fn)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            return await self.execute(fn, *args, **kwargs)

        return guarded

    async def state(self) -> State:
        """closed, open or half-open, as seen now."""
        return await self._circuit.state_of(self.limits)

    async def reset(self) -> None:
        """Close it by hand."""
        await self._circuit.reset()
