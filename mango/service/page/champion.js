/** The stimulus to take, large: the confirmed one, else the best trial; and beside it what else is said to be good. */

import { h, say } from "./dom.js";
import { compared, count, moment, value, whole, withError } from "./format.js";
import { picture } from "./picture.js";

const LUCK = "some of this is luck";

/** The confirmed stimulus or the best trial so far; beside it the highest, or the recommended one where it is another. */
export function champion(study) {
  const [first, second] = [portrait(study, "best"), portrait(study, "second")];
  const node = h("div", { class: "champions" }, first.node, second.node);

  function paint(now) {
    const [leading, beside] = now.confirmed ? afterChoice(now) : beforeChoice(now);
    first.paint(leading, now);
    second.node.hidden = !beside;
    second.paint(beside ?? {}, now);
  }

  return { node, paint };
}

/** The mean that no luck has raised, and the trial of the highest value. */
function afterChoice({ confirmed, recommended, best }) {
  const { number, presentations, error } = confirmed;
  const words = `${count(presentations, "fresh presentation")}, trial ${whole(number)}, ${recommended.origin}`;
  const chosen = { title: "Confirmed", trial: recommended, value: confirmed.value, error, words };
  return [chosen, { title: "Highest trial", trial: best, words: `${LUCK}; ${explained(best)}` }];
}

function beforeChoice({ best, recommended, noisy, confirm }) {
  const another = recommended && recommended.number !== best?.number;
  const name = noisy ? "Highest trial" : "Best so far";
  const both = noisy ? "Highest trial, and recommended" : "Best and recommended";
  const leading = { title: recommended && !another ? both : name, trial: best };
  if (best) leading.words = explained(best);
  if (best && noisy) {
    const end = confirm ? `; ${count(confirm, "fresh presentation")} at the end confirm the choice` : "";
    leading.words = `${LUCK}${end}; ${leading.words}`;
  }
  return [leading, another ? { title: "Recommended", trial: recommended, words: explained(recommended) } : null];
}

function portrait(study, kind) {
  const stimulus = picture(study, "eager");
  const title = h("span", { class: "eyebrow" });
  const big = h("b", { class: "big" });
  const [against, words] = [h("span", { class: "against" }), h("span", { class: "words" })];
  const node = h("figure", { class: `portrait ${kind}` }, stimulus.node, h("figcaption", {}, title, big, against, words));

  function paint({ title: name = "", trial = null, value: mean = trial?.value, error = null, words: more = "" }, now) {
    stimulus.show(trial);
    say(title, name);
    say(big, withError(mean, error));
    say(against, compared(mean, now.natural_maximum));
    say(words, more);
  }

  return { node, paint };
}

function explained({ number, value: mean, values, error, objective, origin, told_at: at }) {
  const spread = error === null || error === undefined ? "" : `${withError(mean, error)} of its ${values.length}, `;
  const penalised = objective === mean ? "" : `${value(objective)} with its penalty for unnatural codes, `;
  return `${spread}${penalised}trial ${whole(number)}, ${origin || "no origin"}, ${moment(at)}`;
}
