// Events as they happen, newest first.

import { h } from "../dom.js";
import { path, post, query } from "../door.js";
import { act, code, empty, form, heading, unfold, when } from "../parts.js";
import { may } from "../session.js";
import { json } from "../words.js";
import { shortId } from "./executions.js";
import { known, missing, searchField } from "./watches.js";

export const title = () => "Events";
const watched = ({ name }) => `/dashboard/events${query({ name, limit: 150 })}`;
export const watches = (parameters) => [watched(parameters)];

export function view(parameters) {
  const found = known(watched(parameters));
  return [
    heading("Events", "What was published, as it happens.", may("caller") ? act("Send…", () => publish(), { said: ({ id }) => `Sent, as ${id}.` }) : null),
    h("div", { class: "filters" }, searchField("Only events like this", "name", parameters.name, "Order.placed, Order.* or *.failed")),
    !found ? missing(watched(parameters))
      : found.events.length ? h("ol", { class: "feed card" }, found.events.map(eventRow))
        : empty("No such event.", found.names.length ? `Known: ${found.names.slice(0, 12).join(", ")}` : "Nothing has been published yet."),
  ];
}

async function publish() {
  const answer = await form("Send an event", [
    { name: "name", label: "Name", required: true, hint: "Noun.verb, as Order.placed" }, { name: "body", label: "Data", area: true, hint: "JSON; empty for none." },
  ], { action: "Send" });
  return answer ? post(path("events", answer.name), answer.body ? JSON.parse(answer.body) : undefined) : undefined;
}

/** One line, whose data can be opened. */
export const eventRow = (event) => h("li", { "data-key": event.id },
  h("div", { class: "feed-head" }, h("strong", {}, event.name), when(event.at)),
  event.source ? h("p", { class: "quiet" }, "from ", h("bdi", {}, shortId(event.source))) : null,
  event.data === null ? null : unfold(h("code", {}, json(event.data, 90)), code(event.data)));
