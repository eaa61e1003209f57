// What several sections are made of.

import { Problem } from "./door.js";
import { h } from "./dom.js";
import { ago, moment } from "./words.js";

const CODE_MAX = 100_000;

const MARKS = {
  completed: "✓", approved: "✓", failed: "✕", rejected: "✕", quarantined: "✕", cancelled: "⊘", expired: "⊘", waiting: "◔", retrying: "↻",
  running: "▶", paused: "❚❚", pending: "○", claimed: "◐", active: "●", hibernated: "☾", skipped: "–", current: "●", silent: "✕", visited: "✓",
};

/** A status, by colour, sign and word. */
export const pill = (status) => h("span", { class: `pill ${status}` }, h("span", { "aria-hidden": "true" }, MARKS[status] ?? "•"), status);

/** A time, relative, with the exact one on hover. */
export const when = (value) => (value ? h("time", { datetime: value, title: moment(value) }, ago(value)) : h("span", { class: "quiet" }, "–"));

export const heading = (title, text, ...aside) =>
  h("div", { class: "heading" }, h("div", {}, h("h1", {}, title), text ? h("p", { class: "quiet" }, text) : null), h("div", { class: "actions" }, aside));

export const card = (title, ...content) => h("section", { class: "card", "aria-label": title }, h("h2", {}, title), content);

export const empty = (title, text) => h("div", { class: "empty" }, h("p", { class: "empty-title" }, title), text ? h("p", { class: "quiet" }, text) : null);

/** A table whose rows become cards on a phone. `columns` are [title, row => cell, class]. */
export function table(caption, columns, rows, key) {
  return h("div", { class: "table-wrap" }, h("table", {},
    h("caption", { class: "unseen" }, caption),
    h("thead", {}, h("tr", {}, columns.map(([title]) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", { "data-key": key(row) },
      columns.map(([title, cell, kind]) => h("td", { "data-title": title, class: kind }, cell(row))))))));
}

/** Pairs as a definition list. */
export const pairs = (entries) =>
  h("dl", { class: "pairs" }, entries.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** JSON that can be opened. */
export function code(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre", { tabindex: "0" }, text.length > CODE_MAX ? `${text.slice(0, CODE_MAX)}\n… and ${text.length - CODE_MAX} characters more` : text);
}
export const unfold = (title, ...content) => h("details", {}, h("summary", {}, title), content);

/** A button that does something to the runtime: busy while it does, and the outcome is said. It never turns into another under the pointer. */
export function act(title, fn, { kind = "", said = null, label = null, disabled = false } = {}) {
  return h("button", {
    type: "button", class: kind, disabled, "aria-label": label, "data-key": label ?? title,
    onclick: async (event) => {
      const button = event.currentTarget;
      button.setAttribute("aria-busy", "true");
      await attempt(async () => {
        const outcome = await fn();
        const text = typeof said === "function" ? said(outcome) : said;
        if (text && outcome !== undefined) toast(text);
      });
      button.removeAttribute("aria-busy");
    },
  }, title);
}

/** Do it; say what went wrong. */
export async function attempt(fn) {
  try {
    return await fn();
  } catch (error) {
    toast(error instanceof Problem || error instanceof Error ? error.message : String(error), "bad");
    return undefined;
  }
}

export function toast(text, kind = "good") {
  const shown = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 9000 : 4000);
}

/**
 * Ask for a few words in a dialog. `fields` are { name, label, value, required, area, hint, options }; a hint may be a function of all values.
 * Gives an object by name, or null if it was closed.
 */
export function form(title, fields, { action = "OK", kind = "primary", text = "" } = {}) {
  return new Promise((resolve) => {
    const inputs = fields.map((field) => [field, control(field)]);
    const values = () => Object.fromEntries(inputs.map(([field, input]) => [field.name, input.value.trim()]));
    const hints = fields.map((field) => h("small", { class: "quiet" }));
    const hint = () => fields.forEach((field, i) => { hints[i].textContent = typeof field.hint === "function" ? field.hint(values()) : field.hint ?? ""; });
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
      h("form", {
        method: "dialog", onchange: hint,
        onsubmit: (event) => {
          event.preventDefault();
          resolve(values());
          dialog.close();
        },
      },
      h("h2", { id: "dialog-title" }, title), text ? h("p", {}, text) : null,
      inputs.map(([field, input], i) => h("label", {}, h("span", {}, field.label), input, field.hint ? hints[i] : null)),
      h("div", { class: "dialog-actions" },
        h("button", { type: "button", onclick: () => dialog.close() }, "Close"), h("button", { type: "submit", class: kind }, action))));
    const before = document.activeElement;
    dialog.addEventListener("close", () => {
      resolve(null);
      dialog.remove();
      before?.focus?.();
    });
    hint();
    document.body.append(dialog);
    dialog.showModal();
    const first = inputs.find(([field, input]) => field.required && !input.value) ?? inputs[0];
    (first?.[1] ?? dialog.querySelector("button[type=submit]")).focus();
  });
}

function control(field) {
  if (field.options) {
    return h("select", { name: field.name, onchange: field.onchange }, field.options.map((one) => h("option", { value: one, selected: one === field.value }, one)));
  }
  const tag = field.area ? "textarea" : "input";
  const input = h(tag, { name: field.name, required: field.required, autocomplete: "off", spellcheck: "false", rows: field.area ? 4 : null });
  if (!field.area) input.type = field.type ?? "text";
  input.value = field.value ?? "";
  return input;
}

export const confirm = (title, text, action) => form(title, [], { action, text, kind: "danger" }).then((answer) => answer !== null);
