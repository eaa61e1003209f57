"""A state machine drawn: as Mermaid, for documentation sites and GitHub, and as an SVG of our own, for anywhere.

The SVG is a plain layered drawing: a state stands in the row that is its distance from the initial one, as many moves as it
takes to get there; an arrow that goes back, or past a row, bends around.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dotdo.workflows.machines.definition import MachineDefinition

_CODES = {"#": "#35;", '"': "#quot;", ";": "#59;", ":": "#58;", "\n": " "}

CURRENT = "fill:#fff3bf,stroke:#e67700,stroke-width:3px,color:#000"


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow of the picture."""

    source: str
    target: str
    label: str


def edges(definition: MachineDefinition) -> list[Edge]:
    """Every way from one state to another; those between the same two are one arrow."""
    labels: dict[tuple[str, str], list[str]] = {}
    for state in definition.states.values():
        for transition in state.transitions.values():
            name = f"{transition.event} [{_name(transition.guard)}]" if transition.guard is not None else transition.event
            if state.retry is not None and state.retry.on == transition.event:
                labels.setdefault((state.name, state.name), []).append(f"{transition.event}, fewer than {state.retry.max_attempts} times")
            labels.setdefault((state.name, transition.target), []).append(name)
        if state.timeout_target is not None:
            labels.setdefault((state.name, state.timeout_target), []).append(f"after {state.timeout_s:g} s")
    return [Edge(source, target, " / ".join(parts)) for (source, target), parts in labels.items()]


def mermaid(definition: MachineDefinition, current: str | None = None) -> str:
    """A `stateDiagram-v2`. States that are not defined are drawn too, with a question mark."""
    arrows = edges(definition)
    ids = {name: f"s{index}" for index, name in enumerate(_names(definition, arrows))}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{_quoted(_title(definition, name))}" as {id}' for name, id in ids.items()]
    lines.append(f"    [*] --> {ids[definition.initial]}")
    lines += [f"    {ids[edge.source]} --> {ids[edge.target]} : {_quoted(edge.label)}" for edge in arrows]
    lines += [f"    {ids[state.name]} --> [*]" for state in definition.states.values() if state.is_terminal]
    if current in ids:
        lines += [f"    classDef current {CURRENT}", f"    class {ids[current]} current"]
    return "\n".join(lines) + "\n"


_WIDTH, _HEIGHT, _GAP_X, _GAP_Y, _MARGIN = 170, 40, 60, 70, 40


def svg(definition: MachineDefinition, current: str | None = None) -> str:
    """A drawing that needs nothing else: boxes, arrows, what they are called; the current state is filled."""
    arrows = edges(definition)
    rows = _rows(definition, arrows)
    places = {
        name: (_MARGIN + column * (_WIDTH + _GAP_X), _MARGIN + row * (_HEIGHT + _GAP_Y))
        for row, names in enumerate(rows)
        for column, name in enumerate(names)
    }
    width = 3 * _MARGIN + max(len(names) for names in rows) * (_WIDTH + _GAP_X)
    height = 2 * _MARGIN + len(rows) * (_HEIGHT + _GAP_Y)
    tip = '<path d="M0 0 8 4 0 8z" fill="#495057"/>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">{tip}</marker></defs>',
    ]
    parts += [_arrow(edge, places) for edge in arrows]
    parts += [_box(definition, name, place, is_current=name == current) for name, place in places.items()]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _rows(definition: MachineDefinition, arrows: list[Edge]) -> list[list[str]]:
    """The states by their distance from the initial one; what cannot be reached comes last."""
    following: dict[str, list[str]] = {}
    for edge in arrows:
        following.setdefault(edge.source, []).append(edge.target)
    seen = {definition.initial: None}
    rows = [[definition.initial]]
    while rows[-1]:
        row: dict[str, None] = {}
        for name in rows[-1]:
            row.update((target, None) for target in following.get(name, ()) if target not in seen)
        seen.update(row)
        rows.append(list(row))
    rows[-1] = [name for name in _names(definition, arrows) if name not in seen]
    return [row for row in rows if row]


def _box(definition: MachineDefinition, name: str, place: tuple[int, int], *, is_current: bool) -> str:
    x, y = place
    state = definition.states.get(name)
    fill, stroke = ("#fff3bf", "#e67700") if is_current else ("#f8f9fa", "#495057")
    ends = state is not None and state.is_terminal
    lines = [f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="8" fill="{fill}" stroke="{stroke}"/>']
    if ends:
        lines.append(f'<rect x="{x + 4}" y="{y + 4}" width="{_WIDTH - 8}" height="{_HEIGHT - 8}" rx="5" fill="none" stroke="{stroke}"/>')
    title = escape(_title(definition, name))
    lines.append(f'<text x="{x + _WIDTH // 2}" y="{y + _HEIGHT // 2 + 4}" text-anchor="middle">{title}</text>')
    shown = f"{'current' if is_current else 'state'}"
    return f'<g class="{shown}">{"".join(lines)}</g>'


def _arrow(edge: Edge, places: dict[str, tuple[int, int]]) -> str:
    (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
    if y2 == y1 + _HEIGHT + _GAP_Y:  # to the next row: straight
        start, end = (x1 + _WIDTH // 2, y1 + _HEIGHT), (x2 + _WIDTH // 2, y2)
        path, label = f"M{start[0]} {start[1]} L{end[0]} {end[1]}", ((start[0] + end[0]) // 2, (start[1] + end[1]) // 2)
    else:  # within a row, past one, or back: around the right side
        start, end = (x1 + _WIDTH, y1 + _HEIGHT // 2 - 6), (x2 + _WIDTH, y2 + _HEIGHT // 2 + 6)
        bend = max(start[0], end[0]) + _GAP_X // 2 + abs(y2 - y1) // 6
        path, label = f"M{start[0]} {start[1]} C{bend} {start[1]} {bend} {end[1]} {end[0]} {end[1]}", (bend, (start[1] + end[1]) // 2)
    text = f'<text x="{label[0]}" y="{label[1]}" text-anchor="middle" font-size="10" fill="#343a40">{escape(edge.label)}</text>'
    return f'<g class="move"><path d="{path}" fill="none" stroke="#868e96" marker-end="url(#tip)"/>{text}</g>'


def _names(definition: MachineDefinition, arrows: list[Edge]) -> list[str]:
    return list(dict.fromkeys([*definition.states, *(edge.target for edge in arrows)]))


def _title(definition: MachineDefinition, name: str) -> str:
    return name if name in definition.states else f"{name}?"


def _name(function: object) -> str:
    name = str(getattr(function, "__name__", "guard"))
    return "guard" if name == "<lambda>" else name


def _quoted(text: str) -> str:
    """As Mermaid writes what would end a label."""
    return "".join(_CODES.get(character, character) for character in text)
