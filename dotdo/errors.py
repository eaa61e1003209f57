"""Every error of dotdo, in one tree.

    DotdoError
      StepTimeout, WaitTimeout, CallTimeout     (each also the builtin TimeoutError)
      Overloaded                                too many calls wait; retryable at once elsewhere, later here
      OutOfOrder                                a message came before one that was sent earlier; it is sent again
      CircuitOpen                               a circuit breaker lets no call through; retryable later
      HostLost                                  the connection to a host ended; the runtime retries by itself
      ClientGone                                an object of a browser or another client that is not there any more
      OutcomeUnknown                            sent, and then no way is left to learn what became of it
      StorageError, CodecError, FieldNotSet, FieldTooLarge
      NoSuchMember, NotAwaited (also TypeError), NoHandler, NoKey, NoSuchLetter, NoSuchSchedule
      NotAllowed
        AlreadyDecided                          an approval or a task has ended, or its level was decided
      NoSuchApproval, NoSuchTask, TaskCancelled, CascadeError
      ReplayDrift, ReplayMismatch, ExecutionCancelled, ExecutionPaused
      Permanent
        ModelUnavailable                        no language model can be asked
      BadAnswer                                 a language model's answer does not fit
      Quarantined, NounConflict, NounNotLoadable, DataFolderInUse, DataFolderMissing, BackupError
      WorkflowNotFound, MachineNotFound, ServiceNotFound, ExecutionNotFound, WorkflowConflict (also DefinitionError)
      ServiceFailed, StepFailed, StepRejected
      DefinitionError, ConditionError, InvalidTransition, GuardFailed, CallIdConflict
      WouldDeadlock, InsideTransaction, OutsideTurn, Aborted
      DocumentError (also ValueError), DocumentExists, NoSuchDocument (also LookupError), QueryError (also ValueError), UseTheEntity
      IdError, BadDuration (both also ValueError)
      RemoteError                               an exception whose class is not known here

    Hibernated (BaseException)                  the signal in a dropped coroutine; never to be caught

Each class has a stable `code`. `retryable` says whether the same call may succeed later; `remote` whether it was raised
on the other side of a call.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar


class DotdoError(Exception):
    """The root. `code` is stable; `retryable` says if trying again later can help."""

    code: ClassVar[str] = "dotdo_error"
    retryable: ClassVar[bool] = False
    remote: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def overloaded(self) -> bool:
        """True when the callee refused because too much waits already."""
        return isinstance(self, Overloaded)


class StepTimeout(DotdoError, TimeoutError):
    """One attempt of a step took longer than its timeout."""


class WaitTimeout(DotdoError, TimeoutError):
    """What was waited for did not come in time."""


class CallTimeout(DotdoError, TimeoutError):
    """The answer of a call did not come in time; the call itself may still run."""

    retryable = True


class Overloaded(DotdoError):
    """Too many calls wait already; this one was not started."""

    retryable = True


class OutOfOrder(DotdoError):
    """A message of an outbox came before one that was sent earlier; the runtime sends both again."""

    retryable = True


class CircuitOpen(DotdoError):
    """A circuit breaker lets no call through for now; the call was not made."""

    retryable = True


class HostLost(DotdoError):
    """The connection to a host ended before the answer."""

    retryable = True


class ClientGone(DotdoError):
    """The program outside whose object was called has left, or let the object go."""


class OutcomeUnknown(DotdoError):
    """The call was sent, and nobody can say any more what became of it."""


class StorageError(DotdoError):
    """An entity's file cannot be read or written; the message names the file."""


class CodecError(DotdoError):
    """A value cannot be encoded, or bytes cannot be decoded; the message says where in the value."""


class FieldNotSet(DotdoError, AttributeError):
    """A durable field without default was read before it was assigned."""


class FieldTooLarge(DotdoError):
    """A durable field is over its size limit."""


class NoSuchMember(DotdoError, AttributeError):
    """The noun has no such public method or field."""


class NotAwaited(DotdoError, TypeError):
    """A promise was used as if it were its value."""


class NoHandler(DotdoError):
    """Nobody handles the command."""


class NoKey(DotdoError):
    """A message for a noun's method does not say which entity it is for."""


class NoSuchLetter(DotdoError, LookupError):
    """There is no such dead letter."""


class NoSuchSchedule(DotdoError, LookupError):
    """There is no such schedule."""


class DocumentError(DotdoError, ValueError):
    """What is to be kept is no document: a field's name, a value or its size."""


class DocumentExists(DocumentError):
    """There is a document with this id already."""


class NoSuchDocument(DotdoError, LookupError):
    """There is no document with this id."""


class QueryError(DotdoError, ValueError):
    """A filter, an update, an order or a cursor of `db` is wrong; the message names the part."""


class UseTheEntity(DotdoError):
    """The collection only follows entities: change the entity itself."""


class NotAllowed(DotdoError):
    """The caller may not do this."""


class AlreadyDecided(NotAllowed):
    """Somebody else was first: the approval or the task has ended."""


class NoSuchApproval(DotdoError, LookupError):
    """There is no such approval."""


class NoSuchTask(DotdoError, LookupError):
    """There is no such task."""


class TaskCancelled(DotdoError):
    """The task that somebody waited for was called off."""


class CascadeError(DotdoError):
    """No tier of a cascade gave an answer; `errors` says why, tier by tier."""

    errors: dict[str, str]


class ReplayDrift(DotdoError):
    """A replayed turn reads something else than it read at first."""


class ReplayMismatch(DotdoError):
    """Replay passes a recorded step without asking for it although the source is unchanged."""


class Permanent(DotdoError):
    """Raise it in a step to say that no retry can help."""


class ModelUnavailable(Permanent):
    """No language model is configured, or the one that is cannot be asked."""


class BadAnswer(DotdoError):
    """What a language model answered does not fit what it was asked for."""


class ExecutionCancelled(DotdoError):
    """The execution was cancelled."""


class ExecutionPaused(DotdoError):
    """The execution is paused; resume it to get its outcome."""


class Quarantined(DotdoError):
    """The entity killed its host again and again and is kept asleep."""


class NounConflict(DotdoError):
    """Two classes claim one noun."""


class NounNotLoadable(DotdoError):
    """The noun's code cannot be found here."""


class DataFolderInUse(DotdoError):
    """Another program runs on this data folder; the message names it."""


class DataFolderMissing(DotdoError):
    """A data folder, or a part of it, is not where it was."""


class BackupError(DotdoError):
    """A backup cannot be written or restored; the message says why, and nothing is half-done."""


class DefinitionError(DotdoError):
    """A class, a definition or an argument of the runtime is wrong."""


class ServiceNotFound(DotdoError, LookupError):
    """No service of this id, or no request of it, is known."""


class ServiceFailed(DotdoError):
    """A request to a service failed; `outcome` says by what, and what was undone."""

    outcome: Any = None


class StepFailed(DotdoError):
    """A step of a service failed, by what it is made of: steps within it, or what it depends on."""


class StepRejected(DotdoError):
    """A person said no; `answer` is what was said, by whom and when."""

    answer: Any = None


class MachineNotFound(DotdoError, LookupError):
    """No state machine of this name, or no instance of this id, is known."""


class ConditionError(DotdoError):
    """A condition cannot be read, or not be evaluated; `position` is the character of it where that shows, if it is known."""

    position: int | None = None

    @classmethod
    def at(cls, text: str, position: int, message: str) -> ConditionError:
        """The error, with the place in the text shown."""
        error = cls(f"{message} (at character {position + 1} of {_shown(text, position)})")
        error.position = position
        return error


def _shown(text: str, position: int) -> str:
    """The condition, or the part around the position if it is long."""
    if len(text) <= 120:
        return repr(text)
    start = max(position - 50, 0)
    return repr(f"{'...' if start else ''}{text[start : position + 50]}...")


class WorkflowNotFound(DotdoError, LookupError):
    """No workflow of this name is known here."""


class WorkflowConflict(DefinitionError):
    """Two functions are registered as one workflow."""


class ExecutionNotFound(DotdoError, LookupError):
    """There is no execution of this id (any more)."""


class InvalidTransition(DotdoError):
    """The state machine has no such transition from its state."""


class GuardFailed(DotdoError):
    """A transition's guard said no."""


class CallIdConflict(DotdoError):
    """One call id was used for two different calls."""


class WouldDeadlock(DotdoError):
    """The call would wait for itself."""


class InsideTransaction(DotdoError):
    """Not possible inside `storage.transaction()`."""


class OutsideTurn(DotdoError):
    """Fields, storage or steps were used outside a turn of the entity."""


class Aborted(DotdoError):
    """The entity was reset by `abort`."""

    retryable = True


class IdError(DotdoError, ValueError):
    """An entity id is not a string of 1 to 512 bytes."""


class BadDuration(DotdoError, ValueError):
    """Not a duration."""


class RemoteError(DotdoError):
    """An exception whose class is not known here; `type_name` is what it was."""

    def __init__(self, message: str = "", type_name: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name


class Hibernated(BaseException):
    """Thrown into a coroutine that is dropped because its entity goes to sleep. Let it pass."""


def mark_remote(error: BaseException) -> BaseException:
    """Say of an error that another entity raised it."""
    try:
        error.remote = True  # type: ignore[attr-defined]
    except AttributeError:
        pass
    return error


def is_remote(error: BaseException) -> bool:
    """True for an error that another entity's method raised."""
    return bool(getattr(error, "remote", False))
