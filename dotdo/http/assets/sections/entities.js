// Entities: which are awake, which sleep, which are quarantined.

import { h } from "../dom.js";
import { query } from "../door.js";
import { empty, heading, pill, table } from "../parts.js";
import { count, size } from "../words.js";
import { shortId } from "./executions.js";
import { chips, known, missing, refine, searchField } from "./watches.js";

const LIMIT = 1000;
const SHOWN_MAX = 300;

export const title = () => "Entities";
const watched = ({ noun, all }) => `/entities${query({ noun, all, limit: LIMIT })}`;
export const watches = (parameters) => [watched(parameters)];
export const link = (key) => `#/entity/${encodeURIComponent(key)}`;

export function view(parameters) {
  const found = known(watched(parameters))?.entities;
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

function statuses(found, { status }) {
  const counts = Object.groupBy(found, (one) => one.status);
  return chips("Status", [["All", !status, () => refine({ status: "" }), found.length],
    ...["active", "hibernated", "quarantined"].map((one) => [one, status === one, () => refine({ status: one }), counts[one]?.length ?? 0])]);
}

function list(found, { status, search = "" }) {
  const fitting = found.filter((one) => (!status || one.status === status) && one.key.toLowerCase().includes(search.toLowerCase()));
  if (!fitting.length) return found.length ? empty("No entity fits.") : empty("There are no entities yet.", "They come to be with their first call.");
  const isCut = fitting.length > SHOWN_MAX || found.length >= LIMIT;
  return [
    h("p", { class: "quiet", role: "status" }, isCut ? `The first ${count(Math.min(fitting.length, SHOWN_MAX))} by key: name a noun, or a part of the key, to see others.`
      : `${count(fitting.length)} ${fitting.length === 1 ? "entity" : "entities"}.`),
    table("Entities", [
      ["Entity", (one) => h("a", { href: link(one.key), class: "id" }, h("bdi", {}, shortId(one.key)))], ["Status", (one) => pill(one.status)],
      ["Size", (one) => size(one.size ?? 0), "figure"],
    ], fitting.slice(0, SHOWN_MAX), (one) => one.key),
  ];
}
