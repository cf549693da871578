/** The table of trials, a page at a time. */

import * as api from "./api.js";
import { h, keyed, say, sayOrigin, section, set, table } from "./dom.js";
import { moment, value, whole } from "./format.js";
import { paced } from "./pace.js";
import { picture, pixels } from "./picture.js";

const ROWS = 25;
const STATES = ["open", "done", "lost", "failed", "vetoed"];
const EVERY = 1500; // milliseconds between two readings of a page that changes

/**
 * @param {object} study
 * @param {(error: Error) => void} report
 */
export function trials(study, report) {
  const filter = h(
    "select",
    { id: "state", onchange: () => turn([-1]) },
    h("option", { value: "" }, "all states"),
    ...STATES.map((s) => h("option", { value: s }, s)),
  );
  const where = h("span", { class: "where", role: "status" });
  const [first, earlier, later, newest] = [
    button("First", () => turn([-1])),
    button("Earlier", () => turn(turned.length > 1 ? turned.slice(0, -1) : [Math.max(-1, turned[0] - ROWS)])),
    button("Later", () => turn([...turned, next])),
    button("Newest", () => turn([newestAfter()])),
  ];
  const columns = [
    ["trial", "number short"],
    ["state", "state"],
    ["value", "number value"],
    ["origin"],
    ["attempt", "number short"],
    ["asked", "time"],
    ["told", "time"],
  ];
  if (pixels(study)) columns.splice(1, 0, ["stimulus", "thumb"]);
  const { node: rows, body } = table("Trials by number", columns);
  rows.classList.add("fixed");
  const bar = h(
    "div",
    { class: "pages" },
    h("label", { for: "state" }, "State"),
    filter,
    where,
    h("span", { class: "turners" }, first, earlier, later, newest),
  );
  const note = h("p", { class: "note", hidden: true });
  const node = section("trials", "Trials", bar, rows, note);

  let turned = [-1]; // the number after which each page begins, of the pages turned over until this one
  let next = null; // the number after which the next page begins
  let asked = 0; // trials in all
  let seen = []; // the page's trials
  const reading = paced(read, EVERY);

  const newestAfter = () => Math.max(-1, asked - ROWS - 1);
  const atEnd = () => next === null;

  function button(name, onclick) {
    const press = () => node.getAttribute("aria-disabled") !== "true" && onclick(); // `disabled` would drop the focus
    const node = h("button", { type: "button", class: "quiet", onclick: press }, name);
    return node;
  }

  function turn(pages) {
    turned = pages;
    read();
  }

  async function read() {
    const wanted = { after: turned.at(-1), limit: ROWS, state: filter.value };
    try {
      const page = await api.trials(study.name, wanted);
      if (wanted.after !== turned.at(-1) || wanted.state !== filter.value) return; // turned over meanwhile
      seen = page.trials;
      next = page.next;
      paint();
    } catch (error) {
      report(error);
    }
  }

  function paint() {
    keyed(
      body,
      seen,
      (t) => t.number,
      build,
      (row, trial) => row.show(trial),
    );
    note.hidden = seen.length > 0;
    say(note, asked ? "There are no such trials." : "Nothing was asked yet.");
    rows.hidden = seen.length === 0;
    const of = filter.value ? "" : ` of ${whole(asked)}`;
    say(where, seen.length ? `${whole(seen[0].number)} to ${whole(seen.at(-1).number)}${of}` : "");
    for (const back of [first, earlier]) set(back, "aria-disabled", String(turned.at(-1) === -1));
    for (const on of [later, newest]) set(on, "aria-disabled", String(atEnd()));
    newest.hidden = Boolean(filter.value);
  }

  function build(trial) {
    const cells = columns.map(([title, kind]) =>
      title === "trial" ? h("th", { scope: "row", class: kind }, whole(trial.number)) : h("td", { class: kind }),
    );
    const of = Object.fromEntries(columns.map(([title], i) => [title, cells[i]]));
    const [mean, spread] = [h("span"), h("span", { class: "aside" })];
    const [from, reason] = [h("span"), h("span", { class: "aside" })];
    of.value.append(mean, spread);
    of.origin.append(from, reason);
    const stimulus = of.stimulus && picture(study);
    if (stimulus) of.stimulus.append(stimulus.node);
    const row = h("tr", {}, ...cells);
    row.show = (now) => {
      stimulus?.show(now);
      set(of.state, "data-state", now.state);
      say(of.state, now.state);
      say(mean, value(now.value));
      say(spread, now.error === null || now.error === undefined ? "" : `± ${value(now.error)}`);
      sayOrigin(from, now.origin);
      say(reason, now.reason ?? "");
      say(of.attempt, String(now.attempt));
      say(of.asked, moment(now.asked_at));
      say(of.told, moment(now.told_at));
    };
    return row;
  }

  /** Some trials have changed, and so many are asked in all: the page follows its end, or is read again. */
  function changed(numbers, all) {
    const follows = atEnd() && !filter.value && turned.at(-1) === newestAfter();
    asked = all;
    if (follows && numbers.some((n) => n > (seen.at(-1)?.number ?? -1))) turned = [newestAfter()];
    const [low, high] = [turned.at(-1), atEnd() ? Infinity : seen.at(-1)?.number];
    if (numbers.some((n) => n > low && n <= high)) reading.request();
  }

  /** Reads the page for the first time, or after an interruption. */
  function reload(all) {
    if (asked === 0) turned = [Math.max(-1, all - ROWS - 1)];
    asked = all;
    return read();
  }

  return { node, changed, reload, stop: reading.stop };
}
