"""`Workflow`: a noun whose entities run workflows that are declared as data.

    class OrderWorkflow(Workflow):
        async def setup(self):
            await self.register({"id": "order-processing", "steps": [
                {"id": "validate", "action": "validate_payment"},
                {"id": "charge", "action": "charge_card", "dependsOn": ["validate"], "maxRetries": 3}]})

        async def validate_payment(self, params, state): ...
        async def charge_card(self, params, state): ...

    execution = await OrderWorkflow("main").start("order-processing", {"orderId": "o1"})

One entity runs many: each run is an execution of its own, a call of `execute`, journaled as every execution is and found
by everything that finds executions. While it waits it is a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from dotdo import codec
from dotdo.durable.handle import Execution, starting
from dotdo.durable_object import DO
from dotdo.errors import ConditionError, DefinitionError, ExecutionNotFound, IdError, InvalidTransition
from dotdo.events import names, subscriptions
from dotdo.events.event import Event
from dotdo.names import check_id, execution_id_of, split_execution_id
from dotdo.rpc import stub as stubs
from dotdo.rpc.stub import Stub
from dotdo.storage import journal
from dotdo.storage.journal import RunRow
from dotdo.workflows import actions, checking, expressions, reading, runner
from dotdo.workflows.course import Course, Plan
from dotdo.workflows.definition import HistoryEntry, Status, WorkflowDefinition, WorkflowExecution
from dotdo.workflows.definitions import Definitions

METHOD = "execute"
"""The method whose executions are the runs."""

PAGE = 200


class Workflow(DO, noun="DotdoWorkflow", max_queue=10_000):
    """Subclass it, register definitions in `setup`, write their actions as methods."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if not issubclass(cls, Stub):
            for name in actions.names_taken(cls, Workflow):
                raise DefinitionError(f"class {cls.__name__} overrides {name!r}, a name of Workflow: call it something else")

    # -- definitions ------------------------------------------------------------------------------------------------

    async def register(self, definition: WorkflowDefinition | dict[str, Any], *, strict: bool = True) -> WorkflowDefinition:
        """Keep a definition, and connect its triggers. Registering the same again changes nothing; another makes a new version.

        Args:
            definition: the model, or a dict in camelCase or in Python's names; in camelCase plain numbers are milliseconds.
            strict: False lets pass what only the step that reaches it fails by, as `warnings` of what is returned.

        Returns:
            The definition as it is kept, with its version.

        Raises:
            DefinitionError: lists everything that is wrong, each with its place; nothing is kept then.
        """
        checked = checking.read(definition, self._check_action, strict=strict)
        if self._is_replayed:
            return checked.model_copy(update={"version": self._kept.version_of(checked.id)})
        before = self._kept.current().get(checked.id)
        kept = self._kept.put(checked)
        for warning in kept.warnings if kept.version != before else ():
            self.log.warning("workflow %s: %s", kept.id, warning)
        for trigger in kept.triggers:
            self._ledger.extensions[subscriptions.NAME].subscribe(trigger.event, self._triggered)  # type: ignore[attr-defined]
        return kept

    async def get_definition(self, workflow_id: str, version: int | None = None) -> WorkflowDefinition | None:
        """The current definition, or a version of it; None if there is none."""
        number = version if version is not None else self._kept.current().get(workflow_id)
        try:
            return None if number is None else self._kept.plan(workflow_id, number).definition
        except LookupError:
            return None

    async def list_definitions(self) -> list[WorkflowDefinition]:
        """The current definitions, by id."""
        return [self._kept.plan(workflow_id, version).definition for workflow_id, version in self._kept.current().items()]

    async def delete_definition(self, workflow_id: str) -> bool:
        """Take a definition away: nothing starts by it any more, what runs finishes. False if there was none.

        What `setup` registers is back when the entity wakes.
        """
        found = await self.get_definition(workflow_id)
        if found is None or self._is_replayed:
            return found is not None
        self._kept.delete(workflow_id)
        others = {trigger.event for one in await self.list_definitions() for trigger in one.triggers}
        for trigger in found.triggers:
            if trigger.event not in others:
                self._ledger.extensions[subscriptions.NAME].cancel(trigger.event, "_triggered")  # type: ignore[attr-defined]
        return True

    # -- running ----------------------------------------------------------------------------------------------------

    async def start(self, workflow_id: str, input: Any = None, *, id: str | None = None) -> WorkflowExecution:
        """Start a run. It is durable when this returns, and goes on by itself.

        Args:
            input: what the steps get as their params, and the root of the state; usually a dict.
            id: the same id again gives the run there is, with the same input; a new one by default.

        Raises:
            WorkflowNotFound: no definition of this id is registered.
            CallIdConflict: the id belongs to a run of another workflow, or with another input.
        """
        run_id = self._new_id(workflow_id) if id is None else self._bare_id(check_id(id))
        await self._start(workflow_id, input, self._ledger.handed(lambda: self._kept.version_of(workflow_id)), run_id)
        return self._execution(run_id)

    async def execute(self, workflow_id: str, input: Any = None, version: int | None = None) -> Any:
        """Run a workflow and wait for it: its final state, the input and what each step returned. Its error is raised."""
        number = version if version is not None else self._ledger.handed(lambda: self._kept.version_of(workflow_id))
        course = self._course(self._kept.plan(workflow_id, number), input)
        return await runner.run(self._ledger, course, self._find_action)

    async def replay(self, execution_id: str) -> WorkflowExecution:
        """Run it from the beginning: a new run with the same input, on the version the first was started with."""
        row = self._row(execution_id)
        workflow_id, input, version = _arguments(row)
        version = version or self._kept.version_at(workflow_id, row.started)
        run_id = self._new_id(workflow_id)
        await self._start(workflow_id, input, version, run_id)
        return self._execution(run_id)

    async def _start(self, workflow_id: str, input: Any, version: int, run_id: str) -> None:
        method = stubs.make_stub(self.noun, self.id).execute.with_options(call_id=run_id)
        await starting(method, (workflow_id, {} if input is None else input, version), {})

    # -- events -----------------------------------------------------------------------------------------------------

    async def handle_event(self, event: str, data: Any = None) -> list[WorkflowExecution]:
        """Start every workflow that the event triggers; their runs.

        Events that are sent (`send("Customer.created", ...)`) do the same by themselves, once the definition is registered:
        an entity that never woke has registered nothing.

        Raises:
            ConditionError: a trigger's condition cannot be evaluated on this data; nothing was started.
        """
        name = str(names.parse_event(event))
        matching, errors = self._matching(name, data)
        if errors:
            raise errors[0]
        run_ids = [self._new_id(workflow_id) for workflow_id, _ in matching]
        for (workflow_id, version), run_id in zip(matching, run_ids, strict=True):
            await self._start(workflow_id, data, version, run_id)
        return [self._execution(run_id) for run_id in run_ids]

    async def _triggered(self, event: Event) -> None:
        """An event arrived: the runs it starts are named after it, so that a repeat starts nothing."""
        matching, errors = self._matching(str(names.unscoped(event.name)), event.data)
        for workflow_id, version in matching:
            await self._start(workflow_id, event.data, version, f"{workflow_id}-{_short(event.id)}")
        if errors:
            raise errors[0]

    def _matching(self, event: str, data: Any) -> tuple[list[tuple[str, int]], list[ConditionError]]:
        """The workflows an event triggers, with their versions, and what went wrong in finding out."""
        found: dict[str, int] = {}
        errors = []
        for workflow_id, version in self._ledger.handed(lambda: dict(self._kept.current())).items():
            for index, trigger in enumerate(self._kept.plan(workflow_id, version).definition.triggers):
                if not names.matches(trigger.event, event):
                    continue
                try:
                    if trigger.condition is None or expressions.parse(trigger.condition).holds(_as_scope(data)):
                        found[workflow_id] = version
                except ConditionError as error:
                    errors.append(ConditionError(f"workflow {workflow_id!r}, triggers[{index}].condition: {error}"))
        return list(found.items()), errors

    # -- looking ----------------------------------------------------------------------------------------------------

    async def status(self, execution_id: str) -> WorkflowExecution | None:
        """The run as it stands, with the results of its steps and its history; None if there is none of this id."""
        try:
            return self._execution(execution_id)
        except ExecutionNotFound:
            return None

    async def history(self, execution_id: str) -> list[HistoryEntry]:
        """What happened in the run, oldest first. Raises ExecutionNotFound."""
        return self._execution(execution_id).history

    async def list_executions(
        self, workflow_id: str | None = None, status: Status | None = None, limit: int = 100
    ) -> list[WorkflowExecution]:
        """Runs, newest first: of one workflow, in one status. Raises ValueError for a status there is none of."""
        if status is not None and status not in get_args(Status):
            raise ValueError(f"no run is ever {status!r}: the statuses are {', '.join(get_args(Status))}")
        found: list[WorkflowExecution] = []
        for row in self._rows():
            if len(found) >= limit:
                break
            if (status is None or self._status(row) == status) and (workflow_id is None or _arguments(row)[0] == workflow_id):
                found.append(self._execution(row.id))
        return found

    # -- acting -----------------------------------------------------------------------------------------------------

    async def pause(self, execution_id: str) -> WorkflowExecution:
        """Begin nothing new in the run until `resume`; what runs is let end. Raises InvalidTransition if it has ended."""
        return await self._act(execution_id, "pause", "pending", "running", "waiting")

    async def resume(self, execution_id: str) -> WorkflowExecution:
        """Let a paused run go on; a wait that was over meanwhile is over. Raises InvalidTransition if it is not paused."""
        return await self._act(execution_id, "resume", "paused")

    async def cancel(self, execution_id: str) -> WorkflowExecution:
        """End the run; an action that runs sees a cancellation. Raises InvalidTransition if it has ended."""
        return await self._act(execution_id, "cancel", "pending", "running", "waiting", "paused")

    async def retry(self, execution_id: str) -> WorkflowExecution:
        """Go on from the failed step, with all its attempts anew. Raises InvalidTransition if the run has not failed."""
        return await self._act(execution_id, "retry", "failed")

    async def _act(self, execution_id: str, verb: str, *allowed: str) -> WorkflowExecution:
        run_id = self._row(execution_id).id
        status = self._ledger.handed(lambda: self._status(self._row(run_id)))
        if status not in allowed:
            raise InvalidTransition(f"cannot {verb} {self._full_id(run_id)}: it is {status}, and it must be {' or '.join(allowed)}")
        await getattr(Execution(self._full_id(run_id)), verb)()
        return self._execution(run_id)

    # -- within -----------------------------------------------------------------------------------------------------

    @property
    def _kept(self) -> Definitions:
        found = self.__dict__.get("_definitions")
        if found is None:
            found = self._definitions = Definitions(self._do_)
        return found  # type: ignore[no-any-return]

    @property
    def _is_replayed(self) -> bool:
        turn = self._do_.turn
        return turn is not None and turn.is_replayed

    def _find_action(self, name: str) -> Callable[..., Any]:
        return actions.find(self, Workflow, name)

    def _check_action(self, name: str) -> None:
        self._find_action(name)

    def _course(self, plan: Plan, input: Any) -> Course:
        return Course(plan, input, has_noop=actions.NOOP in actions.actions_of(type(self), Workflow))

    def _new_id(self, workflow_id: str) -> str:
        """An id for a new run: the same again when this call is sent again, so that nothing starts twice."""
        run, task = self._ledger.current_run("start")
        return f"{workflow_id}-{_short(f'{run.id}/{task.branch.key(workflow_id)}')}"

    def _full_id(self, run_id: str) -> str:
        return execution_id_of(self.key, run_id)

    def _bare_id(self, execution_id: str) -> str:
        """The id within this entity, of an id in full or not. Raises ExecutionNotFound for another entity's."""
        if "!" not in execution_id:
            return execution_id
        try:
            noun, entity_id, run_id = split_execution_id(execution_id)
        except IdError:
            raise ExecutionNotFound(f"{execution_id!r} is not the id of a run") from None
        if (noun, entity_id) != (self.noun, self.id):
            raise ExecutionNotFound(f"{execution_id!r} belongs to {noun}/{entity_id}, not to {self.key}")
        return run_id

    def _row(self, execution_id: str) -> RunRow:
        run_id = self._bare_id(execution_id)
        row = self._ledger.dormant.rows.get(run_id) or journal.find_run(self._do_.file, run_id)
        if row is None or row.method != METHOD:
            raise ExecutionNotFound(f"{self.key} has no run {run_id!r} (any more)")
        return row

    def _rows(self) -> Iterator[RunRow]:
        """The runs, newest first."""
        size = PAGE
        seen = 0
        while True:
            rows = journal.list_runs(self._do_.file, None, size)
            yield from (row for row in rows[seen:] if row.method == METHOD)
            if len(rows) < size:
                return
            seen, size = size, size * 4

    def _status(self, row: RunRow) -> Status:
        run = self._ledger.runs.get(row.id)
        status: Any = row.status
        if run is not None and row.ended is None:
            status = "paused" if run.is_pausing else "waiting" if run.is_parked else "running"
        return status  # type: ignore[no-any-return]

    def _execution(self, execution_id: str) -> WorkflowExecution:
        """The run as its journal tells it; in an execution, the same again on replay. Raises ExecutionNotFound."""
        run_id = self._bare_id(execution_id)
        found: WorkflowExecution = self._ledger.handed(lambda: self._read(run_id))
        return found

    def _read(self, run_id: str) -> WorkflowExecution:
        row = self._row(run_id)
        workflow_id, input, version = _arguments(row)
        if version is None:  # a call of `execute` itself, on the version of that moment
            version = self._kept.version_at(workflow_id, row.started)
        course = self._course(self._kept.plan(workflow_id, version), input)
        state = reading.RunState(self._full_id(run_id), self._status(row), row.started, row.ended, bool(row.ok), row.outcome)
        return reading.execution_of(course, state, journal.rows_of(self._do_.file, run_id))


def _arguments(row: RunRow) -> tuple[str, Any, Any]:
    """What a run was started with: the workflow, its input and version."""
    (args, kwargs) = _decoded(row.payload)
    named = {**dict(zip(("workflow_id", "input", "version"), args, strict=False)), **kwargs}
    return named["workflow_id"], named.get("input"), named.get("version")


def _decoded(payload: bytes | None) -> Any:
    return codec.decode(payload or b"")


def _as_scope(data: Any) -> Any:
    return {} if data is None or not (isinstance(data, Mapping) or hasattr(data, "__dict__") or hasattr(data, "__slots__")) else data


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
