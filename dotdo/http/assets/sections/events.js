// Events as they happen, newest first.

import { h } from "../dom.js";
import { query } from "../door.js";
import { code, empty, heading, unfold, when } from "../parts.js";
import { json } from "../words.js";
import { shortId } from "./executions.js";
import { known, missing, searchField } from "./watches.js";

export const title = () => "Events";
const watched = ({ name }) => `/dashboard/events${query({ name, limit: 150 })}`;
export const watches = (parameters) => [watched(parameters)];

export function view(parameters) {
  const found = known(watched(parameters));
  return [
    heading("Events", "What was published, as it happens."),
    h("div", { class: "filters" }, searchField("Only events like this", "name", parameters.name, "Order.placed, Order.* or *.failed")),
    !found ? missing(watched(parameters))
      : found.events.length ? h("ol", { class: "feed card" }, found.events.map(eventRow))
        : empty("No such event.", found.names.length ? `Known: ${found.names.slice(0, 12).join(", ")}` : "Nothing has been published yet."),
  ];
}

/** One line, whose data can be opened. */
export const eventRow = (event) => h("li", { "data-key": event.id },
  h("div", { class: "feed-head" }, h("strong", {}, event.name), when(event.at)),
  event.source ? h("p", { class: "quiet" }, "from ", h("bdi", {}, shortId(event.source))) : null,
  event.data === null ? null : unfold(h("code", {}, json(event.data, 90)), code(event.data)));
