/** What is being shown: places that keep still while trials come and go in them. */

import { now } from "./api.js";
import { h, say, section, set } from "./dom.js";
import { count, countdown, value, whole } from "./format.js";
import { picture } from "./picture.js";

// Some more than a phone shows without scrolling, two rows of a desk's screen.
const PLACES = matchMedia("(max-width: 40rem)").matches ? 12 : 24;
const SETTLE = 700; // milliseconds: a click so soon after a place has changed was meant for another trial

/**
 * @param {object} study
 * @param {{veto: ((trial: object) => void)|null, refuse: (message: string) => void}} on veto: null for who may only read
 */
export function shown(study, on) {
  const trials = new Map(); // by number: the open ones, and those answered that still have a place
  const note = h("p", { class: "note" });
  const list = h("ul", { class: "tiles shown" });
  const node = section("shown", "Being shown", note, list);
  const places = [];

  function open(opened) {
    for (const trial of opened) trials.set(trial.number, trial);
  }

  /** Trials that are known already, as they now are. */
  function update(changed) {
    for (const trial of changed) if (trials.has(trial.number)) trials.set(trial.number, trial);
  }

  function mark(numbers, state) {
    update(numbers.map((number) => ({ ...trials.get(number), number, state })));
  }

  /** Just these are open; of others that were, how they ended is not known here. */
  function replace(opened) {
    for (const trial of trials.values()) if (trial.state === "open") update([{ ...trial, state: "answered" }]);
    open(opened);
  }

  function paint(openCount) {
    const waiting = [...trials.values()].filter(
      (t) => t.state === "open" && !places.some((p) => p.number === t.number),
    );
    for (const place of places) {
      const busy = trials.get(place.number)?.state === "open" || place.held();
      if (!busy && waiting.length) place.take(waiting.shift().number);
    }
    while (waiting.length && places.length < PLACES) {
      const place = makePlace();
      places.push(place);
      list.append(place.node);
      place.take(waiting.shift().number);
    }
    const placed = new Set(places.map((p) => p.number));
    for (const [number, trial] of trials) if (trial.state !== "open" && !placed.has(number)) trials.delete(number);
    for (const place of places) place.paint(trials.get(place.number));
    const here = places.filter((p) => trials.get(p.number)?.state === "open").length;
    const hidden = openCount > here ? `; ${whole(here)} of them here` : "";
    const out = `${count(openCount, "trial")} handed out and not yet answered${hidden}`;
    say(note, openCount ? out : "nothing is handed out now");
    list.hidden = places.length === 0;
  }

  function tick() {
    for (const place of places) place.tick(trials.get(place.number));
  }

  function makePlace() {
    const stimulus = picture(study);
    const title = h("b");
    const words = h("span", { class: "words" });
    const button = on.veto && h("button", { class: "veto", type: "button", onclick: press }, "Veto");
    const node = h("li", { class: "tile" }, stimulus.node, h("p", {}, title, words), ...(button ? [button] : []));
    const place = { node, number: null, held, take, paint, tick };
    let since = 0;

    // A place does not change under the pointer or the focus: the wrong trial would be vetoed.
    function held() {
      return Boolean(button) && (node.matches(":hover") || node.contains(document.activeElement));
    }

    function take(number) {
      place.number = number;
      since = performance.now();
    }

    function press() {
      const trial = trials.get(place.number);
      if (performance.now() - since < SETTLE) on.refuse("The trial there had only just changed; nothing was vetoed.");
      else if (trial.state === "open") on.veto(trial);
      else on.refuse(`Trial ${trial.number} is ${trial.state}; it cannot be vetoed any more.`);
    }

    function paint(trial) {
      if (!trial) return;
      stimulus.show(trial);
      set(node, "data-state", trial.state);
      say(title, trial.state === "done" ? value(trial.value) : `#${whole(trial.number)}`);
      if (button) {
        set(button, "aria-label", `Veto trial ${trial.number}`);
        set(button, "aria-disabled", String(trial.state !== "open"));
      }
      tick(trial);
    }

    function tick(trial) {
      if (!trial) return;
      const lease = trial.lease_until;
      const left = lease === null || lease === undefined ? null : lease - now();
      if (trial.state === "done") say(words, `#${whole(trial.number)}`);
      else if (trial.state !== "open") say(words, trial.state);
      else if (left === null) say(words, "no lease");
      else say(words, left > 0 ? `lease ${countdown(left)}` : "lease over");
    }

    return place;
  }

  return { node, open, update, mark, replace, paint, tick };
}
