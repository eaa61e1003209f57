"""Everything a user imports from `dotdo`: the list of public names, in one place.

`import dotdo` reads this module when the first of them is asked for. So the command line answers `--help` without it, and
whoever uses dotdo has all of it: what upper layers provide on `self`, and the runtime's own nouns, are registered by this import.
"""

from dotdo import ai, errors, schedules
from dotdo.application import (
    delete,
    entities,
    execution,
    executions,
    flush,
    get,
    hibernate,
    hosts,
    init,
    release,
    result,
    shutdown,
    start,
    tell,
)
from dotdo.documents.database import db
from dotdo.documents.record import Record
from dotdo.durable.alarm import AlarmInfo
from dotdo.durable.current import do, gather_limited, in_thread, now, patched, sleep, step, try_, uuid4
from dotdo.durable.handle import CallbackFailed, Execution, ExecutionInfo, complete, fail
from dotdo.durable.retry import RetryPolicy
from dotdo.durable_object import DO
from dotdo.errors import (
    AlreadyDecided,
    BadAnswer,
    CallIdConflict,
    CallTimeout,
    CascadeError,
    CircuitOpen,
    ClientGone,
    CodecError,
    ConditionError,
    DataFolderInUse,
    DataFolderMissing,
    DefinitionError,
    DocumentError,
    DocumentExists,
    DotdoError,
    ExecutionCancelled,
    ExecutionNotFound,
    FieldNotSet,
    FieldTooLarge,
    GuardFailed,
    IdError,
    InsideTransaction,
    InvalidTransition,
    MachineNotFound,
    ModelUnavailable,
    NoHandler,
    NoKey,
    NoSuchApproval,
    NoSuchDocument,
    NoSuchLetter,
    NoSuchMember,
    NoSuchSchedule,
    NoSuchTask,
    NotAllowed,
    NotAwaited,
    NounConflict,
    NounNotLoadable,
    OutcomeUnknown,
    OutsideTurn,
    Overloaded,
    Permanent,
    Quarantined,
    QueryError,
    RemoteError,
    ReplayDrift,
    ReplayMismatch,
    ServiceFailed,
    ServiceNotFound,
    StepFailed,
    StepRejected,
    StepTimeout,
    StorageError,
    TaskCancelled,
    UseTheEntity,
    WaitTimeout,
    WorkflowConflict,
    WorkflowNotFound,
    WouldDeadlock,
)
from dotdo.events.event import Event, current_event
from dotdo.events.names import N
from dotdo.events.on import on
from dotdo.events.sending import send
from dotdo.events.subscriptions import Subscription
from dotdo.events.waiting import wait_for
from dotdo.nouns.connections import ClientObject
from dotdo.nouns.dead_letters import DeadLetter, dead_letters
from dotdo.nouns.schedules import ScheduleBook as _ScheduleBook  # noqa: F401  # registers the nouns
from dotdo.nouns.webhooks import WebhookInbox as _WebhookInbox  # noqa: F401  # registers the noun
from dotdo.people.approval import Approval
from dotdo.people.approvals import approvals
from dotdo.people.cascading import CascadeResult, cascade
from dotdo.people.directory import directory
from dotdo.people.task import HumanTask
from dotdo.people.tasks import tasks
from dotdo.people.tiers import Tiered
from dotdo.resilience.breaker import CircuitBreaker
from dotdo.resilience.bulkhead import Bulkhead
from dotdo.resilience.caching import cache
from dotdo.resilience.deadline import with_timeout
from dotdo.resilience.limiter import RateLimiter
from dotdo.resilience.retrying import exponential_backoff, fixed_backoff, linear_backoff, retry, with_retry
from dotdo.rpc.stats import snapshot as stats
from dotdo.schedules.asking import ScheduleInfo
from dotdo.schedules.registry import every, schedule, schedule_at
from dotdo.schedules.scheduled import Scheduled
from dotdo.workflows.children import start_child
from dotdo.workflows.debounce import debounce
from dotdo.workflows.declared import Workflow
from dotdo.workflows.definition import HistoryEntry, StepResult, Trigger, WorkflowDefinition, WorkflowExecution, WorkflowStep
from dotdo.workflows.expressions import Expr
from dotdo.workflows.functions import workflow
from dotdo.workflows.machines.instance import MachineInstance
from dotdo.workflows.machines.machine import StateMachine
from dotdo.workflows.pricing import FlatRate, PerExecution, RateByKind, TimeBased, execution_cost
from dotdo.workflows.progress import progress
from dotdo.workflows.services.outcome import ServiceOutcome
from dotdo.workflows.services.request import ServiceRequest
from dotdo.workflows.services.service import Service

__all__ = [
    "DO",
    "AlarmInfo",
    "AlreadyDecided",
    "Approval",
    "BadAnswer",
    "Bulkhead",
    "CallIdConflict",
    "CallTimeout",
    "CallbackFailed",
    "CascadeError",
    "CascadeResult",
    "CircuitBreaker",
    "CircuitOpen",
    "ClientGone",
    "ClientObject",
    "CodecError",
    "ConditionError",
    "DataFolderInUse",
    "DataFolderMissing",
    "DeadLetter",
    "DefinitionError",
    "DocumentError",
    "DocumentExists",
    "DotdoError",
    "Event",
    "Execution",
    "ExecutionCancelled",
    "ExecutionInfo",
    "ExecutionNotFound",
    "Expr",
    "FieldNotSet",
    "FieldTooLarge",
    "FlatRate",
    "GuardFailed",
    "HistoryEntry",
    "HumanTask",
    "IdError",
    "InsideTransaction",
    "InvalidTransition",
    "MachineInstance",
    "MachineNotFound",
    "ModelUnavailable",
    "N",
    "NoHandler",
    "NoKey",
    "NoSuchApproval",
    "NoSuchDocument",
    "NoSuchLetter",
    "NoSuchMember",
    "NoSuchSchedule",
    "NoSuchTask",
    "NotAllowed",
    "NotAwaited",
    "NounConflict",
    "NounNotLoadable",
    "OutcomeUnknown",
    "OutsideTurn",
    "Overloaded",
    "PerExecution",
    "Permanent",
    "Quarantined",
    "QueryError",
    "RateByKind",
    "RateLimiter",
    "Record",
    "RemoteError",
    "ReplayDrift",
    "ReplayMismatch",
    "RetryPolicy",
    "ScheduleInfo",
    "Scheduled",
    "Service",
    "ServiceFailed",
    "ServiceNotFound",
    "ServiceOutcome",
    "ServiceRequest",
    "StateMachine",
    "StepFailed",
    "StepRejected",
    "StepResult",
    "StepTimeout",
    "StorageError",
    "Subscription",
    "TaskCancelled",
    "Tiered",
    "TimeBased",
    "Trigger",
    "UseTheEntity",
    "WaitTimeout",
    "Workflow",
    "WorkflowConflict",
    "WorkflowDefinition",
    "WorkflowExecution",
    "WorkflowNotFound",
    "WorkflowStep",
    "WouldDeadlock",
    "ai",
    "approvals",
    "cache",
    "cascade",
    "complete",
    "current_event",
    "db",
    "dead_letters",
    "debounce",
    "delete",
    "directory",
    "do",
    "entities",
    "errors",
    "every",
    "execution",
    "execution_cost",
    "executions",
    "exponential_backoff",
    "fail",
    "fixed_backoff",
    "flush",
    "gather_limited",
    "get",
    "hibernate",
    "hosts",
    "in_thread",
    "init",
    "linear_backoff",
    "now",
    "on",
    "patched",
    "progress",
    "release",
    "result",
    "retry",
    "schedule",
    "schedule_at",
    "schedules",
    "send",
    "shutdown",
    "sleep",
    "start",
    "start_child",
    "stats",
    "step",
    "tasks",
    "tell",
    "try_",
    "uuid4",
    "wait_for",
    "with_retry",
    "with_timeout",
    "workflow",
]
