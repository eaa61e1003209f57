// Executions of all entities, newest first, by status and by words; and starting one.

import { h } from "../dom.js";
import { get, path, post, query } from "../door.js";
import { act, attempt, empty, form, heading, pill, table, toast, when } from "../parts.js";
import { may } from "../session.js";
import { errorText, waiting } from "../words.js";
import { chips, known, missing, refine, searchField } from "./watches.js";

const STATUSES = ["running", "waiting", "paused", "completed", "failed", "cancelled"];

export const title = () => "Executions";
const watched = ({ status, search, noun }) => `/dashboard/executions${query({ status, search, noun, limit: 200 })}`;
export const watches = (parameters) => [watched(parameters)];
export const link = (id) => `#/run/${encodeURIComponent(id)}`;

export function view(parameters) {
  const found = known(watched(parameters));
  const counts = found?.counts ?? {};
  const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return [
    heading("Executions", "Everything that runs durably: what it did, what it waits for, what came of it.", may("caller") ? starter() : null),
    h("div", { class: "filters" },
      chips("Status", [["All", !parameters.status, () => refine({ status: "" }), all],
        ...STATUSES.map((one) => [one, parameters.status === one, () => refine({ status: one }), counts[one] ?? 0])]),
      searchField("Search executions", "search", parameters.search, "Search id, method, error…"),
      searchField("Only of this noun", "noun", parameters.noun, "Noun", "small")),
    found ? list(found, parameters) : missing(watched(parameters)),
  ];
}

function list(found, parameters) {
  if (!found.executions.length) {
    return parameters.status || parameters.search || parameters.noun ? empty("No execution fits.", "Choose another status, or other words.")
      : empty("Nothing has run yet.", "A call that takes steps, sleeps or waits becomes an execution.");
  }
  return [
    h("p", { class: "quiet", role: "status" }, found.found > found.executions.length
      ? `The newest ${found.executions.length} of ${found.found}.` : `${found.found} ${found.found === 1 ? "execution" : "executions"}.`,
    found.not_asked ? ` ${found.not_asked} sleeping entities were not asked: name a noun to see theirs.` : ""),
    executionTable(found.executions),
  ];
}

/** Rows that lead to the run. */
export function executionTable(executions, { isShort = false } = {}) {
  const columns = [
    ["Execution", (one) => h("a", { href: link(one.id), class: "id" }, h("bdi", {}, shortId(one.id)))], ["Method", (one) => h("code", {}, one.method), "figure"],
    ["Status", (one) => pill(one.status)],
    ["Details", (one) => h("span", { class: one.error ? "error" : "quiet" }, one.error ? errorText(one.error) : waiting(one)), "wide"],
    ["Started", (one) => when(one.started_at), "figure"],
  ];
  return table("Executions", isShort ? columns.filter(([title]) => title !== "Details" && title !== "Method") : columns, executions, (one) => one.id);
}

const OWN = { DotdoFunction: "function", DotdoMachine: "machine", DotdoApproval: "approval", DotdoTask: "task", ServiceRequest: "request" };

/** A key or an id as people read it: without the middle of long hexadecimal numbers, the runtime's nouns as words. */
export const shortId = (id) => id.replace(/^[A-Za-z]+(?=\/)/, (noun) => OWN[noun] ?? noun).replace(/[0-9a-f]{16,}/g, (digits) => `${digits.slice(0, 5)}…${digits.slice(-3)}`);

function starter() {
  return act("Start…", async () => {
    const described = await get("/openapi.json");
    const methods = Object.entries(described.paths).filter(([path, one]) => /^\/[A-Z][^/]*\/\{id\}\/[^/]+$/.test(path) && one.post)
      .map(([path]) => path.slice(1).replace("/{id}/", "."));
    if (!methods.length) throw new Error("There is no public noun with a method.");
    const answer = await form("Start an execution", [
      { name: "method", label: "Method", options: methods.sort(), value: methods[0] }, { name: "id", label: "Entity", required: true, hint: "Which one: its id." },
      { name: "body", label: "Arguments", area: true, hint: ({ method }) => argumentsOf(described, method) },
    ], { action: "Start" });
    if (answer) await begin(answer);
  });
}

function argumentsOf(described, method) {
  const operation = described.paths[`/${method.replace(".", "/{id}/")}`].post;
  const schema = operation.requestBody?.content["application/json"].schema;
  if (!schema) return "It takes none.";
  const required = schema.required ?? [];
  const names = Object.entries(schema.properties ?? {}).map(([name, one]) => `${name}${required.includes(name) ? "" : "?"}${typeOf(one)}`);
  return `JSON, an object by name, an array by position or one value: ${names.join(", ")}`;
}

const typeOf = (schema) => (schema.properties ? `: {${Object.keys(schema.properties).join(", ")}}` : schema.type ? `: ${schema.type}` : schema.$ref ? `: ${schema.$ref.split("/").pop()}` : "");

async function begin({ method, id, body }) {
  await attempt(async () => {
    const [noun, name] = method.split(".");
    const given = body ? JSON.parse(body) : undefined;
    const started = await post(path(noun, id, name), given, { prefer: "respond-async" });
    toast(`Started ${started.execution}`);
    location.hash = link(started.execution);
  });
}
