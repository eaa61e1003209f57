// Entities: which are awake, which sleep, which are quarantined.

import { h } from "../dom.js";
import { query } from "../door.js";
import { empty, heading, pill, table } from "../parts.js";
import { count, size } from "../words.js";
import { shortId } from "./executions.js";
import { chips, known, missing, refine, searchField } from "./watches.js";

const SHOWN_MAX = 300;

export const title = () => "Entities";
const watched = ({ noun, status, search, all }) => `/dashboard/entities${query({ noun, status, search, all, limit: SHOWN_MAX })}`;
export const watches = (parameters) => [watched(parameters)];
export const link = (key) => `#/entity/${encodeURIComponent(key)}`;

export function view(parameters) {
  const found = known(watched(parameters));
  return [
    heading("Entities", "One file each; asleep they cost a block of the disk."),
    h("div", { class: "filters" }, found ? statuses(found, parameters) : null,
      searchField("Search keys", "search", parameters.search, "Search key…"), searchField("Only of this noun", "noun", parameters.noun, "Noun", "small"),
      h("label", { class: "check" }, h("input", {
        type: "checkbox", checked: parameters.all === "true", onchange: (event) => refine({ all: event.target.checked ? "true" : "" }),
      }), "the runtime's own")),
    found ? list(found, parameters) : missing(watched(parameters)),
  ];
}

function statuses({ counts }, { status }) {
  const everybody = Object.values(counts).reduce((sum, one) => sum + one, 0);
  return chips("Status", [["All", !status, () => refine({ status: "" }), everybody],
    ...["active", "hibernated", "quarantined"].map((one) => [one, status === one, () => refine({ status: one }), counts[one] ?? 0])]);
}

function list({ entities, found, is_cut: isCut }, { status, search, noun }) {
  if (!found) return status || search || noun ? empty("No entity fits.") : empty("There are no entities yet.", "They come to be with their first call.");
  const said = found > entities.length ? `The first ${count(entities.length)} of ${count(found)}, by key.` : `${count(found)} ${found === 1 ? "entity" : "entities"}.`;
  return [
    h("p", { class: "quiet", role: "status" }, said, isCut ? " There are more than are looked at: name a noun." : ""),
    table("Entities", [
      ["Entity", (one) => h("a", { href: link(one.key), class: "id" }, h("bdi", {}, shortId(one.key)))], ["Status", (one) => pill(one.status)],
      ["Size", (one) => size(one.size ?? 0), "figure"],
    ], entities, (one) => one.key),
  ];
}
