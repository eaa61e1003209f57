// Definitions, services and state machines as pictures; with an instance or a run, where it stands.

import { h } from "../dom.js";
import { query } from "../door.js";
import { graph } from "../graph.js";
import { card, code, empty, heading, table, unfold, when } from "../parts.js";
import { executionTable } from "./executions.js";
import { known, missing } from "./watches.js";

const ALL = "/dashboard/graphs";

export const title = ({ machine, definition, service }) => machine ?? definition ?? service ?? "Graphs";
const watched = ({ definition, of, service, machine, instance }) => `/dashboard/graph${query({ definition, of, service, machine, instance })}`;
const isOne = ({ definition, service, machine }) => definition || service || machine;
const runs = ({ definition, of, service }) =>
  (definition ? `/dashboard/executions${query({ noun: of.split("/")[0], search: `${of}! execute`, limit: 20 })}`
    : service ? `/dashboard/executions${query({ noun: "ServiceRequest", search: `${service}/ !run`, limit: 20 })}` : null);
export const watches = (parameters) => (isOne(parameters) ? [watched(parameters), ...(runs(parameters) ? [runs(parameters)] : [])] : [])
  .concat(isOne(parameters) && !parameters.machine ? [] : [ALL]);

export function view(parameters) {
  return isOne(parameters) ? one(parameters) : list();
}

function list() {
  const found = known(ALL);
  if (!found) return [heading("Graphs"), missing(ALL)];
  const nothing = !found.definitions.length && !found.services.length && !found.machines.length;
  return [heading("Graphs", "What is declared as data: workflow definitions, services, state machines."),
    nothing ? empty("There is nothing to draw.", "Definitions of Workflow nouns, services and state machines appear here.") : null,
    found.definitions.length ? card("Workflow definitions", table("Workflow definitions", [
      ["Name", (item) => h("a", { href: `#/graphs${query({ definition: item.definition, of: item.of })}` }, item.name)], ["Run by", (item) => item.of],
      ["Version", (item) => item.version, "figure"], ["Steps", (item) => item.steps, "figure"],
    ], found.definitions, (item) => `${item.of} ${item.definition}`)) : null,
    found.machines.length ? card("State machines", table("State machines", [
      ["Name", (item) => h("a", { href: `#/graphs${query({ machine: item.machine })}` }, item.machine)], ["Instances", (item) => instances(item), "wide"],
    ], found.machines, (item) => item.machine)) : null,
    found.services.length ? card("Services", table("Services", [
      ["Name", (item) => h("a", { href: `#/graphs${query({ service: item.service })}` }, item.service)],
    ], found.services, (item) => item.service)) : null];
}

const INSTANCES_SHOWN = 30;
const instances = (item) => (item.instances.length ? h("span", { class: "links" }, item.instances.slice(0, INSTANCES_SHOWN).map((one) =>
  h("a", { href: `#/graphs${query({ machine: item.machine, instance: one })}` }, one)), item.instances.length > INSTANCES_SHOWN ? `and ${item.instances.length - INSTANCES_SHOWN} more` : null)
  : h("span", { class: "quiet" }, "none"));

function one(parameters) {
  const data = known(watched(parameters));
  const machine = parameters.machine && known(ALL)?.machines.find((item) => item.machine === parameters.machine);
  const found = runs(parameters) && known(runs(parameters));
  return [
    heading(data?.title ?? title(parameters), null, h("a", { class: "button", href: "#/graphs" }, "All graphs")),
    data ? card("Graph", graph(data)) : missing(watched(parameters)),
    data?.history.length ? card("Moves", table("Moves", [
      ["From", (move) => move.from ?? "–"], ["Event", (move) => h("code", {}, move.event)], ["To", (move) => move.to], ["When", (move) => when(move.at)],
    ], data.history, (move) => `${move.at} ${move.event}`), unfold("Context", code(data.context))) : null,
    machine ? card("Instances", instances(machine)) : null,
    found?.executions.length ? card("Runs", executionTable(found.executions)) : null,
  ];
}
