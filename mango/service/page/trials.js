/** The table of trials, the latest first, a page at a time. */

import * as api from "./api.js";
import { h, keyed, say, sayOrigin, section, set, table } from "./dom.js";
import { instant, value, whole } from "./format.js";
import { paced } from "./pace.js";
import { picture, pixels } from "./picture.js";

const ROWS = 25;
const STATES = ["open", "done", "lost", "failed", "vetoed"];
const EVERY = 1500; // milliseconds between two readings of a page that changes

/**
 * @param {object} study
 * @param {{report: (error: Error) => void, announce: (text: string) => void}} page
 */
export function trials(study, page) {
  const filter = h(
    "select",
    { id: "state", onchange: () => turn([null]) },
    h("option", { value: "" }, "all states"),
    ...STATES.map((s) => h("option", { value: s }, s)),
  );
  const where = h("span", { class: "where" });
  const [newest, newer, older, oldest] = [
    button("Newest", () => turn([null])),
    button("Newer", () => turn(before.slice(0, -1))),
    button("Older", () => turn([...before, next])),
    button("Oldest", () => turn([...before, ROWS])),
  ];
  const { node: rows, body } = table("Trials, the latest first", columnsOf(study));
  rows.classList.add("fixed");
  const bar = h(
    "div",
    { class: "pages" },
    h("label", { for: "state" }, "State"),
    filter,
    where,
    h("span", { class: "turners" }, newest, newer, older, oldest),
  );
  const note = h("p", { class: "note", hidden: true });
  const node = section("trials", "Trials", bar, rows, note);

  let before = [null]; // for each page that was turned over until this one, the number that its trials are below
  let next = null; // the same, for the page of older trials; null: there is none
  let asked = 0; // trials in all
  let seen = []; // the page's trials
  const reading = paced(read, EVERY);

  function button(name, onclick) {
    const press = () => node.getAttribute("aria-disabled") !== "true" && onclick(); // `disabled` would drop the focus
    const node = h("button", { type: "button", class: "quiet", onclick: press }, name);
    return node;
  }

  async function turn(pages) {
    before = pages;
    await read();
    page.announce(where.textContent || note.textContent);
  }

  async function read() {
    const wanted = { before: before.at(-1), limit: ROWS, state: filter.value };
    try {
      const found = await api.trials(study.name, wanted);
      if (wanted.before !== before.at(-1) || wanted.state !== filter.value) return; // turned over meanwhile
      seen = found.trials;
      next = found.next;
      paint();
    } catch (error) {
      page.report(error);
    }
  }

  function paint() {
    keyed(
      body,
      seen,
      (t) => t.number,
      () => rowOf(study),
      (row, trial) => row.show(trial),
    );
    note.hidden = seen.length > 0;
    say(note, asked ? "There are no such trials." : "Nothing was asked yet.");
    rows.hidden = seen.length === 0;
    const of = filter.value ? "" : ` of ${whole(asked)}`;
    say(where, seen.length ? `${whole(seen[0].number)} to ${whole(seen.at(-1).number)}${of}` : "");
    for (const back of [newest, newer]) set(back, "aria-disabled", String(before.length === 1));
    for (const on of [older, oldest]) set(on, "aria-disabled", String(next === null));
    oldest.hidden = Boolean(filter.value); // which numbers the oldest ones of a state have is not known
  }

  /** Some trials have changed, and so many are asked in all. */
  function changed(numbers, all) {
    asked = all;
    const low = next === null ? 0 : (seen.at(-1)?.number ?? 0);
    const high = before.at(-1) ?? Infinity;
    if (numbers.some((n) => n >= low && n < high)) reading.request();
  }

  /** Reads the page for the first time, or after an interruption. */
  function reload(all) {
    asked = all;
    return read();
  }

  return { node, changed, reload, stop: reading.stop };
}

function columnsOf(study) {
  const columns = [
    ["trial", "number short"],
    ["state", "state"],
    ["value", "number value"],
    ["origin"],
    ["asked", "time"],
    ["told", "time"],
  ];
  return pixels(study) ? columns.toSpliced(1, 0, ["stimulus", "thumb"]) : columns;
}

function rowOf(study) {
  const cells = Object.fromEntries(
    columnsOf(study).map(([title, kind]) => {
      const heading = title === "trial";
      return [title, h(heading ? "th" : "td", { class: kind, scope: heading ? "row" : null })];
    }),
  );
  const [name, again] = [h("span"), h("span", { class: "aside" })];
  const [mean, spread] = [h("span"), h("span", { class: "aside" })];
  const [from, reason] = [h("span"), h("span", { class: "aside" })];
  cells.state.append(name, again);
  cells.value.append(mean, spread);
  cells.origin.append(from, reason);
  const stimulus = cells.stimulus && picture(study);
  if (stimulus) cells.stimulus.append(stimulus.node);
  const row = h("tr", {}, ...Object.values(cells));
  row.show = (trial) => {
    stimulus?.show(trial);
    say(cells.trial, whole(trial.number));
    set(cells.state, "data-state", trial.state);
    say(name, trial.state);
    say(again, trial.attempt > 1 ? `attempt ${whole(trial.attempt)}` : "");
    say(mean, value(trial.value));
    say(spread, trial.error === null || trial.error === undefined ? "" : `± ${value(trial.error)}`);
    sayOrigin(from, trial.origin);
    say(reason, trial.reason ?? "");
    say(cells.asked, instant(trial.asked_at));
    say(cells.told, instant(trial.told_at));
  };
  return row;
}
