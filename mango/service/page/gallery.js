/** The best stimuli: the best one large, and the best dozen. */

import { h, keyed, say, section } from "./dom.js";
import { compared, moment, value, whole } from "./format.js";
import { picture } from "./picture.js";

export const MOST = 12;

/** The best trial so far, and the recommended one where it is another. */
export function champion(study) {
  const best = portrait(study, "best", "Best so far");
  const recommended = portrait(study, "recommended", "Recommended");
  const node = h("div", { class: "champions" }, best.node, recommended.node);

  function paint({ best: found, recommended: named }) {
    best.paint(found);
    const another = named && named.number !== found?.number ? named : null;
    recommended.paint(another);
    recommended.node.hidden = !another;
    say(best.title, named && !another ? "Best and recommended" : "Best so far");
  }

  return { node, paint };
}

function portrait(study, kind, name) {
  const stimulus = picture(study, "eager");
  const title = h("span", { class: "eyebrow" }, name);
  const big = h("b", { class: "big" });
  const [against, words] = [h("span", { class: "against" }), h("span", { class: "words" })];
  const caption = h("figcaption", {}, title, big, against, words);
  const node = h("figure", { class: `portrait ${kind}` }, stimulus.node, caption);

  function paint(trial) {
    stimulus.show(trial);
    say(big, trial ? value(trial.value) : "–");
    say(against, trial ? compared(trial.value, study.natural_maximum) : "");
    say(words, trial ? explained(trial) : "");
  }

  return { node, title, paint };
}

function explained(trial) {
  const spread = trial.error === null || trial.error === undefined ? "" : `± ${value(trial.error)}, `;
  return `${spread}trial ${whole(trial.number)}, ${trial.origin || "no origin"}, ${moment(trial.told_at)}`;
}

/** @param {object} study */
export function gallery(study) {
  const list = h("ol", { class: "tiles gallery" });
  const note = h("p", { class: "note" }, "no answer yet");
  const node = section("best", "Best stimuli", note, list);

  function paint(trials) {
    note.hidden = trials.length > 0;
    keyed(
      list,
      trials,
      (t) => t.number,
      build,
      (item, trial) => item.show(trial),
    );
  }

  function build() {
    const stimulus = picture(study);
    const big = h("b");
    const words = h("span", { class: "words" });
    const item = h("li", { class: "tile" }, stimulus.node, h("p", {}, big, words));
    item.show = (trial) => {
      stimulus.show(trial);
      say(big, value(trial.value));
      say(words, `#${whole(trial.number)} ${trial.origin}`);
    };
    return item;
  }

  return { node, paint };
}
