/** Counts, the budget's progress, the rate and the estimated end. */

import { now } from "./api.js";
import { h, say, section, set, stretch } from "./dom.js";
import { count, length, moment, rate, share, whole } from "./format.js";

const WINDOW = 600; // seconds that the rate looks back
const MOST = 200; // trials that it looks back

/** How fast answers come, from the times of the last ones. */
class Rate {
  times = [];

  /** Takes the times of answers, seconds since 1970, in any order. */
  add(times) {
    this.times.push(...times.filter((t) => t !== null));
    this.times = this.times.sort((a, b) => a - b).slice(-MOST);
  }

  /** Trials in a second; null where too few came of late. */
  get perSecond() {
    const recent = this.times.filter((t) => t > now() - WINDOW);
    const span = now() - recent[0];
    return recent.length > 2 && span > 1 ? recent.length / span : null;
  }
}

const COUNTS = [
  ["told", "answered"],
  ["open", "open"],
  ["lost", "lost"],
  ["failed", "failed"],
  ["vetoed", "vetoed"],
  ["late", "late"],
  ["references", "references"],
];

export function progress() {
  const speed = new Rate();
  const head = h("p", { class: "head" });
  const bar = h("div", { class: "bar-track", role: "progressbar", "aria-labelledby": "progress", "aria-valuemin": 0 });
  const [done, open] = [h("span", { class: "bar-fill" }), h("span", { class: "bar-fill open" })];
  bar.append(open, done);
  const pace = h("p", { class: "note" });
  const numbers = COUNTS.map(([key, name]) => [key, h("dd"), name]);
  const list = h(
    "dl",
    { class: "counts" },
    ...numbers.map(([, number, name]) => h("div", {}, h("dt", {}, name), number)),
  );
  const node = section("progress", "Progress", head, bar, pace, list);

  function paint({ state, budget, repeats, counts }) {
    const shown = counts.presentations / budget;
    say(head, `${whole(counts.presentations)} of ${count(budget, "presentation")}, ${share(shown)}`);
    stretch(done, shown);
    stretch(open, shown + (counts.open * repeats) / budget);
    set(bar, "aria-valuemax", budget);
    set(bar, "aria-valuenow", Math.min(budget, counts.presentations));
    set(bar, "aria-valuetext", head.textContent);
    for (const [key, number] of numbers) say(number, whole(counts[key] ?? 0));
    say(
      pace,
      state === "running" ? expected((budget - counts.presentations) / repeats, speed.perSecond) : ended(state),
    );
  }

  return { node, paint, answered: (times) => speed.add(times) };
}

function expected(left, perSecond) {
  if (perSecond === null) return "No rate yet: too few answers came in the last ten minutes.";
  const seconds = left / perSecond;
  return `${rate(perSecond)}; the end is expected in ${length(seconds)}, ${moment(now() + seconds)}.`;
}

function ended(state) {
  if (state === "paused") return "Paused: nothing new is handed out; answers are still taken.";
  return state === "exhausted" ? "The budget is used up." : "Finished.";
}
