/** The budget's progress, the rate, the estimated end, and the counts of trials. */

import { now } from "./api.js";
import { progressed, trialsOf } from "./budget.js";
import { h, say, section, set, stretch } from "./dom.js";
import { length, moment, rate, whole } from "./format.js";

const WINDOW = 600; // seconds that the rate looks back
const SILENT = 60; // seconds without an answer after which the last one's age is said

const COUNTS = [
  ["open", "open"],
  ["lost", "lost"],
  ["failed", "failed"],
  ["vetoed", "vetoed"],
];
const RARE = [
  ["late", "late"],
  ["references", "references"],
];

export function progress() {
  const speed = new Rate();
  const bar = h("div", { class: "bar-track", role: "progressbar", "aria-labelledby": "progress", "aria-valuemin": 0 });
  const [done, open] = [h("span", { class: "bar-fill" }), h("span", { class: "bar-fill open" })];
  bar.append(open, done);
  const head = h("b");
  const pace = h("span", { class: "note" });
  const numbers = [...COUNTS, ...RARE].map(([key, name]) => ({ key, name, number: h("dd") }));
  const pairs = numbers.map(({ key, name, number }) => h("div", { class: key }, h("dt", {}, name), number));
  const strip = h("div", { class: "strip" }, h("p", {}, head, " ", pace), h("dl", { class: "counts" }, ...pairs));
  const node = section("progress", "Progress", bar, strip);
  node.classList.add("progress");

  function paint(study) {
    const { all, closed, open: out } = trialsOf(study);
    say(head, progressed(study));
    bar.hidden = study.budget === null;
    stretch(done, closed / all);
    stretch(open, (closed + out) / all);
    set(bar, "aria-valuemax", all);
    set(bar, "aria-valuenow", closed);
    set(bar, "aria-valuetext", head.textContent);
    numbers.forEach(({ key, number }, i) => {
      const many = study.counts[key] ?? 0;
      say(number, whole(many));
      set(pairs[i], "data-none", many === 0);
      pairs[i].hidden = many === 0 && i >= COUNTS.length;
    });
    say(pace, expected(study, speed));
  }

  return { node, paint, answered: (at, many) => speed.add(at, many) };
}

/** How fast answers come. A block is told at one moment, so what the first moment brought is not counted. */
class Rate {
  moments = []; // [seconds since 1970, answers], in order
  last = null;

  /** So many answers came at a time, in seconds since 1970. */
  add(at, many) {
    const same = this.moments.find(([time]) => Math.floor(time) === Math.floor(at)); // a second is fine enough
    if (same) same[1] += many;
    else this.moments.push([at, many]);
    this.moments.sort(([a], [b]) => a - b);
    this.last = this.moments.at(-1)[0];
  }

  /** Trials in a second; null where too few came of late. */
  get perSecond() {
    this.moments = this.moments.filter(([at]) => at > now() - WINDOW);
    const [first, ...rest] = this.moments;
    const span = first && now() - first[0];
    return rest.length && span > 1 ? rest.reduce((sum, [, many]) => sum + many, 0) / span : null;
  }
}

function expected(study, { perSecond, last }) {
  if (study.state === "paused") return "Paused: nothing new is handed out; answers are still taken.";
  const endless = study.budget === null;
  if (study.state === "exhausted") {
    return `Nothing is left to ask: ${endless ? "the design" : "the budget, or the design,"} has ended.`;
  }
  if (study.state === "finished") return "Finished.";
  const words = [];
  if (perSecond !== null) {
    const seconds = trialsOf(study).left / perSecond;
    const end = endless ? "" : `, about ${length(seconds)} left (until ${moment(now() + seconds)})`;
    words.push(`${rate(perSecond)}${end}.`);
  }
  if (last !== null && now() - last > SILENT) words.push(`Last answer ${length(now() - last)} ago.`);
  return words.join(" ");
}
