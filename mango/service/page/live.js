/** A study's server-sent events, followed through interruptions. */

import { eventsPath } from "./api.js";

const KINDS = ["ask", "tell", "state", "veto", "release", "enqueue"];
const LONGEST = 15_000; // milliseconds between two tries

/**
 * Follows a study until stopped. While the tab is hidden the stream is closed: browsers allow a host six connections,
 * which forgotten tabs would use up.
 * @param {string} name of the study
 * @param {object} on
 * @param {() => void} on.open the stream is there: what was missed is to be read again
 * @param {(kind: string, data: object) => void} on.event
 * @param {() => Promise<boolean>} on.lost the stream broke; whether to try again
 * @returns {() => void} stops
 */
export function follow(name, on) {
  let source = null;
  let timer = null;
  let tries = 0;
  let stopped = false;

  function open() {
    close();
    source = new EventSource(eventsPath(name));
    source.onopen = () => {
      tries = 0;
      on.open();
    };
    source.onerror = again;
    for (const kind of KINDS) source.addEventListener(kind, (event) => on.event(kind, JSON.parse(event.data)));
  }

  function close() {
    clearTimeout(timer);
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
