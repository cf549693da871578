/** The convergence curve as one SVG: a path for all dots, one for the best so far, one for the references. */

import { h, say, set, svg } from "./dom.js";
import { count, highest, value, whole, withError } from "./format.js";

const EDGE = { top: 32, right: 22, bottom: 42 };
const MARKS = 150; // references that are drawn, evenly chosen
const PAGE = 20; // points that Page Up and Page Down move by

/** Ticks at 1, 2 or 5 times a power of ten that span the range, about `wanted` of them. */
function ticks(low, high, wanted, least = 0) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(least, power * ([1, 2, 5].find((m) => m * power >= raw * 0.999) ?? 10));
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(high / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Least and greatest of rows of numbers, null left out; 0 is within where all are above and it is not far. */
function range(...rows) {
  let low = Infinity;
  let high = -Infinity;
  for (const row of rows) {
    for (const v of row) {
      if (v === null || v === undefined) continue;
      low = Math.min(low, v);
      high = Math.max(high, v);
    }
  }
  if (low > high) return [0, 1];
  if (low === high) return [Math.min(0, low), Math.max(0, high)];
  return [low > 0 && low < high / 2 ? 0 : low, high];
}

const round = (v) => Math.round(10 * v) / 10;

/**
 * @returns {{node: HTMLElement, draw: (curve: import("./curve.js").Curve, study: object, quantity: string) => void,
 *   stop: () => void}}
 */
export function chart() {
  const image = svg("svg", {
    class: "plot",
    tabindex: 0,
    role: "slider",
    "aria-label": "Response by trial; the arrow keys go along the trials",
    "aria-describedby": "curve-summary",
  });
  const readout = h("p", { class: "readout", "aria-hidden": "true" }); // the slider's own text says it
  const summary = h("p", { class: "summary", id: "curve-summary" });
  const legend = h("ul", { class: "legend", "aria-hidden": "true" });
  const node = h("div", { class: "chart" }, legend, image, h("div", { class: "words" }, summary, readout));
  let drawn = null; // the curve and the scales of the last drawing
  let chosen = null; // the number of the trial that is read out; null: the last one

  function draw(curve, study, quantity) {
    drawn = { curve, study, quantity };
    if (image.clientWidth) paint();
  }

  function paint() {
    const { curve, study, quantity } = drawn;
    const [width, height] = [image.clientWidth, image.clientHeight];
    const natural = study.natural_maximum;
    const last = Math.max(curve.numbers.at(-1) ?? 0, ...curve.references.slice(-1).map((r) => r.at), 10);
    const down = ticks(
      ...range(
        curve.values,
        curve.best,
        curve.references.map((r) => r.value),
        [natural],
      ),
      height / 55,
    );
    const left = 30 + 7 * Math.max(...down.map((v) => value(v).length));
    const along = ticks(0, last, Math.max(2, (width - left) / 110), 1);
    const [lowest, highest] = [down[0], down.at(-1)];
    const x = (n) => round(left + ((width - left - EDGE.right) * n) / along.at(-1));
    const y = (v) => round(EDGE.top + ((height - EDGE.top - EDGE.bottom) * (highest - v)) / (highest - lowest));
    Object.assign(drawn, { x, y, left, width, span: along.at(-1) });

    const marks = [
      ...down.flatMap((v) => [
        svg("path", { class: "grid", d: `M${left} ${y(v)}H${width - EDGE.right}` }),
        svg("text", { class: "tick", x: left - 8, y: y(v) + 4, "text-anchor": "end" }, value(v)),
      ]),
      ...along.map((n) =>
        svg(
          "text",
          { class: "tick", x: x(n), y: height - EDGE.bottom + 18, "text-anchor": "middle" },
          whole(n),
        ),
      ),
      svg("text", { x: width - EDGE.right, y: height - 5, "text-anchor": "end" }, "trial"),
      svg("text", { x: 0, y: 14 }, quantity),
      svg("path", { class: "dots", d: dots(curve, x, y) }),
      svg("path", { class: "references", d: diamonds(curve.references, x, y) }),
    ];
    if (natural !== null)
      marks.push(svg("path", { class: "natural", d: `M${left} ${y(natural)}H${width - EDGE.right}` }));
    marks.push(
      svg("path", { class: "best", d: steps(curve, x, y) }),
      svg("path", { class: "guide" }),
      svg("circle", { class: "at", r: 4.5 }),
    );
    if (curve.empty) {
      const [middle, half] = [(left + width - EDGE.right) / 2, (EDGE.top + height - EDGE.bottom) / 2];
      marks.push(svg("text", { class: "nothing", x: middle, y: half, "text-anchor": "middle" }, "No answer yet"));
    }
    set(image, "viewBox", `0 0 ${width} ${height}`);
    image.replaceChildren(...marks);
    say(summary, described(curve, study));
    explain(curve, study);
    point();
  }

  function explain(curve, study) {
    const natural = study.natural_maximum;
    const shown = [
      ["dots", "a trial"],
      ["best", `${highest(study)} so far`],
    ];
    if (natural !== null) shown.push(["natural", `natural maximum ${value(natural)}`]);
    if (curve.references.length) shown.push(["references", "reference images"]);
    const text = shown.flat().join();
    if (legend.dataset.shown === text) return;
    legend.dataset.shown = text;
    legend.replaceChildren(...shown.map(([kind, name]) => h("li", {}, swatch(kind), name)));
  }

  /** Moves the guide to the chosen trial and reads it out. */
  function point() {
    const { curve, study, x, y } = drawn;
    node.classList.toggle("pointing", chosen !== null && !curve.empty);
    set(image, "aria-valuemin", curve.numbers[0] ?? 0);
    set(image, "aria-valuemax", curve.numbers.at(-1) ?? 0);
    if (curve.empty) {
      set(image, "aria-valuenow", 0);
      set(image, "aria-valuetext", "no answer yet");
      return;
    }
    const place = chosen === null ? curve.latest : curve.nearest(chosen);
    const [number, response, best] = [curve.numbers[place], curve.values[place], curve.best[place]];
    const text = `Trial ${whole(number)}: ${value(response)}, ${highest(study)} so far ${value(best)}`;
    const reference = curve.references.findLast((r) => r.at <= number && r.value !== null);
    say(readout, reference ? `${text}, last reference ${value(reference.value)}` : text);
    set(image, "aria-valuenow", number);
    set(image, "aria-valuetext", text);
    set(image.querySelector(".guide"), "d", `M${x(number)} ${EDGE.top}V${image.clientHeight - EDGE.bottom}`);
    set(image.querySelector(".at"), "cx", x(number));
    set(image.querySelector(".at"), "cy", y(response ?? best));
  }

  function follow(event) {
    if (!drawn || drawn.curve.empty) return;
    const { left, width, span } = drawn;
    chosen = (span * (event.clientX - image.getBoundingClientRect().left - left)) / (width - left - EDGE.right);
    point();
  }

  function release() {
    chosen = null;
    if (drawn) point();
  }

  // A click or a tap holds the guide where it is, until the focus goes elsewhere.
  function leave({ pointerType }) {
    if (pointerType !== "touch" && document.activeElement !== image) release();
  }

  // While it has the focus it stays at one trial: a screen reader would read out every answer that comes.
  function enter() {
    if (!drawn || drawn.curve.empty) return;
    chosen ??= drawn.curve.numbers[drawn.curve.latest];
    point();
  }

  function step(event) {
    if (!drawn || drawn.curve.empty) return;
    const { curve } = drawn;
    const last = curve.numbers.length - 1;
    const place = chosen === null ? curve.latest : curve.nearest(chosen);
    const wanted = {
      ArrowLeft: place - 1,
      ArrowDown: place - 1,
      ArrowRight: place + 1,
      ArrowUp: place + 1,
      PageDown: place - PAGE,
      PageUp: place + PAGE,
      Home: 0,
      End: last,
    }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    chosen = curve.numbers[Math.min(last, Math.max(0, wanted))];
    point();
  }

  image.addEventListener("pointermove", follow);
  image.addEventListener("pointerdown", follow);
  image.addEventListener("pointerleave", leave);
  image.addEventListener("blur", release);
  image.addEventListener("focus", enter);
  image.addEventListener("keydown", step);
  const watcher = new ResizeObserver(() => drawn && image.clientWidth && paint());
  watcher.observe(image);
  return { node, draw, stop: () => watcher.disconnect() };
}

/** The curve in words, for those who do not see it. */
function described(curve, study) {
  const { best, confirmed, natural_maximum: natural } = study;
  if (!best) return "No answer yet.";
  const words = [`${study.noisy ? "Highest" : "Best"} ${value(best.value)}, at trial ${whole(best.number)}.`];
  if (confirmed) words.unshift(`Confirmed ${withError(confirmed.value, confirmed.error)}.`);
  if (natural !== null) {
    const passed = curve.best.findIndex((v) => v > natural);
    words.push(
      passed < 0
        ? `The natural maximum, ${value(natural)}, has not been passed.`
        : `The natural maximum, ${value(natural)}, was passed at trial ${whole(curve.numbers[passed])}.`,
    );
  }
  const answered = curve.references.filter((r) => r.value !== null);
  const last = answered.at(-1);
  if (last) words.push(`The last of ${count(answered.length, "reference")} gave ${value(last.value)}.`);
  return words.join(" ");
}

const dots = ({ numbers, values }, x, y) =>
  numbers.map((n, i) => (values[i] === null ? "" : `M${x(n)} ${y(values[i])}h.01`)).join("");

function diamonds(references, x, y) {
  const every = Math.ceil(references.length / MARKS);
  return references
    .filter((r, i) => i % every === 0 && r.value !== null)
    .map((r) => `M${x(r.at)} ${y(r.value) - 4.5}l4.5 4.5l-4.5 4.5l-4.5 -4.5z`)
    .join("");
}

function steps({ numbers, best }, x, y) {
  let path = "";
  let level = null;
  best.forEach((v, i) => {
    if (v === null || v === level) return;
    path += path ? `H${x(numbers[i])}V${y(v)}` : `M${x(numbers[i])} ${y(v)}`;
    level = v;
  });
  return path && `${path}H${x(numbers.at(-1))}`;
}

const SWATCHES = {
  dots: "M12 7h.01",
  best: "M2 11H10V3H22",
  natural: "M2 7H22",
  references: "M12 2.5l4.5 4.5l-4.5 4.5l-4.5 -4.5z",
};

const swatch = (kind) =>
  svg(
    "svg",
    { viewBox: "0 0 24 14", width: 24, height: 14, "aria-hidden": "true" },
    svg("path", { class: kind, d: SWATCHES[kind] }),
  );

/**
 * A small line of the best so far, without axes; the text beside it says its numbers.
 * @param {[number, number][]} rises numbers and values of the trials that beat all before them
 * @param {number} asked trials in all
 * @param {number|null} natural the natural maximum
 */
export function sparkline(rises, asked, natural) {
  const last = Math.max(1, asked - 1);
  const numbers = [...rises.map(([n]) => n), last];
  const best = [...rises.map(([, v]) => v), rises.at(-1)[1]];
  const [low, high] = range(best, [natural]);
  const x = (n) => round((100 * n) / last);
  const y = (v) => round(2 + (26 * (high - v)) / (high - low));
  const marks = [svg("path", { class: "best", d: steps({ numbers, best }, x, y) })];
  if (natural !== null) marks.unshift(svg("path", { class: "natural", d: `M0 ${y(natural)}H100` }));
  const properties = { class: "spark", viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": "true" };
  return svg("svg", properties, ...marks);
}
