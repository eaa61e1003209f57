// /docs: Swagger UI over /openapi.json. It asks with the token of this tab, as the dashboard does.

import { headers } from "./door.js";
import { begin, tokenForm } from "./session.js";

const main = document.getElementById("main");

/** The token goes to this door only, and never over one that was typed into the page. */
function withToken(request) {
  const isOurs = new URL(request.url, location.href).origin === location.origin;
  const isGiven = Object.keys(request.headers).some((name) => name.toLowerCase() === "authorization");
  if (isOurs && !isGiven) Object.assign(request.headers, headers());
  return request;
}

function show() {
  window.SwaggerUIBundle({
    url: "/openapi.json", domNode: main, deepLinking: true, filter: true, displayRequestDuration: true, docExpansion: "list",
    validatorUrl: null, requestInterceptor: withToken,
  });
}

try {
  await begin();
  show();
} catch (error) {
  main.replaceChildren(error.status === 401 ? tokenForm(error.message, show) : document.createTextNode(error.message));
}
