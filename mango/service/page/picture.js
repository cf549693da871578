/** A trial as a picture with its words. */

import { h, set } from "./dom.js";
import { outcome, whole } from "./format.js";

/** Height and width of a study's pictures, in pixels; null where it has none. */
export function pixels(study) {
  const shape = study.stimulus_shape;
  if (study.image?.size) return study.image.size;
  return shape && shape.length === 3 ? shape.slice(1) : null;
}

const AGAIN = 3000; // milliseconds after which a picture that did not come is asked for again, when next shown

/**
 * The place of a stimulus, whose size is known before its picture has come.
 * @param {object} study
 * @param {"eager"|"lazy"} [loading]
 * @returns {{node: HTMLElement, show: (trial: object|null) => void}}
 */
export function picture(study, loading = "lazy") {
  const size = pixels(study);
  const node = h("div", { class: size ? "picture" : "picture none" });
  if (size) node.style.aspectRatio = `${size[1]} / ${size[0]}`;
  let image = null;
  let failed = Infinity; // when it did not come

  function remove() {
    image?.remove();
    image = null;
    failed = Infinity;
  }

  function came(well) {
    failed = well ? Infinity : performance.now();
    image?.classList.toggle("missing", !well);
  }

  function show(trial) {
    if (performance.now() - failed > AGAIN) remove();
    if (!trial?.stimulus_url) {
      remove();
      return;
    }
    const what = trial.image === undefined ? "stimulus of trial" : "reference image";
    const text = `${what} ${whole(trial.image ?? trial.number)}, ${outcome(trial)}`;
    if (!image) {
      const events = { onerror: () => came(false), onload: () => came(true) };
      image = h("img", { loading, decoding: "async", draggable: "false", ...events });
      node.append(image);
    }
    set(image, "alt", text);
    set(image, "src", trial.stimulus_url);
  }

  return { node, show };
}
