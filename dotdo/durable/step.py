"""A durable step: `self.do`.

The body runs as a task of its own, so that its timeout cancels it for real and its last turn is known: the outcome is a
row in the same transaction as the writes of that turn. A failed attempt is a row too, with the time of the next one, so
a retry delay outlives hibernation and crashes. When attempts are used up the failure is the recorded outcome, and
replay raises it.

At least once for the body, exactly once for the recorded outcome.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dotdo import codec
from dotdo.durable import retry as retries
from dotdo.durable.operation import Operation
from dotdo.entity.noun import stable_repr
from dotdo.entity.task import EntityTask
from dotdo.entity.turn import Branch, Ending, Turn
from dotdo.errors import CodecError, StepTimeout
from dotdo.storage.journal import KEPT_FAILURE, Kind

if TYPE_CHECKING:
    from dotdo.durable.run import Run

ABANDON_AFTER_SECONDS = 1.0
PROGRESS = "Workflow.progress"
"""The step that says how far an execution has come, and the event that it sends."""


def name_of(fn: Callable[..., Any]) -> str:
    """The name a step goes by: the function's, or for a lambda a hash of its code, so that a shifted one is not mistaken."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__name__", None) or getattr(fn, "_do_name_", None) or type(fn).__name__
    code = getattr(fn, "__code__", None)
    if name == "<lambda>" and code is not None:
        return f"lambda:{_code_hash(code)}"
    return str(name).lstrip("_") or str(name)


def _code_hash(code: Any) -> str:
    parts = stable_repr((code.co_names, code.co_varnames, tuple(c for c in code.co_consts if not hasattr(c, "co_code"))))
    inner = "".join(_code_hash(c) for c in code.co_consts if hasattr(c, "co_code"))
    return hashlib.blake2b((parts + inner).encode(), digest_size=4).hexdigest()


class StepOperation(Operation):
    """One step and its attempts."""

    __slots__ = (
        "_args",
        "_attempt",
        "_body_task",
        "_fn",
        "_is_chosen",
        "_is_deadline_kept",
        "_policy",
        "_started",
        "_timed_out",
        "_timeout_s",
        "_timer",
        "_undo",
    )

    is_step = True

    def __init__(
        self,
        run: Run,
        key: str,
        name: str,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        policy: retries.RetryPolicy,
        is_chosen: bool,
        timeout_s: float | None,
        undo: Callable[..., Any] | None,
    ) -> None:
        super().__init__(run, key, name)
        self._fn = fn
        self._args = args
        self._policy = policy
        self._is_chosen = is_chosen
        self._timeout_s = timeout_s
        self._undo = undo
        self._attempt = 0
        self._timer: Any = None
        self._body_task: EntityTask | None = None
        self._timed_out = False
        self._is_deadline_kept = False
        self._started: float | None = None

    def start(self, turn: Turn) -> None:
        self.run.must_be_journaled()
        turn.then(self._committed)

    def _committed(self) -> None:
        earlier = self.run.attempts.pop(self.key, None)
        if earlier is not None:
            self._attempt, next_at = earlier
            if next_at > self.run.activation.host.clock.now():
                self._park(next_at)
                return
        self._begin_when_safe()

    def _begin_when_safe(self) -> None:
        self.run.activation.gate.when_safe(self._begin)

    def _begin(self, error: BaseException | None) -> None:
        run = self.run
        if error is not None or self.withdrawn:
            return
        if run.is_pausing:
            run.hold_back(self._begin_when_safe)
            return
        host = run.activation.host
        self.is_parked = False
        self.until = None
        self._attempt += 1
        if self._attempt > 1:
            run.is_repeat = True  # what the earlier attempt called may have done its work: callees look up their record
        self._timed_out = False
        self._set_deadline()
        if self.until is not None and self.until <= host.clock.now():
            run.activation.exclusively(lambda: self._failed(self._timeout_error()))
            return
        branch = Branch(f"{self.key}@{self._attempt}", call_path=self.key, in_step=True)
        if self.branch is not None:
            branch.attempt = self._attempt_within
        task = run.activation.make_task(self.coroutine(), branch, run=run, hold=self.hold)
        task.on_return = self._ended
        self._body_task = task
        if self.until is not None:
            self._timer = host.clock.call_at(self.until, self._time_out)
        task.start_now()

    @property
    def _attempt_within(self) -> int:
        """Which attempt it is, counting those of the execution and of the steps around it."""
        return self._attempt if self.branch is None else self.branch.attempt_within(self._attempt)

    def _set_deadline(self) -> None:
        """When this attempt began and how long it has: as on record, if the execution rested while its body waited."""
        kept = self._kept_deadline(self._attempt_within)
        self._is_deadline_kept = kept is not None
        if kept is not None:
            self._started, self.until = kept.started, kept.until
        else:
            self._started = self.run.activation.host.clock.now()
            self.until = None if self._timeout_s is None else self._started + self._timeout_s

    def keep_deadline(self) -> None:
        if self._body_task is None or self.until is None or self._is_deadline_kept:
            return
        self._is_deadline_kept = True
        self.run.add_row(Kind.WAIT, self.key, name=self.name, attempt=self._attempt_within, until=self.until, started=self._started)

    def coroutine(self) -> Any:
        """What one attempt runs."""
        return run_body(self.run.ledger.body_of(self.name, self.key, self._fn), self._args)

    def _time_out(self) -> None:
        task = self._body_task
        if task is None or task.done():
            return
        self._timed_out = True
        task.cancel()
        clock = self.run.activation.host.clock
        self._timer = clock.call_at(clock.now() + ABANDON_AFTER_SECONDS, self._abandon)

    def _abandon(self) -> None:
        """The body is still alive a second after its cancellation: from now on the runtime refuses whatever it asks."""
        task = self._body_task
        if task is None or task.done() or self.withdrawn:
            return
        task.is_abandoned = True
        task.on_return = None
        self.run.tasks.discard(task)
        self.run.activation.host_log(f"step '{self.name}' of {self.run.activation.key} ignores its cancellation; abandoned")
        self.run.activation.exclusively(lambda: self._failed(self._timeout_error()))

    def _timeout_error(self) -> StepTimeout:
        return StepTimeout(
            f"step '{self.name}' of {self.run.activation.key} took longer than its timeout of {self._timeout_s} s "
            f"(attempt {self._attempt} of {self._policy.max_attempts})"
        )

    def _ended(self, ending: Ending, outcome: Any) -> Callable[[], None] | None:
        """The body's last turn: add the outcome to its transaction; what is returned runs after the commit."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._body_task = None
        self.until = None
        if self.withdrawn:
            return None
        if ending is Ending.RETURNED:
            try:
                blob = codec.encode(outcome)
            except CodecError as error:
                problem = CodecError(f"step '{self.name}' of {self.run.activation.key} returned what cannot be kept: {error}")
                self.run.activation.roll_back()
                return self._failed(problem, is_final=True)
            self._record(ok=True, blob=blob)
            return lambda: self._recorded(True, blob)
        if self._timed_out:
            return self._failed(self._timeout_error())
        if ending is Ending.CANCELLED:
            return self._cancel_waiter
        return self._failed(outcome)

    def _recorded(self, ok: bool, blob: bytes) -> None:
        """The outcome is committed: hand it on."""
        run = self.run
        run.ledger.host.step_recorded(run.activation.key, run.id, self.name)
        run.deliver(self, ok, blob)

    def _cancel_waiter(self) -> None:
        self.run.operations.pop(self.key, None)
        if self.future is not None:
            self.future.cancel()

    def _record(self, *, ok: bool, blob: bytes) -> None:
        until = KEPT_FAILURE if not ok and self.is_failure_kept else None
        self.run.add_row(
            Kind.STEP,
            self.key,
            name=self.name,
            attempt=self._attempt,
            ok=ok,
            value=blob,
            until=until,
            started=self._started,
            body=self.body,
        )

    @property
    def is_failure_kept(self) -> bool:
        """True if the execution has an answer to this step's failure, which a retry of the execution must leave as it is."""
        return False

    def _failed(self, error: BaseException, *, is_final: bool = False) -> Callable[[], None]:
        run = self.run
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            is_final = True
        delay = None if is_final else retries.next_delay(self._policy, self._is_chosen, self._attempt, error, run.ledger.rng)
        blob = run.encode_error(error)
        if delay is None:
            self._record(ok=False, blob=blob)
            return lambda: self._recorded(False, blob)
        next_at = run.activation.host.clock.now() + delay
        run.add_row(
            Kind.ATTEMPT, self.key, name=self.name, attempt=self._attempt, ok=False, value=blob, until=next_at, started=self._started
        )
        return lambda: self._park(next_at)

    def _park(self, next_at: float) -> None:
        if self.withdrawn:
            return
        clock = self.run.activation.host.clock
        if next_at <= clock.now():
            self._begin_when_safe()
            return
        self.until = next_at
        self.is_parked = True
        self.waiting_for = f"attempt {self._attempt + 1} of step '{self.name}'"
        self._timer = clock.call_at(next_at, self._begin_when_safe)
        self.run.may_be_parked()

    @property
    def body(self) -> str | None:
        """The function's name, where the step has one of its own."""
        name = name_of(self._fn)
        return None if name == self.name or self.key.startswith("undo|") else name

    @property
    def is_represented(self) -> bool:
        return self.withdrawn or self._body_task is not None

    def withdraw_timers(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def withdraw(self) -> None:
        self.withdraw_timers()
        task = self._body_task
        if task is not None and not task.done():
            task.cancel()

    def delivered(self, value: Any) -> None:
        if self._undo is not None:
            self.run.undos.append((self.key, self.name, functools.partial(self._undo, value)))


async def run_body(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    result = fn(*args)
    if inspect.isawaitable(result):
        result = await result
    return result


def as_step(method: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    """A method every call of which, through `self`, is a step."""
    plain = functools.partial(_bound, method)
    unknown = set(options) - {"retry", "timeout", "undo", "step_id"}
    if unknown:
        raise TypeError(f"@step has no option {', '.join(sorted(unknown))}; it takes retry, timeout, undo and step_id")

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        body = plain(self) if not kwargs else functools.partial(plain(self), **kwargs)
        return self.do(body, *args, **{"step_id": name_of(method), **options})

    return call


def _bound(method: Callable[..., Any], instance: Any) -> Callable[..., Any]:
    return method.__get__(instance)  # type: ignore[no-any-return]
