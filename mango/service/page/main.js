/** The page: which view is shown, who may do what, and what the service says of itself. */

import * as api from "./api.js";
import { h, say, set } from "./dom.js";
import { listView } from "./list.js";
import { loginView } from "./login.js";
import { studyView } from "./study.js";

const LINKS = { connecting: "connecting …", live: "live", reconnecting: "reconnecting …", closed: "" };
const PASSING = [408, 429]; // refusals of HTTP that may be another answer soon
const ENTERED = "mango-entered"; // in localStorage where a token was given here: the cookie cannot be seen

const main = document.getElementById("main");
const link = document.getElementById("link");
const news = document.getElementById("news");
const notice = document.getElementById("notice");
const exit = document.getElementById("leave");
const reading = document.getElementById("reading");
let leave = () => {};
let shows = 0; // begun: only the last one counts
let moved = false; // by the user, who is then at the new heading; not at the first view

/** What a view asks of the page. */
class Page {
  /** "write" or "read", which hides the buttons. */
  access = "read";

  /** Shows whether what is seen is what is. */
  link(state) {
    set(link, "data-state", state);
    say(link, LINKS[state]);
    if (state === "live" && notice.dataset.passing === "true") hide();
  }

  /** A screen reader says it; shown to nobody else. */
  announce(text) {
    say(news, text);
  }

  /** Shows what went wrong, until it is closed or the next one comes. */
  report(error) {
    if (error.status === 401) {
      showLogin();
      return;
    }
    notice.hidden = false;
    notice.dataset.passing = error.status === 0 || error.status >= 500;
    say(notice.firstElementChild, error.message);
  }

  /** The view has its content: the title says so, and the heading has the focus where the user came by a link. */
  arrived(title) {
    document.title = `${title} · mango`;
    if (moved) main.querySelector("h1").focus();
  }

  /** A view could not be read: whether that is the end of it. */
  failed(error, place) {
    const final = error.status >= 400 && error.status < 500 && !PASSING.includes(error.status);
    if (error.status === 401) showLogin();
    else if (final) this.gone(place, error.status === 404 ? "Not here" : "This cannot be shown", error.message);
    else this.report(error);
    return final;
  }

  /** There is nothing here to be seen, and trying again by itself would not change that. */
  gone(place, title, message) {
    leave();
    leave = () => {};
    this.link("closed");
    place.replaceChildren(
      h("p", { class: "crumb" }, h("a", { href: "#/" }, "All studies")),
      h("h1", { tabindex: -1 }, title),
      h(
        "div",
        { class: "empty" },
        h("p", {}, message),
        h("button", { class: "quiet", type: "button", onclick: visit }, "Try again"),
      ),
    );
    this.arrived(title);
  }
}

const page = new Page();

function hide() {
  notice.hidden = true;
}

async function show() {
  leave();
  leave = () => {};
  page.link("connecting");
  const mine = ++shows;
  try {
    const { access } = await api.session();
    if (mine !== shows) return;
    page.access = access;
    reading.hidden = access === "write";
  } catch (error) {
    if (mine === shows && !page.failed(error, main)) {
      page.link("reconnecting");
      main.replaceChildren(h("p", { class: "empty", role: "status" }, "Nothing can be read now …"));
      setTimeout(() => mine === shows && show(), 3000);
    }
    return;
  }
  exit.hidden = localStorage.getItem(ENTERED) === null;
  const [, name] = location.hash.match(/^#\/studies\/([\w.-]+)$/) ?? [];
  leave = name ? studyView(main, page, name) : listView(main, page);
}

function visit() {
  moved = true;
  show();
}

function showLogin() {
  leave();
  leave = () => {};
  localStorage.removeItem(ENTERED);
  exit.hidden = reading.hidden = true;
  set(link, "data-state", "closed");
  say(link, "signed out");
  loginView(main, () => {
    localStorage.setItem(ENTERED, "yes");
    visit();
  });
  document.title = "Sign in · mango";
}

async function signOut() {
  try {
    await api.leave();
    showLogin();
  } catch (error) {
    page.report(error);
  }
}

addEventListener("hashchange", () => {
  if (!location.hash || location.hash.startsWith("#/")) visit();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
exit.addEventListener("click", signOut);
notice.lastElementChild.addEventListener("click", hide);
show();
