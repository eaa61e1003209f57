// Schedules with their next times.

import { h } from "../dom.js";
import { path, post, query, remove } from "../door.js";
import { act, confirm, empty, heading, pill, table, when } from "../parts.js";
import { may } from "../session.js";
import { brief, moment } from "../words.js";
import { known, missing } from "./watches.js";

const ALL = "/schedules";

export const title = () => "Schedules";
export const watches = () => [ALL];

export function view() {
  const found = known(ALL)?.schedules;
  return [heading("Schedules", "What the program does again and again. An entity's own are on its page."),
    !found ? missing(ALL) : found.length ? scheduleTable(found) : empty("There are no schedules.", "@every.day.at(\"6pm\") above a function makes one.")];
}

/** Rows with what is next. `of` is the entity they belong to, if it is one's own. */
export function scheduleTable(schedules, of = null) {
  return table("Schedules", [
    ["Name", (one) => h("strong", {}, one.name)], ["When", (one) => one.text],
    ["Status", (one) => pill(one.is_paused ? "paused" : one.status ?? "pending")],
    ["Next", (one) => (one.next_times.length ? h("span", {}, when(one.next_times[0]), later(one.next_times.slice(1))) : h("span", { class: "quiet" }, "–"))],
    ["Runs", (one) => `${one.runs}${one.skipped ? `, ${one.skipped} skipped` : ""}`, "figure"], ["Last", (one) => when(one.last)],
    ["Actions", (one) => [one.error ? h("span", { class: "error" }, one.error) : null, may("operator") ? buttons(one, of) : null], "wide"],
  ], schedules, (one) => `${one.entity} ${one.name}`);
}

const later = (times) => (times.length ? h("details", { class: "later" }, h("summary", {}, "then"), h("ul", { class: "plain" }, times.map((one) => h("li", {}, h("time", { datetime: one, title: moment(one) }, brief(one)))))) : null);

function buttons(one, of) {
  const at = path("schedules", one.name);
  const own = query({ of });
  return h("div", { class: "actions" },
    one.is_paused ? act("Resume", () => post(`${at}/resume${own}`), { said: `${one.name} goes on.`, label: `Resume ${one.name}` })
      : act("Pause", () => post(`${at}/pause${own}`), { said: `${one.name} rests.`, label: `Pause ${one.name}` }),
    act("Cancel", async () => ((await confirm(`End the schedule ${one.name}?`, "What a program still declares is back when that starts anew.", "End it"))
      ? remove(`${at}${own}`) : undefined), { said: `${one.name} is ended.`, kind: "danger", label: `Cancel ${one.name}` }));
}
