/** All studies, the newest first. */

import * as api from "./api.js";
import { progressed, trialsOf } from "./budget.js";
import { sparkline } from "./chart.js";
import { h, keyed, say, set, stretch } from "./dom.js";
import { compared, highest, value, whole } from "./format.js";
import { picture } from "./picture.js";

const EVERY = 4000; // milliseconds between two readings
const PAGE = 60; // studies shown at first, and by each "Show more"

/**
 * @param {HTMLElement} main
 * @param {import("./main.js").Page} page
 * @returns {() => void} leaves the list
 */
export function listView(main, page) {
  const cards = h("ul", { class: "cards" });
  const more = h("button", { type: "button", class: "quiet more", hidden: true, onclick: showMore }, "Show more");
  const note = h("p", { class: "note", role: "status" }, "Reading the studies …");
  const none = firstStudy();
  let studies = [];
  let most = PAGE;
  let timer = null;
  let left = false;

  main.replaceChildren(h("h1", { tabindex: -1 }, "Studies"), note, none, cards, more);
  page.arrived("Studies");
  document.addEventListener("visibilitychange", read);
  read();

  async function read() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      studies = await api.studies();
      if (left) return;
      page.link("live");
      paint();
    } catch (error) {
      if (left || page.failed(error, main)) return;
      page.link("reconnecting");
    }
    clearTimeout(timer);
    if (!left) timer = setTimeout(read, EVERY);
  }

  function paint() {
    const running = studies.filter((s) => s.state === "running").length;
    say(
      note,
      studies.length
        ? `${studies.length === 1 ? "1 study" : `${whole(studies.length)} studies`}, ${whole(running)} running.`
        : "",
    );
    none.hidden = studies.length > 0;
    keyed(
      cards,
      studies.slice(0, most),
      (s) => `${s.name} ${s.created_at}`,
      cardOf,
      (card, study) => card.show(study),
    );
    more.hidden = studies.length <= most;
  }

  function showMore() {
    most += PAGE;
    paint();
  }

  return () => {
    left = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", read);
  };
}

/** One study: its name and state, its best stimulus, the course of the best, how far it is. */
function cardOf(study) {
  const stimulus = picture(study);
  const [best, against] = [h("b", { class: "big" }), h("span", { class: "against" })];
  const [words, state] = [h("span", { class: "words" }), h("span", { class: "badge" })];
  const fill = h("span", { class: "bar-fill" });
  const bar = h("div", { class: "bar-track", "aria-hidden": "true" }, fill);
  const spark = h("div", { class: "spark-place" });
  const link = h("a", { href: `#/studies/${encodeURIComponent(study.name)}`, title: study.name }, study.name);
  const card = h(
    "li",
    { class: "card" },
    h("h2", {}, link),
    state,
    stimulus.node,
    h("p", { class: "value" }, h("span", { class: "eyebrow" }, highest(study)), best, against),
    spark,
    bar,
    words,
  );
  let drawn = "";

  card.show = (now) => {
    const { best: found, counts, improvements, natural_maximum: natural } = now;
    const { all, closed } = trialsOf(now);
    stimulus.show(found);
    say(best, value(found?.value));
    say(against, compared(found?.value, natural));
    set(state, "data-state", now.state);
    say(state, now.state);
    bar.hidden = now.budget === null;
    stretch(fill, closed / all);
    const missing = counts.lost + counts.failed;
    const parts = [
      progressed(now),
      counts.open && `${whole(counts.open)} open`,
      missing && `${whole(missing)} lost or failed`,
    ];
    say(words, parts.filter(Boolean).join("; "));
    const line = `${improvements.at(-1)} ${counts.asked}`;
    if (line !== drawn && improvements.length) spark.replaceChildren(sparkline(improvements, counts.asked, natural));
    drawn = line;
  };
  return card;
}

/** What to do where there is no study yet. */
function firstStudy() {
  const body = JSON.stringify({ name: "first", generator: "vqvae-cifar10", budget: 2000 });
  const command = `curl ${location.origin}/v1/studies -H 'Content-Type: application/json' -d '${body}'`;
  return h(
    "div",
    { class: "empty", hidden: true },
    h("p", {}, "There is no study yet. A rig creates one with a request such as"),
    h("pre", {}, h("code", {}, command)),
    h("p", {}, "All requests are described at ", h("a", { href: "/docs" }, "/docs"), "."),
  );
}
