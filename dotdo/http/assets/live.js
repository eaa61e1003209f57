// What the page watches, as it is now: one stream of server-sent events, read with fetch because a token has to go with it.
//
//   watch(["/approvals?status=pending"])     from now on
//   answer("/approvals?status=pending")      { status, body } as it was last, or undefined
//   onAnswer(fn), onConnection(fn)           told of changes, and whether the stream is there
//
// A stream that breaks is opened again, after a moment that grows; meanwhile what is known stays on the page.

import { headers, Problem } from "./door.js";

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 5000;
const SILENCE_MS = 40_000; // the door says something every 15 s

const answers = new Map();
const listeners = new Set();
const connectionListeners = new Set();
let wanted = [];
let running = null;
let pause = FIRST_PAUSE_MS;

export const answer = (watch) => answers.get(watch);
export const onAnswer = (fn) => listeners.add(fn);
export const onConnection = (fn) => connectionListeners.add(fn);

/** Watch these, and nothing else. */
export function watch(watches) {
  const next = [...new Set(watches)].sort();
  if (running && next.join("\n") === wanted.join("\n")) return;
  wanted = next;
  for (const known of [...answers.keys()]) if (!wanted.includes(known)) answers.delete(known);
  open();
}

export function stop() {
  running?.abort();
  running = null;
}

function open() {
  const before = running;
  const mine = (running = new AbortController());
  before?.abort();
  read(mine).catch((error) => failed(mine, error));
}

async function read(mine) {
  const parameters = new URLSearchParams(wanted.map((one) => ["watch", one]));
  const response = await fetch(`/dashboard/live?${parameters}`, { headers: headers(), signal: mine.signal, cache: "no-store" });
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  tell("open");
  let text = "";
  for (;;) {
    const silent = setTimeout(() => mine.abort(), SILENCE_MS);
    const { value, done } = await reader.read().finally(() => clearTimeout(silent));
    if (mine !== running) return;
    if (done) throw new Error("the stream ended");
    pause = FIRST_PAUSE_MS;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    const heard = parts.map(take).filter(Boolean);
    if (heard.length) for (const listener of listeners) listener(heard);
  }
}

function take(block) {
  const data = block.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("\n");
  if (!block.startsWith("event: answer") || !data) return null;
  const { watch: one, status, body } = JSON.parse(data);
  if (!wanted.includes(one)) return null;
  answers.set(one, { status, body });
  return one;
}

function failed(mine, error) {
  if (mine !== running) return;
  if (error.status === 401) {
    stop();
    tell("no-token");
    return;
  }
  tell("lost", error);
  setTimeout(() => mine === running && open(), pause);
  pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
}

function tell(state, error) {
  for (const listener of connectionListeners) listener(state, error);
}
