// A line of figures over time, as SVG: what it was in the last minutes, and what it is now.

import { h, s } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 72;

/** `lines` are { name, values, kind }, oldest first, nulls for nothing known. */
export function chart(title, lines, format) {
  const all = lines.flatMap((line) => line.values).filter((value) => value !== null);
  const top = niceTop(Math.max(...all, 0));
  const now = lines.map((line) => ({ ...line, now: line.values.findLast((value) => value !== null) }));
  const said = now.map((line) => `${line.name} ${line.now === undefined ? "not known" : format(line.now)}`).join(", ");
  return h("figure", { class: "chart" },
    h("figcaption", {}, h("span", {}, title), h("span", { class: "chart-now" },
      now.map((line) => h("span", { class: line.kind }, lines.length > 1 ? h("small", {}, `${line.name} `) : null,
        line.now === undefined ? "–" : format(line.now))))),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${said}`, preserveAspectRatio: "none" },
      [0.25, 0.5, 0.75].map((part) => s("line", { class: "grid", x1: 0, x2: WIDTH, y1: HEIGHT * part, y2: HEIGHT * part })),
      lines.map((line) => drawn(line, top))),
    h("div", { class: "chart-foot" }, h("span", {}, `${Math.max(...lines.map((line) => line.values.length))} s ago`), h("span", {}, `top ${format(top)}`), h("span", {}, "now")));
}

function drawn(line, top) {
  const step = WIDTH / Math.max(line.values.length - 1, 1);
  const points = line.values.map((value, index) => (value === null ? null : [index * step, HEIGHT - 2 - (value / top) * (HEIGHT - 6)]));
  const runs = [];
  for (const point of points) {
    if (point === null) runs.push([]);
    else (runs.length ? runs : (runs.push([]), runs)).at(-1).push(point);
  }
  return runs.filter((run) => run.length > 1).map((run) => {
    const path = run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
    return s("g", { class: line.kind },
      line.kind === "first" ? s("path", { class: "area", d: `M${run[0][0].toFixed(1)} ${HEIGHT}L${path}L${run.at(-1)[0].toFixed(1)} ${HEIGHT}Z` }) : null,
      s("path", { class: "line", d: `M${path}`, "vector-effect": "non-scaling-stroke" }));
  });
}

function niceTop(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= most);
}
