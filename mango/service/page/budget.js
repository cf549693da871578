/** How far a study is, in trials: each is shown `repeats` times, and the budget counts showings. */

import { count, share, whole } from "./format.js";

/**
 * @param {{budget: number|null, repeats: number, counts: object}} study
 * @returns {{all: number, closed: number, open: number, left: number}} vetoed trials were never shown and do not count;
 *     without a budget `all` and `left` are infinite
 */
export function trialsOf({ budget, repeats, counts }) {
  const all = budget === null ? Infinity : Math.max(1, Math.floor(budget / repeats));
  const closed = Math.min(all, counts.told + counts.lost + counts.failed);
  return { all, closed, open: counts.open, left: all - closed };
}

/** "1,200 of 2,000 trials, 60 %"; "1,200 trials, no budget" where there is none. */
export function progressed(study) {
  const { all, closed } = trialsOf(study);
  if (study.budget === null) return `${count(closed, "trial")}, no budget`;
  return `${whole(closed)} of ${count(all, "trial")}, ${share(closed / all)}`;
}
