/** A study's server-sent events, followed through interruptions. */

import { eventsPath } from "./api.js";

const KINDS = ["ask", "tell", "state", "veto", "release", "enqueue"];
const LONGEST = 5000; // milliseconds between two tries
const QUIET = 30_000; // milliseconds without an event after which it is asked whether any was missed

/**
 * Follows a study until stopped. While the tab is hidden the stream is closed: browsers allow a host six connections,
 * which forgotten tabs would use up.
 * @param {string} name of the study
 * @param {object} on
 * @param {() => void} on.open the stream is there: what was missed is to be read again
 * @param {(kind: string, data: object) => void} on.event
 * @param {() => Promise<boolean>} on.lost the stream broke; whether to try again
 * @param {() => Promise<boolean>} on.current whether every event until now has come; throws where nothing is reached
 * @returns {() => void} stops
 */
export function follow(name, on) {
  let source = null;
  let timer = null;
  let quiet = null;
  let tries = 0;
  let stopped = false;

  function open() {
    close();
    source = new EventSource(eventsPath(name));
    source.onopen = () => {
      tries = 0;
      on.open();
      listen();
    };
    source.onerror = again;
    for (const kind of KINDS) source.addEventListener(kind, (event) => hear(kind, JSON.parse(event.data)));
  }

  function hear(kind, data) {
    on.event(kind, data);
    listen();
  }

  function listen() {
    clearTimeout(quiet);
    quiet = setTimeout(check, QUIET);
  }

  // After a sleep, or where a cable was pulled, a stream may be dead although no error was told.
  async function check() {
    const checked = source;
    const good = await on.current().catch(() => false);
    if (stopped || source !== checked || source === null) return;
    if (good) listen();
    else again();
  }

  function close() {
    clearTimeout(timer);
    clearTimeout(quiet);
    source?.close();
    source = null;
  }

  // The browser's own retry gives up at the first answer that is no stream, such as a proxy's 502.
  async function again() {
    close();
    const wait = Math.min(LONGEST, 500 * 2 ** tries);
    tries += 1;
    if ((await on.lost()) && !stopped && !document.hidden) timer = setTimeout(open, wait);
  }

  function visible() {
    if (document.hidden) close();
    else open();
  }

  document.addEventListener("visibilitychange", visible);
  if (!document.hidden) open();
  return () => {
    stopped = true;
    document.removeEventListener("visibilitychange", visible);
    close();
  };
}
