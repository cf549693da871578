/** One study: its panels, fed by one reading and then by the events. */

import { actions } from "./actions.js";
import * as api from "./api.js";
import { arms } from "./arms.js";
import { champion } from "./champion.js";
import { chart } from "./chart.js";
import { course } from "./course.js";
import { Curve } from "./curve.js";
import { h, say, set } from "./dom.js";
import { count, highest, moment, quantity, value, whole, withError } from "./format.js";
import { gallery, MOST } from "./gallery.js";
import { follow } from "./live.js";
import { paced } from "./pace.js";
import { progress } from "./progress.js";
import { settings } from "./settings.js";
import { shown } from "./shown.js";
import { trials } from "./trials.js";

const FRAME = 250; // milliseconds between two paintings
const SLOW = 4000; // milliseconds between two readings of what events do not carry
const AGAIN = 2000; // milliseconds until a reading that failed is tried again
const SPEAK = 10_000; // milliseconds between two spoken values
const RECENT = 100; // trials whose times give the first rate
const OPEN = 200; // open trials that are read

/** The number in the study's log of an event, or of the last one that a state holds. */
const sequenceOf = (data) => data.sequence ?? data.last_sequence ?? -1;

/**
 * @param {HTMLElement} main
 * @param {import("./main.js").Page} page
 * @param {string} name
 * @returns {() => void} leaves the study
 */
export function studyView(main, page, name) {
  let study = null;
  let curve = null;
  let best = [];
  let proposals = [];
  let missed = null; // answers that came while the curve was read anew
  let parts = null; // the panels, once the study is known
  let waiting = null; // the events that came while it was read
  let spoken = null; // the best value that a screen reader has heard
  let left = false;
  let readings = 0; // begun: only the last one counts
  let retry = null;

  const painting = paced(paint, FRAME);
  const bests = paced(() => reread(readBest), SLOW);
  const origins = paced(() => reread(async () => (proposals = await api.arms(name))), SLOW);
  const curves = paced(() => reread(readCurve), SLOW);
  const speaking = paced(speak, SPEAK);
  const ticking = setInterval(() => parts && tick(), 1000);
  const stop = follow(name, { open: load, event: received, lost, current });
  main.replaceChildren(h("h1", {}, name), h("p", { class: "empty", role: "status" }, "Reading the study …"));

  /** Reads everything anew. Events that come meanwhile are applied after it, where they are later. */
  async function load() {
    clearTimeout(retry);
    const mine = ++readings;
    waiting = [];
    try {
      const read = await api.study(name);
      const [line, top, from, opened, references, recent] = await Promise.all([
        api.curve(name),
        api.best(name, MOST),
        api.arms(name),
        api.trials(name, { limit: OPEN, state: "open" }),
        read.counts.references ? api.references(name, OPEN) : [],
        api.trials(name, { limit: RECENT }),
      ]);
      if (left || mine !== readings) return;
      study = read;
      curve = new Curve(line);
      best = top.trials;
      proposals = from;
      parts ??= build();
      parts.shown.replace(opened.trials.reverse(), references.reverse());
      paint();
      if (readings === 1) for (const { told_at: at } of recent.trials) if (at !== null) parts.progress.answered(at, 1);
      await parts.trials.reload(study.counts.asked);
    } catch (error) {
      if (left || mine !== readings || page.failed(error, main)) return;
      page.link("reconnecting");
      retry = setTimeout(load, AGAIN);
      return;
    }
    if (left || mine !== readings) return;
    page.link("live");
    const later = waiting.filter(([, data]) => sequenceOf(data) > study.last_sequence);
    waiting = null;
    for (const [kind, data] of later) apply(kind, data);
    spoken ??= study.best?.value ?? null;
    painting.request();
  }

  /** The stream broke: whether there is still a study to try again for. */
  async function lost() {
    if (left) return false;
    page.link("reconnecting");
    try {
      await api.study(name);
      return true;
    } catch (error) {
      return !left && !page.failed(error, main);
    }
  }

  /** Whether all that happened has come: a stream that was cut silently says nothing of it. */
  async function current() {
    const { last_sequence: last } = await api.study(name);
    return Boolean(waiting) || last <= study.last_sequence;
  }

  function received(kind, data) {
    if (left) return;
    if (waiting) waiting.push([kind, data]);
    else if (study) apply(kind, data);
    painting.request();
  }

  function apply(kind, data) {
    study.last_sequence = Math.max(study.last_sequence, sequenceOf(data));
    if (kind === "state") change(data);
    else if (kind === "ask") asked(data);
    else if (kind === "tell") told(data);
    else {
      study.counts = data.counts;
      if (kind !== "enqueue") parts.shown.mark(data.numbers, kind === "veto" ? "vetoed" : "handed back");
      parts.trials.changed(data.numbers, study.counts.asked);
    }
  }

  function asked({ trials: opened, references }) {
    const fresh = opened.filter((t) => t.attempt === 1).length;
    study.counts.asked += fresh;
    study.counts.open += fresh;
    study.counts.references += references.length;
    parts.shown.open(opened, references);
    parts.trials.changed(
      opened.map((t) => t.number),
      study.counts.asked,
    );
    origins.request();
  }

  function told({ at, trials: answered, references, best: found, counts, state }) {
    const done = answered.filter((t) => t.state === "done");
    const unseen = done.some((t) => t.value > found.value); // the best is best by another objective, not told here
    if (unseen || counts.references) curves.request();
    Object.assign(study, { counts, state, best: found });
    curve.tell(done, found);
    missed?.push([done, found]);
    parts.shown.update(answered, references);
    parts.progress.answered(at, answered.length);
    parts.trials.changed(
      answered.map((t) => t.number),
      counts.asked,
    );
    if (done.length) bests.request();
    speaking.request();
  }

  /** Another state of the study: by a button here, or by anybody. */
  function change(next) {
    if (next.state === "deleted") {
      page.gone(main, "Not here", `The study ${name} was deleted.`);
      return;
    }
    study = next;
    if (study.state !== "running") {
      for (const reading of [bests, origins, curves]) reading.request();
    }
    painting.request();
  }

  async function readBest() {
    const { trials: leading, recommended, confirmed } = await api.best(name, MOST);
    best = leading;
    if (confirmed && !study.confirmed) {
      page.announce(`Confirmed: ${withError(confirmed.value, confirmed.error)}, trial ${whole(confirmed.number)}.`);
    }
    Object.assign(study, { recommended, confirmed });
  }

  async function readCurve() {
    missed = [];
    const read = new Curve(await api.curve(name));
    for (const answers of missed) read.tell(...answers);
    [curve, missed] = [read, null];
  }

  async function reread(read) {
    try {
      await read();
      painting.request();
    } catch (error) {
      if (!left) page.report(error);
    }
  }

  async function veto(trial) {
    try {
      await api.veto(name, trial.number);
      page.announce(`Trial ${trial.number} vetoed.`);
    } catch (error) {
      page.report(error);
    }
  }

  function build() {
    const write = page.access === "write";
    const [state, words] = [h("span", { class: "badge", role: "status" }), h("p", { class: "note" })];
    const built = {
      chart: chart(),
      course: course(study),
      champion: champion(study),
      progress: progress(),
      gallery: gallery(study),
      arms: arms(),
      shown: shown(study, { veto: write ? veto : null, refuse: page.announce }),
      trials: trials(study, page),
      actions: write ? actions(study, change, page.report) : null,
    };
    built.paintHead = () => {
      set(state, "data-state", study.state);
      say(state, study.state);
      const source = study.generator ?? "plain space";
      const size = count(study.dim, "dimension");
      say(words, `${source}, ${study.optimizer}, ${size}, since ${moment(study.created_at)}`);
    };
    main.replaceChildren(
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "All studies")),
      h(
        "div",
        { class: "head" },
        h("h1", { tabindex: -1 }, name),
        state,
        words,
        ...(write ? [built.actions.node] : []),
      ),
      built.progress.node,
      h(
        "section",
        { class: "hero", "aria-labelledby": "curve" },
        h("h2", { id: "curve" }, "Response by trial"),
        built.champion.node,
        h("div", { class: "course-place" }, built.chart.node, built.course.node),
      ),
      built.shown.node,
      built.gallery.node,
      built.arms.node,
      built.trials.node,
      settings(study),
    );
    page.arrived(name);
    return built;
  }

  function paint() {
    if (left || !study || !parts) return;
    parts.paintHead();
    parts.actions?.paint(study);
    parts.champion.paint(study);
    parts.chart.draw(curve, study, quantity(study));
    parts.course.paint(curve);
    parts.progress.paint(study);
    parts.shown.paint(study.counts.open);
    parts.gallery.paint(best);
    parts.arms.paint(proposals);
  }

  function tick() {
    parts.shown.tick();
    if (study.state === "running") parts.progress.paint(study);
  }

  function speak() {
    const found = study.best;
    if (!found || found.value === spoken) return;
    spoken = found.value;
    page.announce(`New ${highest(study)}: ${value(found.value)}, trial ${whole(found.number)}.`);
  }

  return () => {
    left = true;
    stop();
    clearInterval(ticking);
    clearTimeout(retry);
    for (const pacing of [painting, bests, origins, curves, speaking, parts?.chart, parts?.trials]) pacing?.stop();
  };
}
