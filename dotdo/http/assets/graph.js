// Boxes and arrows, laid out in layers: each box below those that lead to it.
//
// Arrows that go back are turned around for the layout. An arrow that passes a layer gets an invisible box there, so that it
// bends around the others; boxes are ordered by where their neighbours are, a few times down and up (Sugiyama's method).

import { h, s } from "./dom.js";
import { pill } from "./parts.js";
import { waiting } from "./words.js";

const BOX = { width: 156, height: 48 };
const GAP = { x: 40, y: 66 };
const DUMMY = 18;
const MARGIN = 24;
const SWEEPS = 6;
const LOOP = 190;

/** The picture and, for who cannot see it, the same as a list. */
export function graph(data) {
  const layout = place(data.nodes, data.edges);
  const words = data.nodes.map((node) => `${node.label}${node.status ? ` ${node.status}` : ""}`).join(", ");
  return h("div", { class: "graph" },
    h("div", { class: "graph-scroll", tabindex: "0", role: "region", "aria-label": `Graph of ${data.title}` },
      s("svg", {
        viewBox: `0 0 ${layout.width} ${layout.height}`, width: layout.width, height: layout.height, role: "img", "aria-label": `${data.title}: ${words}`,
      },
      s("defs", {}, ["flow", "error"].map((kind) => s("marker", {
        id: `tip-${kind}`, class: `tip ${kind}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto",
      }, s("path", { d: "M0 0 8 4 0 8z" })))),
      layout.arrows.map(arrow), layout.boxes.map(box), layout.arrows.map(label))),
    h("details", {}, h("summary", {}, "As a list"), h("ul", { class: "graph-list" }, data.nodes.map((node) => h("li", {},
      node.label, " ", node.status ? pill(node.status) : null, node.detail ? h("span", { class: "quiet" }, ` ${node.detail}`) : null,
      node.until ? h("span", { class: "quiet" }, ` ${waiting({ waiting_for: "its time", until: node.until })}`) : null,
      node.error ? h("span", { class: "error" }, ` ${node.error}`) : null,
      h("span", { class: "quiet" }, leadsTo(node, data.edges)))))));
}

function leadsTo(node, edges) {
  const out = edges.filter((edge) => edge.source === node.id);
  return out.length ? ` → ${out.map((edge) => (edge.label ? `${edge.target} (${edge.label})` : edge.target)).join(", ")}` : "";
}

function box({ node, x, y }) {
  const left = x - BOX.width / 2;
  return s("g", { class: `node ${node.status ?? "none"}${node.is_end ? " end" : ""}`, "data-key": `n-${node.id}` },
    s("title", {}, [node.label, node.status, node.detail, node.error].filter(Boolean).join(" · ")),
    s("rect", { x: left, y, width: BOX.width, height: BOX.height, rx: 10 }),
    node.is_end ? s("rect", { class: "inner", x: left + 3, y: y + 3, width: BOX.width - 6, height: BOX.height - 6, rx: 7 }) : null,
    s("text", { class: "node-label", x, y: y + (node.detail || node.status ? 20 : 29), "text-anchor": "middle" }, cut(node.label, 20)),
    node.detail || node.status
      ? s("text", { class: "node-detail", x, y: y + 36, "text-anchor": "middle" }, cut([node.status, node.detail].filter(Boolean).join(" · "), 26))
      : null);
}

function arrow(one) {
  return s("path", { class: `edge ${one.kind}`, d: one.path, "marker-end": `url(#tip-${one.kind})` });
}

function label(one) {
  return one.label ? s("text", { class: "edge-label", x: one.at[0], y: one.at[1], "text-anchor": one.anchor ?? "middle" }, cut(one.label, 28)) : null;
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// -- layout ----------------------------------------------------------------------------------------------------------

export function place(nodes, edges) {
  const ids = new Set(nodes.map((node) => node.id));
  const known = edges.filter((edge) => ids.has(edge.source) && ids.has(edge.target));
  const loops = known.filter((edge) => edge.source === edge.target);
  const back = backEdges(nodes, known);
  const forward = known.filter((edge) => edge.source !== edge.target)
    .map((edge) => (back.has(edge) ? { from: edge.target, to: edge.source, edge } : { from: edge.source, to: edge.target, edge }));
  const level = levels(nodes, forward);
  const { rows, chains } = withDummies(nodes, forward, level);
  order(rows, chains);
  const at = positions(rows);
  const fan = { from: tally(known, "source"), into: tally(known, "target") };
  const width = Math.max(...[...at.values()].map((one) => one.x + one.half)) + MARGIN + (loops.some((edge) => edge.label) ? LOOP : 0);
  const height = MARGIN * 2 + rows.length * BOX.height + (rows.length - 1) * GAP.y;
  const arrows = chains.map((chain) => routed(chain, at, back, fan)).concat(loops.map((edge) => loop(edge, at)));
  return { width, height, arrows, boxes: nodes.map((node) => ({ node, ...at.get(node.id) })) };
}

function tally(edges, end) {
  const found = new Map();
  for (const edge of edges) found.set(edge[end], (found.get(edge[end]) ?? 0) + 1);
  return found;
}

function backEdges(nodes, edges) {
  const out = new Map(nodes.map((node) => [node.id, []]));
  for (const edge of edges) out.get(edge.source).push(edge);
  const found = new Set();
  const state = new Map();
  for (const { id } of nodes) {
    if (state.has(id)) continue;
    const stack = [[id, 0]];
    state.set(id, "open");
    while (stack.length) {
      const top = stack.at(-1);
      const edge = out.get(top[0])[top[1]++];
      if (!edge) {
        state.set(top[0], "done");
        stack.pop();
      } else if (state.get(edge.target) === "open") {
        if (edge.source !== edge.target) found.add(edge);
      } else if (!state.has(edge.target)) {
        state.set(edge.target, "open");
        stack.push([edge.target, 0]);
      }
    }
  }
  return found;
}

function levels(nodes, forward) {
  const level = new Map(nodes.map((node) => [node.id, 0]));
  for (let round = 0, moved = true; moved && round <= nodes.length; round++) {
    moved = false;
    for (const { from, to } of forward) {
      if (level.get(to) <= level.get(from)) {
        level.set(to, level.get(from) + 1);
        moved = true;
      }
    }
  }
  return level;
}

function withDummies(nodes, forward, level) {
  const rows = Array.from({ length: Math.max(...level.values()) + 1 }, () => []);
  for (const node of nodes) rows[level.get(node.id)].push({ id: node.id, half: BOX.width / 2 });
  const chains = forward.map(({ from, to, edge }, index) => {
    const chain = [from];
    for (let row = level.get(from) + 1; row < level.get(to); row++) {
      const id = `\0${index}.${row}`;
      rows[row].push({ id, half: DUMMY / 2 });
      chain.push(id);
    }
    return { points: [...chain, to], edge };
  });
  return { rows, chains };
}

function order(rows, chains) {
  const above = new Map();
  const below = new Map();
  const add = (map, key, value) => (map.get(key) ?? map.set(key, []).get(key)).push(value);
  for (const { points } of chains) {
    for (let i = 1; i < points.length; i++) {
      add(above, points[i], points[i - 1]);
      add(below, points[i - 1], points[i]);
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const neighbours = sweep % 2 ? below : above;
    const index = new Map(rows.flatMap((row) => row.map((one, i) => [one.id, i - row.length / 2])));
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      const weight = new Map(row.map((one) => {
        const found = (neighbours.get(one.id) ?? []).map((id) => index.get(id));
        return [one.id, found.length ? found.reduce((sum, value) => sum + value, 0) / found.length : index.get(one.id)];
      }));
      row.sort((one, other) => weight.get(one.id) - weight.get(other.id));
      row.forEach((one, i) => index.set(one.id, i - row.length / 2));
    }
  }
}

function positions(rows) {
  const widths = rows.map((row) => row.reduce((sum, one) => sum + one.half * 2 + GAP.x, -GAP.x));
  const most = Math.max(...widths);
  const at = new Map();
  rows.forEach((row, number) => {
    let x = MARGIN + (most - widths[number]) / 2;
    for (const one of row) {
      at.set(one.id, { x: x + one.half, y: MARGIN + number * (BOX.height + GAP.y), half: one.half });
      x += one.half * 2 + GAP.x;
    }
  });
  return at;
}

function routed({ points, edge }, at, back, fan) {
  const isBack = back.has(edge);
  const places = points.map((id) => at.get(id));
  const line = [];
  places.forEach((one, i) => {
    const isEnd = i === 0 || i === places.length - 1;
    if (isEnd) line.push([one.x, i === 0 ? one.y + BOX.height : one.y]);
    else line.push([one.x, one.y], [one.x, one.y + BOX.height]);
  });
  const shift = isBack ? 14 : 0; // so that there and back are two arrows
  const moved = line.map(([x, y]) => [x + shift, y]);
  if (isBack) moved.reverse();
  let path = `M${moved[0][0]} ${moved[0][1]}`;
  for (let i = 1; i < moved.length; i++) {
    const [x1, y1] = moved[i - 1];
    const [x2, y2] = moved[i];
    const bend = (y2 - y1) / 2;
    path += x1 === x2 ? `L${x2} ${y2}` : `C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  }
  // where it goes apart from the others: at its far end, unless others come together there
  const atEnd = isBack ? false : !(fan.into.get(edge.target) > 1 && fan.from.get(edge.source) === 1);
  const [first, last] = atEnd ? [moved.at(-2), moved.at(-1)] : [moved[0], moved[1]];
  const [across, down] = isBack ? [0.86, 0.74] : atEnd ? [0.86, 0.62] : [0.14, 0.36];
  const mid = [first[0] + (last[0] - first[0]) * across + (isBack ? 6 : 0), first[1] + (last[1] - first[1]) * down + 4];
  return { path, kind: edge.kind, label: edge.label, at: mid, anchor: isBack ? "start" : "middle" };
}

function loop(edge, at) {
  const { x, y } = at.get(edge.source);
  const right = x + BOX.width / 2;
  return {
    path: `M${right} ${y + 14}C${right + 40} ${y + 4} ${right + 40} ${y + BOX.height - 4} ${right} ${y + BOX.height - 14}`,
    kind: edge.kind, label: edge.label, at: [right + 36, y + BOX.height / 2 + 4], anchor: "start",
  };
}
