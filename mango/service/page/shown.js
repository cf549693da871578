/** What is being shown: places that keep still while trials come and go in them. */

import { now } from "./api.js";
import { h, say, section, set } from "./dom.js";
import { count, countdown, value, whole } from "./format.js";
import { picture } from "./picture.js";

// Some more than a phone shows without scrolling, two rows of a desk's screen.
const PLACES = matchMedia("(max-width: 40rem)").matches ? 12 : 24;
const REFERENCES = PLACES / 3; // of these for references, at the most
const SETTLE = 700; // milliseconds: a click so soon after a place has changed was meant for another trial

/**
 * @param {object} study
 * @param {{veto: ((trial: object) => void)|null, refuse: (message: string) => void}} on veto: null for who may only read
 */
export function shown(study, on) {
  // By key: the trials and the showings of references that are open, and those answered that still have a place.
  const trials = new Map();
  const note = h("p", { class: "note" });
  const list = h("ul", { class: "tiles shown" });
  const node = section("shown", "Being shown", note, list);
  const places = [];

  function open(opened, references = []) {
    for (const shown of [...opened, ...references.map(asShown)]) trials.set(keyOf(shown), shown);
  }

  /** Trials and references that are known already, as they now are. */
  function update(changed, references = []) {
    const now = [...changed, ...references.map(asShown)];
    for (const shown of now) if (trials.has(keyOf(shown))) trials.set(keyOf(shown), shown);
  }

  /** A showing of a reference as a trial, which has a state and a lease. */
  function asShown(reference) {
    const { told_at: at, value: mean, asked_at: asked } = reference;
    const state = at === null ? "open" : mean === null ? "lost" : "done";
    return { ...reference, state, lease_until: study.lease === null ? null : asked + study.lease };
  }

  function mark(numbers, state) {
    update(numbers.map((number) => ({ ...trials.get(number), number, state })));
  }

  /** Just these are open; of others that were, how they ended is not known here. */
  function replace(opened, references) {
    for (const shown of trials.values()) if (shown.state === "open") update([{ ...shown, state: "answered" }]);
    open(opened, references);
  }

  const isOpen = (place) => trials.get(place.key)?.state === "open";
  const openReferences = (found) => found.filter((shown) => isReference(shown) && shown.state === "open");

  /** What has no place yet; a reference that nobody tells would keep its own for ever. */
  function waitingOnes() {
    for (const shown of openReferences([...trials.values()])) {
      if (shown.lease_until !== null && shown.lease_until < now()) update([{ ...shown, state: "not told" }]);
    }
    const placed = new Set(places.map((place) => place.key));
    const waiting = [...trials.values()].filter((t) => t.state === "open" && !placed.has(keyOf(t)));
    const room = REFERENCES - openReferences(places.map((place) => trials.get(place.key) ?? {})).length;
    const references = waiting.filter(isReference).slice(0, Math.max(0, room));
    const free = PLACES - places.filter(isOpen).length - references.length; // else a large block would leave none
    return [...waiting.filter((shown) => !isReference(shown)).slice(0, Math.max(0, free)), ...references];
  }

  function paint(openCount) {
    const waiting = waitingOnes();
    for (const place of places) {
      const busy = isOpen(place) || place.held();
      if (!busy && waiting.length) place.take(keyOf(waiting.shift()));
    }
    while (waiting.length && places.length < PLACES) {
      const place = makePlace();
      places.push(place);
      list.append(place.node);
      place.take(keyOf(waiting.shift()));
    }
    const placed = new Set(places.map((place) => place.key));
    for (const [key, shown] of trials) if (shown.state !== "open" && !placed.has(key)) trials.delete(key);
    for (const place of places) place.paint(trials.get(place.key));
    const references = openReferences([...trials.values()]).length;
    const here = places.filter((place) => isOpen(place) && !isReference(trials.get(place.key))).length;
    const parts = [
      openCount ? `${count(openCount, "trial")} handed out and not yet answered` : "",
      openCount > here ? `${whole(here)} of them here` : "",
      references ? count(references, "reference") : "",
    ];
    say(note, parts.filter(Boolean).join("; ") || "nothing is handed out now");
    list.hidden = places.length === 0;
  }

  function tick() {
    for (const place of places) place.tick(trials.get(place.key));
  }

  function makePlace() {
    const stimulus = picture(study);
    const title = h("b");
    const words = h("span", { class: "words" });
    const button = on.veto && h("button", { class: "veto", type: "button", onclick: press }, "Veto");
    const node = h("li", { class: "tile" }, stimulus.node, h("p", {}, title, words), ...(button ? [button] : []));
    const place = { node, key: null, held, take, paint, tick };
    let since = 0;

    // A place does not change under the pointer or the focus: the wrong trial would be vetoed.
    function held() {
      return Boolean(button) && (node.matches(":hover") || node.contains(document.activeElement));
    }

    function take(key) {
      place.key = key;
      since = performance.now();
    }

    function press() {
      const trial = trials.get(place.key);
      if (performance.now() - since < SETTLE) on.refuse("The trial there had only just changed; nothing was vetoed.");
      else if (trial.state === "open") on.veto(trial);
      else on.refuse(`Trial ${trial.number} is ${trial.state}; it cannot be vetoed any more.`);
    }

    function paint(trial) {
      if (!trial) return;
      stimulus.show(trial);
      set(node, "data-state", trial.state);
      set(node, "data-reference", isReference(trial));
      say(title, trial.state === "done" ? value(trial.value) : nameOf(trial));
      if (button) {
        button.hidden = isReference(trial);
        set(button, "aria-label", `Veto trial ${trial.number}`);
        set(button, "aria-disabled", String(trial.state !== "open"));
      }
      tick(trial);
    }

    function tick(trial) {
      if (!trial) return;
      const lease = trial.lease_until;
      const left = lease === null || lease === undefined ? null : lease - now();
      if (trial.state === "done") say(words, nameOf(trial));
      else if (trial.state !== "open") say(words, trial.state);
      else if (left === null) say(words, "no lease");
      else say(words, left > 0 ? `lease ${countdown(left)}` : "lease over");
    }

    return place;
  }

  return { node, open, update, mark, replace, paint, tick };
}

const isReference = (shown) => shown.image !== undefined;
const keyOf = (shown) => (isReference(shown) ? `reference ${shown.presentation}` : shown.number);
const nameOf = (shown) => (isReference(shown) ? `reference ${whole(shown.image)}` : `#${whole(shown.number)}`);
