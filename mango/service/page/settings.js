/** What a study was created with. */

import { h, section } from "./dom.js";
import { length, moment, share, value, whole } from "./format.js";

/** @param {object} study */
export function settings(study) {
  const { image } = study;
  const rows = {
    created: moment(study.created_at),
    generator: study.generator ?? "none: a plain space",
    optimizer: study.optimizer,
    "its chart": study.chart ?? "its own choice, or none",
    "its options": Object.keys(study.options).length ? JSON.stringify(study.options) : "as they are by default",
    "weight of naturalness": value(study.weight),
    dimensions: whole(study.dim),
    seed: String(study.seed),
    budget: study.budget === null ? "none: asks until finished" : `${whole(study.budget)} presentations`,
    batch: whole(study.batch),
    "repeats of a trial": whole(study.repeats),
    "leaders shown again": share(study.leaders),
    "kept for the final choice": `${whole(study.confirm)} presentations`,
    lease: length(study.lease),
    "natural maximum": study.natural_maximum === null ? "not known" : value(study.natural_maximum),
    "shape of a stimulus": study.stimulus_shape ? study.stimulus_shape.join(" × ") : "no picture",
    "size of a picture": image?.size ? `${image.size.join(" × ")}, ${image.upsampling}` : "as it is",
  };
  for (const [name, noted] of Object.entries(study.meta)) {
    rows[`note: ${name}`] = typeof noted === "string" ? noted : JSON.stringify(noted);
  }
  const list = h(
    "dl",
    { class: "settings" },
    ...Object.entries(rows).map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))),
  );
  return section("settings", "Settings", list);
}
