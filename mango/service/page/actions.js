/** Pause, resume and finish. */

import * as api from "./api.js";
import { h } from "./dom.js";

const POSSIBLE = { running: ["pause", "finish"], paused: ["resume", "finish"], exhausted: ["finish"], finished: [] };
const NAMES = { pause: "Pause", resume: "Resume", finish: "Finish …" };

/**
 * @param {object} study
 * @param {(study: object) => void} changed
 * @param {(error: Error) => void} report
 */
export function actions(study, changed, report) {
  const buttons = Object.entries(NAMES).map(([verb, name]) =>
    h("button", { type: "button", class: verb, hidden: true, onclick: () => press(verb) }, name),
  );
  const dialog = confirmation(study.name, () => run("finish"));
  const node = h("div", { class: "actions" }, ...buttons, dialog);
  let busy = false;

  function press(verb) {
    if (verb === "finish") dialog.showModal();
    else run(verb);
  }

  async function run(verb) {
    if (busy) return;
    busy = true;
    try {
      changed(await api.change(study.name, verb));
    } catch (error) {
      report(error);
    }
    busy = false;
  }

  function paint({ state }) {
    const focused = buttons.find((button) => button === document.activeElement);
    for (const button of buttons) button.hidden = !POSSIBLE[state].includes(button.className);
    if (focused?.hidden) (buttons.find((button) => !button.hidden) ?? document.querySelector("h1")).focus();
  }

  return { node, paint };
}

function confirmation(name, agreed) {
  const dialog = h(
    "dialog",
    { "aria-labelledby": "finish-title", "aria-describedby": "finish-text" },
    h("h2", { id: "finish-title" }, "Finish this study?"),
    h("p", { id: "finish-text" }, `Nothing more will be handed out for ${name}, and it cannot be resumed.`),
    h(
      "form",
      { method: "dialog" },
      h("button", { value: "", class: "quiet" }, "Go on with it"),
      h("button", { value: "finish", class: "danger" }, "Finish it"),
    ),
  );
  dialog.addEventListener("close", () => dialog.returnValue === "finish" && agreed());
  return dialog;
}
