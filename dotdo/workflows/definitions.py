"""The definitions an entity has registered, in all their versions.

A run keeps the number of the version it was started with and finishes on it, whatever is registered later; so versions
are rows that never change, and only which of them is current does. What `setup` registers again at every waking is the
same as before and makes no version.
"""

from __future__ import annotations

from typing import Any

from dotdo import codec
from dotdo.entity.activation import Activation
from dotdo.errors import WorkflowNotFound
from dotdo.workflows.course import Plan
from dotdo.workflows.definition import WorkflowDefinition

_TABLE = """CREATE TABLE IF NOT EXISTS _do_workflows(
    id TEXT NOT NULL, version INTEGER NOT NULL, is_current INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL, PRIMARY KEY(id, version)) WITHOUT ROWID"""


class Definitions:
    """The definitions of one activation: rows of its file, and the plans made of them."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._plans: dict[tuple[str, int], Plan] = {}
        """Of versions, which never change."""
        self._current: dict[str, int] | None = None

    # -- reading ----------------------------------------------------------------------------------------------------

    def current(self) -> dict[str, int]:
        """The current version of each definition, by id."""
        if self._current is not None:
            return self._current
        rows = self._activation.file.query("SELECT id, version FROM _do_workflows WHERE is_current = 1 ORDER BY id")
        found: dict[str, int] = dict(rows)
        if not self._activation.file.has_writes:  # else the rows may yet be undone
            self._current = found
        return found

    def version_of(self, workflow_id: str) -> int:
        """The current version. Raises WorkflowNotFound."""
        version = self.current().get(workflow_id)
        if version is None:
            known = ", ".join(self.current()) or "none"
            raise WorkflowNotFound(
                f"Workflow not found: {workflow_id!r} is not registered with {self._activation.key}; registered: {known}"
            )
        return version

    def version_at(self, workflow_id: str, at: float) -> int:
        """The version that was current at a time, epoch seconds. Raises WorkflowNotFound."""
        sql = "SELECT max(version) FROM _do_workflows WHERE id = ?1 AND at <= ?2"
        version = next((row[0] for row in self._activation.file.query(sql, (workflow_id, at))), None)
        return self.version_of(workflow_id) if version is None else int(version)

    def plan(self, workflow_id: str, version: int) -> Plan:
        """A version, ready to be run. Raises WorkflowNotFound."""
        found = self._plans.get((workflow_id, version))
        if found is None:
            sql = "SELECT body FROM _do_workflows WHERE id = ?1 AND version = ?2"
            rows = self._activation.file.query(sql, (workflow_id, version))
            if not rows:
                raise WorkflowNotFound(f"Workflow not found: {self._activation.key} has no version {version} of {workflow_id!r}")
            definition = WorkflowDefinition.model_validate({**_read(rows[0][0]), "version": version})
            found = Plan(definition)
            if not self._activation.file.has_writes:
                self._plans[(workflow_id, version)] = found
        return found

    # -- writing, in the running turn -------------------------------------------------------------------------------

    def put(self, definition: WorkflowDefinition) -> WorkflowDefinition:
        """Make it the current one; a new version only if it differs from the one that is."""
        file = self._activation.file
        known = self.current().get(definition.id)
        if known is not None and (plan := self.plan(definition.id, known)).definition == definition.model_copy(update={"version": known}):
            return plan.definition
        file.ensure_table(_TABLE)
        rows = file.query("SELECT max(version) FROM _do_workflows WHERE id = ?1", (definition.id,))
        version = int((rows[0][0] if rows else None) or 0) + 1
        body = codec.encode(definition.model_dump(exclude_defaults=True, exclude={"version"}))
        file.add("UPDATE _do_workflows SET is_current = 0 WHERE id = ?1", (definition.id,))
        file.add("INSERT INTO _do_workflows VALUES(?1, ?2, 1, ?3, ?4)", (definition.id, version, self._activation.host.clock.now(), body))
        self._current = None
        return definition.model_copy(update={"version": version})

    def delete(self, workflow_id: str) -> bool:
        """Make no version of it current; those that runs were started with stay."""
        if workflow_id not in self.current():
            return False
        self._activation.file.add("UPDATE _do_workflows SET is_current = 0 WHERE id = ?1", (workflow_id,))
        self._current = None
        return True


def _read(body: bytes) -> dict[str, Any]:
    found: Any = codec.decode(body)
    return found  # type: ignore[no-any-return]
