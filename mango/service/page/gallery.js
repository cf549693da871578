/** The best dozen of the stimuli. */

import { h, keyed, say, section } from "./dom.js";
import { value, whole } from "./format.js";
import { picture } from "./picture.js";

export const MOST = 12;

/** @param {object} study */
export function gallery(study) {
  const list = h("ol", { class: "tiles gallery" });
  const note = h("p", { class: "note" }, "no answer yet");
  const node = section("best", study.noisy ? "Highest trials" : "Best stimuli", note, list);

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
      const counted = study.weight ? `objective ${value(trial.objective)}, ` : "";
      say(words, `${counted}#${whole(trial.number)} ${trial.origin}`);
    };
    return item;
  }

  return { node, paint };
}
