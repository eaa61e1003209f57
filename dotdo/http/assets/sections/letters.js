// Dead letters: events that were given up, why, and the way back.

import { h } from "../dom.js";
import { path, post, remove } from "../door.js";
import { act, code, confirm, empty, heading, pairs, unfold, when } from "../parts.js";
import { may } from "../session.js";
import { json } from "../words.js";
import { shortId } from "./executions.js";
import { known, LETTERS, LETTERS_MAX, missing } from "./watches.js";

export const title = () => "Dead letters";
export const watches = () => [];

export function view() {
  const found = known(LETTERS)?.dead_letters;
  return [
    heading("Dead letters", "Events whose handler kept failing. Replayed, one joins the end of the line it came from.",
      found?.length > 1 && may("operator") ? act("Replay all", () => post("/dead-letters/replay"), { said: ({ replayed }) => `${replayed} on their way again.`, kind: "primary" }) : null),
    found?.length === LETTERS_MAX ? h("p", { class: "quiet", role: "status" }, `The latest ${LETTERS_MAX}.`) : null,
    !found ? missing(LETTERS) : found.length ? h("ul", { class: "cards" }, found.map(letter)) : empty("There are no dead letters.", "That is how it should be."),
  ];
}

const letter = (one) => h("li", { class: "card ask", "data-key": one.id },
  h("div", { class: "ask-head" }, h("h3", {}, one.event.name), when(one.at)),
  h("p", { class: "error block" }, one.error),
  pairs([["For", shortId(one.receiver)], ["Handler", h("code", {}, one.handler)], ["Attempts", one.attempts], ["From", one.event.source]]),
  unfold(h("code", {}, json(one.event.data, 80)), code(one.event.data)),
  one.history.length ? unfold(`Tries (${one.history.length})`, h("ul", { class: "plain" }, one.history.map(([at, error]) => h("li", {}, when(at), " ", h("span", { class: "error" }, error))))) : null,
  may("operator") ? h("div", { class: "actions" },
    act("Replay", () => post(`${path("dead-letters", one.id)}/replay`), { said: "It is on its way again.", kind: "primary", label: `Replay ${one.event.name} ${one.id}` }),
    act("Delete", async () => ((await confirm("Forget this letter?", "It cannot be replayed any more.", "Forget it")) ? remove(path("dead-letters", one.id)) : undefined),
      { said: "It is forgotten.", kind: "danger", label: `Delete ${one.event.name} ${one.id}` })) : null);
