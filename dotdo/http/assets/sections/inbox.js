// What people are asked: approvals to approve or reject, tasks to claim and complete.

import { h } from "../dom.js";
import { keepName, myName, path, post } from "../door.js";
import { act, card, code, empty, form, heading, pairs, pill, toast, unfold, when } from "../parts.js";
import { may } from "../session.js";
import { count, json } from "../words.js";
import { APPROVALS, CLAIMED, known, missing, redraw, refine, searchField, TASKS } from "./watches.js";

const SHOWN = ["id", "type", "title", "status", "assignee", "priority", "requested_by", "created_at", "history", "version", "approvers", "level", "amount",
  "deadline", "remind_every", "reminds_at", "reminders", "decisions", "rejection_reason", "decided_at", "claimed_by", "due_at", "escalation", "escalated",
  "escalates_at", "default_decision", "decision", "comments", "completed_by", "completed_at", "details", "item"];

export const title = () => "Inbox";
export const watches = () => [];

export function view({ who = "" }) {
  const approvals = known(APPROVALS)?.approvals;
  const tasks = [...(known(TASKS)?.tasks ?? []), ...(known(CLAIMED)?.tasks ?? [])];
  if (!approvals) return [heading("Inbox"), missing(APPROVALS)];
  const mine = (one) => !who || [one.assignee, one.claimed_by].some((name) => name?.toLowerCase().includes(who.toLowerCase()));
  return [
    heading("Inbox", "What waits for a person.", may("operator") ? nameField() : null),
    h("div", { class: "filters" }, searchField("Only for this person or role", "who", who, "For whom: a person or role")),
    group("Approvals", approvals.filter(mine).map(approval), "No approval waits."),
    group("Tasks", tasks.filter(mine).map(task), "No task waits."),
  ];
}

const group = (title, cards, none) => h("section", { "aria-label": title, class: "group" },
  h("h2", {}, title, h("small", { class: "quiet" }, ` ${count(cards.length)}`)), cards.length ? h("ul", { class: "cards" }, cards) : empty(none));

function nameField() {
  return h("label", { class: "acting" }, h("span", {}, "Acting as"), h("input", {
    name: "acting", value: myName(), placeholder: "whoever it is for", autocomplete: "off", onchange: (event) => keepName(event.target.value.trim()),
  }));
}

function frame(one, facts, buttons) {
  const more = Object.fromEntries(Object.entries(one).filter(([name]) => !SHOWN.includes(name)));
  const data = { ...(one.item ? { item: one.item } : {}), ...(one.details ? { details: one.details } : {}), ...more };
  return h("li", { class: "card ask", "data-key": one.id },
    h("div", { class: "ask-head" }, h("h3", { id: `ask-${one.id}` }, one.title || one.type), one.priority === "normal" ? null : h("span", { class: `priority ${one.priority}` }, one.priority)),
    pairs([["For", one.assignee ?? "anybody"], ["Asked by", one.requested_by], ["Since", when(one.created_at)], ...facts]),
    Object.keys(data).length ? unfold(json(data, 60), code(data)) : null,
    one.history.length > 1 ? unfold(`History (${one.history.length})`, h("ul", { class: "plain" }, one.history.map((line) =>
      h("li", {}, when(line.at), ` ${line.what}${line.by ? ` by ${line.by}` : ""}${line.to ? ` to ${line.to}` : ""}${line.comment ? `: ${line.comment}` : ""}`)))) : null,
    may("operator") ? h("div", { class: "actions" }, buttons) : null);
}

function approval(one) {
  const levels = one.approvers.length > 1 ? `${one.level} of ${one.approvers.length}: ${one.approvers.join(" → ")}` : null;
  return frame(one, [["Amount", one.amount === null ? null : typeof one.amount === "number" ? count(one.amount) : json(one.amount)], ["Level", levels],
    ["Deadline", one.deadline ? when(one.deadline) : null]], [
    act("Approve", () => decide(one, "approve"), { kind: "primary", label: `Approve ${one.title}` }),
    act("Reject", () => decide(one, "reject"), { kind: "danger", label: `Reject ${one.title}` }),
  ]);
}

async function decide(one, verb) {
  const isYes = verb === "approve";
  const answer = await form(`${isYes ? "Approve" : "Reject"}: ${one.title}`, [
    { name: "by", label: "Decide as", value: myName() || one.assignee || "", required: true },
    { name: "words", label: isYes ? "Comment" : "Reason", required: !isYes, area: true },
  ], { action: isYes ? "Approve" : "Reject", kind: isYes ? "primary" : "danger" });
  if (!answer) return;
  const words = isYes ? { comment: answer.words } : { reason: answer.words };
  const decided = await post(`${path("approvals", one.id)}/${verb}`, { by: answer.by, level: one.level, ...words });
  toast(decided.status === "pending" ? `Approved; it goes on to ${decided.assignee}.` : `${one.title}: ${decided.status}.`);
}

function task(one) {
  const at = path("tasks", one.id);
  const as = () => myName() || one.claimed_by || one.assignee || "";
  return frame(one, [["Status", pill(one.status)], ["Claimed by", one.claimed_by], ["Due", one.due_at ? when(one.due_at) : null],
    ["Escalates", one.escalates_at ? when(one.escalates_at) : null]], [
    one.status === "pending" ? act("Claim", () => claim(one, at, as()), { label: `Claim ${one.title}` })
      : act("Release", () => post(`${at}/release`, { by: one.claimed_by }), { said: "It is anybody's again.", label: `Release ${one.title}` }),
    act("Complete", () => complete(one, at, as()), { kind: "primary", label: `Complete ${one.title}` }),
  ]);
}

async function claim(one, at, name) {
  const by = name || (await form(`Claim: ${one.title}`, [{ name: "by", label: "Claim as", required: true }], { action: "Claim" }))?.by;
  if (!by) return;
  await post(`${at}/claim`, { by });
  toast(`${by} has claimed it.`);
}

async function complete(one, at, name) {
  const answer = await form(`Complete: ${one.title}`, [
    { name: "by", label: "Complete as", value: name, required: true }, { name: "decision", label: "Decision", hint: "approved, rejected, or any other word" },
    { name: "comments", label: "Comments", area: true },
  ], { action: "Complete" });
  if (!answer) return;
  await post(`${at}/complete`, { by: answer.by, decision: answer.decision || null, comments: answer.comments });
  toast(`${one.title}: completed.`);
}
