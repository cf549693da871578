/** Building and updating nodes. Text goes in as text nodes only, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An HTML element. Properties that begin with "on" are listeners, the others attributes; null and false leave one out.
 * @param {string} tag
 * @param {Object<string, any>} [properties]
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** An SVG element, as `h`. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else set(node, name, value);
  }
  node.append(...children);
  return node;
}

/** Sets an attribute only where it differs: unchanged nodes cost no layout. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** Sets the text only where it differs: a live region speaks only what is new. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Draws the filled part of a bar, a share of 0 to 1: scaled, for a width would lay the page out anew. */
export function stretch(node, share) {
  node.style.transform = `scaleX(${Math.min(1, share)})`;
}

/** Shows an origin such as "frequencies:cma", which may be broken after its colons. */
export function sayOrigin(node, origin) {
  if (node.textContent === origin) return;
  node.replaceChildren(...origin.split(/(?<=:)/).flatMap((part) => [part, h("wbr")]));
}

/**
 * Makes the children of a node those of the items, keeping the nodes of the keys that stay (and with them the focus).
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T) => string|number} key
 * @param {(item: T) => Element} build
 * @param {(node: Element, item: T) => void} update also called on what was just built
 */
export function keyed(parent, items, key, build, update) {
  const kept = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let node = kept.get(name);
    kept.delete(name);
    if (!node) {
      node = build(item);
      node.dataset.key = name;
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
  for (const node of kept.values()) node.remove();
}

/** A section with its heading; screen readers list it by that. */
export function section(id, title, ...children) {
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/**
 * A table's head and body.
 * @param {string} caption read out, not shown: the heading above says it
 * @param {[string, string?][]} columns their titles and classes
 * @returns {{node: HTMLElement, body: HTMLElement}}
 */
export function table(caption, columns) {
  const head = columns.map(([title, kind]) => h("th", { scope: "col", class: kind }, title));
  const body = h("tbody");
  const node = h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, ...head)), body);
  return { node, body };
}
