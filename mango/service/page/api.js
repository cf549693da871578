/** The service's HTTP interface, as far as the page needs it. */

const PATIENCE = 20_000; // milliseconds for one answer
let ahead = 0; // milliseconds by which the service's clock is ahead of this one

/** What the service refused, or why it could not be reached (status 0). */
class ServiceError extends Error {
  /**
   * @param {number} status of HTTP
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Seconds since 1970 by the service's clock: leases end by that, and a laboratory's clocks differ. */
export const now = () => (Date.now() + ahead) / 1000;

/**
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<any>} what was answered; null for an empty answer
 * @throws {ServiceError}
 */
async function call(method, path, body) {
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE),
    });
    text = await response.text();
  } catch {
    throw new ServiceError(0, "The service cannot be reached; the page tries again by itself.");
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) ahead = date + 500 - Date.now(); // the header has whole seconds
  if (response.ok) return text ? JSON.parse(text) : null;
  throw new ServiceError(response.status, reason(response.status, text));
}

function reason(status, text) {
  try {
    const { message, request_id: id } = JSON.parse(text).error;
    return id ? `${message} (request ${id})` : message;
  } catch {
    return `The service answered ${status}.`;
  }
}

const path = (name, rest = "") => `/v1/studies/${encodeURIComponent(name)}${rest}`;
const empty = {};

export const session = () => call("GET", "/v1/session");
export const enter = (token) => call("POST", "/v1/session", { token });
export const leave = () => call("DELETE", "/v1/session");

export const studies = async () => (await call("GET", "/v1/studies")).studies;
export const study = (name) => call("GET", path(name));
export const curve = (name) => call("GET", path(name, "/curve"));
export const arms = async (name) => (await call("GET", path(name, "/arms"))).arms;
export const best = (name, n) => call("GET", path(name, `/best?n=${n}`));
export const references = async (name, limit) =>
  (await call("GET", path(name, `/references?told=false&limit=${limit}`))).references;
export const eventsPath = (name) => path(name, "/events");

/**
 * A page of trials, the latest first, and what to give as `before` for the next one (null at the end).
 * @param {string} name
 * @param {{before?: number|null, limit: number, state?: string}} which before: only trials of lower numbers
 * @returns {Promise<{trials: object[], next: number|null}>}
 */
export function trials(name, { before = null, limit, state }) {
  const query = new URLSearchParams({ latest: true, limit });
  if (before !== null) query.set("before", before);
  if (state) query.set("state", state);
  return call("GET", path(name, `/trials?${query}`));
}

/** Pauses, resumes or finishes; the study as it then is. */
export const change = (name, verb) => call("POST", path(name, `/${verb}`), empty);
export const veto = (name, number) =>
  call("POST", path(name, "/veto"), { numbers: [number], reason: "on the live page" });
