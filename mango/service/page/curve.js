/** A study's curve: the value of each trial and the best so far, by number, thinned so that any study stays light. */

const MOST = 4000; // points; above it the curve is thinned to half

export class Curve {
  /** @param {{numbers: number[], values: (number|null)[], best: (number|null)[], references: object[]}} read */
  constructor({ numbers, values, best, references }) {
    this.numbers = numbers;
    this.values = values;
    this.best = best;
    this.references = references;
  }

  /** Whether there is no answer to draw. */
  get empty() {
    return this.values.every((v) => v === null);
  }

  /** The place of the last point that has a value: of the trials after it no answer has come. */
  get latest() {
    return Math.max(0, this.values.findLastIndex((v) => v !== null));
  }

  /** Where the best so far changed: numbers of trials, and the best from there on. */
  get rises() {
    const changed = (v, i) => v !== null && v !== this.best[i - 1];
    return this.numbers.map((n, i) => [n, this.best[i]]).filter(([, v], i) => changed(v, i));
  }

  /** The place of the first point whose number is not below this one. */
  place(number) {
    let low = 0;
    let high = this.numbers.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.numbers[middle] < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The place of the point nearest to this number. */
  nearest(number) {
    const after = Math.min(this.place(number), this.numbers.length - 1);
    const before = Math.max(0, after - 1);
    return number - this.numbers[before] < this.numbers[after] - number ? before : after;
  }

  /**
   * Adds what was told. Answers come in any order; a trial that is told again keeps its place.
   * @param {object[]} trials
   * @param {object|null} best of the study, after them
   */
  tell(trials, best) {
    let first = this.numbers.length;
    for (const { number, value } of trials) {
      if (value === null) continue;
      const place = this.place(number);
      const known = this.numbers[place] === number ? 1 : 0;
      this.numbers.splice(place, known, number);
      this.values.splice(place, known, value);
      this.best.splice(place, known, null);
      first = Math.min(first, place);
    }
    for (let i = first; i < this.numbers.length; i++) {
      const known = [this.best[i - 1], this.best[i], this.values[i]].filter((v) => v !== null && v !== undefined);
      this.best[i] = known.length ? Math.max(...known) : null;
    }
    if (best) this.best.fill(best.value, this.place(best.number));
    if (this.numbers.length > MOST) this.#thin();
  }

  // Where the best rises stays exact; of the points between every other one goes.
  #thin() {
    const last = this.numbers.length - 1;
    const kept = [...this.numbers.keys()].filter((i) => i % 2 === 0 || i === last || this.best[i] !== this.best[i - 1]);
    this.numbers = kept.map((i) => this.numbers[i]);
    this.values = kept.map((i) => this.values[i]);
    this.best = kept.map((i) => this.best[i]);
  }
}
