// Who looks at this page, and what that role may do. The door refuses the rest whatever the page shows.

import { get, keepToken } from "./door.js";
import { h } from "./dom.js";

const ROLES = ["viewer", "caller", "operator"];
let current = { role: "viewer", has_tokens: false };

export const session = () => current;
export const may = (role) => ROLES.indexOf(current.role) >= ROLES.indexOf(role);

/** Ask the door who we are. Throws Problem. */
export async function begin() {
  current = await get("/dashboard/session");
  return current;
}

/** A page that asks for a token; `done` is called once the door takes one. */
export function tokenForm(text, done) {
  const input = h("input", { type: "password", name: "token", required: true, autocomplete: "off", "aria-describedby": "token-hint" });
  const problem = h("p", { class: "error", role: "alert" }, text);
  return h("form", {
    class: "token", "data-own": "token",
    onsubmit: async (event) => {
      event.preventDefault();
      keepToken(input.value.trim());
      try {
        await begin();
        done();
      } catch (error) {
        keepToken("");
        problem.textContent = error.status === 401 ? "The door does not know this token." : error.message;
        input.select();
      }
    },
  },
  h("h1", {}, "A token, please"),
  h("p", { id: "token-hint", class: "quiet" }, "This door asks for one. It is kept in this tab only, until you close it."),
  h("label", {}, h("span", {}, "Token"), input), problem, h("button", { type: "submit", class: "primary" }, "Open the dashboard"));
}
