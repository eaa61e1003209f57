// One execution: where it stands, what it did and when, what it was given and what came of it.

import { h } from "../dom.js";
import { get, path, post, query } from "../door.js";
import { graph } from "../graph.js";
import { act, card, code, confirm, empty, form, heading, pairs, pill, table, unfold, when } from "../parts.js";
import { may } from "../session.js";
import { brief, errorText, moment, took, waiting, waitName } from "../words.js";
import { link, shortId } from "./executions.js";
import { known, missing, redraw } from "./watches.js";

const ENDED = ["completed", "failed", "cancelled"];
const results = new Map();
const histories = new Map();

export const title = ({ id }) => shortId(id);
const about = (id) => path("executions", id);
const timeline = (id) => `${about(id)}/timeline`;
const drawn = (id) => `/dashboard/graph?execution=${encodeURIComponent(id)}`;
export const watches = ({ id }) => [about(id), timeline(id), ...(hasGraph(id) ? [drawn(id)] : [])];

/** Workflow runs and calls of one's own nouns may have a graph; the door says if not. */
const hasGraph = (id) => id.includes("!");

export function view({ id }) {
  const info = known(about(id));
  if (!info) return [heading(shortId(id)), missing(about(id))];
  const line = known(timeline(id));
  return [
    heading(shortId(id), null, actions(info)), summary(info, line), progress(info), picture(id),
    card("Timeline", line ? entries(line, info) : missing(timeline(id))), outcome(info), raw(info),
  ];
}

function summary(info, line) {
  const key = info.id.includes("!") ? info.id.split("!")[0] : null;
  const error = errorText(info.error);
  return h("section", { class: "card", "aria-label": "Status" },
    h("p", { class: "status-line", role: "status" }, pill(info.status), info.status === "waiting" || info.until ? h("span", {}, waiting(info)) : null,
      /^Dotdo(Approval|Task)\./.test(info.waiting_for ?? "") ? h("a", { href: "#/inbox" }, "Open the inbox") : null),
    error ? h("p", { class: "error block" }, error) : null,
    pairs([
      ["Id", h("code", {}, info.id)], ["Method", h("code", {}, info.method)],
      ["Entity", key && /^[A-Z]/.test(key) ? h("a", { href: `#/entity/${encodeURIComponent(key)}` }, key) : null],
      ["Started", info.started_at ? [moment(info.started_at), " (", when(info.started_at), ")"] : null],
      ["Ended", info.ended_at ? moment(info.ended_at) : null],
      ["Took", info.started_at ? took((info.ended_at ? new Date(info.ended_at) : new Date()) - new Date(info.started_at)) : null],
      ["Attempt", info.attempt > 1 ? info.attempt : null],
      ["Arguments", line ? h("code", {}, line.arguments || "none") : null],
    ]));
}

function progress(info) {
  if (!info.progress) return null;
  const { step, total, progress: part } = info.progress;
  return h("div", { class: "card progress" }, h("label", {}, `Step ${step} of ${total}`, h("progress", { max: 1, value: part })));
}

function actions(info) {
  const at = about(info.id);
  const isOver = ENDED.includes(info.status);
  const signal = !isOver && may("caller") ? act("Signal…", () => send(at), { said: "It is delivered." }) : null;
  if (!may("operator")) return [signal];
  const verb = (name, title, said, kind) => act(title, () => post(`${at}/${name}`), { said: ({ done }) => (done ? said : "It had no effect: it is too late for that."), kind });
  return [
    signal,
    info.status === "failed" ? verb("retry", "Retry", "It goes on from the failed step.", "primary") : null,
    info.status === "paused" ? verb("resume", "Resume", "It goes on.", "primary") : null,
    !isOver && info.status !== "paused" ? verb("pause", "Pause", "It is paused: nothing new starts in it.") : null,
    act("Replay", async () => {
      const started = await post(`${at}/replay`);
      location.hash = link(started.execution);
      return started;
    }, { said: "It starts over, as a new execution." }),
    !isOver ? act("Cancel", async () => ((await confirm("Cancel this execution?", "Its undos run; it cannot be taken back.", "Cancel it"))
      ? post(`${at}/cancel`) : undefined), { said: "It is cancelled.", kind: "danger" }) : null,
  ];
}

async function send(at) {
  const answer = await form("Send a signal", [
    { name: "name", label: "Name", required: true, hint: "What its wait_for(name) waits for." }, { name: "body", label: "Data", area: true, hint: "JSON; empty for none." },
  ], { action: "Send" });
  return answer ? post(`${at}/signal${query({ name: answer.name })}`, answer.body ? JSON.parse(answer.body) : undefined) : undefined;
}

function picture(id) {
  const data = known(drawn(id));
  return data ? card("Graph", graph(data), data.history.length ? moves(data.history) : null) : null;
}

const moves = (history) => table("Moves", [
  ["From", (one) => one.from ?? "–"], ["Event", (one) => h("code", {}, one.event)], ["To", (one) => one.to], ["When", (one) => when(one.at)],
], history, (one) => `${one.at}${one.event}`);

// -- the timeline ------------------------------------------------------------------------------------------------------

function entries(line, info) {
  if (!line.entries.length) return empty("No steps.", info.status === "running" ? "It is in its own code." : "It did nothing that is on record.");
  const from = new Date(line.started_at ?? line.entries[0].started_at).getTime();
  const last = Math.max(...line.entries.flatMap((one) => [one.ended_at, one.started_at]).filter(Boolean).map((one) => new Date(one).getTime()));
  const to = Math.max(info.ended_at ? new Date(info.ended_at).getTime() : Math.max(Date.now(), last), from + 1);
  return h("ol", { class: "timeline" }, line.entries.map((one, index) => entry(one, from, to, index)));
}

function entry(one, from, to, index) {
  const began = new Date(one.started_at ?? from).getTime();
  const ended = one.ended_at ? new Date(one.ended_at).getTime() : to;
  const share = (value) => `${Math.min(100, Math.max(0, ((value - from) / (to - from)) * 100))}%`;
  return h("li", { class: `entry ${one.status}`, "data-key": `${index}-${one.kind}-${one.name}` },
    h("div", { class: "entry-head" },
      h("span", { class: "entry-name" }, h("span", { class: "kind" }, one.kind), h("strong", {}, waitName(one.name)), one.child ? h("a", { href: link(one.child) }, "open") : null),
      h("span", { class: "entry-end" }, one.attempts > 1 ? h("span", { class: "quiet" }, `${one.attempts} attempts`) : null, pill(one.status),
        h("span", { class: "quiet took" }, one.ended_at ? took(ended - began) : ""))),
    h("div", { class: "track", "aria-hidden": "true" }, h("span", { style: { left: share(began), width: `max(4px, calc(${share(ended)} - ${share(began)}))` } })),
    one.until && !one.ended_at ? h("p", { class: "quiet" }, one.status === "retrying" ? `next attempt ${brief(one.until)}` : `until ${brief(one.until)}`) : null,
    one.errors.length ? h("ul", { class: "errors" }, one.errors.map((text, number) => h("li", { class: "error" },
      one.errors.length > 1 ? h("span", { class: "quiet" }, `attempt ${number + 1}: `) : null, text))) : null,
    one.result !== null && one.result !== "None" ? h("p", { class: "result" }, h("span", { class: "quiet" }, "→ "), h("code", {}, one.result)) : null);
}

// -- what came of it -----------------------------------------------------------------------------------------------------

function outcome(info) {
  if (info.status !== "completed") return null;
  const kept = `${info.id} ${info.ended_at}`;
  if (!results.has(kept)) {
    results.set(kept, undefined);
    get(`${about(info.id)}/result`).then((value) => results.set(kept, { value }), (error) => results.set(kept, { error })).then(redraw);
  }
  const found = results.get(kept);
  return card("Result", !found ? h("p", { class: "loading" }, "Loading…") : found.error ? h("p", { class: "error" }, found.error.message) : code(found.value));
}

function raw(info) {
  const { id } = info;
  const found = histories.get(id);
  const mark = `${info.status} ${info.steps.length} ${info.attempt}`;
  const read = () => {
    if (histories.get(id)?.mark === mark) return;
    histories.set(id, { ...histories.get(id), mark });
    get(`${about(id)}/history`).then(({ history }) => histories.set(id, { mark, history })).then(redraw, redraw);
  };
  if (found) read(); // it was opened before: it goes on with what happens
  return h("details", { class: "card raw", ontoggle: (event) => event.target.open && read() },
    h("summary", {}, "Inputs, outputs and errors in full"),
    found?.history ? found.history.map((row) => unfold(rowTitle(row), code(row))) : h("p", { class: "loading" }, "Loading…"));
}

const rowTitle = (row) => `${row.type} ${row.id ?? row.method ?? ""} ${row.error ? `· ${row.error}` : ""}`;
