"""The output gate: nothing leaves an entity before the writes it could have seen are safe.

Replies (errors and read-only ones too), calls, messages and step bodies wait here. A waiter waits for the commit that is
current when it asks, not for later ones; waiters are let out in the order they came. When a commit or a sync fails, every
waiter gets the error, also when user code swallowed it, and so does everyone who comes later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Waiter = Callable[[BaseException | None], None]


class OutputGate:
    """The gate of one activation."""

    __slots__ = ("_committed", "_error", "_safe", "_waiters", "durable")

    def __init__(self, *, durable: bool = True) -> None:
        self.durable = durable
        self._committed = 0
        self._safe = 0
        self._error: BaseException | None = None
        self._waiters: deque[tuple[int, Waiter]] = deque()

    @property
    def is_open(self) -> bool:
        """True when everything committed is safe."""
        return self._safe >= self._committed and self._error is None

    def committed_to(self, number: int, *, safe: int) -> None:
        """Commit `number` was made; commits up to `safe` are safe already."""
        self._committed = number
        if safe > self._safe:
            self.safe_to(safe)

    def safe_to(self, number: int) -> None:
        """Commits up to `number` are safe: let out who waited for them."""
        if self._error is not None:
            return
        self._safe = max(self._safe, number)
        waiters = self._waiters
        while waiters and waiters[0][0] <= self._safe:
            waiters.popleft()[1](None)

    def when_safe(self, waiter: Waiter) -> None:
        """Call `waiter` once the commits made so far are safe: at once if they are, with the error if they never will be."""
        if self._error is not None:
            waiter(self._error)
        elif self._safe >= self._committed and not self._waiters:
            waiter(None)
        else:
            self._waiters.append((self._committed, waiter))

    async def wait(self) -> None:
        """Wait until the commits made so far are safe. Raises the error that broke the gate."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def waiter(error: BaseException | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)

        self.when_safe(waiter)
        await future

    def fail(self, error: BaseException) -> None:
        """A commit or a sync failed: nobody behind the gate may leave."""
        if self._error is None:
            self._error = error
        waiters, self._waiters = self._waiters, deque()
        for _, waiter in waiters:
            waiter(self._error)
