// What every section watches, for the counts beside their names, and reading an answer.

import { answer } from "../live.js";
import { h } from "../dom.js";

export const PULSE = "/dashboard/pulse";
export const APPROVALS = "/approvals?status=pending&limit=100";
export const TASKS = "/tasks?status=pending&limit=100";
export const CLAIMED = "/tasks?status=claimed&limit=100";
export const LETTERS_MAX = 50;
export const LETTERS = `/dead-letters?limit=${LETTERS_MAX}`;

/** The body of an answer; null while there is none, or if it is a problem. */
export function known(watch) {
  const found = answer(watch);
  return found && found.status === 200 ? found.body : null;
}

/** What to show instead of an answer that is not there; null if it is. */
export function missing(watch) {
  const found = answer(watch);
  if (!found) return h("p", { class: "loading", role: "status" }, "Loading…");
  if (found.status === 200) return null;
  return h("p", { class: "error", role: "alert" }, found.body?.detail ?? `The door answered ${found.status}.`);
}

export const redraw = () => dispatchEvent(new Event("dotdo-redraw"));

/** Change the query of this section, without a new entry in the browser's history. */
export function refine(parameters) {
  const [path, search] = location.hash.split("?");
  const all = new URLSearchParams(search);
  for (const [name, value] of Object.entries(parameters)) value ? all.set(name, value) : all.delete(name);
  history.replaceState(null, "", `${path || "#/"}${all.size ? `?${all}` : ""}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** A field whose text refines what is listed, shortly after typing. */
export function searchField(label, name, value, placeholder, kind = "") {
  let timer = 0;
  return h("label", { class: `search ${kind}` }, h("span", { class: "unseen" }, label), h("input", {
    type: "search", name, value, placeholder, "aria-label": label,
    oninput: (event) => {
      clearTimeout(timer);
      const text = event.target.value.trim();
      timer = setTimeout(() => refine({ [name]: text }), 250);
    },
  }));
}

/** Links of which one is chosen. */
export const chips = (label, options) => h("div", { class: "chips", role: "group", "aria-label": label }, options.map(([title, chosen, act, count]) =>
  h("button", { type: "button", "aria-pressed": String(chosen), onclick: act }, title, count === undefined ? null : h("small", {}, ` ${count}`))));
