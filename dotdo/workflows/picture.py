"""A definition as a Mermaid flowchart, as documentation sites and GitHub draw it."""

from __future__ import annotations

from dotdo.workflows.definition import WorkflowDefinition, WorkflowExecution, WorkflowStep

_COLOURS = {
    "completed": "fill:#d3f9d8,stroke:#2b8a3e,color:#000",
    "failed": "fill:#ffe3e3,stroke:#c92a2a,color:#000",
    "running": "fill:#fff3bf,stroke:#e67700,color:#000",
    "waiting": "fill:#e5dbff,stroke:#5f3dc4,color:#000",
    "skipped": "fill:#f1f3f5,stroke:#adb5bd,color:#868e96",
}


def mermaid(definition: WorkflowDefinition, execution: WorkflowExecution | None = None) -> str:
    """The flowchart; with an execution, each step has the colour of what became of it."""
    names = {step.id: f"s{index}" for index, step in enumerate(definition.steps)}
    lines = ["flowchart TD"]
    for step in definition.steps:
        opening, closing = ("{{", "}}") if step.condition is not None else ("([", "])") if step.wait is not None else ("[", "]")
        lines.append(f'    {names[step.id]}{opening}"{_label(step)}"{closing}')
    for step in definition.steps:
        for dependency in step.depends_on:
            lines.append(f"    {names.get(dependency, _unknown(dependency))} --> {names[step.id]}")
        if step.on_error == "branch" and step.error_branch is not None:
            lines.append(f"    {names[step.id]} -. on error .-> {names.get(step.error_branch, _unknown(step.error_branch))}")
    if execution is not None:
        lines += _colours(names, execution)
    return "\n".join(lines) + "\n"


def _label(step: WorkflowStep) -> str:
    parts = [step.name or step.id]
    if step.condition is not None:
        parts.append(f"if {step.condition}")
    if step.wait is not None:
        parts.append(f"after {step.wait}")
    return "<br/>".join(_escaped(part) for part in parts)


def _colours(names: dict[str, str], execution: WorkflowExecution) -> list[str]:
    by_status: dict[str, list[str]] = {}
    for step_id, result in execution.step_results.items():
        if step_id in names:
            by_status.setdefault(result.status, []).append(names[step_id])
    lines = []
    for status, members in by_status.items():
        if status in _COLOURS:
            lines += [f"    classDef {status} {_COLOURS[status]}", f"    class {','.join(members)} {status}"]
    return lines


def _unknown(step_id: str) -> str:
    return f'unknown["{_escaped(step_id)}?"]'


def _escaped(text: str) -> str:
    """As Mermaid writes what would end a label."""
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("\n", " ")):
        text = text.replace(character, code)
    return text
