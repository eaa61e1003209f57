// Elements from plain values, and `draw`, which changes what is there into what should be.
//
// Nothing here takes markup: text is a text node, whatever is in it. `draw` keeps the elements that are still right, so
// focus, open details, selections and what was typed survive a page that is drawn anew every second.

const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "onsubmit", "oninput", "onchange", "onkeydown", "ontoggle"];

/** h("button", { class: "act", onclick: fn, disabled: false }, "Text", child, [children], null) */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element[name] = value;
    else if (name === "style") for (const [key, part] of Object.entries(value)) element.style.setProperty(key, part);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** Make these the children of `parent`. Children with `data-key` keep their element wherever they go. */
export function draw(parent, ...children) {
  const wanted = children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false)
    .map((one) => (one instanceof Node ? one : document.createTextNode(String(one))));
  morphChildren(parent, wanted);
}

function morphChildren(parent, wanted) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.dataset?.key) keyed.set(node.dataset.key, node);
  let here = parent.firstChild;
  for (const next of wanted) {
    const key = next.dataset?.key;
    let old = key ? keyed.get(key) : here;
    if (!key && old?.dataset?.key) old = null;
    if (old && same(old, next)) {
      if (old !== here) parent.insertBefore(old, here);
      else here = here.nextSibling;
      morph(old, next);
    } else {
      parent.insertBefore(next, here);
      if (!key && here && !here.dataset?.key) {
        const gone = here;
        here = here.nextSibling;
        gone.remove();
      }
    }
  }
  while (here) {
    const gone = here;
    here = here.nextSibling;
    gone.remove();
  }
}

function same(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && (old.dataset?.key ?? "") === (next.dataset?.key ?? "")
    && (old.getAttribute?.("type") ?? "") === (next.getAttribute?.("type") ?? "");
}

function morph(old, next) {
  if (old === next) return;
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  if (old.dataset?.own !== undefined && next.dataset?.own === old.dataset.own) return; // it looks after itself
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name === "style") old.style.cssText = next.style.cssText; // the policy refuses the attribute
    else if (old.getAttribute(name) !== value && !(name === "open" && old.nodeName === "DETAILS")) old.setAttribute(name, value);
  }
  for (const name of HANDLERS) if (old[name] !== next[name]) old[name] = next[name];
  if (old.nodeName === "TEXTAREA") return;
  morphChildren(old, [...next.childNodes]);
  if (old.nodeName === "SELECT" && document.activeElement !== old) {
    const chosen = next.querySelector("option[selected]");
    if (chosen) old.value = chosen.value;
  }
}
