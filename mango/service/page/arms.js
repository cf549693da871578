/** Where the proposals come from: the arms of `auto`, and what was enqueued or natural. */

import { h, keyed, say, sayOrigin, section, stretch, table } from "./dom.js";
import { share, value, whole } from "./format.js";

export function arms() {
  const caption = "Each origin of proposals: how many, its share of all and of the last 200, and its best value";
  const { node: rows, body } = table(caption, [
    ["origin"],
    ["asked", "number"],
    ["share of all", "number wide"],
    ["of the last 200", "share"],
    ["best", "number"],
  ]);
  const note = h("p", { class: "note" }, "nothing was asked yet");
  const node = section("arms", "Where proposals come from", note, rows);

  function paint(found) {
    const asked = found.reduce((sum, arm) => sum + arm.asked, 0);
    const ordered = [...found].sort((a, b) => b.asked - a.asked);
    const top = Math.max(...ordered.map((arm) => arm.best ?? -Infinity));
    note.hidden = ordered.length > 0;
    rows.hidden = ordered.length === 0;
    keyed(
      body,
      ordered,
      (arm) => arm.origin,
      build,
      (row, arm) => row.show(arm, asked, arm.best === top),
    );
  }

  function build(arm) {
    const [count, all, best] = [
      h("td", { class: "number" }),
      h("td", { class: "number wide" }),
      h("td", { class: "number" }),
    ];
    const bar = h("span", { class: "bar-fill" });
    const recent = h("span", { class: "number" });
    const last = h("td", { class: "share" }, h("span", { class: "bar-track", "aria-hidden": "true" }, bar), recent);
    const name = h("th", { scope: "row" });
    const row = h("tr", {}, name, count, all, last, best);
    sayOrigin(name, arm.origin || "no origin");
    row.show = (now, asked, leads) => {
      say(count, whole(now.asked));
      say(all, share(now.asked / asked));
      say(recent, share(now.recent));
      stretch(bar, now.recent);
      say(best, value(now.best));
      best.classList.toggle("leads", leads);
    };
    return row;
  }

  return { node, paint };
}
