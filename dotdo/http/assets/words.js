// Values as people read them.

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
const number = new Intl.NumberFormat("en");

/** "in 3 hours", "2 minutes ago". */
export function ago(when) {
  const seconds = (new Date(when) - Date.now()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size || unit === "second") return Math.abs(seconds) < 1 ? "now" : relative.format(Math.round(seconds / size), unit);
  }
}

export const moment = (when) => (when ? clock.format(new Date(when)) : "");
export const brief = (when) => (when ? short.format(new Date(when)) : "");
export const count = (value) => number.format(value);

/** How long something took. */
export function took(milliseconds) {
  if (milliseconds < 1) return "<1 ms";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.round((seconds % 86_400) / 3600)} h`;
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = "";
  for (unit of units) {
    value /= 1024;
    if (value < 1024) break;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** JSON on one line, cut. */
export function json(value, length = 160) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text === undefined ? "" : text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

const WAITS = {
  "DotdoApproval.outcome": "an approval", "DotdoTask.outcome": "a task for a person", sleep: "a sleep", "#deadline": "its deadline",
};

/** What a wait or a call is for, in words. */
export const waitName = (name) => WAITS[name] ?? name.replace(/^(.*)#wait$/, "before $1");

/** "waiting for Approval.decided until Jan 3, 18:00". */
export function waiting(info) {
  if (!info.waiting_for && !info.until) return "";
  const what = WAITS[info.waiting_for] ?? info.waiting_for ?? "its time";
  return `waiting for ${what}${info.until ? ` until ${brief(info.until)} (${ago(info.until)})` : ""}`;
}

/** An error's text, from a problem or a string. */
export function errorText(error) {
  if (!error) return "";
  return typeof error === "string" ? error : `${error.title ?? "Error"}: ${error.detail ?? ""}`;
}
