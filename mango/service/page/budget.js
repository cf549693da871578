/** How far a study is, in trials: each is shown `repeats` times, and the budget counts showings. */

import { whole } from "./format.js";

/**
 * @param {{budget: number, repeats: number, counts: object}} study
 * @returns {{all: number, closed: number, open: number, left: number}} vetoed trials were never shown and do not count
 */
export function trialsOf({ budget, repeats, counts }) {
  const all = Math.max(1, Math.floor(budget / repeats));
  const closed = Math.min(all, counts.told + counts.lost + counts.failed);
  return { all, closed, open: counts.open, left: all - closed };
}

/** "1,200 of 2,000 trials", with the repeats where there are some. */
export function progressed(study) {
  const { all, closed } = trialsOf(study);
  return `${whole(closed)} of ${whole(all)} ${all === 1 ? "trial" : "trials"}`;
}
