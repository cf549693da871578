/** The curve as a table: where the best so far rose, for whoever does not see it or wants the numbers. */

import { h, keyed, say, table } from "./dom.js";
import { highest, value, whole } from "./format.js";

const MOST = 100; // rows

/** @param {object} study */
export function course(study) {
  const natural = study.natural_maximum;
  const found = `${highest(study)} so far`;
  const columns = [
    ["trial", "number"],
    [found, "number"],
  ];
  if (natural > 0) columns.push(["of the natural maximum", "number"]);
  const { node: rows, body } = table(`Trials at which the ${found} changed, the latest first`, columns);
  const region = { class: "scroll", tabindex: 0, role: "region", "aria-label": "The curve as a table" };
  const node = h(
    "details",
    { class: "course", ontoggle: () => paint(known) },
    h("summary", {}, "As a table"),
    h("div", region, rows),
  );
  let known = null;

  /** @param {import("./curve.js").Curve} curve */
  function paint(curve) {
    known = curve;
    if (!node.open || !known) return;
    keyed(
      body,
      known.rises.slice(-MOST).reverse(),
      ([number]) => number,
      build,
      (row, rise) => row.show(...rise),
    );
  }

  function build() {
    const cells = columns.map(([title, kind], i) =>
      i ? h("td", { class: kind }) : h("th", { scope: "row", class: kind }),
    );
    const row = h("tr", {}, ...cells);
    row.show = (number, best) => {
      const texts = [whole(number), value(best), natural > 0 ? `${Math.round((100 * best) / natural)}\u00a0%` : ""];
      cells.forEach((cell, i) => say(cell, texts[i]));
    };
    return row;
  }

  return { node, paint };
}
