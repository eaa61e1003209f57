// Requests to the door this page came from. The token, if there is one, stays in this tab (sessionStorage).

const TOKEN = "dotdo-token";
const NAME = "dotdo-name";

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail || body?.title || `The door answered ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

export const token = () => sessionStorage.getItem(TOKEN) ?? "";
export const keepToken = (text) => (text ? sessionStorage.setItem(TOKEN, text) : sessionStorage.removeItem(TOKEN));

/** In whose name decisions are made. */
export const myName = () => sessionStorage.getItem(NAME) ?? "";
export const keepName = (text) => (text ? sessionStorage.setItem(NAME, text) : sessionStorage.removeItem(NAME));

export function headers(more = {}) {
  return token() ? { authorization: `Bearer ${token()}`, ...more } : more;
}

/** The JSON of an answer. Throws Problem. */
export async function ask(method, path, body, more) {
  const has = body !== undefined;
  const response = await fetch(path, {
    method, headers: headers({ ...(has ? { "content-type": "application/json" } : {}), ...more }), body: has ? JSON.stringify(body) : undefined,
    cache: "no-store",
  });
  const text = await response.text();
  let value = null;
  try {
    value = text ? JSON.parse(text) : null;
  } catch {
    value = { detail: text.slice(0, 300) };
  }
  if (!response.ok) throw new Problem(response.status, value);
  return value;
}

export const get = (path) => ask("GET", path);
export const post = (path, body, more) => ask("POST", path, body, more);
export const remove = (path) => ask("DELETE", path);

/** A path whose parts are escaped, but for the slashes of ids. */
export const path = (...parts) => `/${parts.map((part) => encodeURIComponent(part).replaceAll("%2F", "/")).join("/")}`;

/** A query from what is given. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
