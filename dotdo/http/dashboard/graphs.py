"""Definitions, services and state machines as nodes and edges, for a page that draws them; with a run, where it stands.

    GET /dashboard/graphs                           what there is to draw
    GET /dashboard/graph?definition=order&of=OrderWorkflow/main
    GET /dashboard/graph?service=order-fulfillment
    GET /dashboard/graph?machine=shop-order[&instance=o1]
    GET /dashboard/graph?execution=OrderWorkflow/main!r1      the graph of what this execution runs, if it has one

A node has a status once something became of it: pending, running, waiting, completed, failed, skipped; or, of a
machine's instance, `current` for the state it is in and `visited` for those it was in.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from dotdo import application
from dotdo.durable.handle import Execution
from dotdo.errors import DotdoError, MachineNotFound
from dotdo.hosting import catalog
from dotdo.http import answers, reach
from dotdo.http.nouns import within
from dotdo.http.problems import Problem
from dotdo.names import split_execution_id, split_key
from dotdo.rpc.stub import make_stub
from dotdo.workflows.declared import METHOD, Workflow
from dotdo.workflows.definition import WorkflowDefinition, WorkflowExecution
from dotdo.workflows.machines import known, pictures
from dotdo.workflows.machines.instance import MachineInstance
from dotdo.workflows.services.definition import ServiceDefinition, ServiceStep
from dotdo.workflows.services.request_entity import NOUN as REQUEST_NOUN
from dotdo.workflows.services.request_entity import RequestEntity
from dotdo.workflows.services.service_entity import ServiceEntity

router = APIRouter(prefix="/dashboard", tags=["dashboard"])

SERVICE_NOUN = "DotdoService"
LISTED_MAX = 500
ENTITIES_ASKED_MAX = 50


@dataclass(slots=True)
class Node:
    """A box of the picture."""

    id: str
    label: str
    detail: str = ""
    status: str | None = None
    until: datetime | None = None
    error: str | None = None
    attempts: int | None = None
    is_end: bool = False


@dataclass(slots=True)
class Edge:
    """An arrow of the picture; `kind` is flow or error."""

    source: str
    target: str
    label: str = ""
    kind: str = "flow"


@dataclass(slots=True)
class Graph:
    """A picture."""

    kind: str
    title: str
    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    execution: str | None = None
    history: list[Any] = field(default_factory=list)
    context: Any = None


@router.get("/graphs")
async def list_graphs(request: Request) -> Response:
    """Definitions by the entity that runs them, services, and machines with their instances."""
    definitions, services, machines = await within(request, asyncio.gather(_definitions(), _services(), _machines()))
    return answers.response({"definitions": definitions, "services": services, "machines": machines})


async def _definitions() -> list[dict[str, Any]]:
    nouns = [noun for noun, spec in reach.nouns().items() if issubclass(spec.cls, Workflow)]
    pages = await asyncio.gather(*(application.entities(noun, limit=ENTITIES_ASKED_MAX) for noun in nouns))
    keys = [one["key"] for page in pages for one in page][:ENTITIES_ASKED_MAX]
    lists = await asyncio.gather(*(_or_nothing(make_stub(*split_key(key)).list_definitions()) for key in keys))
    return [
        {"of": key, "definition": one.id, "name": one.name or one.id, "version": one.version, "steps": len(one.steps)}
        for key, definitions in zip(keys, lists, strict=True) for one in definitions
    ]  # fmt: skip


async def _services() -> list[dict[str, Any]]:
    return [{"service": split_key(one["key"])[1]} for one in await application.entities(SERVICE_NOUN, limit=LISTED_MAX)]


async def _machines() -> list[dict[str, Any]]:
    found: dict[str, list[str]] = {name: [] for name in known.names()}
    for one in await application.entities(known.NOUN, limit=LISTED_MAX):
        name, _, instance = split_key(one["key"])[1].partition("/")
        found.setdefault(name, []).append(instance)
    return [{"machine": name, "instances": instances} for name, instances in sorted(found.items())]


async def _or_nothing(asking: Any) -> list[Any]:
    try:
        return list(await asking)
    except DotdoError:
        return []


@router.get("/graph")
async def show_graph(
    request: Request,
    definition: Annotated[str | None, Query(max_length=200)] = None,
    of: Annotated[str | None, Query(description="the entity that runs the definition", max_length=700)] = None,
    service: Annotated[str | None, Query(max_length=200)] = None,
    machine: Annotated[str | None, Query(max_length=200)] = None,
    instance: Annotated[str | None, Query(max_length=500)] = None,
    execution: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Response:
    """Nodes and edges, with what became of them."""
    if execution is not None:
        drawn = _of_execution(execution)
    elif definition is not None and of is not None:
        drawn = _of_definition(of, definition)
    elif service is not None:
        drawn = _of_service(service, None)
    elif machine is not None:
        drawn = _of_machine(machine, instance)
    else:
        raise Problem(422, "wrong_arguments", "say what to draw: definition= and of=, service=, machine= or execution=")
    return answers.response(await within(request, drawn))


async def _of_execution(execution_id: str) -> Graph:
    noun, entity_id, _run = split_execution_id(execution_id)
    if noun == known.NOUN:
        name, _, instance = entity_id.partition("/")
        return await _of_machine(name, instance)
    if noun == REQUEST_NOUN:
        service, _, request_id = entity_id.partition("/")
        return await _of_service(service, request_id)
    spec = catalog.find(noun)
    if spec is not None and issubclass(spec.cls, Workflow) and reach.is_public(noun):
        stub = make_stub(noun, entity_id)
        status: WorkflowExecution | None = await stub.status(execution_id) if await _is_run(execution_id) else None
        if status is not None:
            return draw_definition(await stub.get_definition(status.workflow_id, status.version), status)
    raise Problem(404, "no_graph", f"{execution_id} runs code, which is no graph: its timeline shows it")


async def _is_run(execution_id: str) -> bool:
    return (await Execution(execution_id).info()).method == METHOD


# -- definitions --------------------------------------------------------------------------------------------------------


async def _of_definition(of: str, definition_id: str) -> Graph:
    noun, entity_id = split_key(of)
    spec = reach.noun_of(noun)
    found = await make_stub(noun, entity_id).get_definition(definition_id) if issubclass(spec.cls, Workflow) else None
    if found is None:
        raise Problem(404, "no_such_definition", f"{of} has no definition {definition_id!r}")
    return draw_definition(found)


def draw_definition(definition: WorkflowDefinition, execution: WorkflowExecution | None = None) -> Graph:
    """A definition; with a run of it, what became of each step."""
    graph = Graph("definition", definition.name or definition.id, execution=None if execution is None else execution.id)
    for step in definition.steps:
        parts = [f"if {step.condition}" if step.condition else "", f"after {step.wait}" if step.wait else ""]
        node = Node(step.id, step.name or step.id, ", ".join(filter(None, parts)))
        result = execution.step_results.get(step.id) if execution is not None else None
        if result is not None:
            node.status, node.until, node.error, node.attempts = result.status, result.until, result.error, result.retries + 1
        elif execution is not None:
            node.status = "pending"
        graph.nodes.append(node)
        graph.edges += [Edge(before, step.id) for before in step.depends_on]
        if step.on_error == "branch" and step.error_branch is not None:
            graph.edges.append(Edge(step.id, step.error_branch, "on error", "error"))
    return graph


# -- services -----------------------------------------------------------------------------------------------------------


async def _of_service(service_id: str, request_id: str | None) -> Graph:
    definition: ServiceDefinition = await ServiceEntity(service_id).definition()
    standing = None if request_id is None else await RequestEntity(f"{service_id}/{request_id}").progress()
    return draw_service(definition, standing)


def draw_service(definition: ServiceDefinition, standing: dict[str, Any] | None = None) -> Graph:
    """A service; with how far a request is, what became of each step. A step without a word on it follows the one before."""
    graph = Graph("service", definition.name)
    before: ServiceStep | None = None
    for step in definition.steps:
        inner = ", ".join(child.title for child in step.children)
        words = "" if step.type == "function" else f"{step.type}: {inner}" if inner else step.type
        graph.nodes.append(Node(step.id, step.title, words, None if standing is None else _service_status(step.id, standing)))
        if "depends_on" in step.model_fields_set:
            graph.edges += [Edge(one, step.id) for one in step.depends_on]
        elif before is not None:
            graph.edges.append(Edge(before.id, step.id))
        if step.on_error == "branch" and step.error_branch is not None:
            graph.edges.append(Edge(step.id, step.error_branch, "on error", "error"))
        before = step
    return graph


def _service_status(step_id: str, standing: dict[str, Any]) -> str:
    if step_id in standing.get("completed_steps", ()):
        return "completed"
    if step_id in standing.get("failed_steps", ()):
        return "failed"
    return "running" if standing.get("current_step") == step_id else "pending"


# -- machines -----------------------------------------------------------------------------------------------------------


async def _of_machine(name: str, instance_id: str | None) -> Graph:
    try:
        definition = known.find(name).definition
    except MachineNotFound as error:
        raise Problem(404, "no_such_machine", str(error)) from None
    current, history, context = None, [], None
    if instance_id:
        instance = MachineInstance(name, instance_id)
        current, history, context = await asyncio.gather(instance.state, instance.history, instance.context)
    visited = {move["to"] for move in history}
    graph = Graph("machine", f"{name} {instance_id}" if instance_id else name, history=history, context=context)
    arrows = pictures.edges(definition)
    for state in dict.fromkeys([*definition.states, *(arrow.target for arrow in arrows)]):
        status = "current" if state == current else "visited" if state in visited else None
        about = definition.states.get(state)
        words = "initial" if state == definition.initial else "final" if about is not None and about.is_terminal else ""
        graph.nodes.append(Node(state, state, words, status, is_end=about is not None and about.is_terminal))
    graph.edges += [Edge(arrow.source, arrow.target, arrow.label) for arrow in arrows]
    return graph
