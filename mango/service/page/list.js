/** All studies, the newest first. */

import * as api from "./api.js";
import { sparkline } from "./chart.js";
import { h, keyed, say, set, stretch } from "./dom.js";
import { count, share, value, whole } from "./format.js";
import { paced } from "./pace.js";
import { picture } from "./picture.js";

const EVERY = 4000; // milliseconds between two readings
const PAGE = 60; // studies shown at first, and by each "Show more"
const GROWN = 1.05; // by which a study must have grown for its line to be read again

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
  const reading = paced(readLines, 1000);
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) target.inSight = isIntersecting;
    reading.request();
  });

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
      reading.request();
    } catch (error) {
      if (left || page.failed(error, main)) return;
      page.link("reconnecting");
    }
    clearTimeout(timer);
    if (!left) timer = setTimeout(read, EVERY);
  }

  /** One line at a time, of the cards that are seen and have grown: a list of many studies stays light. */
  async function readLines() {
    for (const card of [...cards.children]) {
      const { name, counts } = card.study;
      if (left || !card.inSight || counts.told === 0 || counts.told < GROWN * card.told) continue;
      try {
        card.line(await api.curve(name));
        card.told = counts.told;
      } catch {
        return; // the next reading of the list says what is wrong
      }
    }
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
      build,
      (card, study) => card.show(study),
    );
    more.hidden = studies.length <= most;
  }

  function showMore() {
    most += PAGE;
    paint();
  }

  function build(study) {
    const stimulus = picture(study);
    const [best, words, state] = [
      h("b", { class: "big" }),
      h("span", { class: "words" }),
      h("span", { class: "badge" }),
    ];
    const fill = h("span", { class: "bar-fill" });
    const spark = h("div", { class: "spark-place" });
    const card = h(
      "li",
      { class: "card" },
      h("h2", {}, h("a", { href: `#/studies/${encodeURIComponent(study.name)}` }, study.name)),
      state,
      stimulus.node,
      h("p", { class: "value" }, h("span", { class: "eyebrow" }, "best"), best),
      spark,
      h("div", { class: "bar-track", "aria-hidden": "true" }, fill),
      words,
    );
    card.show = (now) => {
      card.study = now;
      const { counts } = now;
      const shown = counts.presentations / now.budget;
      stimulus.show(now.best);
      say(best, value(now.best?.value));
      set(state, "data-state", now.state);
      say(state, now.state);
      stretch(fill, shown);
      const missing = counts.lost + counts.failed;
      say(
        words,
        `${whole(counts.presentations)} of ${count(now.budget, "presentation")}, ${share(shown)}` +
          (counts.open ? `; ${whole(counts.open)} open` : "") +
          (missing ? `; ${whole(missing)} lost or failed` : ""),
      );
    };
    card.told = 0; // answers that the line had when it was read
    card.line = (curve) => spark.replaceChildren(sparkline(curve));
    sight.observe(card);
    return card;
  }

  return () => {
    left = true;
    clearTimeout(timer);
    sight.disconnect();
    reading.stop();
    document.removeEventListener("visibilitychange", read);
  };
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
