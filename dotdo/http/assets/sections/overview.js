// How the runtime is, at a glance: figures, charts, hosts, what ran last and what happened last.

import { chart } from "../chart.js";
import { h } from "../dom.js";
import { series } from "../history.js";
import { card, empty, heading, pill, table } from "../parts.js";
import { count, took } from "../words.js";
import { eventRow } from "./events.js";
import { executionTable } from "./executions.js";
import { APPROVALS, CLAIMED, known, LETTERS, missing, PULSE, TASKS } from "./watches.js";

const LATEST = "/dashboard/executions?limit=6";
const EVENTS = "/dashboard/events?limit=6";

export const title = () => "Overview";
export const watches = () => [LATEST, EVENTS];

export function view() {
  const pulse = known(PULSE);
  if (!pulse) return missing(PULSE);
  return [heading("Overview", "What the hosts hold and do now."), figures(pulse), charts(), hosts(pulse),
    h("div", { class: "columns" }, card("Latest executions", latest()), card("Latest events", happened()))];
}

function figures(pulse) {
  const runs = known(LATEST)?.counts ?? {};
  const people = [APPROVALS, TASKS, CLAIMED].reduce((sum, watch) => sum + (known(watch)?.approvals ?? known(watch)?.tasks ?? []).length, 0);
  const sum = (name) => pulse.hosts.reduce((total, host) => total + (host[name] ?? 0), 0);
  return h("ul", { class: "figures" }, [
    ["Active entities", sum("active"), "#/entities"], ["Running", (runs.running ?? 0) + (runs.pending ?? 0), "#/executions?status=running"],
    ["Waiting", runs.waiting ?? 0, "#/executions?status=waiting"], ["Failed", runs.failed ?? 0, "#/executions?status=failed", "bad"],
    ["For people", people, "#/inbox", "warm"], ["Dead letters", known(LETTERS)?.dead_letters.length ?? 0, "#/dead-letters", "bad"],
  ].map(([name, value, link, kind]) => h("li", {}, h("a", { href: link, class: value ? kind : null }, h("strong", {}, count(value)), h("span", {}, name)))));
}

function charts() {
  const perSecond = (value) => `${value < 10 ? value.toFixed(1) : count(Math.round(value))}/s`;
  const whole = (value) => count(Math.round(value));
  return h("div", { class: "charts" },
    chart("Calls", [{ name: "calls", values: series("calls"), kind: "first" }], perSecond),
    chart("Steps", [{ name: "steps", values: series("steps"), kind: "first" }], perSecond),
    chart("Latency", [
      { name: "p50", values: series("p50"), kind: "first" }, { name: "p95", values: series("p95"), kind: "second" },
      { name: "hosts", values: series("round_trip"), kind: "third" },
    ], took),
    chart("Active entities", [{ name: "active", values: series("active"), kind: "first" }], whole),
    chart("Hosts", [{ name: "hosts", values: series("hosts"), kind: "first" }], whole));
}

function hosts(pulse) {
  return card("Hosts", table("Hosts", [
    ["Host", (host) => host.host], ["State", (host) => pill(host.is_silent ? "silent" : "active")], ["Process", (host) => host.pid ?? "–", "figure"],
    ["Active", (host) => count(host.active ?? 0), "figure"], ["Shards", (host) => host.shards ?? "–", "figure"],
    ["Calls", (host) => count(host.calls ?? 0), "figure"], ["Steps", (host) => count(host.steps ?? 0), "figure"],
    ["Dedicated", (host) => host.dedicated ?? 0, "figure"], ["Quarantined", (host) => (host.quarantined ?? []).join(", ") || "none"],
  ], pulse.hosts, (host) => host.host));
}

function latest() {
  const found = known(LATEST);
  if (!found) return missing(LATEST);
  return found.executions.length ? executionTable(found.executions, { isShort: true }) : empty("Nothing has run yet.");
}

function happened() {
  const found = known(EVENTS);
  if (!found) return missing(EVENTS);
  return found.events.length ? h("ol", { class: "feed" }, found.events.map(eventRow)) : empty("Nothing has been published yet.");
}
