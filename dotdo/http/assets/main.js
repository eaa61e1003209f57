// The page: which section is shown, what it watches, and drawing it anew when an answer comes.
//
// A section is { title, watches(parameters), view(parameters) }; `view` makes elements from what `live.answer` has.

import { draw, h } from "./dom.js";
import { keepToken, token } from "./door.js";
import * as history from "./history.js";
import * as live from "./live.js";
import { begin, session, tokenForm } from "./session.js";
import * as entities from "./sections/entities.js";
import * as entity from "./sections/entity.js";
import * as events from "./sections/events.js";
import * as executions from "./sections/executions.js";
import * as graphs from "./sections/graphs.js";
import * as inbox from "./sections/inbox.js";
import * as letters from "./sections/letters.js";
import * as overview from "./sections/overview.js";
import * as run from "./sections/run.js";
import * as schedules from "./sections/schedules.js";
import { APPROVALS, CLAIMED, LETTERS, LETTERS_MAX, PULSE, TASKS } from "./sections/watches.js";

const SECTIONS = [
  ["", "Overview", overview], ["executions", "Executions", executions], ["inbox", "Inbox", inbox], ["entities", "Entities", entities],
  ["graphs", "Graphs", graphs], ["events", "Events", events], ["schedules", "Schedules", schedules], ["dead-letters", "Dead letters", letters],
];
const PAGES = { run: [run, "executions"], entity: [entity, "entities"] };
const REDRAW_MS = 5000; // "3 minutes ago" grows old

const main = document.getElementById("main");
let here = { name: "", parameters: {} };
let isDue = false;

function read() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  return { name, parameters: { ...Object.fromEntries(new URLSearchParams(search)), ...(rest.length ? { id: decodeURIComponent(rest.join("/")) } : {}) } };
}

const sectionOf = (name) => PAGES[name]?.[0] ?? SECTIONS.find(([one]) => one === name)?.[2] ?? overview;

function show() {
  const before = here;
  here = read();
  const section = sectionOf(here.name);
  live.watch([PULSE, APPROVALS, TASKS, CLAIMED, LETTERS, ...section.watches(here.parameters)]);
  const isOther = before.name !== here.name || before.parameters.id !== here.parameters.id;
  if (isOther) main.replaceChildren();
  redraw();
  if (isOther) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
    requestAnimationFrame(() => document.querySelector("#nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }));
  }
}

function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    const section = sectionOf(here.name);
    document.title = `${section.title(here.parameters)} · dotdo`;
    draw(document.getElementById("nav"), navigation());
    draw(main, section.view(here.parameters));
  });
}

function navigation() {
  const current = PAGES[here.name]?.[1] ?? here.name;
  return h("ul", {}, SECTIONS.map(([name, title]) => {
    const badge = badges()[name];
    return h("li", {}, h("a", { href: `#/${name}`, "aria-current": current === name ? "page" : null },
      title, badge ? h("span", { class: `badge ${name}` }, badge.count, h("span", { class: "unseen" }, ` ${badge.words}`)) : null));
  }));
}

function badges() {
  const size = (watch, name) => live.answer(watch)?.body?.[name]?.length ?? 0;
  const dead = size(LETTERS, "dead_letters");
  const waiting = size(APPROVALS, "approvals") + size(TASKS, "tasks") + size(CLAIMED, "tasks");
  return { inbox: waiting ? { count: waiting, words: "waiting for a person" } : null, "dead-letters": dead ? { count: dead === LETTERS_MAX ? `${dead}+` : dead, words: "given up" } : null };
}

function connection(state) {
  const words = { open: "Live", lost: "Reconnecting…", "no-token": "Not signed in" };
  const place = document.getElementById("connection");
  place.className = `connection ${state}`;
  place.textContent = words[state];
  if (state === "no-token") askForToken(token() ? "The door does not know this token any more." : "");
}

function account() {
  const { role, has_tokens: hasTokens } = session();
  draw(document.getElementById("account"), h("span", { class: "role" }, role), hasTokens
    ? h("button", { type: "button", onclick: () => (keepToken(""), live.stop(), location.reload()) }, "Sign out")
    : null);
}

function askForToken(text) {
  live.stop();
  draw(document.getElementById("nav"));
  main.replaceChildren(tokenForm(text, start));
  main.querySelector("input").focus();
}

function start() {
  account();
  main.replaceChildren();
  show();
}

live.onAnswer((changed) => {
  if (changed.includes(PULSE) && live.answer(PULSE).status === 200) history.take(live.answer(PULSE).body);
  redraw();
});
live.onConnection(connection);
addEventListener("hashchange", show);
addEventListener("dotdo-redraw", redraw);
setInterval(redraw, REDRAW_MS);

try {
  await begin();
  start();
} catch (error) {
  if (error.status === 401) connection("no-token");
  else draw(main, h("p", { class: "error", role: "alert" }, error.message));
}
