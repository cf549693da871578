/** Where the service wants a token: asked for once, then kept by the browser in a cookie that no script can read. */

import * as api from "./api.js";
import { h, say, set } from "./dom.js";

/**
 * @param {HTMLElement} main
 * @param {() => void} entered
 */
export function loginView(main, entered) {
  const field = h("input", {
    id: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    "aria-describedby": "refused",
  });
  const refused = h("p", { id: "refused", class: "refused", role: "alert" });
  const form = h(
    "form",
    { class: "login", onsubmit: submit },
    h("input", { type: "text", autocomplete: "username", value: "mango", hidden: true }), // for password managers
    h("label", { for: "token" }, "Token"),
    field,
    refused,
    h("button", { class: "primary" }, "Sign in"),
  );
  main.replaceChildren(
    h("h1", { tabindex: -1 }, "Sign in"),
    h(
      "p",
      { class: "note" },
      "This service wants a token. Whoever started it has one to read and one to read and write.",
    ),
    form,
  );
  field.focus();

  async function submit(event) {
    event.preventDefault();
    try {
      await api.enter(field.value.trim());
    } catch (error) {
      say(refused, error.message);
      set(field, "aria-invalid", "true");
      field.select();
      return;
    }
    entered();
  }
}
