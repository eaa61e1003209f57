// One entity: its fields, its executions, its schedules, its tables, and what can be done to it.
//
// Reading fields wakes an entity, so they are read when the page opens and when it has committed something, not all the time.

import { draw, h } from "../dom.js";
import { get, path, post, query, remove } from "../door.js";
import { act, attempt, card, code, confirm, empty, heading, pairs, pill, table, when } from "../parts.js";
import { may } from "../session.js";
import { json, size } from "../words.js";
import { executionTable } from "./executions.js";
import { scheduleTable } from "./schedules.js";
import { known, missing, redraw } from "./watches.js";

const read = new Map();

const split = (id) => [id.slice(0, id.indexOf("/")), id.slice(id.indexOf("/") + 1)];
const about = (id) => `/dashboard/entity${query({ key: id })}`;
const runs = (id) => `/dashboard/executions${query({ noun: split(id)[0], search: `${id}!`, limit: 50 })}`;

export const title = ({ id }) => id;
export const watches = ({ id }) => [about(id), runs(id)];

export function view({ id }) {
  const [noun, own] = split(id);
  const entry = known(about(id));
  const isPublic = !/^(Dotdo|WorkflowRun$|ServiceRequest$)/.test(noun);
  if (!entry) return [heading(id), missing(about(id))];
  if (isPublic) refresh(id, entry);
  const found = read.get(id);
  return [
    heading(id, null, isPublic ? actions(id, noun, own, entry) : null),
    h("section", { class: "card", "aria-label": "State" }, pairs([["Status", pill(entry.status)], ["Why", entry.reason],
      ["Size", size(entry.size ?? 0)], ["Commits", entry.commits === undefined ? null : `${entry.commits} since it woke`]])),
    isPublic ? card("Fields", fields(found)) : null,
    card("Executions", executions(id)),
    isPublic && found?.schedules?.length ? card("Schedules", scheduleTable(found.schedules, id)) : null,
    isPublic && may("operator") ? card("Tables", tables(noun, own)) : null,
  ];
}

function refresh(id, entry) {
  const mark = entry.status === "active" ? `${entry.activation} ${entry.commits}` : "asleep";
  const before = read.get(id);
  if (entry.status === "quarantined" || before?.isReading || (before && (before.mark === mark || mark === "asleep"))) return;
  read.set(id, { ...before, isReading: true, mark });
  const [noun, own] = split(id);
  Promise.all([get(path("entities", noun, own)), get(`/schedules${query({ of: id })}`)])
    .then(([about, planned]) => read.set(id, { mark, fields: about.fields, schedules: planned.schedules }), (error) => read.set(id, { mark, error }))
    .then(redraw);
}

function fields(found) {
  if (found?.error) return h("p", { class: "error", role: "alert" }, found.error.message);
  if (!found?.fields) return h("p", { class: "loading" }, "Loading…");
  const entries = Object.entries(found.fields);
  if (!entries.length) return empty("No field is set.");
  return pairs(entries.map(([name, value]) => [h("code", {}, name), long(value)]));
}

function long(value) {
  const text = json(value, 120);
  return text.endsWith("…") ? h("details", {}, h("summary", {}, h("code", {}, text)), code(value)) : h("code", {}, text);
}

function executions(id) {
  const found = known(runs(id));
  if (!found) return missing(runs(id));
  const own = found.executions.filter((one) => one.id.startsWith(`${id}!`) || one.id === split(id)[1]);
  return own.length ? executionTable(own) : empty("Nothing it ran is on record.");
}

function actions(id, noun, own, entry) {
  if (!may("operator")) return [];
  const at = path("entities", noun, own);
  return [
    act("Hibernate", () => post(`${at}/hibernate`), { said: ({ done }) => (done ? "It sleeps." : "It is busy."), disabled: entry.status !== "active" }),
    entry.status === "quarantined" ? act("Release", () => post(`${at}/release`), { said: "It may run again.", kind: "primary" }) : null,
    act("Delete", async () => {
      if (!(await confirm(`Delete ${id}?`, "Its file and everything in it goes, for good.", "Delete it"))) return undefined;
      const answer = await remove(at);
      location.hash = "#/entities";
      return answer;
    }, { said: "It is deleted.", kind: "danger" }),
  ];
}

function tables(noun, own) {
  const place = h("div", { "aria-live": "polite" });
  const input = h("textarea", { name: "query", rows: 2, spellcheck: "false", "aria-label": "SQL that only reads" });
  input.value = "SELECT name, sql FROM sqlite_schema";
  return h("form", {
    class: "sql", "data-own": `sql ${noun}/${own}`,
    onsubmit: (event) => {
      event.preventDefault();
      attempt(async () => {
        const found = await get(`${path("entities", noun, own)}/sql${query({ query: input.value })}`);
        draw(place, rows(found));
      });
    },
  }, input, h("button", { type: "submit" }, "Read"), place);
}

function rows({ columns, rows: found, is_cut: isCut }) {
  if (!found.length) return empty("No rows.");
  return [table("Rows", columns.map((name, index) => [name, (row) => long(row[1][index])]), [...found.entries()], ([number]) => `row ${number}`),
    isCut ? h("p", { class: "quiet" }, `The first ${found.length}.`) : null];
}
